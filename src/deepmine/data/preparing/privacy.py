"""What is done to columns that could identify a person. No message and no ledger entry holds one of their values."""

import hmac
import os
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from deepmine.config.errors import UserError
from deepmine.data.ledger import Ledger
from deepmine.data.preparing.clean import require

DEMO = "DEMO_KEY"
DEMO_KEY = "a public demo key, which protects nobody"  # without the project's name, so a rename changes no data
SHORTEST_KEY = 16  # characters
LOOKED_AT = 10_000  # rows, evenly spread
SSN_IBAN = r"^\s*(\d{3}-\d{2}-\d{4}|[A-Z]{2}\d{2}( ?[A-Z0-9]{4}){3,7}( ?[A-Z0-9]{1,3})?)\s*$"
PHONE = r"^\s*(\+[1-9][\d ()/.-]{7,18}\d|\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}|0\d{1,5}[ /-]\d[\d -]{4,11})\s*$"
PATTERNS = {  # what a text looks like, and the share of the texts from which that counts
    "an identity number": (SSN_IBAN, 0.5),
    "an e-mail address": (r"[\w.+-]+@[\w-]+\.[A-Za-z]{2,}", 0.01),
    "a phone number": (PHONE, 0.5),
    "the name of a person": (r"\b(Mr|Mrs|Ms|Miss|Dr|Mme|Herr|Frau)\b\.? [A-Z]", 0.1),
}
NAMES = {  # the name of a column, its words joined by `_`
    "an e-mail address": r"e_?mail(_address)?",
    "a phone number": r"(tele|mobile_|cell_|home_|work_)?phone(_(number|no|nr))?|mobile(_(number|no))?|fax",
    "the name of a person": r"name|(first|last|middle|full|given|family|maiden|user|customer|patient|employee|person"
    r"|passenger|client|contact)_?names?|surname|forename",
    "a date of birth": r"date_of_birth|birth_?da(te|y)|dob",
    "an identity number": r"ssn|(social_security|passport|national_id|identity|tax|driving_licen[cs]e|insurance|iban"
    r"|credit_card|patient|card)(_(number|no|nr|id))|iban|credit_?card|passport|national_id",
}


def protect(frame: pd.DataFrame, settings: Mapping[str, Any], ledger: Ledger) -> pd.DataFrame:
    """Apply each column's rule; `frame` is not changed. Missing values stay missing.

    A pseudonym is the first 16 hexadecimal digits of HMAC-SHA256 (RFC 2104) of the value as text.
    Raises `UserError` if a column looks personal and has no rule, a rule names no column, or there is no key.
    """
    rules = settings["columns"]
    require(frame, rules, "data.privacy.columns")
    if unruled := {name: why for name, why in personal(frame).items() if name not in rules}:
        raise UserError(
            f"These columns look personal: {'; '.join(f'`{name}` ({why})' for name, why in unruled.items())}. Say in "
            "conf/data/<name>.yaml what to do (drop, pseudonymise; keep if they are not personal):\nprivacy:\n"
            "  columns:\n" + "\n".join(f"    {name}: drop" for name in unruled)
        )
    frame = frame.copy(deep=False)
    for name, rule in rules.items():
        if rule == "keep":
            continue
        column, done = frame.pop(name) if rule == "drop" else frame[name], "dropped"
        if rule == "pseudonymise":
            frame[name], done = _pseudonyms(column, settings["key"])
        ledger.add("privacy", f"{name}: {done}", len(frame), len(frame), int(column.notna().sum()))
    return frame


def personal(frame: pd.DataFrame) -> dict[str, str]:
    """The columns that by their names or values look as if they hold personal data, and why."""
    found = {}
    for name in map(str, frame):
        words = re.sub(r"(?<=[a-z])(?=[A-Z])|\W+", "_", name).strip("_").lower()
        why = next((f"its name says {what}" for what, known in NAMES.items() if re.fullmatch(known, words)), None)
        if why or (why := _looks_like(frame[name])):
            found[name] = why
    return found


def _looks_like(column: pd.Series) -> str | None:
    texts = column.iloc[:: max(1, len(column) // LOOKED_AT)].dropna().astype("str")
    for what, (pattern, share) in PATTERNS.items():
        matching = [bool(re.search(pattern, text)) for text in texts]
        if matching and np.mean(matching) >= share:
            return f"{np.mean(matching):.0%} of its values look like {what}"
    return None


def _pseudonyms(column: pd.Series, variable: str) -> tuple[pd.Series, str]:
    """By the key in an environment variable, and what was done, with a note if it is not secret."""
    key = os.environ.get(variable) or (DEMO_KEY if variable == DEMO else "")
    if len(key) < SHORTEST_KEY:
        problem = f"holds fewer than {SHORTEST_KEY} characters" if key else "is not set"
        raise UserError(
            f"`data.privacy.key` names the environment variable {variable}, which {problem}. Set it to your team's key "
            f"or a new one: export {variable}=$(python3 -c 'import secrets; print(secrets.token_hex(32))')"
        )
    done = "pseudonymised" + " with the public demo key, which protects nobody" * (key == DEMO_KEY)
    values = column.dropna().unique()
    texts = [f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value) for value in values]
    found = [hmac.digest(key.encode(), text.encode(), "sha256").hex()[:16] for text in texts]
    return column.map(dict(zip(values, found, strict=True))).astype("str"), done
