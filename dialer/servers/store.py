"""The SQL of servers, leases and nodes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.listen import ENGINE
from dialer.db.prepared import Prepared
from dialer.db.session import encode_json
from dialer.db.tables import agent_session, attempt, inbound_call, lease, node, process_status, server
from dialer.servers.model import Beat, Lease, LeaseKey, LeaseKind


@dataclass(frozen=True, slots=True)
class NodeRow:
    """An Asterisk server that the installation drives."""

    name: str
    #: where its manager interface listens
    ami_host: str
    ami_port: int
    #: takes no new calls and no agents; those it has end in their time
    draining: bool


# -- servers ----------------------------------------------------------------------------------------------


async def begin(conn: AsyncConnection, name: str, ami_user: str) -> int:
    """A start of the server: its epoch."""
    values = {"beat": 0, "ami_user": ami_user, "agi_address": None, "stopped_at": None}
    epoch: int | None = await conn.scalar(
        upsert(server)
        .values(name=name, epoch=1, **values)
        .on_conflict_do_update(
            index_elements=["name"],
            set_={
                "epoch": server.c.epoch + 1,
                "started_at": func.clock_timestamp(),
                "seen_at": func.clock_timestamp(),
                **values,
            },
        )
        .returning(server.c.epoch)
    )
    assert epoch is not None
    return epoch


#: These are asked several times a second, whatever else is done.
_BEAT = Prepared(
    "UPDATE server SET beat = beat + 1, seen_at = clock_timestamp() WHERE name = :name AND epoch = :epoch"
)
_BEATS = Prepared("SELECT name, epoch, beat, stopped_at IS NOT NULL, ami_user FROM server ORDER BY name")


async def beat(conn: AsyncConnection, name: str, epoch: int) -> bool:
    """Say that this start of the server lives; False when a later start has taken its name."""
    return await _BEAT.run(conn, name=name, epoch=epoch) == 1


async def say_address(conn: AsyncConnection, name: str, epoch: int, agi_address: str) -> None:
    """Say where this start of the server is reached by Asterisk."""
    await conn.execute(
        update(server).where(server.c.name == name, server.c.epoch == epoch).values(agi_address=agi_address)
    )


async def stop(conn: AsyncConnection, name: str, epoch: int) -> None:
    """Say that it ends: what it owns may be taken at once."""
    await conn.execute(
        update(server)
        .where(server.c.name == name, server.c.epoch == epoch)
        .values(stopped_at=func.clock_timestamp())
    )


async def beats(conn: AsyncConnection) -> list[Beat]:
    """What all servers last said."""
    return [Beat(*row) for row in await _BEATS.rows(conn)]


@dataclass(frozen=True, slots=True)
class Seen:
    """A server as people see it."""

    name: str
    epoch: int
    #: it has said that it ends
    stopped: bool
    #: seconds since it last spoke, by the database's clock
    silent_s: float
    #: as its engine writes it, see dialer.engine
    status: Mapping[str, Any]


async def seen(conn: AsyncConnection) -> list[Seen]:
    """All servers, by name."""
    silent = func.extract("epoch", func.clock_timestamp() - server.c.seen_at)
    its = (process_status.c.server == server.c.name) & (process_status.c.name == "engine")
    rows = await conn.execute(
        select(server, silent.label("silent_s"), process_status.c.status)
        .join_from(server, process_status, its, isouter=True)
        .order_by(server.c.name)
    )
    return [
        Seen(row.name, row.epoch, row.stopped_at is not None, float(row.silent_s), row.status or {})
        for row in rows
    ]


def sessions_of(name: str) -> str:
    """What the database sessions of a server's engine call themselves."""
    return f"dozvon engine {name}"


async def end_database_sessions(conn: AsyncConnection, names: Collection[str]) -> int:
    """End the database sessions of these servers' engines; how many there were.

    A server that stands still in the middle of a transaction holds what that has locked, a lease it has read
    among it, for as long as it stands.
    """
    ended = await conn.scalar(
        text(
            """
            SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = ANY (:names)
            """
        ),
        {"names": [sessions_of(name) for name in names]},
    )
    return ended or 0


# -- leases -----------------------------------------------------------------------------------------------

#: What somebody must own: campaigns that run, are called, have calls that have not ended or agents who wrap
#: one up; and the phones of open shifts.
_WANTED = Prepared(
    """
    SELECT 'campaign' AS kind, id AS key FROM campaign WHERE tenant_id = :tenant_id AND status = 'running'
     UNION
    SELECT 'campaign', campaign_id FROM inbound_number WHERE tenant_id = :tenant_id AND active
     UNION
    SELECT 'campaign', campaign_id FROM attempt
     WHERE tenant_id = :tenant_id AND ended_at IS NULL
     UNION
    SELECT 'campaign', campaign_id FROM inbound_call
     WHERE tenant_id = :tenant_id AND ended_at IS NULL
     UNION
    SELECT 'campaign', coalesce(a.campaign_id, i.campaign_id) FROM agent_session s
      LEFT JOIN attempt a ON a.tenant_id = s.tenant_id AND a.id = s.attempt_id
      LEFT JOIN inbound_call i ON i.tenant_id = s.tenant_id AND i.id = s.attempt_id
     WHERE s.tenant_id = :tenant_id AND s.logged_out_at IS NULL AND s.state = 'wrap_up'
       AND (a.id IS NOT NULL OR i.id IS NOT NULL)
     UNION
    SELECT 'phones', 0 FROM agent_session WHERE tenant_id = :tenant_id AND logged_out_at IS NULL
    """
)


async def wanted(conn: AsyncConnection, tenant_id: int) -> list[LeaseKey]:
    """What of the tenant somebody must own now."""
    rows = await _WANTED.rows(conn, tenant_id=tenant_id)
    return [LeaseKey(tenant_id, LeaseKind(row.kind), row.key) for row in rows]


_LEASES = Prepared("SELECT kind, key, server, fence FROM lease WHERE tenant_id = :tenant_id")


async def leases(conn: AsyncConnection, tenant_id: int) -> list[Lease]:
    """Who owns what of the tenant."""
    rows = await _LEASES.rows(conn, tenant_id=tenant_id)
    return [Lease(LeaseKey(tenant_id, LeaseKind(row.kind), row.key), row.server, row.fence) for row in rows]


#: Those of the leases that are as they were seen, and that no transaction goes by at this moment. One that is
#: locked is not waited for: it would hold up the taking of all others.
_TAKE = text(
    """
    WITH free AS (
        SELECT l.kind, l.key FROM lease l
          JOIN unnest(CAST(:kinds AS text[]), CAST(:keys AS bigint[]),
                      CAST(:servers AS text[]), CAST(:fences AS bigint[])) AS seen (kind, key, server, fence)
            ON (l.kind, l.key, l.server, l.fence) = (seen.kind, seen.key, seen.server, seen.fence)
         WHERE l.tenant_id = :tenant_id
           FOR NO KEY UPDATE OF l SKIP LOCKED
    )
    UPDATE lease l SET server = :name, fence = l.fence + 1, taken_at = clock_timestamp()
      FROM free
     WHERE l.tenant_id = :tenant_id AND l.kind = free.kind AND l.key = free.key
    RETURNING l.kind, l.key, l.fence
    """
)


async def take(
    conn: AsyncConnection, name: str, wanted: Collection[LeaseKey], standing: Mapping[LeaseKey, Lease]
) -> dict[LeaseKey, int]:
    """Take leases of one tenant, which stand as `standing` has it (missing there: nobody has had it yet): the
    new fencing numbers of those that are ours now.

    The others were taken by somebody else, or a transaction that has read them is under way: to be tried
    again. So after it nothing more is written under the old numbers.
    """
    if not wanted:
        return {}
    tenant_id = next(iter(wanted)).tenant_id
    seen = [standing[of] for of in sorted(wanted) if of in standing]
    new = [of for of in sorted(wanted) if of not in standing]
    taken: list[Row[Any]] = []
    if seen:
        columns = {
            "kinds": [each.of.kind for each in seen],
            "keys": [each.of.key for each in seen],
            "servers": [each.server for each in seen],
            "fences": [each.fence for each in seen],
        }
        taken += await conn.execute(_TAKE, columns | {"tenant_id": tenant_id, "name": name})
    if new:
        rows = [
            {"tenant_id": tenant_id, "kind": of.kind, "key": of.key, "server": name, "fence": 1} for of in new
        ]
        made = upsert(lease).values(rows).on_conflict_do_nothing()
        taken += await conn.execute(made.returning(lease.c.kind, lease.c.key, lease.c.fence))
    return {LeaseKey(tenant_id, LeaseKind(row.kind), row.key): row.fence for row in taken}


_HELD = Prepared(
    """
    SELECT key, fence FROM lease
     WHERE tenant_id = :tenant_id AND kind = :kind AND server = :server
       AND key = ANY (CAST(:keys AS bigint[]))
     ORDER BY key
       FOR SHARE
    """
)
_NOT_WANTING = Prepared(
    "SELECT key FROM lease WHERE tenant_id = :tenant_id AND kind = 'campaign' AND NOT wants"
)


async def held(
    conn: AsyncConnection, tenant_id: int, kind: LeaseKind, name: str, keys: Collection[int]
) -> dict[int, int]:
    """Those of the keys that the server owns, each with its number; until this transaction ends nobody takes
    them."""
    rows = await _HELD.rows(conn, tenant_id=tenant_id, kind=kind, keys=list(keys), server=name)
    return {row.key: row.fence for row in rows}


async def say_wants(conn: AsyncConnection, of: LeaseKey, name: str, *, wants: bool) -> bool:
    """Tell the other servers whether the campaign asks for agents: they share these with it, or not. Whether
    that is news; the lease of another is left alone."""
    said = await conn.execute(
        update(lease).where(*_is(of), lease.c.server == name, lease.c.wants != wants).values(wants=wants)
    )
    return said.rowcount == 1


async def not_wanting(conn: AsyncConnection, tenant_id: int) -> frozenset[int]:
    """Campaigns that run and ask for no agent: their lists are empty."""
    return frozenset(await _NOT_WANTING.column(conn, tenant_id=tenant_id))


async def owner(conn: AsyncConnection, of: LeaseKey) -> tuple[str, str | None] | None:
    """The server that owns it, by name, and where that is reached by Asterisk; None: nobody has it."""
    found = await conn.execute(
        select(server.c.name, server.c.agi_address)
        .join_from(lease, server, server.c.name == lease.c.server)
        .where(*_is(of))
    )
    row = found.one_or_none()
    return None if row is None else (row.name, row.agi_address)


def _is(of: LeaseKey) -> tuple[Any, ...]:
    return lease.c.tenant_id == of.tenant_id, lease.c.kind == of.kind, lease.c.key == of.key


# -- nodes ------------------------------------------------------------------------------------------------


async def put_node(conn: AsyncConnection, name: str, ami_host: str, ami_port: int) -> None:
    """Make the node known, or where it is now."""
    where = {"ami_host": ami_host, "ami_port": ami_port}
    await conn.execute(
        upsert(node).values(name=name, **where).on_conflict_do_update(index_elements=["name"], set_=where)
    )
    await _changed(conn)


async def nodes(conn: AsyncConnection) -> list[NodeRow]:
    """All nodes, by name."""
    rows = await conn.execute(select(node).order_by(node.c.name))
    return [NodeRow(row.name, row.ami_host, row.ami_port, row.draining) for row in rows]


async def set_draining(conn: AsyncConnection, name: str, *, draining: bool) -> bool:
    """Let the node run empty, or take part again; False when there is none of that name."""
    changed = await conn.execute(update(node).where(node.c.name == name).values(draining=draining))
    await _changed(conn)
    return changed.rowcount == 1


async def node_use(conn: AsyncConnection, tenant_id: int, name: str) -> tuple[int, int]:
    """What the tenant has at the node: calls without an end, and agents' phones that are up there."""
    dialled, came = (
        select(func.count())
        .where(table.c.tenant_id == tenant_id, table.c.node == name, table.c.ended_at.is_(None))
        .scalar_subquery()
        for table in (attempt, inbound_call)
    )
    phones = (
        select(func.count())
        .where(
            agent_session.c.tenant_id == tenant_id,
            agent_session.c.node == name,
            agent_session.c.leg.is_not(None),
            agent_session.c.logged_out_at.is_(None),
        )
        .scalar_subquery()
    )
    row = (await conn.execute(select(dialled + came, phones))).one()
    return row[0], row[1]


async def lock_nodes(conn: AsyncConnection) -> list[NodeRow]:
    """All nodes, by name; nobody changes them before this transaction ends."""
    rows = await conn.execute(select(node).order_by(node.c.name).with_for_update())
    return [NodeRow(row.name, row.ami_host, row.ami_port, row.draining) for row in rows]


async def drop_node(conn: AsyncConnection, name: str) -> bool:
    """Forget the node; False when there is none of that name."""
    dropped = await conn.execute(delete(node).where(node.c.name == name))
    await _changed(conn)
    return dropped.rowcount == 1


async def _changed(conn: AsyncConnection) -> None:
    payload = encode_json({"tenant": 0, "what": "nodes"})
    await conn.execute(text("SELECT pg_notify(:channel, :payload)"), {"channel": ENGINE, "payload": payload})
