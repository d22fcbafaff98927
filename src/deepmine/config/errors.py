"""Errors for people: what was found, what was wanted, what to do."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """Something entered that cannot be used (config, raw file, request); its text is all that a person sees."""


def nearest(found: str, valid: Iterable[str]) -> str:
    """The sentence that helps with a wrong name: the nearest valid one, and all of them."""
    valid = sorted(valid)
    close = get_close_matches(found, valid, n=1, cutoff=0.5)
    return (f"Did you mean `{close[0]}`? " if close else "") + f"Valid: {', '.join(valid)}."
