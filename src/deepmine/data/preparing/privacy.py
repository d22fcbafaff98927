"""What is done to columns that could point to a person. No message, ledger entry or reject holds one of their values.

`personal` is a few patterns: libraries that find more, such as presidio, bring a language model with them.
"""

import hmac
import os
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from deepmine.config.errors import UserError
from deepmine.data.ledger import Ledger
from deepmine.data.preparing.clean import each, require

MASKED = "*"
OTHER = "other"
DEMO = "DEEPMINE_DEMO_KEY"
DEMO_KEY = "deepmine's public demo key protects nobody"
SHORTEST_KEY = 16  # characters
LOOKED_AT = 10_000  # rows, spread evenly


def _is_card(text: str) -> bool:
    """13 to 19 digits with the check digit of a payment card (ISO/IEC 7812-1, annex B: Luhn's algorithm)."""
    if not re.fullmatch(r"\s*\d(?:[ -]?\d){12,18}\s*", text):
        return False
    digits = [int(digit) for digit in re.findall(r"\d", text)]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(doubled) + sum(digits[::-2])) % 10 == 0


# what a text looks like: how it is known, and the share of the texts from which it counts
PATTERNS: dict[str, tuple[Callable[[str], Any], float]] = {
    "an identity number": (
        re.compile(
            r"^\s*(?:\d{3}-\d{2}-\d{4}"  # social security (US)
            r"|[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?)\s*$"  # bank account (IBAN)
        ).search,
        0.5,
    ),
    "the number of a payment card": (_is_card, 0.5),
    "an e-mail address": (re.compile(r"[\w.+-]+@[\w-]+\.[A-Za-z]{2,}").search, 0.01),
    "a phone number": (
        re.compile(
            r"^\s*(?:\+[1-9][\d ()/.-]{7,18}\d|\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}|0\d{1,5}[ /-]\d[\d -]{4,11})\s*$"
        ).search,
        0.5,
    ),
    "the name of a person": (re.compile(r"\b(?:Mr|Mrs|Ms|Miss|Dr|Mme|Herr|Frau)\b\.? [A-Z]").search, 0.1),
}
NAMES = {  # what a column is called, its words joined by `_`
    "an e-mail address": r"e_?mail(_address)?",
    "a phone number": r"(tele|mobile_|cell_|home_|work_)?phone(_(number|no|nr))?|mobile(_(number|no))?|fax",
    "the name of a person": r"name|(first|last|middle|full|given|family|maiden|user|customer|patient|employee|person"
    r"|passenger|client|contact)_?names?|surname|forename",
    "an identity number": r"ssn|(social_security|passport|national_id|identity|tax|driving_licen[cs]e|insurance|iban"
    r"|credit_card|patient|card)(_(number|no|nr|id))|iban|credit_?card|passport|national_id",
}


def protect(frame: pd.DataFrame, settings: Mapping[str, Any], ledger: Ledger) -> pd.DataFrame:
    """Each column by its rule, then k-anonymity; the frame that was given stays as it is. Missing stays missing,
    but for `mask`, which leaves one value in every row.

    Pseudonyms: the first 16 hexadecimal digits of HMAC-SHA256 (RFC 2104) of the value as text. k-anonymity: Sweeney,
    "k-anonymity: a model for protecting privacy" (2002); a missing value is a value of its own.

    Args:
        frame: `(n, columns)`, indexed by row id.
        settings: `schema_data.Privacy`.
        ledger: what was done is added here.

    Raises:
        UserError: a column looks personal and has no rule, a rule does not fit its column, there is no key, or a
            group is smaller than it may be.
    """
    rules = settings["columns"]
    require(frame, rules, "data.privacy.columns")
    _refuse({name: why for name, why in personal(frame).items() if name not in rules})
    frame = frame.copy(deep=False)
    for name, rule in rules.items():
        if rule == "keep":
            continue
        if rule == "drop":
            ledger.add("privacy", f"{name}: dropped", len(frame), len(frame), len(frame))
            del frame[name]
            continue
        frame[name], what = _protected(frame[name], rule, settings["key"])
        ledger.add("privacy", f"{name}: {what}", len(frame), len(frame), int(frame[name].notna().sum()))
    return _anonymous(frame, settings["k_anonymity"], ledger)


def personal(frame: pd.DataFrame) -> dict[str, str]:
    """The columns that look as if they hold e-mail addresses, phone or identity numbers or names, and why.

    By what a column is called and, for texts, by the share of up to 10,000 of them that match a pattern. A name
    without a title is known by its column alone.
    """
    found = {}
    for name in map(str, frame):
        words = re.sub(r"(?<=[a-z])(?=[A-Z])|\W+", "_", name).strip("_").lower()
        why = next((f"its name says {what}" for what, known in NAMES.items() if re.fullmatch(known, words)), None)
        if why or (why := _looks_like(frame[name])):
            found[name] = why
    return found


def _looks_like(column: pd.Series) -> str | None:
    values = column.iloc[:: max(1, len(column) // LOOKED_AT)].dropna()
    if column.dtype.kind in "biuM":
        return None
    texts = [f"{value:.0f}" for value in values] if column.dtype.kind == "f" else values.astype("str")
    for what, (matches, share) in PATTERNS.items():
        matching = np.mean([bool(matches(text)) for text in texts]) if len(texts) else 0
        if matching >= share:
            return f"{matching:.0%} of its values look like {what}"
    return None


def _refuse(unruled: Mapping[str, str]) -> None:
    if unruled:
        why = "; ".join(f"`{name}` ({reason})" for name, reason in unruled.items())
        lines = "\n".join(f"    {name}: drop" for name in unruled)
        raise UserError(
            f"These columns look personal and have no rule: {why}. Say in conf/data/<name>.yaml what is done (drop, "
            f"mask, pseudonymise, generalise; keep, if they are not personal):\nprivacy:\n  columns:\n{lines}"
        )


def _protected(column: pd.Series, rule: Any, key: str | None) -> tuple[pd.Series, str]:
    """The column after its rule, and what was done."""
    if rule == "mask":
        return pd.Series(MASKED, column.index, dtype="str"), "masked"
    if rule == "pseudonymise":
        secret, note = _secret(key)
        return each(
            column, lambda text: hmac.digest(secret, text.encode(), "sha256").hex()[:16]
        ), f"pseudonymised{note}"
    [(way, value)] = [(way, value) for way, value in rule.items() if value is not None]
    wanted = {"width": "f", "date": "M"}.get(way)
    if wanted and column.dtype.kind != wanted:
        raise UserError(
            f"`data.privacy.columns.{column.name}.{way}` is for {'numbers' if wanted == 'f' else 'dates'}, which "
            f"`{column.name}` does not hold."
        )
    return GENERALISE[way](column, value), f"generalised by {way}"


def _secret(name: str | None) -> tuple[bytes, str]:
    """The key that an environment variable holds, and a note where it is no secret."""
    key = os.environ.get(str(name), "")
    if not key and name == DEMO:
        return DEMO_KEY.encode(), " with the public demo key, which protects nobody"
    if len(key) < SHORTEST_KEY:
        have = "is not set" if not key else f"holds fewer than {SHORTEST_KEY} characters"
        raise UserError(
            f"`data.privacy.key` names the environment variable {name}, which {have}. Set it to the key that your team "
            "keeps for this data set; a new one: "
            f"export {name}=$(python -c 'import secrets; print(secrets.token_hex(32))')"
        )
    return key.encode(), ""


def _to_width(column: pd.Series, width: float) -> pd.Series:
    return np.floor((column / width).round(9)) * width  # rounded, or 0.3 would fall below 0.3


def _to_period(column: pd.Series, period: str) -> pd.Series:
    if period == "decade":
        years = column.dt.year
        return pd.to_datetime((years - years % 10).astype("Int64").astype("str"), format="%Y").astype(column.dtype)
    return pd.Series(column.to_numpy().astype(f"M8[{period[0].upper()}]"), column.index).astype(column.dtype)


def _to_characters(column: pd.Series, n: int) -> pd.Series:
    return each(column, lambda text: text[:n] + "*" * len(text[n:]))


def _to_map(column: pd.Series, new: Mapping[str, str]) -> pd.Series:
    return each(column, lambda text: new.get(text, OTHER))


GENERALISE: dict[str, Callable[[pd.Series, Any], pd.Series]] = {
    "width": _to_width,
    "date": _to_period,
    "characters": _to_characters,
    "map": _to_map,
}


def _anonymous(frame: pd.DataFrame, rule: Mapping[str, Any] | None, ledger: Ledger) -> pd.DataFrame:
    """Measure the smallest group; drop rows of groups that are too small, or stop."""
    if rule is None:
        return frame
    columns, k = rule["columns"], rule["k"]
    require(frame, columns, "data.privacy.k_anonymity.columns")
    groups = frame.groupby(columns, dropna=False, sort=False).ngroup().to_numpy()
    sizes = np.bincount(groups)[groups]  # of the group of each row
    few = sizes < k
    place = f"the smallest group of equal {', '.join(columns)} has {sizes.min()} rows, wanted {k}"
    if few.any() and rule["on_fewer"] == "fail":
        raise UserError(
            f"k-anonymity: {place}; {few.sum()} of {len(frame)} rows are in groups that small. Generalise the columns "
            "more, or take `on_fewer: suppress` under data.privacy.k_anonymity."
        )
    if few.all():
        raise UserError(f"k-anonymity: {place}; suppressing would leave no row. Generalise the columns more.")
    dropped = f"; {few.sum()} rows in smaller groups dropped" if few.any() else ""
    ledger.add("privacy", f"k-anonymity: {place}{dropped}", len(frame), int((~few).sum()))
    return frame[~few] if few.any() else frame
