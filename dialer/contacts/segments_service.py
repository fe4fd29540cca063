"""What can be done with segments and with grids, whose cells may be segments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.contacts import rfm_store
from dialer.contacts import segments_store as store
from dialer.contacts import store as contacts
from dialer.contacts.fields import FieldType
from dialer.contacts.fields_store import fields as fields_of
from dialer.contacts.model import Contact
from dialer.contacts.rfm import MAX_BANDS, MIN_BANDS, Grid, cell
from dialer.contacts.segments import Catalog, Expression, ExpressionFault, document, parse, places_of
from dialer.contacts.segments_sql import Compiler
from dialer.contacts.segments_store import Segment, Use
from dialer.db.listen import JOBS
from dialer.db.session import Database
from dialer.errors import Conflict, Invalid, NotFound
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right
from dialer.said import Said

#: A segment is counted for so long; then it is told about how many.
EXACT_MS = 180
#: And so long about how many: an expression that no index serves, over a base that no memory holds.
ABOUT_MS = 2000
#: Looking at its first people, and at those of a whole page of the API.
LOOK_MS = 5000
_CANCELED = "57014"


@dataclass(frozen=True, slots=True)
class Count:
    """How many people are in a segment."""

    #: None: it took too long to tell even about
    people: int | None
    #: whether they were counted; else it is told from a sample
    exact: bool


@dataclass(frozen=True, slots=True)
class Places:
    """Lists and campaigns by id, as expressions may name them."""

    lists: Mapping[int, str]
    campaigns: Mapping[int, str]


class SegmentService:
    """Segments and grids of a tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- who is in one ------------------------------------------------------------------------------------

    async def catalog(self, actor: Actor) -> tuple[Catalog, Places]:
        """The fields that expressions may name, with the lists and campaigns."""
        actor.require(Right.CONTACTS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            make = await store.compiler(conn, actor.tenant_id)
            return make.known, await _places(conn, actor.tenant_id)

    async def count(self, actor: Actor, said: object) -> Count:
        """How many people an expression is true of: counted, or told from a sample where that takes longer
        than EXACT_MS. Raises Invalid."""
        actor.require(Right.CONTACTS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            make, expression = await self._read(conn, actor, said)
        exact = await self._within(EXACT_MS, actor, make, expression)
        if exact is not None:
            return Count(exact, exact=True)
        return Count(await self._within(ABOUT_MS, actor, make, expression, sampled=True), exact=False)

    async def _within(
        self, limit_ms: int, actor: Actor, make: Compiler, expression: Expression, *, sampled: bool = False
    ) -> int | None:
        """The answer; None when it takes longer."""
        async with self._database.tenant(actor.tenant_id) as conn:
            await store.bound(conn, limit_ms, sampled=sampled)
            try:
                return await (store.estimate if sampled else store.count)(conn, make, expression)
            except DBAPIError as error:
                # The transaction is broken, and ends as if nothing had been in it; nothing was.
                if getattr(error.orig, "sqlstate", None) != _CANCELED:
                    raise
                return None

    async def people(
        self, actor: Actor, said: object, *, after: int | None = None, limit: int = 20
    ) -> list[Contact]:
        """The first people of an expression in the order they came, from after that one. Raises Invalid."""
        actor.require(Right.CONTACTS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            make, expression = await self._read(conn, actor, said)
            await store.bound(conn, LOOK_MS)
            ids = await store.first(conn, make, expression, after=after, limit=limit)
            found = [await contacts.get_contact(conn, actor.tenant_id, one) for one in ids]
        return [one for one in found if one is not None]

    async def _read(self, conn: AsyncConnection, actor: Actor, said: object) -> tuple[Compiler, Expression]:
        make = await store.compiler(conn, actor.tenant_id)
        try:
            expression = parse(said, make.known, make.gone)
        except ExpressionFault as fault:
            raise Invalid(field=fault.path, reason=fault.reason) from None
        names = await _places(conn, actor.tenant_id)
        for field, known in (("list", names.lists), ("campaign", names.campaigns)):
            if missing := places_of(expression, field) - known.keys():
                raise Invalid(
                    field="expression", reason=Said("there is no {what} {key}", what=field, key=min(missing))
                )
        return make, expression

    # -- segments -----------------------------------------------------------------------------------------

    async def segments(self, actor: Actor) -> list[Segment]:
        """All segments by their names."""
        actor.require(Right.CONTACTS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await store.segments(conn, actor.tenant_id)

    async def get(self, actor: Actor, segment_id: int) -> Segment:
        """A segment. Raises NotFound."""
        actor.require(Right.CONTACTS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await _get(conn, actor, segment_id)

    async def add(self, actor: Actor, name: str, said: object) -> Segment:
        """Keep an expression under a name. Raises Invalid, Conflict when the name is taken."""
        actor.require(Right.CONTACTS_EDIT)
        try:
            async with self._database.tenant(actor.tenant_id) as conn:
                _, expression = await self._read(conn, actor, said)
                segment_id = await self._add(conn, actor, name, expression)
                return await _get(conn, actor, segment_id)
        except IntegrityError:  # two took the name at the same moment
            raise _name_taken(name) from None

    async def _add(
        self, conn: AsyncConnection, actor: Actor, name: str, expression: Expression, **of: Any
    ) -> int:
        if await store.name_taken(conn, actor.tenant_id, name):
            raise _name_taken(name)
        segment_id = await store.add(conn, actor.tenant_id, name, document(expression), **of)
        await audit.record(conn, actor, "segment.create", f"segment:{segment_id}", name=name)
        return segment_id

    async def change(
        self, actor: Actor, segment_id: int, name: str | None = None, said: object = None
    ) -> Segment:
        """Give a segment another name or expression; campaigns that follow it do so soon.

        Raises NotFound, Invalid, Conflict.
        """
        actor.require(Right.CONTACTS_EDIT)
        try:
            async with self._database.tenant(actor.tenant_id) as conn:
                old = await _locked(conn, actor, segment_id)
                meant = old.expression
                if said is not None and said != meant:
                    if old.grid_id is not None:
                        raise Conflict(reason="a cell of a grid means what the grid says")
                    _, expression = await self._read(conn, actor, said)
                    meant = document(expression)
                name = old.name if name is None else name
                if name != old.name and await store.name_taken(conn, actor.tenant_id, name, but=segment_id):
                    raise _name_taken(name)
                await store.change(conn, actor.tenant_id, segment_id, name, meant)
                await audit.record(conn, actor, "segment.change", f"segment:{segment_id}", name=name)
                await _notify(conn)
                return await _get(conn, actor, segment_id)
        except IntegrityError:
            raise _name_taken(str(name)) from None

    async def remove(self, actor: Actor, segment_id: int) -> None:
        """Remove a segment. Raises NotFound, Conflict while campaigns have leads of it."""
        actor.require(Right.CONTACTS_EDIT)
        async with self._database.tenant(actor.tenant_id) as conn:
            await _locked(conn, actor, segment_id)
            if not await store.remove(conn, actor.tenant_id, segment_id):
                raise Conflict(reason="campaigns call the segment or have leads of it; it cannot be removed")
            await audit.record(conn, actor, "segment.remove", f"segment:{segment_id}")

    # -- campaigns ----------------------------------------------------------------------------------------

    async def uses(self, actor: Actor, campaign_id: int) -> list[Use]:
        """The segments that a campaign calls. Raises NotFound."""
        actor.require(Right.CAMPAIGNS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            await _check_campaign(conn, actor, campaign_id)
            return await store.uses(conn, actor.tenant_id, campaign_id)

    async def use(self, actor: Actor, campaign_id: int, segment_id: int, *, frozen: bool) -> list[Use]:
        """Have a campaign call a segment; its leads are made soon. Raises NotFound, Conflict."""
        actor.require(Right.CAMPAIGNS_EDIT)
        async with self._database.tenant(actor.tenant_id) as conn:
            await _check_campaign(conn, actor, campaign_id)
            await _locked(conn, actor, segment_id)
            if not await store.use(conn, actor.tenant_id, campaign_id, segment_id, frozen=frozen):
                raise Conflict(reason="the campaign calls the segment already")
            await audit.record(
                conn,
                actor,
                "campaign.use_segment",
                f"campaign:{campaign_id}",
                segment=segment_id,
                frozen=frozen,
            )
            await _notify(conn)
            return await store.uses(conn, actor.tenant_id, campaign_id)

    async def let_go(self, actor: Actor, campaign_id: int, segment_id: int) -> None:
        """Have a campaign follow a segment no more; the leads that it has stay. Raises NotFound."""
        actor.require(Right.CAMPAIGNS_EDIT)
        async with self._database.tenant(actor.tenant_id) as conn:
            if not await store.let_go(conn, actor.tenant_id, campaign_id, segment_id):
                raise NotFound(what="segment", key=segment_id)
            await audit.record(
                conn, actor, "campaign.let_segment_go", f"campaign:{campaign_id}", segment=segment_id
            )

    # -- grids --------------------------------------------------------------------------------------------

    async def grids(self, actor: Actor) -> list[Grid]:
        """All grids by their names."""
        actor.require(Right.CONTACTS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await rfm_store.grids(conn, actor.tenant_id)

    async def grid(self, actor: Actor, grid_id: int) -> Grid:
        """A grid. Raises NotFound."""
        actor.require(Right.CONTACTS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await _grid(conn, actor, grid_id)

    async def add_grid(self, actor: Actor, name: str, money: tuple[int, int], days: tuple[int, int]) -> Grid:
        """A grid of two fields, (id, bands) each; it is counted soon. Raises Invalid, Conflict."""
        actor.require(Right.CONTACTS_EDIT)
        try:
            async with self._database.tenant(actor.tenant_id) as conn:
                known = {one.id: one for one in await fields_of(conn, actor.tenant_id) if not one.archived}
                wanted = (
                    ("money_field", money, {FieldType.MONEY, FieldType.NUMBER}),
                    ("day_field", days, {FieldType.DATE}),
                )
                for place, (field_id, bands), kinds in wanted:
                    if field_id not in known or known[field_id].spec.type not in kinds:
                        raise Invalid(field=place, reason="is no field of this type")
                    if not MIN_BANDS <= bands <= MAX_BANDS:
                        raise Invalid(field=place, reason="needs 2 to 10 bands")
                grid_id = await rfm_store.add(conn, actor.tenant_id, name, money, days)
                if grid_id is None:
                    raise Conflict(reason=Said("there is a grid {name} already", name=name))
                await audit.record(conn, actor, "grid.create", f"grid:{grid_id}", name=name)
                await _notify(conn)
                return await _grid(conn, actor, grid_id)
        except IntegrityError:
            raise Conflict(reason=Said("there is a grid {name} already", name=name)) from None

    async def recount_grid(self, actor: Actor, grid_id: int) -> Grid:
        """Count a grid now. Raises NotFound."""
        actor.require(Right.CONTACTS_EDIT)
        async with self._database.tenant(actor.tenant_id) as conn:
            await _grid(conn, actor, grid_id)
            await rfm_store.recount(conn, actor.tenant_id, grid_id)
            return await _grid(conn, actor, grid_id)

    async def remove_grid(self, actor: Actor, grid_id: int) -> None:
        """Remove a grid. Raises NotFound, Conflict while its cells are segments."""
        actor.require(Right.CONTACTS_EDIT)
        async with self._database.tenant(actor.tenant_id) as conn:
            await _grid(conn, actor, grid_id)
            if not await rfm_store.remove(conn, actor.tenant_id, grid_id):
                raise Conflict(reason="cells of the grid are segments; remove these first")
            await audit.record(conn, actor, "grid.remove", f"grid:{grid_id}")

    async def add_cell(self, actor: Actor, grid_id: int, place: tuple[int, int], name: str) -> Segment:
        """Make a cell of a grid, (band of money, band of days), a segment; it moves with the grid's bands.

        Raises NotFound, Conflict.
        """
        actor.require(Right.CONTACTS_EDIT)
        try:
            async with self._database.tenant(actor.tenant_id) as conn:
                grid = await _grid(conn, actor, grid_id)
                if place not in grid.cells:
                    raise NotFound(what="cell", key=f"{place[0]}-{place[1]}")
                expression = cell(grid, *await rfm_store.keys(conn, actor.tenant_id, grid), *place)
                segment_id = await self._add(conn, actor, name, expression, grid_id=grid_id, cell=place)
                return await _get(conn, actor, segment_id)
        except IntegrityError:
            raise _name_taken(name) from None


async def _get(conn: AsyncConnection, actor: Actor, segment_id: int) -> Segment:
    found = await store.get(conn, actor.tenant_id, segment_id)
    if found is None:
        raise NotFound(what="segment", key=segment_id)
    return found


async def _locked(conn: AsyncConnection, actor: Actor, segment_id: int) -> Segment:
    await store.lock(conn, actor.tenant_id, segment_id)
    return await _get(conn, actor, segment_id)


async def _grid(conn: AsyncConnection, actor: Actor, grid_id: int) -> Grid:
    found = await rfm_store.get(conn, actor.tenant_id, grid_id)
    if found is None:
        raise NotFound(what="grid", key=grid_id)
    return found


async def _check_campaign(conn: AsyncConnection, actor: Actor, campaign_id: int) -> None:
    if not await contacts.campaign_exists(conn, actor.tenant_id, campaign_id):
        raise NotFound(what="campaign", key=campaign_id)


async def _places(conn: AsyncConnection, tenant_id: int) -> Places:
    lists, campaigns = await store.places(conn, tenant_id)
    return Places({row.id: row.name for row in lists}, {row.id: row.name for row in campaigns})


def _name_taken(name: str) -> Conflict:
    return Conflict(reason=Said("there is a list or a segment {name} already", name=name))


async def _notify(conn: AsyncConnection) -> None:
    """Wake the jobs process when the transaction commits."""
    await conn.execute(select(func.pg_notify(JOBS, "")))
