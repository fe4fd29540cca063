"""The placer as an engine has it, over a line that takes everything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from sqlalchemy import select

from dialer.asterisk.ami import AmiReply
from dialer.asterisk.nodes import Node, Nodes
from dialer.calls.journal import DatabaseJournal
from dialer.calls.lines import TrunkLines
from dialer.calls.placing import Placer
from dialer.calls.table import CallTable
from dialer.calls.terms import CallTerms
from dialer.calls.tracking import Tracker
from dialer.compliance.model import POLICIES, Hours, Timetable
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.pacing.model import DialMode
from dialer.servers.ownership import Sole
from dialer.trunks.model import Trunk
from support.floor import NODE, TENANT, Floor

HOUR = 3600


@dataclass
class Line:
    """A link to an Asterisk that takes everything: what it was asked, and which attempts stood then."""

    database: Database
    asked: list[Mapping[str, Any]] = field(default_factory=list)
    committed: set[UUID] = field(default_factory=set)
    held: set[UUID] = field(default_factory=set)
    up: bool = True

    async def send(self, action: Mapping[str, Any]) -> AmiReply:
        """Take an action."""
        self.asked.append(action)
        async with self.database.tenant(TENANT) as conn:  # another transaction: it sees what is committed
            self.committed |= set(await conn.scalars(select(t.attempt.c.id)))
            self.held |= set(await conn.scalars(select(t.active_number.c.attempt_id)))
        return AmiReply({"ActionID": str(len(self.asked))})


def placer_of(floor: Floor, line: Line) -> Placer:
    """Places calls over the line."""
    calls = CallTable(DatabaseJournal(floor.database))
    link: Any = line
    nodes = Nodes()
    nodes.add(Node(NODE, link, ready=True))
    return Placer(floor.database, nodes, Sole(), calls, Tracker(calls), TrunkLines(), "127.0.0.1:4573")


def terms_of(floor: Floor, **changes: Any) -> CallTerms:
    """Terms that let a number be dialled round the clock."""
    trunk = Trunk(floor.trunk_id, "carrier", "carrier", "+74950000000", 30, 100.0, ("+7",))
    terms = CallTerms(
        tenant_id=TENANT,
        campaign_id=floor.campaign_id,
        mode=DialMode.PROGRESSIVE,
        ratio=1.0,
        priority=0,
        policy=replace(POLICIES["demo"], redial_after_abandoned_s=72 * HOUR),
        skill=None,
        ring_timeout_s=20,
        screens=False,
        amd={},
        record=False,
        wrap_up_limit_s=60,
        abandon_sound="message",
        window=Timetable.alike(Hours(0, 24 * 60)),
        trunks=[trunk],
    )
    return replace(terms, **changes)
