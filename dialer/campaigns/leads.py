"""Which leads of a campaign come when, as people set it: shares of its lists, quotas, priorities, recycling.

All of it may be changed while the campaign runs. What touches many leads is carried out by the jobs process
(`scheduler.changes`); what is asked before each attempt holds at once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator
from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.campaigns import store
from dialer.campaigns.fields import Id, Kind
from dialer.campaigns.model import Campaign, Status
from dialer.clock import utc_now
from dialer.contacts.numbers import BadNumber, read_number
from dialer.db import events
from dialer.db.session import Database
from dialer.db.sort_key import sort_key
from dialer.db.tables import (
    DISPOSITION_KINDS,
    RESULTS,
    campaign_list,
    campaign_quota,
    contact_list,
    lead,
)
from dialer.errors import Invalid, NotFound, WrongState
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right
from dialer.httpkit.schema import In, Line
from dialer.said import Said
from scheduler import changes, quotas
from scheduler.changes import LeadChange, What
from scheduler.order import PRIORITIES
from scheduler.quotas import Quota
from scheduler.recycling import NEVER, Recycle

MOST_LEADS = 10_000
_E164 = re.compile(r"\+[0-9]{5,15}")
#: Why leads are closed, for people to choose from: results, kinds of dispositions, and the end of attempts.
CLOSED_FOR = tuple(
    dict.fromkeys(("max_attempts", *RESULTS, *(kind for kind in DISPOSITION_KINDS if kind not in NEVER)))
)


class ShareIn(In):
    """A list's share of a campaign's calls."""

    list_id: Id
    share: int = Field(ge=1, le=10_000, description="of the sum of all shares")


class SharesIn(In):
    """All shares of a campaign; none: its lists are dialled as one."""

    items: list[ShareIn] = Field(max_length=100)

    @field_validator("items")
    @classmethod
    def _each_once(cls, value: list[ShareIn]) -> list[ShareIn]:
        if len({item.list_id for item in value}) != len(value):
            raise ValueError("names a list twice")
        return value


class QuotaIn(In):
    """A quota: so many talks with people that have the value."""

    field: Line = Field(min_length=1, max_length=100, description="field of contacts, as files name it")
    value: Line = Field(min_length=1, max_length=200, description="compared in small letters")
    wanted: int = Field(ge=0, le=10_000_000, description="talks; so many, and nobody more is dialled")
    counts: list[Kind] = Field(
        default=["sale"], min_length=1, max_length=8, description="kinds of dispositions that count"
    )


class QuotasIn(In):
    """All quotas of a campaign."""

    items: list[QuotaIn] = Field(max_length=200)

    @field_validator("items")
    @classmethod
    def _each_once(cls, value: list[QuotaIn]) -> list[QuotaIn]:
        if len({(item.field, item.value.lower()) for item in value}) != len(value):
            raise ValueError("names a field and value twice")
        return value


class PriorityIn(In):
    """A priority for leads of a campaign: those of these ids or numbers, or of a list."""

    priority: int = Field(ge=PRIORITIES[0], le=PRIORITIES[1], description="higher is dialled first")
    leads: list[Id] = Field(default=[], max_length=MOST_LEADS, description="ids of leads")
    numbers: list[Annotated[str, StringConstraints(min_length=1, max_length=40)]] = Field(
        default=[], max_length=MOST_LEADS, description="of leads, as people write them"
    )
    list_id: Id | None = Field(default=None, description="all leads of the list")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(map(bool, (self.leads, self.numbers, self.list_id))) != 1:
            raise ValueError("one of leads, numbers and list_id must be given")
        return self


Reason = Literal[
    "max_attempts",
    "answered",
    "busy",
    "no_answer",
    "invalid",
    "congestion",
    "declined",
    "machine",
    "abandoned",
    "caller_hung_up",
    "failed",
    "canceled",
    "unknown",
    "sale",
    "interest",
    "callback",
    "refusal",
    "wrong_person",
    "no_contact",
    "other",
]
assert set(Reason.__args__) == set(CLOSED_FOR)  # type: ignore[attr-defined]


class RecycleIn(In):
    """Which closed leads begin anew, and how. Who asked not to be called never does."""

    reasons: list[Reason] = Field(default=[], description="why they were closed; none: whatever it was")
    results: list[str] = Field(
        default=[], max_length=20, description="what their last attempt came to; none: whatever it was"
    )
    older_than_s: int = Field(
        default=0, ge=0, le=10 * 366 * 24 * 3600, description="so long since the last attempt, seconds"
    )
    reset_attempts: bool = Field(
        default=True, description="they get all their attempts again; else each gets one more"
    )

    @field_validator("results")
    @classmethod
    def _known(cls, value: list[str]) -> list[str]:
        if not set(value) <= set(RESULTS):
            raise ValueError(Said("must be one of: {expected}", expected=", ".join(RESULTS)))
        return value

    @property
    def rule(self) -> Recycle:
        """As the scheduler takes it."""
        return Recycle(tuple(self.reasons), tuple(self.results), self.older_than_s, self.reset_attempts)


@dataclass(frozen=True, slots=True)
class ListShare:
    """A list of a campaign."""

    list_id: int
    name: str
    #: None: it has none
    share: int | None
    #: leads dialled today
    dialled: int
    #: leads of it that the campaign has
    leads: int


@dataclass(frozen=True, slots=True)
class Closed:
    """Closed leads of one kind."""

    reason: str
    result: str | None
    leads: int


_LISTS = text(
    """
    SELECT t.id, t.name, s.share,
           CASE WHEN s.dialled_on = (SELECT CAST(now() AT TIME ZONE z.timezone AS date) FROM tenant z
                                      WHERE z.id = :tenant_id)
                THEN s.dialled ELSE 0 END, coalesce(n.leads, 0)
      FROM contact_list t
      LEFT JOIN campaign_list s
        ON s.tenant_id = t.tenant_id AND s.list_id = t.id AND s.campaign_id = :campaign_id
      LEFT JOIN (SELECT list_id, count(*) AS leads FROM lead
                  WHERE tenant_id = :tenant_id AND campaign_id = :campaign_id GROUP BY list_id) n
        ON n.list_id = t.id
     WHERE t.tenant_id = :tenant_id AND (s.share IS NOT NULL OR n.leads IS NOT NULL)
     ORDER BY t.id
    """
)
_PLACE = sort_key(
    "k.lead_order",
    priority="CAST(:priority AS integer)",
    added_at="l.created_at",
    attempts="l.attempts",
    contact_id="l.contact_id",
    campaign_id="l.campaign_id",
)
#: By which leads are named; locked in the order in which everybody locks leads.
_PRIORITY = {
    name: text(
        f"""
        UPDATE lead l
           SET priority = CAST(:priority AS integer),
               sort_key = CASE k.lead_order WHEN 'priority' THEN {_PLACE} ELSE l.sort_key END
          FROM campaign k,
               (SELECT id FROM lead
                 WHERE tenant_id = :tenant_id AND campaign_id = :campaign_id AND {which}
                 ORDER BY id FOR UPDATE) n
         WHERE l.tenant_id = :tenant_id AND l.id = n.id
           AND k.tenant_id = l.tenant_id AND k.id = l.campaign_id
        """  # noqa: S608 - texts of ours
    )
    for name, which in (
        ("leads", "id = ANY (CAST(:which AS bigint[]))"),
        ("numbers", "e164 = ANY (CAST(:which AS text[]))"),
        ("list_id", "list_id = CAST(:which AS bigint)"),
    )
}


class LeadService:
    """What comes next in the campaigns of a tenant."""

    def __init__(self, database: Database, region: str) -> None:
        self._database = database
        # the country of numbers that are written without one
        self._region = region

    # -- lists ---------------------------------------------------------------------------------------------

    async def shares(self, actor: Actor, campaign_id: int) -> list[ListShare]:
        """The campaign's lists with their shares. Raises NotFound."""
        actor.require(Right.CAMPAIGNS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            await _found(conn, actor, campaign_id)
            return await _shares(conn, actor.tenant_id, campaign_id)

    async def set_shares(self, actor: Actor, campaign_id: int, wanted: SharesIn) -> list[ListShare]:
        """Replace them; what was dialled today counts on. Raises NotFound, WrongState, Invalid."""
        actor.require(Right.CAMPAIGNS_EDIT)
        tenant_id, c = actor.tenant_id, campaign_list.c
        async with self._database.tenant(tenant_id) as conn:
            await _open(conn, actor, campaign_id)
            ids = [item.list_id for item in wanted.items]
            await _check_lists(conn, tenant_id, ids, "items")
            before = {one.list_id: one.dialled for one in await _shares(conn, tenant_id, campaign_id)}
            await conn.execute(
                delete(campaign_list).where(c.tenant_id == tenant_id, c.campaign_id == campaign_id)
            )
            if wanted.items:
                today = text("(SELECT CAST(now() AT TIME ZONE timezone AS date) FROM tenant WHERE id = :z)")
                day = await conn.scalar(select(today.bindparams(z=tenant_id)))
                rows = [
                    {
                        "tenant_id": tenant_id,
                        "campaign_id": campaign_id,
                        "list_id": item.list_id,
                        "share": item.share,
                        "dialled": before.get(item.list_id, 0),
                        "dialled_on": day,
                    }
                    for item in wanted.items
                ]
                await conn.execute(insert(campaign_list), rows)
            said = {str(item.list_id): item.share for item in wanted.items}
            await audit.record(conn, actor, "campaign.shares", f"campaign:{campaign_id}", shares=said)
            await events.wake(conn, "campaigns", tenant_id=tenant_id)
            return await _shares(conn, tenant_id, campaign_id)

    # -- quotas --------------------------------------------------------------------------------------------

    async def quotas(self, actor: Actor, campaign_id: int) -> list[Quota]:
        """The campaign's quotas. Raises NotFound."""
        actor.require(Right.CAMPAIGNS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            await _found(conn, actor, campaign_id)
            return await quotas.quotas(conn, actor.tenant_id, campaign_id)

    async def set_quotas(self, actor: Actor, campaign_id: int, wanted: QuotasIn) -> list[Quota]:
        """Replace them; talks that were had count for new ones too. Raises NotFound, WrongState, Invalid."""
        actor.require(Right.CAMPAIGNS_EDIT)
        tenant_id, c = actor.tenant_id, campaign_quota.c
        async with self._database.tenant(tenant_id) as conn:
            await _open(conn, actor, campaign_id)
            for place, item in enumerate(wanted.items):
                if not await quotas.has_field(conn, tenant_id, campaign_id, item.field):
                    raise Invalid(
                        field=f"items.{place}.field", reason="no lead of the campaign has this field"
                    )
            before = {
                (one.field, one.value.lower()): one
                for one in await quotas.quotas(conn, tenant_id, campaign_id)
            }
            await conn.execute(
                delete(campaign_quota).where(c.tenant_id == tenant_id, c.campaign_id == campaign_id)
            )
            for item in wanted.items:
                was = before.get((item.field, item.value.lower()))
                await conn.execute(
                    insert(campaign_quota).values(
                        tenant_id=tenant_id,
                        campaign_id=campaign_id,
                        field=item.field,
                        value=item.value,
                        wanted=item.wanted,
                        counts=sorted(item.counts),
                        reached=was.reached if was and set(was.counts) == set(item.counts) else 0,
                    )
                )
                if was is None or set(was.counts) != set(item.counts):
                    await quotas.recount(conn, tenant_id, campaign_id, item.field, item.value)
            said = [f"{item.field}={item.value}: {item.wanted}" for item in wanted.items]
            await audit.record(conn, actor, "campaign.quotas", f"campaign:{campaign_id}", quotas=said)
            await quotas.changed(conn, tenant_id, campaign_id)
            await events.wake(conn, "campaigns", tenant_id=tenant_id)
            return await quotas.quotas(conn, tenant_id, campaign_id)

    # -- priorities ----------------------------------------------------------------------------------------

    async def set_priority(self, actor: Actor, campaign_id: int, wanted: PriorityIn) -> int:
        """Give leads a priority; how many there were. Raises NotFound, WrongState, Invalid."""
        actor.require(Right.CAMPAIGNS_EDIT)
        tenant_id = actor.tenant_id
        async with self._database.tenant(tenant_id) as conn:
            await _open(conn, actor, campaign_id)
            by = next(name for name in _PRIORITY if getattr(wanted, name))
            which = self._in_e164(wanted.numbers) if by == "numbers" else getattr(wanted, by)
            if wanted.list_id is not None:
                await _check_lists(conn, tenant_id, [wanted.list_id], "list_id")
            values = {"tenant_id": tenant_id, "campaign_id": campaign_id, "priority": wanted.priority}
            done = await conn.execute(_PRIORITY[by], values | {"which": which})
            await audit.record(
                conn,
                actor,
                "campaign.priority",
                f"campaign:{campaign_id}",
                priority=wanted.priority,
                list_id=wanted.list_id,
                leads=done.rowcount,
            )
            await events.wake(conn, "campaigns", tenant_id=tenant_id)
        return done.rowcount

    # -- recycling -----------------------------------------------------------------------------------------

    async def closed(self, actor: Actor, campaign_id: int) -> list[Closed]:
        """The campaign's closed leads by why they were closed, the most first. Raises NotFound."""
        actor.require(Right.CAMPAIGNS_READ)
        c = lead.c
        async with self._database.tenant(actor.tenant_id) as conn:
            await _found(conn, actor, campaign_id)
            rows = await conn.execute(
                select(func.coalesce(c.closed_reason, ""), c.last_result, func.count())
                .where(c.tenant_id == actor.tenant_id, c.campaign_id == campaign_id, c.status == "closed")
                .group_by(c.closed_reason, c.last_result)
                .order_by(func.count().desc(), c.closed_reason, c.last_result)
            )
            return [Closed(*row) for row in rows]

    async def would_recycle(self, actor: Actor, campaign_id: int, wanted: RecycleIn) -> int:
        """How many leads would begin anew. Raises NotFound."""
        actor.require(Right.CAMPAIGNS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            await _found(conn, actor, campaign_id)
            return await changes.would_recycle(conn, actor.tenant_id, campaign_id, wanted.rule, utc_now())

    async def recycle(self, actor: Actor, campaign_id: int, wanted: RecycleIn) -> tuple[LeadChange, int]:
        """Have closed leads begin anew: what was asked for, and how many leads it is about. Raises NotFound,
        WrongState."""
        actor.require(Right.CAMPAIGNS_EDIT)
        tenant_id = actor.tenant_id
        async with self._database.tenant(tenant_id) as conn:
            await _open(conn, actor, campaign_id)
            leads = await changes.would_recycle(conn, tenant_id, campaign_id, wanted.rule, utc_now())
            await changes.ask(conn, tenant_id, campaign_id, What.RECYCLE, wanted.rule)
            await audit.record(
                conn,
                actor,
                "campaign.recycle",
                f"campaign:{campaign_id}",
                leads=leads,
                **wanted.rule.as_kept(),
            )
            made = await changes.latest(conn, tenant_id, campaign_id, What.RECYCLE)
        return made[0], leads

    async def recycled(self, actor: Actor, campaign_id: int) -> list[LeadChange]:
        """The latest recyclings, done or under way, the last first. Raises NotFound."""
        actor.require(Right.CAMPAIGNS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            await _found(conn, actor, campaign_id)
            return await changes.latest(conn, actor.tenant_id, campaign_id, What.RECYCLE)

    def _in_e164(self, numbers: Sequence[str]) -> list[str]:
        found = []
        for written in numbers:
            if _E164.fullmatch(written):
                found.append(written)
                continue
            read = read_number(written, self._region)
            if isinstance(read, BadNumber):
                raise Invalid(field="numbers", reason=Said("{number} is no phone number", number=written))
            found.append(read.e164)
        return found


async def _check_lists(conn: AsyncConnection, tenant_id: int, ids: Sequence[int], field: str) -> None:
    c = contact_list.c
    known = await conn.scalars(select(c.id).where(c.tenant_id == tenant_id, c.id.in_(ids)))
    if unknown := set(ids) - set(known):
        missing = ", ".join(map(str, sorted(unknown)))
        raise Invalid(field=field, reason=Said("there is no list {ids}", ids=missing))


async def _shares(conn: AsyncConnection, tenant_id: int, campaign_id: int) -> list[ListShare]:
    rows = await conn.execute(_LISTS, {"tenant_id": tenant_id, "campaign_id": campaign_id})
    return [ListShare(*row) for row in rows]


async def _found(conn: AsyncConnection, actor: Actor, campaign_id: int, *, lock: bool = False) -> Campaign:
    found = await store.one(conn, actor.tenant_id, campaign_id, lock=lock)
    if found is None:
        raise NotFound(what="campaign", key=campaign_id)
    return found


async def _open(conn: AsyncConnection, actor: Actor, campaign_id: int) -> None:
    """Lock the campaign. Raises NotFound, and WrongState for one that has ended."""
    found = await _found(conn, actor, campaign_id, lock=True)
    if found.status is Status.STOPPED:
        raise WrongState(what=found.name, state=found.status.value, allowed="draft, running or paused")


__all__: Sequence[str] = (
    "CLOSED_FOR",
    "Closed",
    "LeadService",
    "ListShare",
    "PriorityIn",
    "QuotaIn",
    "QuotasIn",
    "RecycleIn",
    "ShareIn",
    "SharesIn",
)
