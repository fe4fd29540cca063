"""The SQL of duplicates: keys of contacts, what is still to be looked at, pairs that were found."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.contacts.duplicates import Kind, Reason, Score
from dialer.contacts.persons import MAX_BLOCK, Person, person_of
from dialer.db.prepared import Prepared
from dialer.db.session import encode_json


class PairStatus(StrEnum):
    """What was decided of a pair; the words of `duplicate_pair.status`."""

    OPEN = "open"
    MERGED = "merged"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two contacts that may be one person."""

    id: int
    first_id: int
    second_id: int
    score: Score
    status: PairStatus
    found_at: datetime


# -- people -------------------------------------------------------------------------------------------------

_PEOPLE = Prepared(
    """
    SELECT c.id, c.last_name, c.first_name, c.middle_name, c.email, c.custom,
           ARRAY(SELECT p.e164 FROM contact_phone p
                  WHERE p.tenant_id = c.tenant_id AND p.contact_id = c.id ORDER BY p.position) AS phones
      FROM contact c
     WHERE c.tenant_id = :tenant_id AND c.id = ANY (CAST(:ids AS bigint[])) AND c.erased_at IS NULL
    """
)


async def people(conn: AsyncConnection, tenant_id: int, ids: Collection[int]) -> dict[int, Person]:
    """These contacts as they are compared; erased ones are missing."""
    rows = await _PEOPLE.rows(conn, tenant_id=tenant_id, ids=list(ids))
    return {
        row.id: person_of(
            row.id, (row.last_name, row.first_name, row.middle_name), row.email, row.phones, row.custom
        )
        for row in rows
    }


# -- keys ---------------------------------------------------------------------------------------------------

_DROP_KEYS = Prepared(
    "DELETE FROM contact_key WHERE tenant_id = :tenant_id AND contact_id = ANY (CAST(:ids AS bigint[]))"
)
_ADD_KEYS = Prepared(
    """
    INSERT INTO contact_key (tenant_id, key, contact_id)
    SELECT CAST(:tenant_id AS integer), key, contact_id
      FROM unnest(CAST(:keys AS text[]), CAST(:ids AS bigint[])) AS k (key, contact_id)
     ORDER BY key, contact_id
        ON CONFLICT DO NOTHING
    """
)
# One look into the index for each key, and no further than a block may be large.
MEET = Prepared(
    """
    SELECT k.key, array_agg(m.contact_id) AS ids
      FROM unnest(CAST(:keys AS text[])) AS k (key)
      CROSS JOIN LATERAL (
          SELECT contact_id FROM contact_key
           WHERE tenant_id = :tenant_id AND key = k.key LIMIT :most + 1 OFFSET 0) m
     GROUP BY k.key
    HAVING count(*) <= :most
    """
)


async def write_keys(conn: AsyncConnection, tenant_id: int, keys: Mapping[int, Collection[str]]) -> None:
    """These are the keys of these contacts, and no others."""
    await _DROP_KEYS.run(conn, tenant_id=tenant_id, ids=list(keys))
    flat = [(key, contact_id) for contact_id, own in keys.items() for key in own]
    await _ADD_KEYS.run(
        conn, tenant_id=tenant_id, keys=[key for key, _ in flat], ids=[contact_id for _, contact_id in flat]
    )


async def meet(
    conn: AsyncConnection, tenant_id: int, keys: Collection[str], most: int = MAX_BLOCK
) -> dict[str, list[int]]:
    """The contacts that have each key; keys that more than `most` have are left out."""
    rows = await MEET.rows(conn, tenant_id=tenant_id, keys=sorted(keys), most=most)
    return {row.key: list(row.ids) for row in rows}


# -- what is to be looked at --------------------------------------------------------------------------------

_STATE = Prepared("SELECT done_id FROM duplicate_state WHERE tenant_id = :tenant_id FOR UPDATE")
_BEGIN = Prepared("INSERT INTO duplicate_state (tenant_id) VALUES (:tenant_id) ON CONFLICT DO NOTHING")
_NEW = Prepared(
    """
    SELECT id FROM contact
     WHERE tenant_id = :tenant_id AND id > :done_id
       AND id < coalesce((SELECT min(id) FROM contact
                           WHERE tenant_id = :tenant_id AND id > :done_id
                             AND created_at > now() - make_interval(secs => :settled_s)), 9223372036854775807)
     ORDER BY id LIMIT :limit
    """
)
_DONE = Prepared("UPDATE duplicate_state SET done_id = :done_id WHERE tenant_id = :tenant_id")
_CHANGED = Prepared(
    """
    DELETE FROM duplicate_todo
     WHERE tenant_id = :tenant_id AND contact_id = ANY (ARRAY(
           SELECT contact_id FROM duplicate_todo WHERE tenant_id = :tenant_id
            ORDER BY contact_id LIMIT :limit FOR UPDATE SKIP LOCKED))
    RETURNING contact_id
    """
)
_LOOK_AGAIN = Prepared(
    """
    INSERT INTO duplicate_todo (tenant_id, contact_id)
    SELECT CAST(:tenant_id AS integer), unnest(CAST(:ids AS bigint[])) ON CONFLICT DO NOTHING
    """
)
_LEFT = Prepared(
    """
    SELECT (SELECT count(*) FROM contact c
             WHERE c.tenant_id = :tenant_id
               AND c.id > coalesce(
                   (SELECT done_id FROM duplicate_state WHERE tenant_id = :tenant_id), 0))
         + (SELECT count(*) FROM duplicate_todo WHERE tenant_id = :tenant_id)
    """
)


async def begin(conn: AsyncConnection, tenant_id: int) -> int:
    """Lock how far contacts were looked at, and say it: every contact up to that id has its keys."""
    await _BEGIN.run(conn, tenant_id=tenant_id)
    done: int = await _STATE.value(conn, tenant_id=tenant_id)
    return done


async def changed(conn: AsyncConnection, tenant_id: int, limit: int) -> list[int]:
    """Take contacts that were changed since they were looked at; they are this transaction's."""
    return await _CHANGED.column(conn, tenant_id=tenant_id, limit=limit)


async def fresh(
    conn: AsyncConnection, tenant_id: int, done_id: int, settled_s: float, limit: int
) -> list[int]:
    """The next contacts that were never looked at, before the first one made within `settled_s`."""
    return await _NEW.column(conn, tenant_id=tenant_id, done_id=done_id, settled_s=settled_s, limit=limit)


async def done(conn: AsyncConnection, tenant_id: int, done_id: int) -> None:
    """Contacts up to this one were looked at."""
    await _DONE.run(conn, tenant_id=tenant_id, done_id=done_id)


async def look_again(conn: AsyncConnection, tenant_id: int, ids: Collection[int]) -> None:
    """Have these contacts looked at once more."""
    await _LOOK_AGAIN.run(conn, tenant_id=tenant_id, ids=list(ids))


async def left(conn: AsyncConnection, tenant_id: int) -> int:
    """How many contacts are still to be looked at."""
    found: int = await _LEFT.value(conn, tenant_id=tenant_id)
    return found


# -- pairs --------------------------------------------------------------------------------------------------

# What a person has decided stands; an open pair gets its present score.
_ADD_PAIRS = Prepared(
    """
    INSERT INTO duplicate_pair (tenant_id, first_id, second_id, score, reasons)
    SELECT CAST(:tenant_id AS integer), first_id, second_id, score, reasons
      FROM unnest(CAST(:first AS bigint[]), CAST(:second AS bigint[]), CAST(:scores AS float8[]),
                  CAST(:reasons AS jsonb[])) AS p (first_id, second_id, score, reasons)
     ORDER BY first_id, second_id
        ON CONFLICT (tenant_id, first_id, second_id) DO UPDATE
       SET score = excluded.score, reasons = excluded.reasons
     WHERE duplicate_pair.status = 'open'
    RETURNING (xmax = 0) AS new
    """
)
# Open pairs of contacts that were looked at again, and do not look alike any more.
_DROP_PAIRS = Prepared(
    """
    DELETE FROM duplicate_pair
     WHERE tenant_id = :tenant_id AND status = 'open'
       AND (first_id = ANY (CAST(:ids AS bigint[])) OR second_id = ANY (CAST(:ids AS bigint[])))
       AND NOT (first_id, second_id) IN (
           SELECT first_id, second_id
             FROM unnest(CAST(:first AS bigint[]), CAST(:second AS bigint[])) AS p (first_id, second_id))
    """
)
_PAIR = "SELECT id, first_id, second_id, score, reasons, status, found_at FROM duplicate_pair"
_PAGE = Prepared(
    f"""
    {_PAIR}
     WHERE tenant_id = :tenant_id AND status = 'open' AND score >= :least
       AND (CAST(:score AS float8) IS NULL OR (score, id) < (CAST(:score AS float8), CAST(:id AS bigint)))
     ORDER BY score DESC, id DESC
     LIMIT :limit
    """
)
_GET = Prepared(f"{_PAIR} WHERE tenant_id = :tenant_id AND id = :id FOR UPDATE")
_DECIDE = Prepared(
    """
    UPDATE duplicate_pair SET status = :status, decided_by = :by,
           decided_at = CASE WHEN CAST(:status AS text) = 'open' THEN NULL ELSE now() END
     WHERE tenant_id = :tenant_id AND first_id = least(CAST(:one AS bigint), CAST(:other AS bigint))
       AND second_id = greatest(CAST(:one AS bigint), CAST(:other AS bigint))
    """
)
_DROP_OPEN = Prepared(
    """
    DELETE FROM duplicate_pair
     WHERE tenant_id = :tenant_id AND status = 'open' AND (first_id = :contact_id OR second_id = :contact_id)
    """
)
_COUNTS = Prepared(
    """
    SELECT status, count(*) AS many FROM duplicate_pair WHERE tenant_id = :tenant_id GROUP BY status
    """
)


async def write_pairs(
    conn: AsyncConnection, tenant_id: int, ids: Collection[int], pairs: Sequence[tuple[int, int, Score]]
) -> int:
    """These are all the pairs of these contacts (the smaller id first); how many of them are new."""
    first, second = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    await _DROP_PAIRS.run(conn, tenant_id=tenant_id, ids=list(ids), first=first, second=second)
    rows = await _ADD_PAIRS.column(
        conn,
        tenant_id=tenant_id,
        first=first,
        second=second,
        scores=[pair[2].value for pair in pairs],
        reasons=[reasons_json(pair[2]) for pair in pairs],
    )
    return sum(rows)


def reasons_json(score: Score) -> str:
    """The reasons of a score as they are kept."""
    return encode_json(
        [{"field": each.field, "kind": each.kind.value, "weight": each.weight} for each in score.reasons]
    )


def _pair(row: Any) -> Pair:
    pair_id, first, second, score, reasons, status, found_at = row
    kept = tuple(Reason(each["field"], Kind(each["kind"]), each["weight"]) for each in reasons)
    return Pair(pair_id, first, second, Score(score, kept), PairStatus(status), found_at)


async def page(
    conn: AsyncConnection, tenant_id: int, *, least: float, after: tuple[float, int] | None, limit: int
) -> list[Pair]:
    """Open pairs of at least this score, the likeliest first, from after (score, id)."""
    score, pair_id = after or (None, None)
    rows = await _PAGE.rows(conn, tenant_id=tenant_id, least=least, score=score, id=pair_id, limit=limit)
    return [_pair(row) for row in rows]


async def get_pair(conn: AsyncConnection, tenant_id: int, pair_id: int) -> Pair | None:
    """A pair, locked."""
    row = await _GET.row(conn, tenant_id=tenant_id, id=pair_id)
    return _pair(row) if row else None


async def decide(
    conn: AsyncConnection, tenant_id: int, one: int, other: int, status: PairStatus, by: int | None
) -> None:
    """What a pair is, if it was found."""
    await _DECIDE.run(conn, tenant_id=tenant_id, one=one, other=other, status=status.value, by=by)


async def drop_open(conn: AsyncConnection, tenant_id: int, contact_id: int) -> None:
    """Forget the open pairs of a contact that is one no more."""
    await _DROP_OPEN.run(conn, tenant_id=tenant_id, contact_id=contact_id)


async def counts(conn: AsyncConnection, tenant_id: int) -> dict[PairStatus, int]:
    """Pairs by what was decided of them."""
    found = {PairStatus(row.status): row.many for row in await _COUNTS.rows(conn, tenant_id=tenant_id)}
    return {status: found.get(status, 0) for status in PairStatus}
