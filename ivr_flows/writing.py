"""A flow's values as the YAML that `yamlfile` reads: what is read back is what was written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import yaml


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]  # PyYAML has no types
    """Writes no anchors, which are not read, and indents lists, as the flows that come along do."""

    def ignore_aliases(self, data: Any) -> bool:
        """What stands twice is written twice."""
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """A list is further in than its name."""
        super().increase_indent(flow, False)


def _text(dumper: Any, value: str) -> Any:
    """Breaks of lines that YAML would change are escaped."""
    odd = any(letter in "\r\x85\u2028\u2029\ufeff" for letter in value)
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style='"' if odd else None)


_Dumper.add_representer(str, _text)

#: Names in the order in which people write them; the rest come after, as they stand.
_FIRST: Final = ("name", "title", "type", "language", "zone", "initial_state", "on_error", "serves")
_LAST: Final = ("properties", "transitions", "states")


def yaml_of(document: Any) -> str:
    """The text of values as JSON has them. A store may have changed the order of names: a flow and its states
    have theirs as people write it."""
    if isinstance(document, Mapping) and isinstance(document.get("states"), list):
        states = [_ordered(one) if isinstance(one, Mapping) else one for one in document["states"]]
        document = _ordered({**document, "states": states})
    return str(yaml.dump(document, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=100))


def _ordered(value: Mapping[str, Any]) -> dict[str, Any]:
    middle = [name for name in value if name not in (*_FIRST, *_LAST)]
    return {name: value[name] for name in (*_FIRST, *middle, *_LAST) if name in value}
