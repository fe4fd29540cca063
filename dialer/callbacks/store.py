"""The SQL of callbacks as people deal with them: look, write down, change. What follows attempts is
`scheduler.promised`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.prepared import Prepared
from dialer.db.sort_key import sort_key
from dialer.db.tables import callback, lead
from dialer.errors import NotFound
from scheduler import promised
from scheduler.callbacks import Away, Stage, State, Terms, stage


@dataclass(frozen=True, slots=True)
class CallbackRow:
    """A callback with what people know it by."""

    id: int
    campaign_id: int
    campaign: str
    lead_id: int
    contact_id: int
    last_name: str
    first_name: str
    middle_name: str
    e164: str
    #: who has promised it; None: any agent
    agent_id: int | None
    agent: str | None
    #: as it was promised: a moment, or from here ...
    from_at: datetime
    #: ... until here
    until_at: datetime | None
    #: in whose clock
    zone: str
    #: it is dialled from here
    due_at: datetime
    #: the filter that has put it off
    moved: str | None
    #: from here any agent may have it; None: its own alone
    open_at: datetime | None
    away: Away
    note: str
    state: State
    tries: int
    reason: str | None
    made_in: UUID | None
    made_by: int | None
    #: the name of who has made it
    maker: str | None
    made_at: datetime
    ended_at: datetime | None
    attempt_id: UUID | None
    #: whether its campaign is running, and how it dials
    running: bool
    mode: str
    #: whether its agent works here no more
    agent_gone: bool

    @property
    def name(self) -> str:
        """Of the person; empty: not known."""
        return " ".join(filter(None, (self.last_name, self.first_name, self.middle_name)))

    def stage(self, now: datetime) -> Stage:
        """What people are shown."""
        return stage(self.state, self.until_at, self.due_at, now)


@dataclass(frozen=True, slots=True)
class Which:
    """Which callbacks; what is None or empty does not matter."""

    #: of this agent
    agent_id: int | None = None
    #: of nobody in particular
    anyones: bool = False
    #: of the agent, or made for anybody by the user
    own: tuple[int, int] | None = None
    campaign_id: int | None = None
    contact_id: int | None = None
    states: Collection[State] = ()
    #: due from this moment on
    since: datetime | None = None
    #: due before this moment
    until: datetime | None = None
    #: of agents who work here no more
    gone: bool = False


_ROW = """
    SELECT c.id, c.campaign_id, k.name AS campaign, c.lead_id, c.contact_id, p.last_name, p.first_name,
           p.middle_name, l.e164, c.agent_id, g.name AS agent, c.from_at, c.until_at, c.zone, c.due_at,
           c.moved, c.open_at, c.away, c.note, c.state, c.tries, c.reason, c.made_in, c.made_by,
           u.name AS maker, c.made_at, c.ended_at, c.attempt_id, k.status = 'running' AS running, k.mode,
           c.agent_id IS NOT NULL AND (NOT g.enabled OR w.disabled_at IS NOT NULL) AS agent_gone
      FROM callback c
      JOIN campaign k ON k.tenant_id = c.tenant_id AND k.id = c.campaign_id
      JOIN lead l ON l.tenant_id = c.tenant_id AND l.id = c.lead_id
      JOIN contact p ON p.tenant_id = c.tenant_id AND p.id = c.contact_id
      LEFT JOIN agent g ON g.tenant_id = c.tenant_id AND g.id = c.agent_id
      LEFT JOIN app_user w ON w.tenant_id = g.tenant_id AND w.id = g.user_id
      LEFT JOIN app_user u ON u.tenant_id = c.tenant_id AND u.id = c.made_by
     WHERE c.tenant_id = :tenant_id
"""
_FIND = Prepared(f"{_ROW} AND c.id = :id")
_OPEN_OF_LEAD = Prepared(f"{_ROW} AND c.lead_id = :lead_id AND c.state IN ('waiting', 'dialling')")
_MADE_IN = Prepared(f"{_ROW} AND c.made_in = :call_id ORDER BY c.id DESC LIMIT 1")
_PAGE = Prepared(
    f"""
    {_ROW}
       AND (CAST(:agent_id AS bigint) IS NULL OR c.agent_id = :agent_id)
       AND (NOT CAST(:anyones AS boolean) OR c.agent_id IS NULL)
       AND (CAST(:own_agent AS bigint) IS NULL OR c.agent_id = :own_agent
            OR (c.agent_id IS NULL AND c.made_by = CAST(:own_user AS bigint)))
       AND (NOT CAST(:gone AS boolean) OR NOT g.enabled OR w.disabled_at IS NOT NULL)
       AND (CAST(:campaign_id AS bigint) IS NULL OR c.campaign_id = :campaign_id)
       AND (CAST(:contact_id AS bigint) IS NULL OR c.contact_id = :contact_id)
       AND (cardinality(CAST(:states AS text[])) = 0 OR c.state = ANY (CAST(:states AS text[])))
       AND (CAST(:since AS timestamptz) IS NULL OR c.due_at >= :since)
       AND (CAST(:until AS timestamptz) IS NULL OR c.due_at < :until)
       AND (CAST(:after_at AS timestamptz) IS NULL
            OR (c.due_at, c.id) > (:after_at, CAST(:after_id AS bigint)))
     ORDER BY c.due_at, c.id
     LIMIT :limit
    """
)
_OF_LEAD = """
           k.status AS campaign_status, k.mode, c.timezone, p.good_from, p.good_until,
           k.callback_away, k.callback_wait_s, k.callback_tries, k.callback_retry_s
"""
_LEAD = f"""
    SELECT l.id, l.campaign_id, l.contact_id, l.e164, l.timezones, l.status, l.closed_reason, {_OF_LEAD}
      FROM lead l
      JOIN campaign k ON k.tenant_id = l.tenant_id AND k.id = l.campaign_id
      JOIN contact c ON c.tenant_id = l.tenant_id AND c.id = l.contact_id
      LEFT JOIN contact_phone p
        ON p.tenant_id = l.tenant_id AND p.contact_id = l.contact_id AND p.e164 = l.e164
     WHERE l.tenant_id = :tenant_id AND l.id = :lead_id
"""  # noqa: S608 - texts of ours
_LEAD_READ = Prepared(_LEAD)
_LEAD_LOCKED = Prepared(f"{_LEAD} FOR UPDATE OF l")
#: As it would be of somebody whom the campaign does not have yet, at the first number.
_LEAD_TO_BE = Prepared(
    f"""
    SELECT 0 AS id, k.id AS campaign_id, c.id AS contact_id, p.e164,
           CASE WHEN c.timezone IS NULL THEN p.timezones ELSE ARRAY[c.timezone] END AS timezones,
           'new' AS status, CAST(NULL AS text) AS closed_reason, {_OF_LEAD}
      FROM campaign k, contact c
      JOIN contact_phone p ON p.tenant_id = c.tenant_id AND p.contact_id = c.id AND p.dead_since IS NULL
     WHERE k.tenant_id = :tenant_id AND k.id = :campaign_id
       AND c.tenant_id = :tenant_id AND c.id = :contact_id AND c.erased_at IS NULL
     ORDER BY p.position
     LIMIT 1
    """  # noqa: S608 - texts of ours
)
_LEAD_OF = Prepared(
    """
    SELECT id FROM lead
     WHERE tenant_id = :tenant_id AND campaign_id = :campaign_id AND contact_id = :contact_id
     ORDER BY status = 'closed', id LIMIT 1
    """
)
_REST = Prepared(
    """
    UPDATE lead SET status = 'waiting', hold = 'callback', open_from = :due_at, closed_reason = NULL
     WHERE tenant_id = :tenant_id AND id = :lead_id AND status IN ('new', 'waiting', 'closed')
    """
)
_PLACE = sort_key(
    "k.lead_order", priority="0", added_at="now()", attempts="0", contact_id="c.id", campaign_id="k.id"
)
#: A person whom the campaign did not have: by the number that is named, else the first, for the list that
#: they have been in longest.
_ADD_LEAD = text(
    f"""
    INSERT INTO lead (
        tenant_id, campaign_id, list_id, contact_id, e164, timezones, sort_key, open_from, open_until
    )
    SELECT c.tenant_id, k.id, m.list_id, c.id, p.e164,
           CASE WHEN c.timezone IS NULL THEN p.timezones ELSE ARRAY[c.timezone] END, {_PLACE}, now(), now()
      FROM campaign k, contact c
      JOIN contact_phone p ON p.tenant_id = c.tenant_id AND p.contact_id = c.id AND p.dead_since IS NULL
      JOIN list_contact m ON m.tenant_id = c.tenant_id AND m.contact_id = c.id
     WHERE c.tenant_id = :tenant_id AND c.id = :contact_id AND c.erased_at IS NULL
       AND k.tenant_id = c.tenant_id AND k.id = :campaign_id
     ORDER BY (p.e164 = CAST(:e164 AS text)) DESC NULLS LAST, p.position, m.list_id
     LIMIT 1
    ON CONFLICT (tenant_id, campaign_id, e164) DO NOTHING
    RETURNING id
    """  # noqa: S608 - texts of ours
)
#: Which of the two there is at all.
_KNOWN = Prepared(
    """
    SELECT EXISTS (SELECT FROM campaign WHERE tenant_id = :tenant_id AND id = :campaign_id) AS campaign,
           EXISTS (SELECT FROM contact WHERE tenant_id = :tenant_id AND id = :contact_id) AS contact
    """
)
_TALKED_WITH = Prepared(
    """
    SELECT EXISTS (SELECT FROM attempt
                    WHERE tenant_id = :tenant_id AND contact_id = :contact_id AND agent_id = :agent_id)
        OR EXISTS (SELECT FROM inbound_call
                    WHERE tenant_id = :tenant_id AND contact_id = :contact_id AND agent_id = :agent_id)
    """
)


@dataclass(frozen=True, slots=True)
class LeadRow:
    """A lead as promising it a call needs it."""

    id: int
    campaign_id: int
    contact_id: int
    e164: str
    timezones: Sequence[str]
    status: str
    closed_reason: str | None
    campaign_status: str
    mode: str
    #: of the person's record
    timezone: str | None
    good_from: Any
    good_until: Any
    terms: Terms


def _row(row: Any) -> CallbackRow:
    return CallbackRow(**{**row, "away": Away(row.away), "state": State(row.state)})


async def find(conn: AsyncConnection, tenant_id: int, callback_id: int) -> CallbackRow | None:
    """One callback."""
    row = await _FIND.row(conn, tenant_id=tenant_id, id=callback_id)
    return _row(row) if row else None


async def open_of_lead(conn: AsyncConnection, tenant_id: int, lead_id: int) -> CallbackRow | None:
    """The lead's callback that is open."""
    row = await _OPEN_OF_LEAD.row(conn, tenant_id=tenant_id, lead_id=lead_id)
    return _row(row) if row else None


async def made_in(conn: AsyncConnection, tenant_id: int, call_id: UUID) -> CallbackRow | None:
    """The latest callback that was promised in a call."""
    row = await _MADE_IN.row(conn, tenant_id=tenant_id, call_id=call_id)
    return _row(row) if row else None


async def page(
    conn: AsyncConnection,
    tenant_id: int,
    which: Which,
    *,
    after: tuple[datetime, int] | None = None,
    limit: int = 50,
) -> list[CallbackRow]:
    """Callbacks, by when they are due."""
    own_agent, own_user = which.own or (None, None)
    rows = await _PAGE.rows(
        conn,
        tenant_id=tenant_id,
        agent_id=which.agent_id,
        anyones=which.anyones,
        own_agent=own_agent,
        own_user=own_user,
        campaign_id=which.campaign_id,
        contact_id=which.contact_id,
        states=[str(one) for one in which.states],
        since=which.since,
        until=which.until,
        gone=which.gone,
        after_at=after[0] if after else None,
        after_id=after[1] if after else None,
        limit=limit,
    )
    return [_row(row) for row in rows]


async def lock(conn: AsyncConnection, tenant_id: int, callback_id: int) -> CallbackRow | None:
    """One callback, kept from everybody else with its lead until the transaction ends: the lead first, as
    everybody takes them."""
    c = callback.c
    lead_id = await conn.scalar(select(c.lead_id).where(c.tenant_id == tenant_id, c.id == callback_id))
    if lead_id is None:
        return None
    await conn.execute(
        select(lead.c.id).where(lead.c.tenant_id == tenant_id, lead.c.id == lead_id).with_for_update()
    )
    await conn.execute(select(c.id).where(c.tenant_id == tenant_id, c.id == callback_id).with_for_update())
    return await find(conn, tenant_id, callback_id)


async def lock_lead(conn: AsyncConnection, tenant_id: int, lead_id: int) -> LeadRow | None:
    """The lead, kept from everybody else until the transaction ends."""
    return _lead(await _LEAD_LOCKED.row(conn, tenant_id=tenant_id, lead_id=lead_id))


async def lead_to_be(
    conn: AsyncConnection, tenant_id: int, campaign_id: int, contact_id: int
) -> LeadRow | None:
    """The person's lead in the campaign as it stands, or as it would be made: nobody waits for who only asks,
    and who asks waits for nobody. None: it cannot be."""
    lead_id = await lead_of(conn, tenant_id, campaign_id, contact_id, add=False)
    if lead_id is not None:
        return _lead(await _LEAD_READ.row(conn, tenant_id=tenant_id, lead_id=lead_id))
    whose = {"tenant_id": tenant_id, "campaign_id": campaign_id, "contact_id": contact_id}
    return _lead(await _LEAD_TO_BE.row(conn, **whose))


def _lead(row: Any) -> LeadRow | None:
    if row is None:
        return None
    plain = {name: row[name] for name in LeadRow.__slots__ if name != "terms"}
    return LeadRow(**plain, terms=promised.terms_of(row))


async def lead_of(
    conn: AsyncConnection,
    tenant_id: int,
    campaign_id: int,
    contact_id: int,
    *,
    e164: str | None = None,
    add: bool = True,
) -> int | None:
    """The person's lead in the campaign, which is made where there is none (`add`), at the number `e164` if
    it is theirs; None: it cannot be."""
    whose = {"tenant_id": tenant_id, "campaign_id": campaign_id, "contact_id": contact_id}
    found: int | None = await _LEAD_OF.value(conn, **whose)
    if found is None and add:
        found = await conn.scalar(_ADD_LEAD, whose | {"e164": e164})
    return found


async def missing(
    conn: AsyncConnection, tenant_id: int, campaign_id: int, contact_id: int
) -> NotFound | None:
    """What of the two there is not at all."""
    known = await _KNOWN.row(conn, tenant_id=tenant_id, campaign_id=campaign_id, contact_id=contact_id)
    if known is None or not known.campaign:
        return NotFound(what="campaign", key=campaign_id)
    return None if known.contact else NotFound(what="contact", key=contact_id)


async def has_talked_with(conn: AsyncConnection, tenant_id: int, agent_id: int, contact_id: int) -> bool:
    """Whether calls of the person were the agent's."""
    return bool(await _TALKED_WITH.value(conn, tenant_id=tenant_id, agent_id=agent_id, contact_id=contact_id))


async def add(conn: AsyncConnection, tenant_id: int, values: Mapping[str, Any]) -> int:
    """Write a callback down; its lead rests for it, unless it is being called. Its id."""
    made: int = (
        await conn.execute(insert(callback).values(tenant_id=tenant_id, **values).returning(callback.c.id))
    ).scalar_one()
    await rest(conn, tenant_id, values["lead_id"], values["due_at"])
    await _told(conn, tenant_id, made)
    return made


async def change(conn: AsyncConnection, tenant_id: int, callback_id: int, values: Mapping[str, Any]) -> None:
    """Set columns of a callback; whoever was told of it is told anew."""
    c = callback.c
    fresh = {"reminded_at": None, "told_at": None, "late_told_at": None}
    await conn.execute(
        update(callback).where(c.tenant_id == tenant_id, c.id == callback_id).values(**fresh, **values)
    )
    await _told(conn, tenant_id, callback_id)


async def rest(conn: AsyncConnection, tenant_id: int, lead_id: int, due_at: datetime) -> None:
    """The lead waits for its callback."""
    await _REST.run(conn, tenant_id=tenant_id, lead_id=lead_id, due_at=due_at)


async def free_lead(conn: AsyncConnection, tenant_id: int, lead_id: int, *, close: bool) -> None:
    """Nobody calls the lead back: it is one of its list again, or is closed."""
    values: dict[str, Any] = {"hold": None, "open_from": text("now()")}
    if close:
        values |= {"status": "closed", "closed_reason": "callback"}
    mine = lead.c.tenant_id == tenant_id, lead.c.id == lead_id
    await conn.execute(update(lead).where(*mine, lead.c.hold == "callback").values(**values))


async def _told(conn: AsyncConnection, tenant_id: int, callback_id: int) -> None:
    c = callback.c
    rows = await conn.execute(
        select(c.id, c.campaign_id, c.lead_id, c.agent_id, c.state).where(
            c.tenant_id == tenant_id, c.id == callback_id
        )
    )
    await promised.tell(conn, tenant_id, rows.all())
