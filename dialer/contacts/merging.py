"""Two contacts made one, and two again: the SQL of both.

Whatever refers to the merged contact by a column `contact_id` moves to the survivor: numbers, lists, leads,
attempts (and with them recordings), consents, values of fields, history. Which tables these are is read from
the tables themselves, so that a new one is not forgotten. A row that the survivor has already (the same
number, the same list) is put away. Of two leads in one campaign only one stays open, of two promised calls
one.

The record of a merge holds what was moved, what was put away and what was changed, so that undoing it gives
the very rows that were there; what happened to the survivor since stays with the survivor. Merges of one
contact are undone in the reverse order.
"""

# ruff: noqa: S608 - names of tables and columns of ours; values are bound

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Table, UniqueConstraint
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db import events
from dialer.db import tables as t
from dialer.db.session import driver_of, encode_json

#: Fields of a contact of which a person chooses one.
FIELDS: Final = ("last_name", "first_name", "middle_name", "email", "timezone", "external_id")
_DIALECT: Final = postgresql.dialect()  # type: ignore[no-untyped-call]
#: What is made anew from contacts and their attempts; the caller sees to it.
DERIVED: Final = frozenset(
    {"contact_activity", "contact_key", "contact_misfit", "contact_value", "duplicate_todo"}
)


def names(row: Mapping[str, Any]) -> set[str]:
    """The fields of a contact that may be taken. Pure."""
    return {*FIELDS, *(f"custom.{name}" for name in row["custom"])}


def chosen(
    survivor: Mapping[str, Any], merged: Mapping[str, Any], take: Collection[str] = ()
) -> dict[str, Any]:
    """The new values of the survivor's fields: what it lacks comes from the other, and so does what is taken
    (`email`, `custom.VIN`). Pure."""
    new = {
        name: merged[name]
        for name in FIELDS
        if merged[name] and merged[name] != survivor[name] and (name in take or not survivor[name])
    }
    custom = dict(survivor["custom"])
    for name, value in merged["custom"].items():
        if f"custom.{name}" in take or custom.get(name) in (None, ""):
            custom[name] = value
    return new if custom == survivor["custom"] else {**new, "custom": custom}


@dataclass(frozen=True, slots=True)
class _Moving:
    """A table whose rows belong to a contact."""

    name: str
    #: its key besides the tenant
    key: tuple[str, ...]
    #: columns of which a contact has each combination once; none: any number of rows
    once: tuple[tuple[str, ...], ...]


def _moving(table: Table) -> _Moving:
    sets = [tuple(column.name for column in table.primary_key)] + [
        tuple(column.name for column in each.columns)
        for each in table.constraints
        if isinstance(each, UniqueConstraint)
    ]
    once = [
        tuple(name for name in names if name not in ("tenant_id", "contact_id"))
        for names in sets
        if "contact_id" in names
    ]
    return _Moving(
        table.name,
        tuple(column.name for column in table.primary_key if column.name != "tenant_id"),
        tuple(sorted(once)),
    )


#: Every table with a `contact_id` but those that are derived, always in the same order.
MOVING: Final = tuple(
    _moving(table)
    for name, table in sorted(t.metadata.tables.items())
    if "contact_id" in table.c and name not in DERIVED
)


def _stored(table: Table) -> str:
    """The columns that are written, not computed."""
    return ", ".join(f'"{column.name}"' for column in table.c if column.computed is None)


async def lock(
    conn: AsyncConnection, tenant_id: int, contact_ids: Sequence[int]
) -> dict[int, dict[str, Any]]:
    """Lock these contacts and their leads; their rows by id. Who is not there, or was erased, is missing."""
    driver = driver_of(conn)
    rows = await driver.fetch(
        "SELECT to_jsonb(c) AS row FROM contact c"
        " WHERE tenant_id = $1 AND id = ANY ($2::bigint[]) AND erased_at IS NULL ORDER BY id FOR UPDATE",
        tenant_id,
        sorted(contact_ids),
    )
    await driver.execute(
        "SELECT FROM lead WHERE tenant_id = $1 AND contact_id = ANY ($2::bigint[]) ORDER BY id FOR UPDATE",
        tenant_id,
        sorted(contact_ids),
    )
    found = [row["row"] for row in rows]
    return {row["id"]: row for row in found}


async def merge(
    conn: AsyncConnection,
    tenant_id: int,
    survivor: Mapping[str, Any],
    merged: Mapping[str, Any],
    chosen: Mapping[str, Any],
    by: int | None,
) -> int:
    """Make `merged` part of `survivor` (rows that `lock` gave); the id of the merge.

    `chosen` are new values of the survivor's fields, `custom` among them.
    """
    driver = driver_of(conn)
    kept, gone = survivor["id"], merged["id"]
    before = {name: survivor[name] for name in chosen}
    record: dict[str, Any] = {"contact": dict(merged), "before": before, "after": dict(chosen)}
    record["phones"] = await _images(conn, tenant_id, "contact_phone", (kept, gone))
    record["leads"] = await _images(conn, tenant_id, "lead", (kept, gone))
    record["tables"] = {each.name: await _move(conn, tenant_id, each, gone, kept) for each in MOVING}
    await _order_phones(conn, tenant_id, record["phones"], kept, gone)
    record["closed"] = await _close_leads(conn, tenant_id, kept)
    record["canceled"] = await _cancel_promises(conn, tenant_id, record["closed"])
    await driver.execute("DELETE FROM contact WHERE tenant_id = $1 AND id = $2", tenant_id, gone)
    await _write(conn, tenant_id, kept, chosen)
    merge_id: int = await driver.fetchval(
        "INSERT INTO contact_merge (tenant_id, survivor_id, merged_id, by_user, record)"
        " VALUES ($1, $2, $3, $4, $5::jsonb) RETURNING id",
        tenant_id,
        kept,
        gone,
        by,
        encode_json(record),
    )
    return merge_id


async def _images(
    conn: AsyncConnection, tenant_id: int, table: str, contacts: Sequence[int]
) -> list[dict[str, Any]]:
    rows = await driver_of(conn).fetch(
        f"SELECT to_jsonb(r) AS row FROM {table} r WHERE tenant_id = $1 AND contact_id = ANY ($2::bigint[])"
        " ORDER BY id",
        tenant_id,
        list(contacts),
    )
    return [row["row"] for row in rows]


async def _move(
    conn: AsyncConnection, tenant_id: int, table: _Moving, gone: int, kept: int
) -> dict[str, list[Any]]:
    """Move a contact's rows to another; {moved: keys, away: whole rows that the other has already}."""
    driver = driver_of(conn)
    has_it = " OR ".join(
        f"EXISTS (SELECT FROM {table.name} o WHERE o.tenant_id = $1 AND o.contact_id = $3"
        + "".join(f' AND o."{name}" = r."{name}"' for name in names)
        + ")"
        for names in table.once
    )
    away = []
    if has_it:
        rows = await driver.fetch(
            f"DELETE FROM {table.name} r WHERE tenant_id = $1 AND contact_id = $2 AND ({has_it})"
            " RETURNING to_jsonb(r) AS row",
            tenant_id,
            gone,
            kept,
        )
        away = [row["row"] for row in rows]
    key = ", ".join(f'"{name}"' for name in table.key if name != "contact_id") or "NULL"
    rows = await driver.fetch(
        f"UPDATE {table.name} SET contact_id = $3 WHERE tenant_id = $1 AND contact_id = $2"
        f" RETURNING jsonb_build_array({key}) AS key",
        tenant_id,
        gone,
        kept,
    )
    return {"moved": [row["key"] for row in rows], "away": away}


async def _order_phones(
    conn: AsyncConnection, tenant_id: int, images: Sequence[Mapping[str, Any]], kept: int, gone: int
) -> None:
    """The survivor's numbers come first, each contact's in their order."""
    ordered = sorted(images, key=lambda row: (row["contact_id"] != kept, row["position"], row["id"]))
    await driver_of(conn).execute(
        "UPDATE contact_phone p SET position = n.place"
        " FROM unnest($2::bigint[]) WITH ORDINALITY AS n (id, place)"
        " WHERE p.tenant_id = $1 AND p.id = n.id AND p.position <> n.place",
        tenant_id,
        _once([(row["e164"], row["id"]) for row in ordered]),
    )


def _once(rows: Sequence[tuple[str, int]]) -> list[int]:
    found: dict[str, int] = {}
    for e164, row_id in rows:
        found.setdefault(e164, row_id)
    return list(found.values())


async def _close_leads(conn: AsyncConnection, tenant_id: int, kept: int) -> list[int]:
    """Of a person's leads in one campaign one stays open: the one being called, else the one that was
    promised a call last, else the one that was tried most; none where a talk has closed another and no call
    is promised. A promised one also stays beside one that is being called for nothing promised. The ids of
    those that were closed."""
    rows = await driver_of(conn).fetch(
        """
        UPDATE lead SET status = 'closed', hold = NULL, closed_reason = 'duplicate'
         WHERE tenant_id = $1 AND id IN (
               SELECT id FROM (
                   SELECT l.id, status, c.id IS NOT NULL AS promised, row_number() OVER (
                              PARTITION BY l.campaign_id, status <> 'closed'
                              ORDER BY status IN ('dialling', 'offered') DESC,
                                       c.id DESC NULLS LAST, attempts DESC, l.id) AS place,
                          row_number() OVER (
                              PARTITION BY l.campaign_id, status <> 'closed', c.id IS NOT NULL
                              ORDER BY status IN ('dialling', 'offered') DESC, c.id DESC) AS promised_place,
                          bool_or(status = 'closed' AND last_result = 'answered')
                              OVER (PARTITION BY l.campaign_id) AS talked
                     FROM lead l
                     LEFT JOIN callback c ON c.tenant_id = l.tenant_id AND c.lead_id = l.id
                                         AND c.state IN ('waiting', 'dialling')
                    WHERE l.tenant_id = $1 AND l.contact_id = $2) l
                WHERE status IN ('new', 'waiting')
                  AND CASE WHEN promised THEN promised_place > 1 ELSE place > 1 OR talked END)
        RETURNING id
        """,
        tenant_id,
        kept,
    )
    return [row["id"] for row in rows]


async def _cancel_promises(conn: AsyncConnection, tenant_id: int, lead_ids: Sequence[int]) -> list[int]:
    """A person is owed one call by a campaign: what was promised to the leads that were closed is replaced.
    The ids of those callbacks."""
    rows = await driver_of(conn).fetch(
        """
        UPDATE callback SET state = 'canceled', reason = 'replaced', ended_at = now()
         WHERE tenant_id = $1 AND lead_id = ANY ($2::bigint[]) AND state = 'waiting'
        RETURNING id, campaign_id, lead_id, agent_id, state
        """,
        tenant_id,
        list(lead_ids),
    )
    await _tell(conn, tenant_id, rows)
    return [row["id"] for row in rows]


async def _promise_again(conn: AsyncConnection, tenant_id: int, callback_ids: Sequence[int]) -> None:
    """What a merge has replaced is owed again, where its lead is open and nothing else was promised."""
    rows = await driver_of(conn).fetch(
        """
        UPDATE callback c SET state = 'waiting', reason = NULL, ended_at = NULL
         WHERE c.tenant_id = $1 AND c.id = ANY ($2::bigint[])
           AND c.state = 'canceled' AND c.reason = 'replaced'
           AND EXISTS (SELECT FROM lead l
                        WHERE l.tenant_id = c.tenant_id AND l.id = c.lead_id AND l.status <> 'closed')
           AND NOT EXISTS (SELECT FROM callback o
                            WHERE o.tenant_id = c.tenant_id AND o.lead_id = c.lead_id
                              AND o.state IN ('waiting', 'dialling'))
        RETURNING id, campaign_id, lead_id, agent_id, state
        """,
        tenant_id,
        list(callback_ids),
    )
    await _tell(conn, tenant_id, rows)


async def _tell(conn: AsyncConnection, tenant_id: int, rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        return
    facts = [
        events.Fact(
            "callback.state",
            {"callback_id": row["id"]}
            | {name: row[name] for name in ("campaign_id", "lead_id", "agent_id", "state")},
            row["campaign_id"],
            row["agent_id"],
        )
        for row in rows
    ]
    await events.emit_all(conn, facts, tenant_id=tenant_id)
    await events.wake(conn, "callbacks", tenant_id=tenant_id)


async def _write(conn: AsyncConnection, tenant_id: int, contact_id: int, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        kind = "jsonb" if name == "custom" else "text"
        await driver_of(conn).execute(
            f"UPDATE contact SET {name} = $3::{kind} WHERE tenant_id = $1 AND id = $2",
            tenant_id,
            contact_id,
            encode_json(value) if name == "custom" else value,
        )


async def undo(conn: AsyncConnection, tenant_id: int, record: Mapping[str, Any], kept: int) -> None:
    """Make the two contacts of a merge two again. The caller has locked the survivor, and marks the merge."""
    driver = driver_of(conn)
    gone = record["contact"]["id"]
    await _insert(conn, "contact", [record["contact"]])
    for table in MOVING:
        await _move_back(conn, tenant_id, table, record["tables"].get(table.name, {}), gone, kept)
    # What the merge has changed in them goes back, unless somebody else has changed it since.
    places = [(row["id"], row["position"]) for row in record["phones"]]
    await driver.execute(
        "UPDATE contact_phone p SET position = n.position"
        " FROM unnest($2::bigint[], $3::int[]) AS n (id, position)"
        " WHERE p.tenant_id = $1 AND p.id = n.id",
        tenant_id,
        [row_id for row_id, _ in places],
        [position for _, position in places],
    )
    closed = set(record["closed"])
    for row in record["leads"]:
        if row["id"] in closed:
            await driver.execute(
                "UPDATE lead SET status = $3, hold = $4, closed_reason = $5"
                " WHERE tenant_id = $1 AND id = $2 AND status = 'closed' AND closed_reason = 'duplicate'",
                tenant_id,
                row["id"],
                row["status"],
                row["hold"],
                row["closed_reason"],
            )
    await _promise_again(conn, tenant_id, record.get("canceled", ()))  # merges of before have none
    present = await driver.fetchval(
        "SELECT to_jsonb(c) FROM contact c WHERE tenant_id = $1 AND id = $2", tenant_id, kept
    )
    untouched = {
        name: value for name, value in record["before"].items() if present[name] == record["after"][name]
    }
    await _write(conn, tenant_id, kept, untouched)


async def _move_back(
    conn: AsyncConnection, tenant_id: int, table: _Moving, part: Mapping[str, Any], gone: int, kept: int
) -> None:
    names = [name for name in table.key if name != "contact_id"]
    if moved := part.get("moved"):
        kinds = {column.name: column.type.compile(_DIALECT) for column in t.metadata.tables[table.name].c}
        same = " AND ".join(
            f'r."{name}" = (k.key ->> {place})::{kinds[name]}' for place, name in enumerate(names)
        )
        await driver_of(conn).execute(
            f"UPDATE {table.name} r SET contact_id = $3 FROM jsonb_array_elements($4::jsonb) AS k (key)"
            f" WHERE r.tenant_id = $1 AND r.contact_id = $2 AND {same or 'true'}",
            tenant_id,
            kept,
            gone,
            encode_json(moved),
        )
    await _insert(conn, table.name, part.get("away", ()))


async def _insert(conn: AsyncConnection, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        columns = _stored(t.metadata.tables[table])
        await driver_of(conn).execute(
            f"INSERT INTO {table} ({columns}) SELECT {columns}"
            f" FROM jsonb_populate_recordset(NULL::{table}, $1::jsonb)",
            encode_json(list(rows)),
        )
