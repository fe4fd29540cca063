"""Who belongs together, asked from both sides without going through all."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from uuid import UUID

Key = TypeVar("Key", bound=Hashable)


@dataclass(slots=True)
class Groups(Generic[Key]):
    """The group of each member, at most one: the bridge that a channel is in, the shift that a call is of."""

    _group: dict[UUID, Key] = field(default_factory=dict)
    #: in the order in which they came; no group is empty
    _members: dict[Key, dict[UUID, None]] = field(default_factory=dict)

    def put(self, member: UUID, group: Key | None) -> None:
        """The member is in this group now and in no other; None, or an empty name: in none."""
        was = self._group.pop(member, None)
        if was is not None:
            del self._members[was][member]
            if not self._members[was]:
                del self._members[was]
        if group:
            self._group[member] = group
            self._members.setdefault(group, {})[member] = None

    def group(self, member: UUID) -> Key | None:
        """The group that the member is in."""
        return self._group.get(member)

    def members(self, group: Key | None) -> Iterable[UUID]:
        """Who is in the group; nobody is in none. Not to be changed meanwhile."""
        return self._members.get(group, ()) if group is not None else ()
