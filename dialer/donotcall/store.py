"""The SQL of do-not-call: the locks, what covers a number, and what is added, removed and looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.compliance.filters import Unwanted
from dialer.db.events import wake
from dialer.db.prepared import Prepared
from dialer.donotcall.model import (
    Entry,
    Kind,
    Refusal,
    Source,
    in_force,
    lock_of,
    locks_of,
    longest,
    marks,
    one_by_one,
    shown,
)
from scheduler import refused

# -- the locks --------------------------------------------------------------------------------------------

#: Of who dials, who never waits for who adds an entry: so the two can hold each other up in no order. It
#: gives those of the :keys that were had.
TRY = """
    SELECT key FROM unnest(CAST(:keys AS bigint[])) AS k (key) WHERE pg_try_advisory_xact_lock_shared(key)
"""
_LOCK = Prepared("SELECT pg_advisory_xact_lock(key) FROM unnest(CAST(:keys AS bigint[])) AS k (key)")


async def lock_numbers(conn: AsyncConnection, tenant_id: int, numbers: Sequence[str]) -> None:
    """Before entries for these numbers, and before the leads of them are locked: no attempt that does not
    know of them is committed after this transaction."""
    await _LOCK.run(conn, keys=locks_of(tenant_id, numbers))


async def lock_all(conn: AsyncConnection, tenant_id: int) -> None:
    """As `lock_numbers`, for entries of which nobody knows all numbers. The last thing before the commit:
    while it is held the tenant's campaigns place no call."""
    await _LOCK.run(conn, keys=[lock_of(tenant_id)])


# -- what covers a number ---------------------------------------------------------------------------------

#: What stands for the source where nothing but a digest of the number is kept.
ERASED = "erased"

_COLUMNS = """
    d.id, d.kind, d.mark, d.campaign_id, d.source, d.reason, d.valid_from, d.valid_until, d.added_at,
    d.attempt_id, d.removed_at, d.removed_reason
"""
_NAMES = """
    (SELECT c.name FROM campaign c WHERE c.tenant_id = d.tenant_id AND c.id = d.campaign_id) AS campaign,
    (SELECT r.name FROM registry r WHERE r.tenant_id = d.tenant_id AND r.id = d.registry_id) AS registry,
    (SELECT u.name FROM app_user u WHERE u.tenant_id = d.tenant_id AND u.id = d.added_by) AS added_by,
    (SELECT u.name FROM app_user u WHERE u.tenant_id = d.tenant_id AND u.id = d.removed_by) AS removed_by
"""
#: What is said of the number n.e164, in an array: (id, campaign, source, from, until). `n.marks`: the marks
#: of the number, with spaces between. Asked before each call: nothing that only people look at. Of an erased
#: person nothing is kept but the digest of the number, so that is asked for too.
SAID = f"""
    ARRAY(
        SELECT ROW(d.id, d.campaign_id, d.source, d.valid_from, d.valid_until)
          FROM do_not_call d
         WHERE d.tenant_id = :tenant_id AND d.mark = ANY (string_to_array(n.marks, ' '))
           AND d.removed_at IS NULL
         UNION ALL
        SELECT ROW(CAST(0 AS bigint), CAST(NULL AS bigint), CAST('{ERASED}' AS text),
                   CAST(NULL AS timestamptz), CAST(NULL AS timestamptz))
          FROM forgotten_salt s
          JOIN forgotten_number f
            ON f.tenant_id = s.tenant_id AND f.digest = sha256(s.salt || convert_to(n.e164, 'UTF8'))
         WHERE s.tenant_id = :tenant_id)
"""  # noqa: S608 - texts of ours
#: The last entry's id; kept with an attempt it says, with the time, what was asked.
VERSION = "(SELECT coalesce(max(id), 0) FROM do_not_call WHERE tenant_id = :tenant_id)"
_COVERING = Prepared(
    f"""
    SELECT n.e164, {SAID} AS said
      FROM unnest(CAST(:numbers AS text[]), CAST(:marks AS text[])) AS n (e164, marks)
    """  # noqa: S608 - texts of ours
)
_OF_NUMBERS = Prepared(
    f"""
    SELECT {_COLUMNS}, {_NAMES} FROM do_not_call d
     WHERE d.tenant_id = :tenant_id AND d.mark = ANY (CAST(:marks AS text[]))
     ORDER BY d.id DESC
    """  # noqa: S608 - texts of ours
)
_PAGE = Prepared(
    f"""
    SELECT {_COLUMNS}, {_NAMES} FROM do_not_call d
     WHERE d.tenant_id = :tenant_id AND d.id < :before
       AND (CAST(:source AS text) IS NULL OR d.source = :source)
       AND (CAST(:removed AS boolean) OR d.removed_at IS NULL)
     ORDER BY d.id DESC
     LIMIT :limit
    """  # noqa: S608 - texts of ours
)
_ONE = Prepared(
    f"""
    SELECT {_COLUMNS}, {_NAMES} FROM do_not_call d WHERE d.tenant_id = :tenant_id AND d.id = :entry_id
    """  # noqa: S608 - texts of ours
)


def _entry(row: Any) -> Entry:
    values = dict(row)
    number = shown(values.pop("mark"))
    return Entry(**(values | {"kind": Kind(row.kind), "source": Source(row.source), "number": number}))


async def covering(
    conn: AsyncConnection, tenant_id: int, numbers: Sequence[str], campaign_id: int, now: datetime
) -> Mapping[str, Unwanted]:
    """What keeps a campaign from dialling each of these numbers (E.164) at that moment; a number that
    nothing keeps is left out."""
    asked = {"numbers": list(numbers), "marks": marks_of(numbers)}
    rows = await _COVERING.rows(conn, tenant_id=tenant_id, **asked)
    found = ((row.e164, unwanted(row.said, campaign_id, now)) for row in rows)
    return {number: said for number, said in found if said is not None}


def marks_of(numbers: Sequence[str]) -> list[str]:
    """The marks of each of these numbers (E.164), as `SAID` takes them."""
    return [" ".join(marks(number)) for number in numbers]


def unwanted(said: Sequence[tuple[Any, ...]], campaign_id: int, now: datetime) -> Unwanted | None:
    """Of what `SAID` gives that which keeps the campaign from dialling the number at that moment."""
    every = [
        Unwanted(id_, source, until)
        for id_, campaign, source, since, until in said
        if campaign in (None, campaign_id) and in_force(since, until, now)
    ]
    return longest(every) if every else None


async def entries_of(conn: AsyncConnection, tenant_id: int, numbers: Sequence[str]) -> list[Entry]:
    """Every entry that is or was for any of these numbers (E.164), the newest first."""
    asked = {mark for number in numbers for mark in marks(number)}
    return [_entry(row) for row in await _OF_NUMBERS.rows(conn, tenant_id=tenant_id, marks=list(asked))]


async def page(
    conn: AsyncConnection, tenant_id: int, *, source: str | None, removed: bool, before: int, limit: int
) -> list[Entry]:
    """Entries, the newest first, from before the id `before`; with those that were removed, if wanted."""
    rows = await _PAGE.rows(
        conn, tenant_id=tenant_id, source=source, removed=removed, before=before, limit=limit
    )
    return [_entry(row) for row in rows]


async def get(conn: AsyncConnection, tenant_id: int, entry_id: int) -> Entry | None:
    """One entry."""
    row = await _ONE.row(conn, tenant_id=tenant_id, entry_id=entry_id)
    return _entry(row) if row else None


# -- entries are added and removed ------------------------------------------------------------------------

#: One that says the same already is not said twice, unless it ends sooner or begins later.
_ADD = Prepared(
    """
    INSERT INTO do_not_call (tenant_id, kind, mark, campaign_id, source, reason, valid_from, valid_until,
                             attempt_id, import_id, added_by)
    SELECT CAST(:tenant_id AS integer), CASE WHEN n.mark LIKE '%*' THEN 'prefix' ELSE 'number' END, n.mark,
           CAST(:campaign_id AS bigint), CAST(:source AS text), CAST(:reason AS text),
           CAST(:valid_from AS timestamptz), CAST(:valid_until AS timestamptz), CAST(:attempt_id AS uuid),
           CAST(:import_id AS bigint), CAST(:added_by AS bigint)
      FROM unnest(CAST(:marks AS text[])) WITH ORDINALITY AS n (mark, place)
     WHERE NOT EXISTS (
           SELECT FROM do_not_call d
            WHERE d.tenant_id = :tenant_id AND d.mark = n.mark AND d.removed_at IS NULL
              AND d.registry_id IS NULL
              AND (d.campaign_id IS NULL OR d.campaign_id = CAST(:campaign_id AS bigint))
              AND (d.valid_from IS NULL OR d.valid_from <= coalesce(CAST(:valid_from AS timestamptz), now()))
              AND (d.valid_until IS NULL OR d.valid_until >= CAST(:valid_until AS timestamptz)))
     ORDER BY n.place
    RETURNING id, mark
    """
)
_REMOVE = Prepared(
    """
    UPDATE do_not_call SET removed_at = now(), removed_by = :by, removed_reason = :reason
     WHERE tenant_id = :tenant_id AND id = :entry_id AND removed_at IS NULL
    """
)


async def add(
    conn: AsyncConnection,
    tenant_id: int,
    marks_: Sequence[str],
    said: Refusal,
    *,
    by: int | None,
    now: datetime,
    leads: bool = True,
) -> dict[str, int]:
    """Add an entry for each of these marks that has none; the ids of those that were added, by mark.

    Leads of numbers close with it, or are put off to its end (`leads`); those of a prefix are the caller's,
    see `changes.ask_area`, as are those of more than `MOST_LOCKS` numbers. The engines take back what
    nobody has answered yet. **The last thing of its transaction**, which holds a lock that keeps attempts of
    those numbers, or all, from being committed meanwhile.
    """
    wanted = sorted(set(marks_))
    few = one_by_one(wanted)
    if few:
        await lock_numbers(conn, tenant_id, wanted)
    rows = await _ADD.rows(
        conn,
        tenant_id=tenant_id,
        marks=wanted,
        campaign_id=said.campaign_id,
        source=said.source,
        reason=said.reason,
        valid_from=said.valid_from,
        valid_until=said.valid_until,
        attempt_id=said.attempt_id,
        import_id=said.import_id,
        added_by=by,
    )
    if few and leads:  # also of those that had an entry: a lead may have been opened since
        await stop_numbers(conn, tenant_id, wanted, said, now)
    await wake(conn, "do_not_call", tenant_id=tenant_id)
    if not few:
        await lock_all(conn, tenant_id)
    return {row["mark"]: row["id"] for row in rows}


async def stop_numbers(
    conn: AsyncConnection, tenant_id: int, numbers: Sequence[str], said: Refusal, now: datetime
) -> int:
    """Close the leads of these numbers, or put them off to where the entries end; how many. Those of an entry
    that is not in force yet stay as they are."""
    if not in_force(said.valid_from, said.valid_until, now):
        return 0
    if said.valid_until is None:
        return await refused.close_numbers(conn, tenant_id, numbers, said.campaign_id)
    return await refused.put_off_numbers(conn, tenant_id, numbers, said.campaign_id, said.valid_until)


async def remove(conn: AsyncConnection, tenant_id: int, entry: Entry, *, reason: str, by: int | None) -> bool:
    """Let an entry count no more, and ask anew about its number's leads (those of a prefix are the caller's);
    False: it was removed already."""
    if entry.kind is Kind.NUMBER:
        await lock_numbers(conn, tenant_id, [entry.number])
    if not await _REMOVE.run(conn, tenant_id=tenant_id, entry_id=entry.id, reason=reason, by=by):
        return False
    if entry.kind is Kind.NUMBER:
        await refused.open_numbers(conn, tenant_id, [entry.number], entry.campaign_id)
    await wake(conn, "campaigns", tenant_id=tenant_id)
    return True
