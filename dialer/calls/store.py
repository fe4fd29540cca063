"""The SQL of calls: attempts are made before the call; these and inbound calls are written after each change,
and read back after a crash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.calls.model import Assignee, Call, CallState, Direction, Result, Third
from dialer.calls.thirds import words_of
from dialer.db.prepared import Prepared
from dialer.db.session import encode_json
from dialer.db.tables import agent_session, attempt

#: What stands for the trunk of a call that came in.
NO_TRUNK = 0


@dataclass(frozen=True, slots=True)
class NewAttempt:
    """A call that is about to be placed."""

    id: UUID
    campaign_id: int
    e164: str
    trunk_id: int
    #: the Asterisk server that dials
    node: str
    caller_id: str
    mode: str
    #: the policy's stamp
    policy: str
    list_id: int | None = None
    lead_id: int | None = None
    contact_id: int | None = None
    #: preview and manual: who pressed the key, and for which agent's shift
    clicked_by: int | None = None
    session_id: UUID | None = None
    agent_id: int | None = None
    #: counted in what its trunk and its tenant carry, until it has ended
    holds_line: bool = False
    #: it tries a trunk that was found bad
    probe: bool = False
    #: the tariff of the number, and what of the day's money is reserved for it
    rate_per_minute: Decimal | None = None
    rate_per_call: Decimal | None = None
    reserved: Decimal | None = None
    reserved_on: date | None = None
    #: what the chance of an answer was told from, see `pacing.answering.words_of`
    traits: list[str] | None = None
    #: what showed that it might be made, see `compliance.evidence`; JSON
    evidence: str | None = None
    #: of a call back in turn: the queue, why the person has called, and since when they wait
    queue: str | None = None
    reason: str | None = None
    queued_at: datetime | None = None


_ADD = Prepared(
    insert(attempt).values(
        {
            name: bindparam(name, type_=attempt.c[name].type)
            for name in ("tenant_id", "state", "created_at", *NewAttempt.__slots__)
        }
    )
)
_STATUS = Prepared("SELECT status FROM campaign WHERE tenant_id = :tenant_id AND id = :campaign_id FOR SHARE")
_HOLD = Prepared(
    """
    INSERT INTO active_number (tenant_id, e164, attempt_id)
    SELECT :tenant_id, e164, attempt_id
      FROM unnest(CAST(:numbers AS text[]), CAST(:attempts AS uuid[])) AS n (e164, attempt_id)
        ON CONFLICT DO NOTHING
    RETURNING e164
    """
)
_SINCE = "(SELECT CAST(:since AS timestamptz))"
#: Earlier attempts in any campaign since :since, newest first, in an array of what `Tried` has: those at the
#: number n.e164 and, where n.contact_id is given, at all numbers of that person.
TRIED = f"""
    ARRAY(
        SELECT ROW(a.created_at, a.result, a.ended_at,
                   CASE WHEN d.id IS NOT NULL THEN a.disposed_at END)
          FROM (SELECT id, created_at, result, ringing_at, ended_at, disposition_id, disposed_at FROM attempt
                 WHERE tenant_id = :tenant_id AND e164 = n.e164 AND created_at > {_SINCE}
                UNION
                SELECT id, created_at, result, ringing_at, ended_at, disposition_id, disposed_at FROM attempt
                 WHERE tenant_id = :tenant_id AND contact_id = n.contact_id AND created_at > {_SINCE}) a
          LEFT JOIN disposition d
                 ON d.tenant_id = :tenant_id AND d.id = a.disposition_id AND d.kind = 'refusal'
         WHERE a.result IS DISTINCT FROM 'canceled' OR a.ringing_at IS NOT NULL
         ORDER BY a.created_at DESC)
"""  # noqa: S608 - texts of ours
_RELEASE = Prepared(
    """
    DELETE FROM active_number
     WHERE tenant_id = :tenant_id AND attempt_id = ANY (CAST(:attempt_ids AS uuid[]))
    """
)


async def lock_shift(conn: AsyncConnection, tenant_id: int, session_id: UUID) -> None:
    """Let nobody else change the shift before the transaction ends: its agent places one call at a time."""
    shift = agent_session.c
    await conn.execute(
        select(shift.id).where(shift.tenant_id == tenant_id, shift.id == session_id).with_for_update()
    )


async def typed_since(conn: AsyncConnection, tenant_id: int, agent_id: int, since: datetime) -> int:
    """Calls of an agent to numbers typed by hand, placed since then."""
    found = await conn.execute(
        select(func.count())
        .select_from(attempt)
        .where(
            attempt.c.tenant_id == tenant_id,
            attempt.c.agent_id == agent_id,
            attempt.c.created_at > since,
            attempt.c.lead_id.is_(None),
        )
    )
    return int(found.scalar_one())


async def campaign_is_running(conn: AsyncConnection, tenant_id: int, campaign_id: int) -> bool:
    """Whether calls may be placed; until this transaction ends nobody can pause the campaign."""
    return bool(await _STATUS.value(conn, tenant_id=tenant_id, campaign_id=campaign_id) == "running")


async def hold_numbers(conn: AsyncConnection, tenant_id: int, numbers: Mapping[str, UUID]) -> frozenset[str]:
    """Take the hold of each free number for its attempt; the numbers taken come back.

    Waits for no one: a number held by another transaction that is still open counts as held once that
    commits, and as free when it does not.
    """
    in_order = sorted(numbers)  # one order for all: no deadlock
    attempts = [numbers[number] for number in in_order]
    return frozenset(await _HOLD.column(conn, tenant_id=tenant_id, numbers=in_order, attempts=attempts))


async def add(conn: AsyncConnection, tenant_id: int, attempts: Sequence[NewAttempt], now: datetime) -> None:
    """Write the rows that must stand before anything is dialled."""
    for new in attempts:
        values = {name: getattr(new, name) for name in NewAttempt.__slots__}
        await _ADD.run(conn, tenant_id=tenant_id, state=CallState.DIALLING, created_at=now, **values)


# -- following a call -------------------------------------------------------------------------------------

#: Columns that the engine alone writes, from the call as it knows it, each with its type.
_FOLLOWED = {
    "state": "text",
    "result": "text",
    "sent_at": "timestamptz",
    "ringing_at": "timestamptz",
    "answered_at": "timestamptz",
    "screened_at": "timestamptz",
    "assigned_at": "timestamptz",
    "connected_at": "timestamptz",
    "hung_up_at": "timestamptz",
    "ended_at": "timestamptz",
    "machine_status": "text",
    "machine_cause": "text",
    "hung_up_by": "text",
    "cause": "smallint",
    "sip_code": "smallint",
    "detail": "text",
    "outcome": "text",
    "queued_at": "timestamptz",
    "held_at": "timestamptz",
    "hold_s": "float8",
    "muted": "boolean",
    "let_go_at": "timestamptz",
    "handed_at": "timestamptz",
    "third": "jsonb",
}
#: Columns that keep what they have where nothing new is known.
_KEPT = {"session_id": "uuid", "agent_id": "bigint", "join_ms": "float8", "answer_to_agent_ms": "float8"}
#: And of these those that an inbound call has.
_FOLLOWED_INBOUND = {
    name: type_
    for name, type_ in _FOLLOWED.items()
    if name not in ("sent_at", "ringing_at", "screened_at", "machine_status", "machine_cause")
}


def _save(table: str, followed: Mapping[str, str]) -> Prepared:
    """Write calls as they stand into the table of their direction."""
    saved = {"id": "uuid", **followed, **_KEPT}
    return Prepared(
        f"""
    UPDATE {table} a SET
           {", ".join(f"{name} = n.{name}" for name in followed if name not in ("state", "ended_at"))},
           {", ".join(f"{name} = coalesce(n.{name}, a.{name})" for name in _KEPT)},
           state = CASE WHEN n.state = 'wrap_up' AND a.disposed_at IS NOT NULL THEN 'ended' ELSE n.state END,
           ended_at = CASE WHEN n.state = 'wrap_up' AND a.disposed_at IS NOT NULL
                           THEN n.hung_up_at ELSE n.ended_at END
      FROM unnest({", ".join(f"CAST(:{name} AS {type_}[])" for name, type_ in saved.items())})
           AS n ({", ".join(saved)})
     WHERE a.tenant_id = :tenant_id AND a.id = n.id AND a.state <> 'ended'
    RETURNING a.id, a.ended_at
    """  # noqa: S608 - names of columns
    )


_SAVES = {
    Direction.OUTBOUND: (_save("attempt", _FOLLOWED), _FOLLOWED),
    Direction.INBOUND: (_save("inbound_call", _FOLLOWED_INBOUND), _FOLLOWED_INBOUND),
}


@dataclass(frozen=True, slots=True)
class Standing:
    """A call as it stands, to be written."""

    call: Call
    #: who talks or has talked with the customer
    agent: Assignee | None
    join_ms: float | None
    answer_to_agent_ms: float | None


def _third_words(call: Call) -> str | None:
    return encode_json(words_of(call.third)) if call.third is not None else None


_SET_THIRD = {
    direction: Prepared(
        f"""
    UPDATE {table} SET third = CAST(:third AS jsonb)
     WHERE tenant_id = :tenant_id AND id = :id AND hung_up_at IS NULL
    """  # noqa: S608 - names of tables
    )
    for direction, table in ((Direction.OUTBOUND, "attempt"), (Direction.INBOUND, "inbound_call"))
}


async def set_third(conn: AsyncConnection, call: Call, third: Third | None) -> None:
    """Write whom the agent is about to call besides, in the transaction that takes them."""
    words = encode_json(words_of(third)) if third is not None else None
    await _SET_THIRD[call.direction].run(conn, tenant_id=call.tenant_id, id=call.attempt_id, third=words)


async def save_all(conn: AsyncConnection, tenant_id: int, standing: Sequence[Standing]) -> dict[UUID, bool]:
    """Write calls as they stand now, each given once; which of them are still open.

    A talk whose disposition was saved before the line was free owes nothing: it ends here, whatever the
    engine thought. A row that has ended stays as it is, and is not in the answer.
    """
    found: dict[UUID, bool] = {}
    for direction, (save, followed) in _SAVES.items():
        of_it = [each for each in standing if each.call.direction is direction]
        if not of_it:
            continue
        values: dict[str, Any] = {
            "id": [each.call.attempt_id for each in of_it],
            **{name: [getattr(each.call, name) for each in of_it] for name in followed},
            "third": [_third_words(each.call) for each in of_it],
            "session_id": [each.agent.session_id if each.agent else None for each in of_it],
            "agent_id": [each.agent.agent_id if each.agent else None for each in of_it],
            "join_ms": [each.join_ms for each in of_it],
            "answer_to_agent_ms": [each.answer_to_agent_ms for each in of_it],
        }
        saved = await save.rows(conn, tenant_id=tenant_id, **values)
        found |= {row.id: row.ended_at is None for row in saved}
    return found


#: Public for the test that asks the database how it goes about it.
LAST_AGENT = Prepared(
    """
    SELECT agent_id FROM (
        (SELECT agent_id, connected_at FROM attempt
          WHERE tenant_id = :tenant_id AND contact_id = :contact_id AND connected_at IS NOT NULL
          ORDER BY created_at DESC LIMIT 1)
        UNION ALL
        (SELECT agent_id, connected_at FROM inbound_call
          WHERE tenant_id = :tenant_id AND contact_id = :contact_id AND connected_at IS NOT NULL
          ORDER BY created_at DESC LIMIT 1)) AS talk
     ORDER BY connected_at DESC LIMIT 1
    """
)


async def last_agent(conn: AsyncConnection, tenant_id: int, contact_id: int | None) -> int | None:
    """The agent who talked with this person last, whoever had called."""
    found: int | None = await LAST_AGENT.value(conn, tenant_id=tenant_id, contact_id=contact_id)
    return found


async def release_numbers(conn: AsyncConnection, tenant_id: int, attempt_ids: Sequence[UUID]) -> None:
    """The attempts' channels are gone: their numbers may be dialled again."""
    await _RELEASE.run(conn, tenant_id=tenant_id, attempt_ids=list(attempt_ids))


def call_of(row: Any, tenant_id: int, **more: Any) -> Call:
    """The call that an attempt's row tells of. The row has its id, campaign, state, result, detail and the
    times up to the talk; `more` is what else is known of it, by the fields of Call."""
    return Call(
        attempt_id=row.id,
        tenant_id=tenant_id,
        campaign_id=row.campaign_id,
        created_at=row.created_at,
        state=CallState(row.state),
        result=Result(row.result) if row.result else None,
        sent_at=row.sent_at,
        ringing_at=row.ringing_at,
        answered_at=row.answered_at,
        screened_at=row.screened_at,
        connected_at=row.connected_at,
        detail=row.detail,
        **more,
    )
