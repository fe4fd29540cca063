"""What a change of a campaign comes to, though somebody else has saved the same form in between. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from dialer.campaigns.fields import CampaignEdit, CampaignIn
from dialer.campaigns.model import changed_fields
from dialer.errors import Conflict
from dialer.httpkit.problems import invalid
from dialer.said import Said


def as_seen(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields as a form carries them along, to know later what it has shown: JSON."""
    found: dict[str, Any] = json.loads(json.dumps(dict(fields), default=str))
    return found


def merged(
    before: Mapping[str, Any], seen: Mapping[str, Any], different: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Of a form that shows what was `seen`, while the campaign is as `before` by now: what its sender has
    changed, and which of that somebody else has changed meanwhile.

    What the sender has left as it was shown is not theirs to undo. `different`: what was sent and is not so.
    """
    kept, sent = as_seen(before), as_seen(different)
    own = {name: value for name, value in different.items() if sent[name] != seen.get(name, kept[name])}
    return own, sorted(name for name in own if kept[name] != seen.get(name, kept[name]))


def changed(
    before: Mapping[str, Any], changes: CampaignEdit, seen: Mapping[str, Any] | None = None
) -> tuple[CampaignIn, dict[str, Any]]:
    """The campaign as it is to be, and what differs of it. Raises Invalid, Conflict."""
    given = {name: getattr(changes, name) for name in changes.model_fields_set}
    wanted = _valid({**before, **given})
    different = changed_fields(before, wanted.model_dump())
    if seen is None:
        return wanted, different
    own, contested = merged(before, seen, different)
    if contested:
        raise _changed_meanwhile(before, contested)
    return _valid({**before, **own}), own


def _valid(fields: Mapping[str, Any]) -> CampaignIn:
    try:
        return CampaignIn.model_validate(fields)
    except ValidationError as error:
        raise invalid(error) from None


def _changed_meanwhile(before: Mapping[str, Any], names: Sequence[str]) -> Conflict:
    """Two people have changed the same fields."""
    errors = []
    for name in names:
        reason: str = "somebody has changed this meanwhile; saved again, yours stays"
        if isinstance(before[name], str | int | float) and not isinstance(before[name], bool):
            reason = Said(
                "somebody has changed this to “{value}” meanwhile; saved again, yours stays",
                value=before[name],
            )
        errors.append({"field": name, "reason": reason})
    return Conflict(reason="somebody else has changed the campaign meanwhile", errors=errors)
