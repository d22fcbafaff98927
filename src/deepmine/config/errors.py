"""Errors for people: what was found, what it must be, what to do."""

import re
from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """Something entered that cannot be used (config, raw file, request); its text is all that a person sees."""


def nearest(found: str, valid: Iterable[str]) -> str:
    """The sentence that helps with a wrong name: the nearest valid one, and all of them."""
    valid = sorted(valid)
    close = get_close_matches(found, valid, n=1, cutoff=0.5)
    return (f"Did you mean `{close[0]}`? " if close else "") + f"Valid: {', '.join(valid)}."


def shown(text: str) -> str:
    """A URI, or a text with URIs and settings in it, without the passwords."""
    text = re.sub(r"://[^/\s]*@", "://***@", text)
    return re.sub(r"(?i)\b(password|passwd|secret|token|api_?key)=[^&\s]+", r"\1=***", text)
