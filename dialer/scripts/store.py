"""The SQL of scripts, their versions, and of talks that are led by them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.prepared import Prepared
from dialer.db.session import encode_json
from dialer.db.tables import script, script_version
from dialer.scripts.model import Mark, ScriptRow, Talk, Version

_S, _V = script.c, script_version.c
_ROWS = select(
    _S.id,
    _S.name,
    _S.live_version,
    select(func.max(_V.version))
    .where(_V.tenant_id == _S.tenant_id, _V.script_id == _S.id)
    .correlate(script)
    .scalar_subquery()
    .label("last_version"),
)
_VERSIONS = select(
    _V.script_id,
    _S.name.label("script"),
    _V.version,
    _V.state,
    _V.document,
    _V.source,
    _V.made_by,
    _V.made_at,
).join_from(script_version, script, (_S.tenant_id == _V.tenant_id) & (_S.id == _V.script_id))


_CAMPAIGNS = Prepared(
    """
    SELECT id, name, script FROM campaign
     WHERE tenant_id = :tenant_id AND script IS NOT NULL AND status <> 'stopped' ORDER BY name
    """
)


@dataclass(frozen=True, slots=True)
class NamedCampaign:
    """A campaign that names a script."""

    id: int
    name: str


async def scripts(conn: AsyncConnection, tenant_id: int) -> list[ScriptRow]:
    """All scripts, by name."""
    rows = await conn.execute(_ROWS.where(_S.tenant_id == tenant_id).order_by(_S.name))
    return [ScriptRow(**row._mapping) for row in rows]


async def campaigns(conn: AsyncConnection, tenant_id: int) -> dict[str, list[NamedCampaign]]:
    """Script -> the campaigns that name it and are not over."""
    found: dict[str, list[NamedCampaign]] = {}
    for row in await _CAMPAIGNS.rows(conn, tenant_id=tenant_id):
        found.setdefault(row.script, []).append(NamedCampaign(row.id, row.name))
    return found


async def lock(conn: AsyncConnection, tenant_id: int, name: str, *, make: bool = False) -> ScriptRow | None:
    """The script of that name, kept from everybody else until the transaction ends; `make` one if there is
    none."""
    await _LOCK.run(conn, tenant_id=tenant_id, what=f"script {name}")
    found = _ROWS.where(_S.tenant_id == tenant_id, _S.name == name)
    row = (await conn.execute(found)).one_or_none()
    if row is None and make:
        await conn.execute(insert(script).values(tenant_id=tenant_id, name=name))
        row = (await conn.execute(found)).one()
    return ScriptRow(**row._mapping) if row else None


async def add_version(
    conn: AsyncConnection,
    tenant_id: int,
    of: ScriptRow,
    document: Mapping[str, Any],
    by: int | None,
    source: str,
) -> int:
    """A new draft of a script that is locked; its version."""
    version = (of.last_version or 0) + 1
    row = {"version": version, "document": dict(document), "source": source, "made_by": by}
    await conn.execute(insert(script_version).values(tenant_id=tenant_id, script_id=of.id, **row))
    return version


async def version_of(conn: AsyncConnection, tenant_id: int, name: str, version: int) -> Version | None:
    """A version of the script of that name."""
    query = _VERSIONS.where(_V.tenant_id == tenant_id, _S.name == name, _V.version == version)
    row = (await conn.execute(query)).one_or_none()
    return Version(**row._mapping) if row else None


async def versions(conn: AsyncConnection, tenant_id: int, name: str) -> list[Version]:
    """All versions of the script of that name, newest first."""
    query = _VERSIONS.where(_V.tenant_id == tenant_id, _S.name == name).order_by(_V.version.desc())
    return [Version(**row._mapping) for row in await conn.execute(query)]


async def publish(conn: AsyncConnection, tenant_id: int, of: ScriptRow, version: int) -> None:
    """Make a version the live one; the one before it is retired."""
    mine = _V.tenant_id == tenant_id, _V.script_id == of.id
    await conn.execute(update(script_version).where(*mine, _V.state == "live").values(state="retired"))
    await conn.execute(update(script_version).where(*mine, _V.version == version).values(state="live"))
    await conn.execute(
        update(script).where(_S.tenant_id == tenant_id, _S.id == of.id).values(live_version=version)
    )


# -- talks ---------------------------------------------------------------------------------------------------

_LOCK = Prepared("SELECT pg_advisory_xact_lock(hashtextextended(CAST(:what AS text), :tenant_id))")
_CALL = Prepared(
    """
    SELECT c.id, c.outbound, c.campaign_id, c.contact_id, c.e164, c.connected_at, k.name AS campaign,
           k.caller_name, k.script, g.name AS agent, g.user_id, c.agent_id,
           coalesce(r.script_id, t.id) AS script_id, coalesce(r.version, t.live_version) AS version
      FROM (SELECT tenant_id, id, true AS outbound, campaign_id, contact_id, e164, connected_at, agent_id
              FROM attempt WHERE tenant_id = :tenant_id AND id = CAST(:call_id AS uuid)
            UNION ALL
            SELECT tenant_id, id, false, campaign_id, contact_id, e164, connected_at, agent_id
              FROM inbound_call WHERE tenant_id = :tenant_id AND id = CAST(:call_id AS uuid)) c
      JOIN campaign k ON k.tenant_id = c.tenant_id AND k.id = c.campaign_id
      LEFT JOIN agent g ON g.tenant_id = c.tenant_id AND g.id = c.agent_id
      LEFT JOIN script t ON t.tenant_id = c.tenant_id AND t.name = k.script
      LEFT JOIN script_run r ON r.tenant_id = c.tenant_id AND r.call_id = c.id
    """
)
_DOCUMENT = Prepared(
    """
    SELECT document FROM script_version
     WHERE tenant_id = :tenant_id AND script_id = :script_id AND version = :version
    """
)
_RUN = Prepared(
    """
    SELECT step, waits, trail, answers, done FROM script_run
     WHERE tenant_id = :tenant_id AND call_id = CAST(:call_id AS uuid)
    """
)
_SAVE = Prepared(
    """
    INSERT INTO script_run (tenant_id, call_id, attempt_id, script_id, version, step, waits, trail, answers,
                            done, required, collected, began_at, changed_at, ended_at)
    VALUES (:tenant_id, :call_id, :attempt_id, :script_id, :version, :step, CAST(:waits AS jsonb),
            CAST(:trail AS jsonb), CAST(:answers AS jsonb), CAST(:done AS jsonb), :required, :collected,
            :now, :now, :ended_at)
        ON CONFLICT (tenant_id, call_id) DO UPDATE
       SET step = excluded.step, waits = excluded.waits, trail = excluded.trail, answers = excluded.answers,
           done = excluded.done, required = excluded.required, collected = excluded.collected,
           changed_at = excluded.changed_at, ended_at = coalesce(script_run.ended_at, excluded.ended_at)
    """
)
_FIGURES = Prepared(
    """
    SELECT count(*) AS talks, count(ended_at) AS ended, coalesce(sum(required), 0) AS required,
           coalesce(sum(collected), 0) AS collected
      FROM script_run
     WHERE tenant_id = :tenant_id AND script_id = :script_id AND began_at >= :since AND began_at < :until
    """
)


@dataclass(frozen=True, slots=True)
class CallOf:
    """A call, as far as its script needs it."""

    id: UUID
    #: we have called
    outbound: bool
    campaign_id: int
    contact_id: int | None
    e164: str
    connected_at: datetime | None
    campaign: str
    caller_name: str
    #: the name of the campaign's script
    script: str | None
    #: who talks
    agent: str | None
    user_id: int | None
    agent_id: int | None
    #: the script of the talk if it has begun, else the campaign's; None: it has none
    script_id: int | None
    #: likewise; None: nothing is published
    version: int | None


@dataclass(frozen=True, slots=True)
class Figures:
    """What talks by a script came to."""

    talks: int
    #: in which the last words were reached
    ended: int
    #: required questions, and how many of them were answered
    required: int
    collected: int


async def call_of(conn: AsyncConnection, tenant_id: int, call_id: UUID) -> CallOf | None:
    """A call that we made or that came in."""
    row = await _CALL.row(conn, tenant_id=tenant_id, call_id=call_id)
    return CallOf(**row) if row else None


async def document(conn: AsyncConnection, tenant_id: int, script_id: int, version: int) -> Mapping[str, Any]:
    """What a script says in a version."""
    found: Mapping[str, Any] = await _DOCUMENT.value(
        conn, tenant_id=tenant_id, script_id=script_id, version=version
    )
    return found


async def lock_run(conn: AsyncConnection, tenant_id: int, call_id: UUID) -> None:
    """Keep a talk from everybody else until the transaction ends, also one that has not begun."""
    await _LOCK.run(conn, tenant_id=tenant_id, what=f"script run {call_id}")


async def run(conn: AsyncConnection, tenant_id: int, call_id: UUID) -> Talk | None:
    """How far a talk has come; None: it has not begun."""
    row = await _RUN.row(conn, tenant_id=tenant_id, call_id=call_id)
    if row is None:
        return None
    trail = tuple(Mark(step, tuple(waits)) for step, waits in row.trail)
    return Talk(Mark(row.step, tuple(row.waits)), row.answers, trail, tuple(row.done))


async def save(
    conn: AsyncConnection,
    tenant_id: int,
    call: CallOf,
    talk: Talk,
    *,
    required: int,
    collected: int,
    ended: bool,
    now: datetime,
) -> None:
    """Write how far a talk has come."""
    await _SAVE.run(
        conn,
        tenant_id=tenant_id,
        call_id=call.id,
        attempt_id=call.id if call.outbound else None,
        script_id=call.script_id,
        version=call.version,
        step=talk.step,
        waits=encode_json(list(talk.at.waits)),
        trail=encode_json([[one.step, list(one.waits)] for one in talk.trail]),
        answers=encode_json(dict(talk.answers)),
        done=encode_json(list(talk.done)),
        required=required,
        collected=collected,
        now=now,
        ended_at=now if ended else None,
    )


async def figures(
    conn: AsyncConnection, tenant_id: int, script_id: int, since: datetime, until: datetime
) -> Figures:
    """What the talks came to that began from one moment to another."""
    row = await _FIGURES.row(conn, tenant_id=tenant_id, script_id=script_id, since=since, until=until)
    return Figures(**row)
