"""What variables of a call can be, and how much of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

#: What a variable of a call can be.
Value: TypeAlias = str | int | float | bool | None

LANGUAGES: Final = ("ru", "en")
KEYS: Final = "0123456789*#"
#: A text in a variable has so many characters at most, and a call so many variables.
MOST_TEXT: Final = 2_000
MOST_VARIABLES: Final = 500


def clean_values(values: Mapping[str, Any]) -> dict[str, Value]:
    """Those of the values that a variable can be, texts cut to `MOST_TEXT`."""
    clean: dict[str, Value] = {}
    for name, value in values.items():
        if isinstance(value, str):
            # A lone surrogate is no text that could be stored.
            clean[name] = value[:MOST_TEXT].encode("utf-8", "replace").decode().replace("\0", "")
        elif value is None or isinstance(value, bool):
            clean[name] = value
        elif isinstance(value, int):
            clean[name] = value if abs(value) < 2**53 else str(value)[:MOST_TEXT]
        elif isinstance(value, float) and math.isfinite(value):
            clean[name] = value
    return clean
