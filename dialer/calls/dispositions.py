"""What a talk came to: the SQL of saving a disposition.

The call's row (an attempt's, or an inbound call's) is the lock. Who saves and the engine that sees the
hang-up both change it, one after the other: the second of them finds what the first has done and ends the
call (see `store.save_all`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import CTE, Table, column, text
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.calls import call_log
from dialer.calls.call_log import CallRow
from dialer.calls.model import CallState
from dialer.db.prepared import Prepared
from dialer.db.tables import attempt, inbound_call
from dialer.httpkit.access import Actor, Right

_CHOICES_OF = """
           (SELECT coalesce(jsonb_agg(jsonb_build_array(d.id, d.code, d.label_ru, d.label_en, d.kind)
                                      ORDER BY d.position, d.id), '[]')
              FROM disposition d
             WHERE d.tenant_id = a.tenant_id AND d.campaign_id = a.campaign_id) AS choices
"""
_TALK = Prepared(
    f"""
    SELECT a.id, a.campaign_id, a.lead_id, a.contact_id, a.e164, a.state, a.created_at, a.connected_at,
           a.hung_up_at, a.let_go_at, a.session_id, a.agent_id, g.user_id, a.disposition_id,
           EXISTS (SELECT FROM campaign_quota q
                    WHERE q.tenant_id = a.tenant_id AND q.campaign_id = a.campaign_id) AS has_quotas,
           {_CHOICES_OF}
      FROM attempt a LEFT JOIN agent g ON g.tenant_id = a.tenant_id AND g.id = a.agent_id
     WHERE a.tenant_id = :tenant_id AND a.id = :attempt_id
       FOR UPDATE OF a
    """  # noqa: S608 a constant
)
#: Quotas count the people of the campaign's lists, whom it has called.
_INBOUND_TALK = Prepared(
    f"""
    SELECT a.id, a.campaign_id, CAST(NULL AS bigint) AS lead_id, a.contact_id, a.e164, a.state,
           a.created_at, a.connected_at, a.hung_up_at, a.let_go_at, a.session_id, a.agent_id, g.user_id,
           a.disposition_id,
           false AS has_quotas, {_CHOICES_OF}
      FROM inbound_call a LEFT JOIN agent g ON g.tenant_id = a.tenant_id AND g.id = a.agent_id
     WHERE a.tenant_id = :tenant_id AND a.id = :attempt_id
       FOR UPDATE OF a
    """  # noqa: S608 a constant
)
_CHOICES = Prepared(
    """
    SELECT id, code, label_ru, label_en, kind FROM disposition
     WHERE tenant_id = :tenant_id AND campaign_id = :campaign_id
     ORDER BY position, id
    """
)
_SET = """
       SET disposition_id = :disposition_id, disposition_note = :note, disposed_at = :at, disposed_by = :by,
           state = CASE WHEN :ends THEN 'ended' ELSE state END,
           ended_at = CASE WHEN :ends THEN CAST(:at AS timestamptz) ELSE ended_at END
     WHERE tenant_id = :tenant_id AND id = :attempt_id
    RETURNING *
"""


def _written(table: Table) -> CTE:
    return (
        text(f"UPDATE {table.name} {_SET}").columns(*(column(c.name, c.type) for c in table.c)).cte("written")
    )


_WRITE = Prepared(call_log.query(_written(attempt)))
_WRITE_INBOUND = Prepared(
    call_log.query(call_log.as_attempts(_written(inbound_call)).cte("came"), inbound=True)
)


@dataclass(frozen=True, slots=True)
class Choice:
    """A disposition that an agent can choose."""

    id: int
    code: str
    label_ru: str
    label_en: str
    #: one of DISPOSITION_KINDS
    kind: str


@dataclass(frozen=True, slots=True)
class Talk:
    """A call as saving its disposition needs it, locked."""

    id: UUID
    campaign_id: int
    lead_id: int | None
    contact_id: int | None
    e164: str
    state: CallState
    created_at: datetime
    connected_at: datetime | None
    hung_up_at: datetime | None
    #: when the agent let go of a customer who stays on the line
    let_go_at: datetime | None
    session_id: UUID | None
    agent_id: int | None
    #: the user that the agent is
    user_id: int | None
    disposition_id: int | None
    #: whether the campaign counts talks
    has_quotas: bool
    #: what talks of its campaign may come to
    choices: Sequence[Choice]
    #: the person has called us
    inbound: bool = False

    def require_own(self, actor: Actor, right: Right) -> bool:
        """Whether the call is the actor's own; raises Forbidden unless it is or the actor has `right`."""
        own = self.user_id is not None and self.user_id == actor.user_id
        actor.require(Right.WORK if own else right)
        return own


async def lock_talk(conn: AsyncConnection, tenant_id: int, attempt_id: UUID) -> Talk | None:
    """The call, kept from everybody else until the transaction ends."""
    asked = {"tenant_id": tenant_id, "attempt_id": attempt_id}
    row = await _TALK.row(conn, **asked)
    inbound = row is None
    if row is None:
        row = await _INBOUND_TALK.row(conn, **asked)
    if row is None:
        return None
    choices = [Choice(*choice) for choice in row.choices]
    return Talk(**{**row, "state": CallState(row.state), "choices": choices, "inbound": inbound})


async def choices(conn: AsyncConnection, tenant_id: int, campaign_id: int) -> list[Choice]:
    """What talks of a campaign may come to, in the order agents see it."""
    rows = await _CHOICES.rows(conn, tenant_id=tenant_id, campaign_id=campaign_id)
    return [Choice(*row) for row in rows]


async def write(
    conn: AsyncConnection,
    talk: Talk,
    tenant_id: int,
    *,
    disposition_id: int,
    note: str,
    by: int | None,
    at: datetime,
) -> CallRow:
    """Write the disposition; in wrap-up that ends the call. The call as it is now."""
    row = await (_WRITE_INBOUND if talk.inbound else _WRITE).row(
        conn,
        tenant_id=tenant_id,
        attempt_id=talk.id,
        disposition_id=disposition_id,
        note=note or None,
        by=by,
        at=at,
        ends=talk.state is CallState.WRAP_UP,
    )
    return CallRow(**row)
