"""The SQL of kept places: who is to be called when their turn in a queue comes; the rules are in `turns`.

A row is open from the hang-up to the end of the last call. It is `calling` from the transaction that commits
the call to the one that writes its end, so a server that dies between leaves it to who takes the call over,
and nobody calls a second time meanwhile. One open place a number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db import events
from dialer.db.prepared import Prepared
from dialer.db.session import encode_json
from dialer.queues import turns
from dialer.queues.model import Need, Queue, Waiting, needs_of
from dialer.queues.turns import AGAIN_AFTER_S, MOST_TRIES, Again, Outcome, Place, Stage, Why

#: What the engine is told of: see `events.wake`.
WAKE = "places"

_KEEP = Prepared(
    """
    INSERT INTO kept_place (tenant_id, call_id, flow_attempt_id, queue_id, queue, campaign_id, contact_id,
                            e164, timezones, priority, skills, reason, since, kept_at)
    SELECT n.tenant_id, n.call_id, a.id, CAST(:queue_id AS bigint), CAST(:queue AS text),
           CAST(:campaign_id AS bigint), n.contact_id, n.e164, coalesce(
               (SELECT CASE WHEN c.timezone IS NULL THEN p.timezones ELSE ARRAY[c.timezone] END
                  FROM contact_phone p JOIN contact c ON c.tenant_id = p.tenant_id AND c.id = p.contact_id
                 WHERE p.tenant_id = n.tenant_id AND p.contact_id = n.contact_id AND p.e164 = n.e164),
               CAST(:timezones AS text[])),
           CAST(:priority AS smallint), CAST(:skills AS jsonb), CAST(:reason AS text),
           CAST(:since AS timestamptz), CAST(:now AS timestamptz)
      FROM (SELECT CAST(:tenant_id AS integer) AS tenant_id, CAST(:call_id AS uuid) AS call_id,
                   CAST(:contact_id AS bigint) AS contact_id, CAST(:e164 AS text) AS e164) n
      LEFT JOIN attempt a ON a.tenant_id = n.tenant_id AND a.id = n.call_id
        ON CONFLICT DO NOTHING
    """
)
#: With what has become known since: whether the person has talked with somebody after they had asked.
_OPEN = Prepared(
    """
    SELECT p.call_id, p.queue_id, p.queue, p.campaign_id, p.contact_id, p.e164, p.timezones, p.priority,
           p.skills, p.reason, p.since, p.kept_at, p.stage, p.tries, p.not_before,
           EXISTS (SELECT FROM inbound_call o
                    WHERE o.tenant_id = p.tenant_id AND o.e164 = p.e164 AND o.created_at > p.kept_at
                      AND o.connected_at IS NOT NULL)
           OR EXISTS (SELECT FROM attempt a
                       WHERE a.tenant_id = p.tenant_id AND a.e164 = p.e164 AND a.created_at > p.kept_at
                         AND a.connected_at IS NOT NULL) AS served
      FROM kept_place p
     WHERE p.tenant_id = :tenant_id AND p.ended_at IS NULL AND p.stage = 'kept'
     ORDER BY p.since, p.call_id
    """
)
_BEGIN = Prepared(
    """
    UPDATE kept_place SET stage = 'calling', tries = tries + 1, attempt_id = :attempt_id, not_before = NULL
     WHERE tenant_id = :tenant_id AND call_id = :call_id AND stage = 'kept'
    """
)
_CALLED = Prepared(
    """
    SELECT p.call_id, p.attempt_id, p.queue_id, p.since, p.priority, p.stage, p.tries,
           q.callback_tries, q.callback_again_s
      FROM kept_place p
      LEFT JOIN queue q ON q.tenant_id = p.tenant_id AND q.id = p.queue_id
     WHERE p.tenant_id = :tenant_id AND p.attempt_id = ANY (CAST(:attempt_ids AS uuid[]))
       AND p.stage = 'calling'
     ORDER BY p.call_id
       FOR UPDATE OF p
    """
)
_MOVE = Prepared(
    """
    UPDATE kept_place SET stage = CAST(:stage AS text), tries = :tries, not_before = :not_before, why = :why,
           ended_at = CASE WHEN CAST(:stage AS text) IN ('kept', 'calling') THEN NULL
                           ELSE CAST(:now AS timestamptz) END
     WHERE tenant_id = :tenant_id AND call_id = :call_id
    """
)
_END = Prepared(
    """
    UPDATE kept_place SET stage = :stage, why = :why, not_before = NULL, ended_at = :now
     WHERE tenant_id = :tenant_id AND call_id = ANY (CAST(:call_ids AS uuid[])) AND stage = 'kept'
    """
)
_REST = Prepared(
    """
    UPDATE kept_place SET not_before = :until
     WHERE tenant_id = :tenant_id AND call_id = :call_id AND stage = 'kept'
    """
)
_TAKE_OVER = Prepared(
    """
    WITH mine AS (
        SELECT call_id, since, priority, CASE WHEN stage = 'calling' THEN attempt_id END AS attempt_id
          FROM kept_place
         WHERE tenant_id = :tenant_id AND e164 = :e164 AND queue_id = :queue_id AND ended_at IS NULL
           FOR UPDATE)
    UPDATE kept_place p SET stage = 'dropped', why = 'came_back', not_before = NULL, ended_at = :now
      FROM mine WHERE p.tenant_id = :tenant_id AND p.call_id = mine.call_id
    RETURNING mine.call_id, mine.since, mine.priority, mine.attempt_id
    """
)
_SHOWN = Prepared(
    """
    SELECT p.call_id, p.queue_id, coalesce(q.name, p.queue) AS queue, p.campaign_id, p.contact_id,
           coalesce(concat_ws(' ', nullif(c.last_name, ''), nullif(c.first_name, '')), '') AS name,
           p.e164, p.priority, p.reason, p.since, p.kept_at, p.stage, p.tries, p.not_before, p.attempt_id
      FROM kept_place p
      LEFT JOIN queue q ON q.tenant_id = p.tenant_id AND q.id = p.queue_id
      LEFT JOIN contact c ON c.tenant_id = p.tenant_id AND c.id = p.contact_id
     WHERE p.tenant_id = :tenant_id AND p.ended_at IS NULL
       AND (CAST(:queue_id AS bigint) IS NULL OR p.queue_id = :queue_id)
     ORDER BY p.priority DESC, p.since, p.call_id
    """
)


@dataclass(frozen=True, slots=True)
class NewPlace:
    """A place that somebody asks to be kept."""

    #: in which they ask
    call_id: UUID
    queue: Queue
    campaign_id: int
    contact_id: int | None
    #: where they are called
    e164: str
    timezones: Sequence[str]
    #: the beginning of the wait
    since: datetime
    priority: int
    #: besides those of the queue: skill -> least level
    skills: Mapping[str, int]
    #: why they have called
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Owed:
    """What a call in turn is made for."""

    #: in which the place was asked for
    call_id: UUID
    #: its name
    queue: str
    #: the beginning of the wait
    since: datetime
    #: why they have called
    reason: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A place that waits for its turn."""

    place: Place
    owed: Owed
    #: None: it is gone
    queue: Queue | None
    campaign_id: int
    contact_id: int | None
    e164: str
    timezones: tuple[str, ...]
    needs: tuple[Need, ...]
    #: has talked with somebody since it was asked for
    served: bool

    @property
    def waiting(self) -> Waiting:
        """As one of those who wait in the queue: for an agent at any Asterisk, since nobody is on a line."""
        place = self.place
        return Waiting(place.call_id, place.queue_id, place.since, place.priority, self.needs, anywhere=True)


@dataclass(frozen=True, slots=True)
class PlaceRow:
    """An open place, as it is shown."""

    #: of the call in which it was asked for
    call_id: UUID
    queue_id: int | None
    queue: str
    campaign_id: int
    contact_id: int | None
    #: of the person; empty: not known
    name: str
    e164: str
    priority: int
    reason: str
    since: datetime
    kept_at: datetime
    stage: Stage
    tries: int
    #: rests until then
    not_before: datetime | None
    #: the latest call to them
    attempt_id: UUID | None


@dataclass(frozen=True, slots=True)
class TakenOver:
    """A place whose caller is on the line themselves."""

    #: of the call in which it was asked for
    call_id: UUID
    since: datetime
    priority: int
    #: a call to them that is under way
    attempt_id: UUID | None


async def keep(conn: AsyncConnection, tenant_id: int, new: NewPlace, now: datetime) -> bool:
    """Keep the place; False: one is open already, for this number or of this call, and stays as it is."""
    made = await _KEEP.run(
        conn,
        tenant_id=tenant_id,
        call_id=new.call_id,
        queue_id=new.queue.id,
        queue=new.queue.name,
        campaign_id=new.campaign_id,
        contact_id=new.contact_id,
        e164=new.e164,
        timezones=list(new.timezones),
        priority=new.priority,
        skills=encode_json(dict(new.skills)),
        reason=new.reason,
        since=new.since,
        now=now,
    )
    await _tell(conn, tenant_id, [new.call_id])
    return made == 1


async def waiting(conn: AsyncConnection, tenant_id: int, queues: Mapping[int, Queue]) -> list[Kept]:
    """The places that are to be called, those that rest among them; who waits longest first."""
    found = []
    for row in await _OPEN.rows(conn, tenant_id=tenant_id):
        queue = queues.get(row.queue_id) if row.queue_id is not None else None
        more = tuple(Need(skill, level) for skill, level in row.skills.items())
        found.append(
            Kept(
                _place(row),
                Owed(row.call_id, queue.name if queue else row.queue, row.since, row.reason),
                queue,
                row.campaign_id,
                row.contact_id,
                row.e164,
                tuple(row.timezones),
                needs_of(queue, more) if queue else more,
                row.served,
            )
        )
    return found


async def shown(conn: AsyncConnection, tenant_id: int, queue_id: int | None = None) -> list[PlaceRow]:
    """The open places, of one queue or of all, in the order of their turns."""
    rows = await _SHOWN.rows(conn, tenant_id=tenant_id, queue_id=queue_id)
    return [PlaceRow(**(dict(row) | {"stage": Stage(row.stage)})) for row in rows]


def _place(row: Any) -> Place:
    return Place(
        row.call_id,
        row.queue_id or 0,
        row.since,
        row.priority,
        Stage(row.stage),
        row.tries,
        getattr(row, "not_before", None),
    )


async def begin(conn: AsyncConnection, tenant_id: int, call_id: UUID, attempt_id: UUID) -> bool:
    """The caller is called, by the attempt that this transaction writes; False: the place is not waiting."""
    return await _BEGIN.run(conn, tenant_id=tenant_id, call_id=call_id, attempt_id=attempt_id) == 1


async def settle(
    conn: AsyncConnection, tenant_id: int, outcomes: Mapping[UUID, Outcome], now: datetime
) -> None:
    """What becomes of the places that these attempts were made for; those of other attempts are left out."""
    rows = await _CALLED.rows(conn, tenant_id=tenant_id, attempt_ids=list(outcomes))
    for row in rows:
        again = Again(row.callback_tries or MOST_TRIES, row.callback_again_s or AGAIN_AFTER_S)
        after = turns.settled(_place(row), outcomes[row.attempt_id], now, again)
        await _MOVE.run(
            conn,
            tenant_id=tenant_id,
            call_id=row.call_id,
            stage=after.stage,
            tries=after.tries,
            not_before=after.not_before,
            why=after.why,
            now=now,
        )
    await _tell(conn, tenant_id, [row.call_id for row in rows])


async def end(
    conn: AsyncConnection,
    tenant_id: int,
    call_ids: Sequence[UUID],
    stage: Stage,
    now: datetime,
    why: Why | None = None,
) -> int:
    """End places that wait (a call under way goes on); how many."""
    ended = await _END.run(conn, tenant_id=tenant_id, call_ids=list(call_ids), stage=stage, why=why, now=now)
    if ended:
        await _tell(conn, tenant_id, call_ids)
    return ended


async def rest(conn: AsyncConnection, tenant_id: int, call_id: UUID, until: datetime) -> None:
    """The place is not called before."""
    await _REST.run(conn, tenant_id=tenant_id, call_id=call_id, until=until)
    await _tell(conn, tenant_id, [call_id])


async def take_over(
    conn: AsyncConnection, tenant_id: int, e164: str, queue_id: int, now: datetime
) -> TakenOver | None:
    """Who has a place in the queue is on the line: it is theirs, and nobody calls. None: they have none."""
    if not e164:
        return None
    row = await _TAKE_OVER.row(conn, tenant_id=tenant_id, e164=e164, queue_id=queue_id, now=now)
    if row is None:
        return None
    await _tell(conn, tenant_id, [row.call_id])
    return TakenOver(row.call_id, row.since, row.priority, row.attempt_id)


async def _tell(conn: AsyncConnection, tenant_id: int, call_ids: Sequence[UUID]) -> None:
    """Wake the engine, and whoever watches."""
    for call_id in call_ids:
        await events.emit(conn, "queue.place", {"call_id": str(call_id)}, tenant_id=tenant_id, look=WAKE)
