"""What an agent should know of a person before the voice, besides the card: how often they were called, what
they have agreed to, when they came and will come, what they were promised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.clock import utc_now
from dialer.compliance.consent import Given, Lack, NotGiven, consent_for
from dialer.compliance.policy import Purpose
from dialer.contacts import consents
from dialer.db.prepared import Prepared
from dialer.visits.model import State as VisitState
from scheduler.callbacks import Stage, State, stage

#: Promised calls that a card shows.
MOST = 5


@dataclass(frozen=True, slots=True)
class Agreed:
    """What the person has said of calls for a purpose."""

    purpose: Purpose
    #: they may be called for it now
    given: bool
    #: given: when that ends; else when it begins; None: no such time is known
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Came:
    """A visit of the person."""

    at: datetime
    place: str
    state: VisitState


@dataclass(frozen=True, slots=True)
class Promised:
    """A call that the person is promised, and that was not made yet."""

    id: int
    #: it is dialled from here
    due_at: datetime
    #: who has promised it; None: any agent
    agent: str | None
    campaign: str
    note: str
    stage: Stage


@dataclass(frozen=True, slots=True)
class About:
    """All of it."""

    #: calls of ours to the person, but for the one of the card ...
    attempts: int
    #: ... and those of them for the campaign of the card
    campaign_attempts: int
    #: calls in either direction in which an agent has talked with them, likewise
    talks: int
    #: the purposes of which they have ever said something; empty: of none
    agreed: Sequence[Agreed]
    #: the latest that has not been taken back; None: none is known
    last_visit: Came | None
    next_visit: Came | None
    #: by when they are due, MOST of them
    promised: Sequence[Promised]


_ABOUT = Prepared(
    f"""
    SELECT a.attempts, a.campaign_attempts, a.talks + i.talks AS talks, {consents.AGREED} AS agreed,
           ARRAY(SELECT ROW(v.at, v.place, v.state) FROM visit v
                  WHERE v.tenant_id = :tenant_id AND v.contact_id = n.contact_id AND v.at <= :now
                    AND v.state <> 'canceled'
                  ORDER BY v.at DESC LIMIT 1) AS last_visit,
           ARRAY(SELECT ROW(v.at, v.place, v.state) FROM visit v
                  WHERE v.tenant_id = :tenant_id AND v.contact_id = n.contact_id AND v.at > :now
                    AND v.state = 'booked'
                  ORDER BY v.at LIMIT 1) AS next_visit,
           ARRAY(SELECT ROW(c.id, c.due_at, g.name, k.name, c.note, c.state, c.until_at)
                   FROM callback c
                   JOIN campaign k ON k.tenant_id = c.tenant_id AND k.id = c.campaign_id
                   LEFT JOIN agent g ON g.tenant_id = c.tenant_id AND g.id = c.agent_id
                  WHERE c.tenant_id = :tenant_id AND c.contact_id = n.contact_id
                    AND c.state IN ('waiting', 'dialling')
                  ORDER BY c.due_at, c.id LIMIT {MOST}) AS promised
      FROM (SELECT CAST(:contact_id AS bigint) AS contact_id) n
     CROSS JOIN LATERAL (
           SELECT count(*) AS attempts, count(o.connected_at) AS talks,
                  count(*) FILTER (WHERE o.campaign_id = :campaign_id) AS campaign_attempts
             FROM attempt o
            WHERE o.tenant_id = :tenant_id AND o.contact_id = n.contact_id
              AND o.id IS DISTINCT FROM CAST(:call_id AS uuid)) a
     CROSS JOIN LATERAL (
           SELECT count(*) AS talks FROM inbound_call o
            WHERE o.tenant_id = :tenant_id AND o.contact_id = n.contact_id AND o.connected_at IS NOT NULL
              AND o.id IS DISTINCT FROM CAST(:call_id AS uuid)) i
    """  # noqa: S608 - texts of ours
)


async def about(
    conn: AsyncConnection, tenant_id: int, contact_id: int, campaign_id: int, call_id: UUID | None
) -> About:
    """What is known of a person whom a card of this campaign and call shows."""
    now = utc_now()
    row = await _ABOUT.row(
        conn, tenant_id=tenant_id, contact_id=contact_id, campaign_id=campaign_id, call_id=call_id, now=now
    )
    assert row is not None, "counted of nothing, too"
    known = [consents.read(one) for one in row.agreed]
    said = ((one, consent_for(known, one, now)) for one in Purpose if one is not Purpose.ANY)
    return About(
        attempts=row.attempts,
        campaign_attempts=row.campaign_attempts,
        talks=row.talks,
        agreed=[
            Agreed(purpose, isinstance(verdict, Given), verdict.until)
            for purpose, verdict in said
            if verdict != NotGiven(Lack.NONE)
        ],
        last_visit=_came(row.last_visit),
        next_visit=_came(row.next_visit),
        promised=[
            Promised(id_, due_at, agent, campaign, note, stage(State(state), until_at, due_at, now))
            for id_, due_at, agent, campaign, note, state, until_at in row.promised
        ],
    )


def _came(rows: Sequence[Any]) -> Came | None:
    return Came(rows[0][0], rows[0][1], VisitState(rows[0][2])) if rows else None
