"""What is different between two versions of a flow, or of what is made of named parts as one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Changes:
    """Names of states or parts, in the order of the later version (those that are gone: of the earlier)."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    #: of the flow itself: title, language, initial_state, ...
    about: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.about)


def changes(before: Mapping[str, Any], after: Mapping[str, Any], *, parts: str = "states") -> Changes:
    """From one document to another; both have been read before. `parts`: which list of theirs has names."""
    old, new = _parts(before, parts), _parts(after, parts)
    names = dict.fromkeys((*after, *before))
    return Changes(
        added=tuple(name for name in new if name not in old),
        removed=tuple(name for name in old if name not in new),
        changed=tuple(name for name in new if name in old and new[name] != old[name]),
        about=tuple(name for name in names if name != parts and after.get(name) != before.get(name)),
    )


def _parts(document: Mapping[str, Any], parts: str) -> dict[str, Any]:
    return {str(one["name"]): one for one in document[parts]}
