"""Which flow can be the survey after a talk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.errors import BadFlow, Invalid
from dialer.said import told
from dialer.surveys import store
from ivr_flows import after_talk, loader
from ivr_flows.model import Flow, Problem


async def check(conn: AsyncConnection, tenant_id: int, name: str | None) -> None:
    """Whether a campaign or a queue may name this flow; None: it names none. Raises Invalid."""
    if name is None:
        return
    found = await store.live(conn, tenant_id, name)
    if found is None:
        raise Invalid(field="survey", reason=told("there is no flow “{name}” that is published", name=name))
    if states := after_talk.misfits(loader.from_document(found.document, checked=False)):
        raise Invalid(field="survey", reason=_said(states[0]))


def problems(flow: Flow) -> list[Problem]:
    """Why customers cannot go through the flow after a talk, by state."""
    return [
        Problem(flow.lines.get(f"states.{name}", 0), f"states.{name}", "not_after_talk", _said(name))
        for name in after_talk.misfits(flow)
    ]


def _said(state: str) -> str:
    return told(
        "after a talk a flow speaks and asks, and leads nobody to an agent or elsewhere; the state “{state}” "
        "does more",
        state=state,
    )


def fits(document: Mapping[str, Any]) -> bool:
    """Whether customers can go through a flow of this document after a talk."""
    try:
        return not after_talk.misfits(loader.from_document(document, checked=False))
    except BadFlow:  # of an earlier release
        return False


async def ready(conn: AsyncConnection, tenant_id: int, name: str) -> bool:
    """Whether customers can go through it now."""
    found = await store.live(conn, tenant_id, name)
    return found is not None and fits(found.document)
