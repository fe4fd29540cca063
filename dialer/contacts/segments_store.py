"""The SQL of segments: kept, counted, and turned into the leads of campaigns. Each function works in the
transaction of `conn`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, delete, exists, func, insert, literal, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.clock import utc_now
from dialer.contacts import fields_store, leadstore
from dialer.contacts.segments import Catalog, Expression, archived, catalog
from dialer.contacts.segments_sql import Compiler
from dialer.db import tables as t
from dialer.db import tenants

_SEGMENT = t.segment.c
_USE = t.campaign_segment.c
#: People of the sample that stands for all where counting them takes too long.
SAMPLE = 5_000
#: A campaign that follows a segment is made like it so often.
FOLLOW_EVERY = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Segment:
    """A saved segment."""

    id: int
    name: str
    #: the document, see `dialer.contacts.segments`
    expression: dict[str, Any]
    #: the cell of a grid that it is: (band of money, band of days)
    cell: tuple[int, int] | None
    grid_id: int | None
    created_at: datetime
    #: campaigns that call it
    campaigns: int


@dataclass(frozen=True, slots=True)
class Use:
    """A segment that a campaign calls."""

    segment_id: int
    name: str
    #: who was in it at the start; else the campaign follows it
    frozen: bool
    added_at: datetime
    #: when leads were last made of it; None: they are being made
    led_at: datetime | None
    leads: int


# -- segments ----------------------------------------------------------------------------------------------

_CAMPAIGNS = (
    select(func.count())
    .where(_USE.tenant_id == _SEGMENT.tenant_id, _USE.segment_id == _SEGMENT.id)
    .scalar_subquery()
    .label("campaigns")
)


def _segment(row: Any) -> Segment:
    cell = (row.cell[0], row.cell[1]) if row.cell else None
    return Segment(row.id, row.name, row.expression, cell, row.grid_id, row.created_at, row.campaigns)


async def segments(conn: AsyncConnection, tenant_id: int) -> list[Segment]:
    """All segments by their names."""
    query = select(t.segment, _CAMPAIGNS).where(_SEGMENT.tenant_id == tenant_id).order_by(_SEGMENT.name)
    return [_segment(row) for row in await conn.execute(query)]


async def get(conn: AsyncConnection, tenant_id: int, segment_id: int) -> Segment | None:
    """A segment."""
    query = select(t.segment, _CAMPAIGNS).where(_SEGMENT.tenant_id == tenant_id, _SEGMENT.id == segment_id)
    row = (await conn.execute(query)).one_or_none()
    return _segment(row) if row else None


async def name_taken(conn: AsyncConnection, tenant_id: int, name: str, *, but: int | None = None) -> bool:
    """Whether a segment or a list has the name: a campaign shows both, and so do its reports."""
    mine = select(_SEGMENT.list_id).where(_SEGMENT.tenant_id == tenant_id, _SEGMENT.id == but)
    c = t.contact_list.c
    return bool(
        await conn.scalar(
            select(
                exists().where(
                    _SEGMENT.tenant_id == tenant_id, _SEGMENT.name == name, _SEGMENT.id != (but or 0)
                )
                | exists().where(
                    c.tenant_id == tenant_id, c.name == name, c.id != func.coalesce(mine.scalar_subquery(), 0)
                )
            )
        )
    )


async def add(
    conn: AsyncConnection,
    tenant_id: int,
    name: str,
    expression: dict[str, Any],
    *,
    grid_id: int | None = None,
    cell: tuple[int, int] | None = None,
) -> int:
    """A new segment."""
    found = await conn.scalar(
        insert(t.segment)
        .values(
            tenant_id=tenant_id,
            name=name,
            expression=expression,
            grid_id=grid_id,
            cell=list(cell) if cell else None,
        )
        .returning(_SEGMENT.id)
    )
    assert found is not None
    return int(found)


async def change(
    conn: AsyncConnection, tenant_id: int, segment_id: int, name: str, expression: dict[str, Any]
) -> None:
    """Write a segment; campaigns that follow it are made like it soon."""
    mine = _SEGMENT.tenant_id == tenant_id, _SEGMENT.id == segment_id
    await conn.execute(update(t.segment).where(*mine).values(name=name, expression=expression))
    c = t.contact_list.c
    its_list = select(_SEGMENT.list_id).where(*mine).scalar_subquery()
    await conn.execute(
        update(t.contact_list).where(c.tenant_id == tenant_id, c.id == its_list).values(name=name)
    )
    await conn.execute(
        update(t.campaign_segment)
        .where(_USE.tenant_id == tenant_id, _USE.segment_id == segment_id, ~_USE.frozen)
        .values(led_at=None)
    )


async def lock(conn: AsyncConnection, tenant_id: int, segment_id: int) -> bool:
    """Let nobody else change, remove or follow the segment; False: there is none."""
    query = select(_SEGMENT.id).where(_SEGMENT.tenant_id == tenant_id, _SEGMENT.id == segment_id)
    return await conn.scalar(query.with_for_update()) is not None


async def remove(conn: AsyncConnection, tenant_id: int, segment_id: int) -> bool:
    """Remove a segment and its list; False when campaigns have or had leads of it."""
    mine = _SEGMENT.tenant_id == tenant_id, _SEGMENT.id == segment_id
    list_id = await conn.scalar(select(_SEGMENT.list_id).where(*mine))
    used = exists().where(_USE.tenant_id == tenant_id, _USE.segment_id == segment_id)
    led = exists().where(t.lead.c.tenant_id == tenant_id, t.lead.c.list_id == list_id)
    if await conn.scalar(select(used if list_id is None else used | led)):
        return False
    await conn.execute(delete(t.segment).where(*mine))
    if list_id is not None:
        m, c = t.list_contact.c, t.contact_list.c
        await conn.execute(delete(t.list_contact).where(m.tenant_id == tenant_id, m.list_id == list_id))
        await conn.execute(delete(t.contact_list).where(c.tenant_id == tenant_id, c.id == list_id))
    return True


# -- who is in one -------------------------------------------------------------------------------------------


async def compiler(conn: AsyncConnection, tenant_id: int) -> Compiler:
    """What makes SQL of the tenant's expressions, of this moment."""
    fields = await fields_store.fields(conn, tenant_id)
    known: Catalog = catalog(fields)
    zone = await tenants.zone(conn, tenant_id)
    now = utc_now()
    c = t.contact.c
    erased = await conn.scalar(select(exists().where(c.tenant_id == tenant_id, c.erased_at.is_not(None))))
    return Compiler(tenant_id, known, now.astimezone(zone).date(), zone, now, bool(erased), archived(fields))


_BOUND = """
    SELECT set_config('statement_timeout', :limit, true), set_config('work_mem', '64MB', true),
           set_config('plan_cache_mode', 'force_custom_plan', true)
"""
# The planner knows how a column's values are spread, not how those of one field are, and takes sets for much
# smaller than they are. So it is told: a whole set is gone through once ...
_WHOLE = text(f"{_BOUND}, set_config('enable_nestloop', 'off', true)")
# ... and of a sample each person is looked up.
_SAMPLED = text(
    f"{_BOUND}, set_config('enable_nestloop', 'on', true), set_config('enable_hashjoin', 'off', true),"
    " set_config('enable_mergejoin', 'off', true)"
)


async def bound(conn: AsyncConnection, limit_ms: int, *, sampled: bool = False) -> None:
    """Give the transaction's statements so long each, and memory to hash a million ids in. They are about
    whole sets, or about a sample."""
    await conn.execute(_SAMPLED if sampled else _WHOLE, {"limit": str(limit_ms)})


async def count(conn: AsyncConnection, make: Compiler, expression: Expression) -> int:
    """How many people are in a segment."""
    ids, others = make.named(expression)
    named = await conn.scalar(select(func.count()).select_from(ids.subquery())) or 0
    if not others:
        return named
    c = t.contact.c
    mine = select(func.count()).where(c.tenant_id == make.tenant_id)
    everybody = await conn.scalar(mine) or 0
    erased = (await conn.scalar(mine.where(c.erased_at.is_not(None))) or 0) if make.erased else 0
    return max(everybody - erased - named, 0)


async def estimate(conn: AsyncConnection, make: Compiler, expression: Expression) -> int:
    """About how many, by a sample of the table's pages: each of its people is looked at alone."""
    rows = await conn.scalar(
        text("SELECT greatest(reltuples, 1) FROM pg_class WHERE oid = 'contact'::regclass")
    )
    percent = min(100.0, SAMPLE * 100 / float(rows or 1))
    some = t.contact.tablesample(func.system(percent), name="some")
    query = (
        select(func.count())
        .select_from(some)
        .where(
            some.c.tenant_id == make.tenant_id,
            some.c.erased_at.is_(None),
            make.of(expression, some.c.id, alone=True),
        )
    )
    return round((await conn.scalar(query) or 0) * 100 / percent)


async def first(
    conn: AsyncConnection, make: Compiler, expression: Expression, *, after: int | None, limit: int
) -> list[int]:
    """The ids of a segment's people in the order they came, from after that one."""
    inside = make.ids(expression).subquery()
    query = select(inside.c.contact_id)
    if after is not None:
        query = query.where(inside.c.contact_id > after)
    return list(await conn.scalars(query.order_by(inside.c.contact_id).limit(limit)))


async def fill(conn: AsyncConnection, make: Compiler, segment_id: int, expression: Expression) -> int:
    """Make the segment's list of who is in it now; the list's id. Call `lock` before."""
    tenant_id = make.tenant_id
    mine = _SEGMENT.tenant_id == tenant_id, _SEGMENT.id == segment_id
    row = (await conn.execute(select(_SEGMENT.list_id, _SEGMENT.name).where(*mine))).one()
    list_id = row.list_id
    if list_id is None:
        list_id = await conn.scalar(
            insert(t.contact_list)
            .values(tenant_id=tenant_id, name=row.name, of_segment=True)
            .returning(t.contact_list.c.id)
        )
        await conn.execute(update(t.segment).where(*mine).values(list_id=list_id))
    m = t.list_contact.c
    inside = make.ids(expression).subquery()
    here = exists().where(m.tenant_id == tenant_id, m.list_id == list_id, m.contact_id == inside.c.contact_id)
    coming = select(
        literal(tenant_id, m.tenant_id.type), literal(list_id, m.list_id.type), inside.c.contact_id
    )
    await conn.execute(
        insert(t.list_contact).from_select(["tenant_id", "list_id", "contact_id"], coming.where(~here))
    )
    await conn.execute(
        delete(t.list_contact).where(
            m.tenant_id == tenant_id, m.list_id == list_id, ~make.of(expression, m.contact_id)
        )
    )
    await conn.execute(update(t.segment).where(*mine).values(filled_at=func.now()))
    return int(list_id)


# -- campaigns -----------------------------------------------------------------------------------------------


async def use(
    conn: AsyncConnection, tenant_id: int, campaign_id: int, segment_id: int, *, frozen: bool
) -> bool:
    """Have a campaign call a segment; False when it does already."""
    known = await conn.scalar(
        select(
            exists().where(
                _USE.tenant_id == tenant_id, _USE.campaign_id == campaign_id, _USE.segment_id == segment_id
            )
        )
    )
    if not known:
        await conn.execute(
            insert(t.campaign_segment).values(
                tenant_id=tenant_id, campaign_id=campaign_id, segment_id=segment_id, frozen=frozen
            )
        )
    return not known


async def let_go(conn: AsyncConnection, tenant_id: int, campaign_id: int, segment_id: int) -> bool:
    """Have a campaign follow a segment no more; its leads stay. False: it did not."""
    done = await conn.execute(
        delete(t.campaign_segment).where(
            _USE.tenant_id == tenant_id, _USE.campaign_id == campaign_id, _USE.segment_id == segment_id
        )
    )
    return done.rowcount > 0


async def uses(conn: AsyncConnection, tenant_id: int, campaign_id: int) -> list[Use]:
    """The segments that a campaign calls, in the order in which they came."""
    c = t.lead.c
    leads = (
        select(func.count())
        .where(c.tenant_id == tenant_id, c.campaign_id == campaign_id, c.list_id == _SEGMENT.list_id)
        .scalar_subquery()
    )
    query = (
        select(_SEGMENT.id, _SEGMENT.name, _USE.frozen, _USE.added_at, _USE.led_at, leads)
        .join(t.segment, and_(_SEGMENT.tenant_id == _USE.tenant_id, _SEGMENT.id == _USE.segment_id))
        .where(_USE.tenant_id == tenant_id, _USE.campaign_id == campaign_id)
        .order_by(_USE.added_at, _SEGMENT.id)
    )
    return [Use(*row) for row in await conn.execute(query)]


@dataclass(frozen=True, slots=True)
class Due:
    """A campaign whose leads are to be made like one of its segments."""

    campaign_id: int
    segment_id: int
    #: and then stay as they are
    freeze: bool
    #: leads of who has left are closed
    follows: bool


async def due(conn: AsyncConnection, tenant_id: int) -> list[Due]:
    """What is to be done now: new ones at once, frozen ones once more at the campaign's first start, those
    that are followed every FOLLOW_EVERY while the campaign runs."""
    c = t.campaign.c
    thaws = and_(_USE.frozen, _USE.frozen_at.is_(None), c.started_at.is_not(None))
    stale = and_(
        ~_USE.frozen,
        c.status == "running",
        or_(_USE.led_at < c.started_at, _USE.led_at < func.now() - FOLLOW_EVERY),
    )
    query = (
        select(_USE.campaign_id, _USE.segment_id, thaws, ~_USE.frozen)
        .join(t.campaign, and_(c.tenant_id == _USE.tenant_id, c.id == _USE.campaign_id))
        .where(_USE.tenant_id == tenant_id, c.status != "stopped", or_(_USE.led_at.is_(None), thaws, stale))
        .order_by(_USE.campaign_id, _USE.segment_id)
    )
    return [Due(*row) for row in await conn.execute(query)]


_MEMBER = """
    EXISTS (
        SELECT FROM campaign_segment u
          JOIN segment s ON s.tenant_id = u.tenant_id AND s.id = u.segment_id
          JOIN list_contact m ON m.tenant_id = s.tenant_id AND m.list_id = s.list_id
         WHERE u.tenant_id = lead.tenant_id AND u.campaign_id = lead.campaign_id
           AND m.contact_id = lead.contact_id)
"""
#: Those whom nobody has called yet; who is in another segment of the campaign stays.
_CLOSE = text(f"""
    UPDATE lead SET status = 'closed', hold = NULL, closed_reason = 'segment'
     WHERE tenant_id = :tenant_id AND id IN (
           SELECT id FROM lead
            WHERE tenant_id = :tenant_id AND campaign_id = :campaign_id AND list_id = :list_id
              AND status IN ('new', 'waiting') AND attempts = 0 AND NOT {_MEMBER}
              FOR UPDATE SKIP LOCKED)
""")  # noqa: S608 - no value is put in
_OPEN = text(f"""
    UPDATE lead SET status = 'new', closed_reason = NULL
     WHERE tenant_id = :tenant_id AND id IN (
           SELECT id FROM lead
            WHERE tenant_id = :tenant_id AND campaign_id = :campaign_id AND list_id = :list_id
              AND status = 'closed' AND closed_reason = 'segment' AND {_MEMBER}
              FOR UPDATE SKIP LOCKED)
""")  # noqa: S608 - no value is put in


@dataclass(frozen=True, slots=True)
class Led:
    """What was done to a campaign's leads."""

    added: int
    closed: int
    opened: int


async def lead(conn: AsyncConnection, tenant_id: int, what: Due, list_id: int) -> Led:
    """Make a campaign's leads like the segment's list."""
    added = await leadstore.add_leads_of_list(conn, tenant_id, what.campaign_id, list_id)
    closed = opened = 0
    if what.follows or what.freeze:
        values = {"tenant_id": tenant_id, "campaign_id": what.campaign_id, "list_id": list_id}
        opened = (await conn.execute(_OPEN, values)).rowcount
        closed = (await conn.execute(_CLOSE, values)).rowcount
    await led(conn, tenant_id, what)
    return Led(added, closed, opened)


async def led(conn: AsyncConnection, tenant_id: int, what: Due) -> None:
    """Note that it is done."""
    values: dict[str, Any] = {"led_at": func.now()}
    if what.freeze:
        values["frozen_at"] = func.now()
    await conn.execute(
        update(t.campaign_segment)
        .where(
            _USE.tenant_id == tenant_id,
            _USE.campaign_id == what.campaign_id,
            _USE.segment_id == what.segment_id,
        )
        .values(**values)
    )


async def places(conn: AsyncConnection, tenant_id: int) -> tuple[Sequence[Any], Sequence[Any]]:
    """The lists and campaigns that expressions may name: (id, name) of each, by name."""
    c, k = t.contact_list.c, t.campaign.c
    lists = select(c.id, c.name).where(c.tenant_id == tenant_id, ~c.of_segment).order_by(c.name)
    campaigns = select(k.id, k.name).where(k.tenant_id == tenant_id).order_by(k.name)
    return (await conn.execute(lists)).all(), (await conn.execute(campaigns)).all()
