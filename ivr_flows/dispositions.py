"""What a flow says that a call which we have made came to: the variable `disposition`, the code of a
disposition of the call's campaign."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

#: The variable. The last value that it had is what counts, wherever the call has ended.
DISPOSITION: Final = "disposition"


def codes(document: Mapping[str, Any]) -> list[str]:
    """The codes that a flow, as it was written, gives by name, in the order of their first mention. What
    comes from a variable or from a server is not known before the call."""
    found = (code for state in document["states"] for code in _given(state))
    return [code for code in dict.fromkeys(found) if isinstance(code, str) and code and "{" not in code]


def _given(state: Mapping[str, Any]) -> Iterable[Any]:
    properties = state.get("properties") or {}
    values = properties.get("values") or {}
    if state.get("type") == "set":
        return [values.get(DISPOSITION)]
    # A menu keeps the key, where `values` has nothing for it.
    return values.values() if properties.get("into") == DISPOSITION else ()
