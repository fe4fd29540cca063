"""The SQL of hooks. Each function works in the transaction of `conn`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Table, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.prepared import Prepared
from dialer.db.tables import hook_outcome, survey_answer
from dialer.hooks.model import Answered, Outcome


@dataclass(frozen=True, slots=True)
class Known:
    """Who has a number."""

    #: the one who came first
    contact_id: int
    external_id: str | None
    last_name: str
    first_name: str
    middle_name: str
    custom: Mapping[str, str]
    #: how many people have it; from 2 on nobody knows who calls
    people: int


@dataclass(frozen=True, slots=True)
class LastTalk:
    """The last talk with whoever has a number, and where its agent is now."""

    campaign_id: int
    agent: str
    endpoint: str
    #: None: not logged in
    state: str | None


# By its index; more people than ten with one number are a switchboard's, and counted no further.
_KNOWN = Prepared(
    """
    SELECT c.id, c.external_id, c.last_name, c.first_name, c.middle_name, c.custom, w.people
      FROM (SELECT min(contact_id) AS id, count(DISTINCT contact_id) AS people
              FROM (SELECT contact_id FROM contact_phone
                     WHERE tenant_id = :tenant_id AND e164 = :e164 LIMIT 10) AS few) AS w
      JOIN contact c ON c.tenant_id = :tenant_id AND c.id = w.id
    """
)
_HAS = Prepared(
    """
    SELECT EXISTS (SELECT FROM contact_phone
                    WHERE tenant_id = :tenant_id AND e164 = :e164 AND contact_id = :contact_id)
    """
)
_OUR_CALL = Prepared("SELECT e164 FROM attempt WHERE tenant_id = :tenant_id AND id = :id")
_LAST_TALK = Prepared(
    """
    SELECT a.campaign_id, g.name, g.endpoint, s.state
      FROM (SELECT campaign_id, agent_id FROM attempt
             WHERE tenant_id = :tenant_id AND e164 = :e164 AND agent_id IS NOT NULL
               AND connected_at IS NOT NULL
             ORDER BY created_at DESC LIMIT 1) AS a
      JOIN agent g ON g.tenant_id = :tenant_id AND g.id = a.agent_id
      LEFT JOIN agent_session s
             ON s.tenant_id = :tenant_id AND s.agent_id = g.id AND s.logged_out_at IS NULL
    """
)
_CALL_KEY = Prepared(
    "SELECT call_key FROM api_token WHERE tenant_id = :tenant_id AND id = :token_id AND scope = 'hooks'"
)
_USE = Prepared(
    """
    INSERT INTO hook_token (tenant_id, digest, channel)
    SELECT CAST(:tenant_id AS integer), CAST(:digest AS text), CAST(:channel AS text)
     WHERE (SELECT count(*) FROM hook_token WHERE tenant_id = :tenant_id AND channel = :channel)
           < CAST(:most AS integer)
    ON CONFLICT (tenant_id, digest) DO NOTHING
    """
)
_FORGET = Prepared(
    """
    DELETE FROM hook_token
     WHERE tenant_id = :tenant_id AND used_at < now() - make_interval(secs => CAST(:seconds AS integer))
    """
)
_OUTCOME = Prepared(
    """
    INSERT INTO hook_outcome (tenant_id, channel, outcome, note, e164, contact_id)
    VALUES (:tenant_id, :channel, :outcome, :note, CAST(:e164 AS text), CAST(:contact_id AS bigint))
    ON CONFLICT (tenant_id, channel) DO UPDATE
       SET outcome = excluded.outcome, note = excluded.note, e164 = excluded.e164,
           contact_id = excluded.contact_id, at = now()
    """
)
_ANSWER = Prepared(
    """
    INSERT INTO survey_answer (tenant_id, channel, survey, question, answer, e164, contact_id)
    VALUES (:tenant_id, :channel, :survey, :question, :answer, CAST(:e164 AS text),
            CAST(:contact_id AS bigint))
    ON CONFLICT (tenant_id, channel, survey, question) DO UPDATE
       SET answer = excluded.answer, e164 = excluded.e164, contact_id = excluded.contact_id, at = now()
    """
)


_WAITING = Prepared(
    """
    SELECT count(*) FROM inbound_call
     WHERE tenant_id = :tenant_id AND ended_at IS NULL AND state = 'waiting'
       AND queue = ANY (CAST(:queues AS text[]))
    """
)


async def known(conn: AsyncConnection, tenant_id: int, e164: str) -> Known | None:
    """Who has the number."""
    row = await _KNOWN.row(conn, tenant_id=tenant_id, e164=e164)
    return Known(*row) if row else None


async def has(conn: AsyncConnection, tenant_id: int, e164: str, contact_id: int) -> bool:
    """Whether this contact has the number."""
    return bool(await _HAS.value(conn, tenant_id=tenant_id, e164=e164, contact_id=contact_id))


async def dialled(conn: AsyncConnection, tenant_id: int, call_id: UUID) -> str | None:
    """The number that the server itself has dialled in this call; None: it is no call of ours."""
    found: str | None = await _OUR_CALL.value(conn, tenant_id=tenant_id, id=call_id)
    return found


async def last_talk(conn: AsyncConnection, tenant_id: int, e164: str) -> LastTalk | None:
    """The last talk at this number."""
    row = await _LAST_TALK.row(conn, tenant_id=tenant_id, e164=e164)
    return LastTalk(*row) if row else None


async def waiting(conn: AsyncConnection, tenant_id: int, queues: Sequence[str]) -> int:
    """How many callers wait for an agent in queues of these names."""
    return int(await _WAITING.value(conn, tenant_id=tenant_id, queues=list(queues)))


async def call_key(conn: AsyncConnection, tenant_id: int, token_id: int) -> str | None:
    """What the call tokens of an API token are signed with; None: it is not of the scope of hooks."""
    found: str | None = await _CALL_KEY.value(conn, tenant_id=tenant_id, token_id=token_id)
    return found


async def use(
    conn: AsyncConnection, tenant_id: int, digest: str, channel: str, *, most: int, keep_s: int
) -> bool:
    """Mark a call token as used; False: it was before, or the call has used `most`. Those of long ago are
    forgotten."""
    await _FORGET.run(conn, tenant_id=tenant_id, seconds=keep_s)
    return bool(await _USE.run(conn, tenant_id=tenant_id, digest=digest, channel=channel, most=most))


async def write_outcome(conn: AsyncConnection, tenant_id: int, **values: Any) -> None:
    """What became of the call on `channel`: outcome, note, e164, contact_id."""
    await _OUTCOME.run(conn, tenant_id=tenant_id, **values)


async def write_answer(conn: AsyncConnection, tenant_id: int, **values: Any) -> None:
    """An answer: channel, survey, question, answer, e164, contact_id."""
    await _ANSWER.run(conn, tenant_id=tenant_id, **values)


# -- what dialplans have told ------------------------------------------------------------------------------


async def outcomes(
    conn: AsyncConnection,
    tenant_id: int,
    *,
    outcome: str | None = None,
    contact_id: int | None = None,
    before: tuple[datetime, int] | None = None,
    limit: int,
) -> list[Outcome]:
    """Outcomes, the newest first, before the one with the key `before`; those of an outcome or a contact."""
    c = hook_outcome.c
    query = select(c.id, c.channel, c.outcome, c.note, c.e164, c.contact_id, c.at)
    query = query.where(c.tenant_id == tenant_id, *_of(hook_outcome, contact_id=contact_id, outcome=outcome))
    rows = await conn.execute(_newest(query, hook_outcome, before).limit(limit))
    return [Outcome(*row) for row in rows]


async def answers(
    conn: AsyncConnection,
    tenant_id: int,
    *,
    survey: str | None = None,
    question: str | None = None,
    contact_id: int | None = None,
    before: tuple[datetime, int] | None = None,
    limit: int,
) -> list[Answered]:
    """Answers, the newest first, before the one with the key `before`; those of a survey, a question or a
    contact."""
    c = survey_answer.c
    query = select(c.id, c.channel, c.survey, c.question, c.answer, c.e164, c.contact_id, c.at)
    of = _of(survey_answer, contact_id=contact_id, survey=survey, question=question)
    query = query.where(c.tenant_id == tenant_id, *of)
    rows = await conn.execute(_newest(query, survey_answer, before).limit(limit))
    return [Answered(*row) for row in rows]


def _of(table: Table, **wanted: object) -> list[ColumnElement[bool]]:
    return [table.c[name] == value for name, value in wanted.items() if value is not None]


def _newest(query: Select[Any], table: Table, before: tuple[datetime, int] | None) -> Select[Any]:
    if before is not None:
        query = query.where(tuple_(table.c.at, table.c.id) < tuple_(*map(literal, before)))
    return query.order_by(table.c.at.desc(), table.c.id.desc())
