"""Small flows for tests."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ivr_flows.interpreter import begin, step
from ivr_flows.loader import from_document
from ivr_flows.model import Began, Event, Flow, Step, Value

#: A Monday, 12:00 in Moscow.
NOON = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def document(
    verb: str, properties: Mapping[str, Any] | None = None, transitions: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """A flow of one state `it` and an end for each of its events, named as the event."""
    ways = dict(transitions or {})
    ends = [{"name": name, "type": "hangup"} for name in dict.fromkeys(ways.values()) if name != "it"]
    state = {"name": "it", "type": verb, "properties": dict(properties or {}), "transitions": ways}
    return {"name": "test", "language": "en", "initial_state": "it", "states": [state, *ends]}


def one(verb: str, properties: Mapping[str, Any] | None = None, *events: str) -> Flow:
    """The flow of one state whose events lead to ends of their names."""
    return from_document(
        document(verb, properties, {event: f"end {event.strip('*#') or 'key'}" for event in events})
    )


def start(flow: Flow, now: datetime = NOON, **variables: Value) -> Step:
    """The first step of a call."""
    known = {"caller": "+79161234567", "zone": "Europe/Moscow", **variables}
    return step(flow, begin(flow, variables=known), Began(), now=now)


def run(flow: Flow, *events: Event, now: datetime = NOON, **variables: Value) -> Step:
    """The last step of a call to which these things happen."""
    last = start(flow, now, **variables)
    for event in events:
        last = step(flow, last.position, event, now=now)
    return last
