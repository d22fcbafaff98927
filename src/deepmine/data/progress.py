"""Long work is seen: a bar in a terminal, a line every ten seconds in a log; nothing where it takes two seconds."""

import sys
from typing import Any

EVERY = 10.0  # seconds, in a log
LINE = "{desc}: {percentage:.0f} % after {elapsed}\n"


def progress(what: str, total: float | None = None, **how: Any) -> Any:
    """tqdm's bar."""
    from tqdm import tqdm

    log: dict[str, Any] = {} if sys.stderr.isatty() else {"bar_format": LINE, "mininterval": EVERY, "delay": EVERY}
    return tqdm(desc=what, total=total, **{"leave": False, "unit_scale": True, "delay": 2, **log, **how})
