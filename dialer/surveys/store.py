"""The SQL of surveys after talks."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.prepared import Prepared
from dialer.db.session import encode_json
from dialer.surveys.model import Count, Survey, Totals, Which


@dataclass(frozen=True, slots=True)
class Live:
    """The version of a flow that customers are led by now."""

    flow_id: int
    version: int
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Talked:
    """What a survey knows of the call."""

    #: None: nobody whom we know
    contact_id: int | None
    #: the number that we called from, or that was called
    dialled: str
    #: states of flows that the call has been in before
    been: tuple[str, ...]


_LIVE = Prepared(
    """
    SELECT f.id AS flow_id, v.version, v.document
      FROM flow f
      JOIN flow_version v ON v.tenant_id = f.tenant_id AND v.flow_id = f.id AND v.version = f.live_version
     WHERE f.tenant_id = :tenant_id AND f.name = :name
    """
)
_DOCUMENT = """
    SELECT f.name, v.document
      FROM flow f
      JOIN flow_version v ON v.tenant_id = f.tenant_id AND v.flow_id = f.id AND v.version = f.live_version
     WHERE f.tenant_id = :tenant_id
"""
_ALL_DOCUMENTS = Prepared(_DOCUMENT)
_DOCUMENTS = Prepared(f"{_DOCUMENT} AND f.name = ANY (CAST(:names AS text[]))")
_IS_USED = Prepared(
    """
    SELECT EXISTS (SELECT FROM campaign WHERE tenant_id = :tenant_id AND survey = :name)
        OR EXISTS (SELECT FROM queue WHERE tenant_id = :tenant_id AND survey = :name)
    """
)
_TALKED = Prepared(
    """
    SELECT c.contact_id, c.dialled,
           ARRAY(SELECT s.state FROM flow_step s
                  WHERE s.tenant_id = :tenant_id AND s.call_id = :call_id ORDER BY s.n) AS been
      FROM (SELECT contact_id, caller_id AS dialled FROM attempt
             WHERE tenant_id = :tenant_id AND id = :call_id
            UNION ALL
            SELECT contact_id, dialled FROM inbound_call
             WHERE tenant_id = :tenant_id AND id = :call_id) c
    """
)
_BEGIN = Prepared(
    """
    INSERT INTO talk_survey (tenant_id, call_id, attempt_id, agent_id, flow, version, began_at)
    SELECT :tenant_id, CAST(:call_id AS uuid),
           (SELECT id FROM attempt WHERE tenant_id = :tenant_id AND id = CAST(:call_id AS uuid)),
           :agent_id, CAST(:flow AS text), CAST(:version AS integer), CAST(:at AS timestamptz)
        ON CONFLICT (tenant_id, call_id) DO NOTHING
    """
)
_ANSWERED = Prepared(
    """
    UPDATE talk_survey SET answers = answers || CAST(:answers AS jsonb)
     WHERE tenant_id = :tenant_id AND call_id = :call_id
    """
)
_FINISHED = Prepared(
    "UPDATE talk_survey SET finished = true WHERE tenant_id = :tenant_id AND call_id = :call_id"
)

_WHICH = """
       s.tenant_id = :tenant_id
   AND (CAST(:agent_id AS bigint) IS NULL OR s.agent_id = :agent_id)
   AND (CAST(:campaign_id AS bigint) IS NULL OR coalesce(a.campaign_id, c.campaign_id) = :campaign_id)
   AND (CAST(:flow AS text) IS NULL OR s.flow = :flow)
   AND (CAST(:since AS timestamptz) IS NULL OR s.began_at >= :since)
   AND (CAST(:until AS timestamptz) IS NULL OR s.began_at < :until)
"""
_FROM = """
      FROM talk_survey s
      JOIN agent g ON g.tenant_id = s.tenant_id AND g.id = s.agent_id
      LEFT JOIN attempt a ON a.tenant_id = s.tenant_id AND a.id = s.attempt_id
      LEFT JOIN inbound_call c ON c.tenant_id = s.tenant_id AND c.id = s.inbound_call_id
"""
_SURVEY = f"""
    SELECT s.call_id, s.agent_id, g.name AS agent, k.id AS campaign_id, k.name AS campaign, s.flow, s.version,
           s.began_at, s.finished, s.answers
      {_FROM}
      JOIN campaign k ON k.tenant_id = s.tenant_id AND k.id = coalesce(a.campaign_id, c.campaign_id)
"""
_OF_CALL = Prepared(f"{_SURVEY} WHERE s.tenant_id = :tenant_id AND s.call_id = :call_id")
_PAGE = Prepared(
    f"""
    {_SURVEY} WHERE {_WHICH}
       AND (CAST(:after_at AS timestamptz) IS NULL
            OR (s.began_at, s.call_id) < (:after_at, CAST(:after AS uuid)))
     ORDER BY s.began_at DESC, s.call_id DESC LIMIT :limit
    """
)
_TOTALS = Prepared(
    f"""
    SELECT s.flow, s.agent_id, g.name AS agent, count(*) AS surveys,
           count(*) FILTER (WHERE s.answers <> '{{}}') AS answered,
           count(*) FILTER (WHERE s.finished) AS finished
      {_FROM} WHERE {_WHICH}
     GROUP BY s.flow, s.agent_id, g.name
     ORDER BY s.flow, g.name, s.agent_id
    """
)
_COUNTS = Prepared(
    f"""
    SELECT s.flow, s.agent_id, g.name AS agent, q.key AS question, q.value AS answer, count(*) AS customers
      {_FROM} CROSS JOIN LATERAL jsonb_each_text(s.answers) q
     WHERE {_WHICH}
     GROUP BY s.flow, s.agent_id, g.name, q.key, q.value
    """
)


async def live(conn: AsyncConnection, tenant_id: int, name: str) -> Live | None:
    """What the flow of that name says now; None: there is none, or nothing of it is published."""
    row = await _LIVE.row(conn, tenant_id=tenant_id, name=name)
    return Live(**row) if row else None


async def documents(
    conn: AsyncConnection, tenant_id: int, names: Collection[str]
) -> dict[str, Mapping[str, Any]]:
    """What the flows of these names say now, by name."""
    rows = await _DOCUMENTS.rows(conn, tenant_id=tenant_id, names=sorted(names))
    return {row.name: row.document for row in rows}


async def all_documents(conn: AsyncConnection, tenant_id: int) -> dict[str, Mapping[str, Any]]:
    """What all flows say now of which something is published, by name."""
    rows = await _ALL_DOCUMENTS.rows(conn, tenant_id=tenant_id)
    return {row.name: row.document for row in rows}


async def is_used(conn: AsyncConnection, tenant_id: int, name: str) -> bool:
    """Whether customers of a campaign or a queue go through the flow after their talks."""
    return bool(await _IS_USED.value(conn, tenant_id=tenant_id, name=name))


# -- one that goes on ----------------------------------------------------------------------------------------


async def talked(conn: AsyncConnection, tenant_id: int, call_id: UUID) -> Talked:
    """What is known of a call whose talk is over."""
    row = await _TALKED.row(conn, tenant_id=tenant_id, call_id=call_id)
    return Talked(row.contact_id, row.dialled, tuple(row.been))


async def begin(
    conn: AsyncConnection, tenant_id: int, call_id: UUID, agent_id: int, flow: str, version: int, at: datetime
) -> None:
    """The customer of a talk of the agent is asked."""
    await _BEGIN.run(
        conn, tenant_id=tenant_id, call_id=call_id, agent_id=agent_id, flow=flow, version=version, at=at
    )


async def answered(
    conn: AsyncConnection, tenant_id: int, call_id: UUID, answers: Mapping[str, object]
) -> None:
    """The customer has answered, the last word to a question counts."""
    await _ANSWERED.run(conn, tenant_id=tenant_id, call_id=call_id, answers=encode_json(dict(answers)))


async def finished(conn: AsyncConnection, tenant_id: int, call_id: UUID) -> None:
    """The flow has come to its end."""
    await _FINISHED.run(conn, tenant_id=tenant_id, call_id=call_id)


# -- what was said -------------------------------------------------------------------------------------------


async def of_call(conn: AsyncConnection, tenant_id: int, call_id: UUID) -> Survey | None:
    """What the customer of a call has said of the talk."""
    row = await _OF_CALL.row(conn, tenant_id=tenant_id, call_id=call_id)
    return Survey(**row) if row else None


async def page(
    conn: AsyncConnection,
    tenant_id: int,
    which: Which,
    *,
    after: tuple[datetime, UUID] | None = None,
    limit: int,
) -> list[Survey]:
    """Surveys, newest first, following the one with the key `after`."""
    at, call_id = after or (None, None)
    rows = await _PAGE.rows(
        conn, tenant_id=tenant_id, **asdict(which), after_at=at, after=call_id, limit=limit
    )
    return [Survey(**row) for row in rows]


async def totals(conn: AsyncConnection, tenant_id: int, which: Which) -> list[Totals]:
    """How many were asked, by flow and agent."""
    return [Totals(**row) for row in await _TOTALS.rows(conn, tenant_id=tenant_id, **asdict(which))]


async def counts(conn: AsyncConnection, tenant_id: int, which: Which) -> list[Count]:
    """How often which answer was given, by flow, agent and question."""
    return [Count(**row) for row in await _COUNTS.rows(conn, tenant_id=tenant_id, **asdict(which))]
