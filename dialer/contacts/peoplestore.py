"""The SQL that brings people in by the thousand: COPY into a staging table, then INSERT ... SELECT.

COPY is refused by tables with row security. The staging table is a temporary one of this connection: no other
sees it, it has no log, it is empty again at the end of the transaction, and nothing of it is left by a kill.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.contacts.matching import Card
from dialer.db.prepared import Prepared
from dialer.db.session import driver_of, encode_json

#: Columns of the staging table, in the order of `batches.line_of`.
_COLUMNS = (
    "row", "last_name", "first_name", "middle_name", "email", "timezone", "external_id", "custom", "e164",
    "kind", "zones",
)  # fmt: skip
# The id is given when the row is copied: in the order of the file, and nothing has to be asked or joined to
# know whose the numbers are.
_STAGE = """
    CREATE TEMPORARY TABLE IF NOT EXISTS import_row (
        row integer NOT NULL, last_name text NOT NULL, first_name text NOT NULL, middle_name text NOT NULL,
        email text NOT NULL, timezone text, external_id text, custom jsonb NOT NULL, e164 text[] NOT NULL,
        kind text[] NOT NULL, zones smallint[] NOT NULL,
        id bigint NOT NULL DEFAULT nextval('public.contact_id_seq')
    ) ON COMMIT DELETE ROWS
"""
_ADD_CONTACTS = Prepared("""
    INSERT INTO contact (
        tenant_id, id, external_id, last_name, first_name, middle_name, email, timezone, custom
    )
    SELECT CAST(:tenant_id AS integer), id, external_id, last_name, first_name, middle_name, email, timezone,
           custom
      FROM pg_temp.import_row
""")

# Most people have one number: taking arrays apart is for the others only.
_ADD_PHONES = Prepared("""
    INSERT INTO contact_phone (tenant_id, contact_id, position, e164, kind, timezones)
    SELECT CAST(:tenant_id AS integer), p.id, p.position, p.e164, p.kind, z.zones
      FROM (SELECT id, 1 AS position, e164[1] AS e164, kind[1] AS kind, zones[1] AS zone
              FROM pg_temp.import_row
             UNION ALL
            SELECT r.id, n.position, r.e164[n.position], r.kind[n.position], r.zones[n.position]
              FROM pg_temp.import_row r
             CROSS JOIN LATERAL generate_series(2, cardinality(r.e164)) AS n (position)
             WHERE cardinality(r.e164) > 1) AS p
      JOIN (SELECT place, string_to_array(names, ',') AS zones
              FROM unnest(CAST(:zones AS text[])) WITH ORDINALITY AS s (names, place) OFFSET 0) AS z
        ON z.place = p.zone
""")

_JOIN_LIST = Prepared("""
    INSERT INTO list_contact (tenant_id, list_id, contact_id)
    SELECT CAST(:tenant_id AS integer), CAST(:list_id AS bigint), id FROM pg_temp.import_row
""")
_IDS = Prepared("""
    SELECT array_agg(id ORDER BY id) AS ids, CAST(CAST(pg_current_xact_id() AS xid) AS text) AS written_by
      FROM pg_temp.import_row
""")

# -- of people who are known -------------------------------------------------------------------------------

_STAGE_KNOWN = """
    CREATE TEMPORARY TABLE IF NOT EXISTS import_known (
        id bigint NOT NULL, row integer NOT NULL, last_name text NOT NULL, first_name text NOT NULL,
        middle_name text NOT NULL, email text NOT NULL, timezone text, external_id text,
        custom jsonb NOT NULL, e164 text[] NOT NULL, kind text[] NOT NULL, zones smallint[] NOT NULL
    ) ON COMMIT DELETE ROWS
"""
# What `matching.gain` would find nothing in: each value that the row has is the very one of the card.
_TELLING = Prepared("""
    SELECT coalesce(array_agg(DISTINCT r.id), '{}')
      FROM pg_temp.import_known r
      LEFT JOIN LATERAL (
               SELECT c.last_name, c.first_name, c.middle_name, c.email, c.timezone, c.external_id, c.custom,
                      ARRAY(SELECT p.e164 FROM contact_phone p
                             WHERE p.tenant_id = :tenant_id AND p.contact_id = r.id) AS phones
                 FROM contact c
                WHERE c.tenant_id = :tenant_id AND c.id = r.id OFFSET 0) AS c ON true
     WHERE (r.last_name IN ('', c.last_name) AND r.first_name IN ('', c.first_name)
            AND r.middle_name IN ('', c.middle_name) AND r.email IN ('', c.email)
            AND coalesce(r.timezone, '') IN ('', c.timezone)
            AND coalesce(r.external_id, '') IN ('', c.external_id)
            AND c.custom @> r.custom AND c.phones @> r.e164) IS NOT TRUE
""")

_CARDS = """
    SELECT c.id, c.last_name, c.first_name, c.middle_name, c.email, c.timezone, c.external_id, c.custom,
           ARRAY(SELECT p.e164 FROM contact_phone p
                  WHERE p.tenant_id = c.tenant_id AND p.contact_id = c.id ORDER BY p.position) AS phones
      FROM contact c
     WHERE c.tenant_id = :tenant_id AND c.id = ANY(CAST(:ids AS bigint[]))
     ORDER BY c.id
"""
_LOOK_AT = Prepared(_CARDS)
_TAKE = Prepared(_CARDS + " FOR NO KEY UPDATE OF c")

_FILL = Prepared("""
    UPDATE contact c
       SET last_name = n.last_name, first_name = n.first_name, middle_name = n.middle_name, email = n.email,
           timezone = n.timezone, external_id = n.external_id, custom = CAST(n.custom AS jsonb)
      FROM unnest(CAST(:ids AS bigint[]), CAST(:last_name AS text[]), CAST(:first_name AS text[]),
                  CAST(:middle_name AS text[]), CAST(:email AS text[]), CAST(:timezone AS text[]),
                  CAST(:external_id AS text[]), CAST(:custom AS text[]))
           AS n (id, last_name, first_name, middle_name, email, timezone, external_id, custom)
     WHERE c.tenant_id = :tenant_id AND c.id = n.id
""")

_MORE_PHONES = Prepared("""
    INSERT INTO contact_phone (tenant_id, contact_id, position, e164, kind, timezones)
    SELECT CAST(:tenant_id AS integer), n.id,
           n.place + (SELECT coalesce(max(p.position), 0) FROM contact_phone p
                       WHERE p.tenant_id = :tenant_id AND p.contact_id = n.id),
           n.e164, n.kind, string_to_array(n.zones, ',')
      FROM unnest(CAST(:ids AS bigint[]), CAST(:place AS integer[]), CAST(:e164 AS text[]),
                  CAST(:kind AS text[]), CAST(:zones AS text[])) AS n (id, place, e164, kind, zones)
        ON CONFLICT DO NOTHING
""")


async def add_people(
    conn: AsyncConnection, tenant_id: int, list_id: int, lines: Sequence[bytes], zones: Sequence[str]
) -> tuple[list[int], str]:
    """Insert people with their numbers into a list; their ids, in the order given, and who they were written
    by (`leadstore.Newcomers`).

    `lines` and `zones` as a Batch has them. Whether they are known already is the caller's to find out
    (`store.lock_people`, then `store.known_numbers`). Once a transaction: they stay staged until its end.
    """
    driver = driver_of(conn)
    await driver.execute(_STAGE)
    await driver.copy_to_table(
        "import_row", source=io.BytesIO(b"".join(lines)), schema_name="pg_temp", columns=_COLUMNS
    )
    await _ADD_CONTACTS.run(conn, tenant_id=tenant_id)
    await _ADD_PHONES.run(conn, tenant_id=tenant_id, zones=list(zones))
    await _JOIN_LIST.run(conn, tenant_id=tenant_id, list_id=list_id)
    row = await _IDS.row(conn)
    return row.ids, row.written_by


async def telling(conn: AsyncConnection, tenant_id: int, rows: Sequence[tuple[int, bytes]]) -> set[int]:
    """Of these contacts with a line of a batch each (they may come several times) those of whom a line says
    what their card does not have. Once a transaction."""
    if not rows:
        return set()
    driver = driver_of(conn)
    await driver.execute(_STAGE_KNOWN)
    await driver.copy_to_table(
        "import_known",
        source=io.BytesIO(b"".join([b"%d\t%b" % row for row in rows])),
        schema_name="pg_temp",
        columns=("id", *_COLUMNS),
    )
    return set(await _TELLING.value(conn, tenant_id=tenant_id))


async def cards(
    conn: AsyncConnection, tenant_id: int, ids: Sequence[int], *, hold: bool = True
) -> dict[int, Card]:
    """What is known of these contacts; nobody else changes them until the transaction ends, if `hold`."""
    if not ids:
        return {}
    rows = await (_TAKE if hold else _LOOK_AT).rows(conn, tenant_id=tenant_id, ids=list(ids))
    return {
        row.id: Card(
            row.last_name,
            row.first_name,
            row.middle_name,
            row.email,
            row.timezone,
            row.external_id,
            row.custom,
            tuple(row.phones),
        )
        for row in rows
    }


async def fill(conn: AsyncConnection, tenant_id: int, changed: Mapping[int, Card]) -> None:
    """Write contacts as their cards are now, with the numbers that have come."""
    if not changed:
        return
    values: dict[str, Any] = {
        name: [getattr(card, name) for card in changed.values()]
        for name in ("last_name", "first_name", "middle_name", "email", "timezone", "external_id")
    }
    values["custom"] = [encode_json(card.custom) for card in changed.values()]
    await _FILL.run(conn, tenant_id=tenant_id, ids=list(changed), **values)
    phones = [
        (contact_id, place, phone)
        for contact_id, card in changed.items()
        for place, phone in enumerate(card.added, start=1)
    ]
    if phones:
        await _MORE_PHONES.run(
            conn,
            tenant_id=tenant_id,
            ids=[contact_id for contact_id, _, _ in phones],
            place=[place for _, place, _ in phones],
            e164=[phone.e164 for _, _, phone in phones],
            kind=[phone.kind for _, _, phone in phones],
            zones=[",".join(phone.timezones) for _, _, phone in phones],
        )
