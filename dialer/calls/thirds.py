"""The third party of a talk as its call's row has it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from dialer.calls.model import Assignee, Stage, Third


def words_of(third: Third | None) -> Mapping[str, Any] | None:
    """What is written: JSON."""
    if third is None:
        return None
    agent = third.agent
    return {
        "channel": str(third.channel),
        "name": third.name,
        "since": third.since.isoformat(),
        "stage": third.stage,
        "came": third.came,
        "session_id": str(agent.session_id) if agent else None,
        "agent_id": agent.agent_id if agent else None,
    }


def third_of(words: Mapping[str, Any] | None) -> Third | None:
    """What was written."""
    if words is None:
        return None
    channel, agent_id = UUID(words["channel"]), words["agent_id"]
    return Third(
        channel,
        words["name"],
        datetime.fromisoformat(words["since"]),
        Stage(words["stage"]),
        None if agent_id is None else Assignee(UUID(words["session_id"]), agent_id, channel),
        words["came"],
    )
