"""Dead numbers over HTTP."""

from __future__ import annotations

from datetime import datetime

from aiohttp import web
from pydantic import Field

from dialer.contacts.dead_numbers import DeadReason
from dialer.contacts.dead_numbers_service import DeadNumberService
from dialer.errors import BadNumber, NotFound
from dialer.httpkit.access import Right
from dialer.httpkit.paging import MAX_ID, Page, PageQuery, cut, decode
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import In, Line, Out

DEAD_NUMBERS = web.AppKey("dead_numbers", DeadNumberService)

routes = Routes("contacts")


class DeadNumberOut(Out):
    """A number that leads to nobody."""

    id: int
    contact_id: int
    last_name: str
    first_name: str
    middle_name: str
    e164: str
    since: datetime
    reason: DeadReason = Field(description="`invalid`: by what calls came to; `confirmed`: by a person")
    invalid: int = Field(description="calls to it that came to `invalid`")
    others: int = Field(description="numbers of the contact that are not dead")


class DeadNumberQuery(PageQuery):
    """Which dead numbers."""

    list_id: int | None = Field(None, alias="list", ge=1, le=MAX_ID, description="of this list only")
    reason: DeadReason | None = None


class ListCountOut(Out):
    """Dead numbers of a list."""

    list_id: int
    name: str
    dead: int = Field(description="contacts with a dead number")
    unreachable: int = Field(description="contacts without any other")


class DeadNumberRule(In):
    """When a number counts as dead."""

    invalid_in_a_row: int = Field(
        ge=1, le=10, description="so many calls in a row, over any campaigns, have come to `invalid`"
    )


class DeadNumberRuleOut(Out):
    """When a number counts as dead."""

    invalid_in_a_row: int


class NumberIn(In):
    """A number."""

    number: Line = Field(min_length=1, max_length=50, description="written in any way")


@routes.get("/dead-numbers", right=Right.CONTACTS_READ)
async def dead_numbers(call: Call, query: DeadNumberQuery) -> Page[DeadNumberOut]:
    """Numbers that lead to nobody, which are not dialled."""
    found = await call.app[DEAD_NUMBERS].page(
        call.actor,
        list_id=query.list_id,
        reason=query.reason,
        after=decode(query.cursor, str, int),
        limit=query.limit + 1,
    )
    page, following = cut(found, query.limit, lambda one: (one.e164, one.id))
    return Page[DeadNumberOut](items=[DeadNumberOut.model_validate(one) for one in page], next=following)


@routes.get("/dead-numbers/lists", right=Right.CONTACTS_READ)
async def dead_numbers_by_list(call: Call) -> list[ListCountOut]:
    """How many dead numbers each list has, most first."""
    return [ListCountOut.model_validate(one) for one in await call.app[DEAD_NUMBERS].by_list(call.actor)]


@routes.get("/dead-numbers/rule", right=Right.CONTACTS_READ)
async def dead_number_rule(call: Call) -> DeadNumberRuleOut:
    """When a number counts as dead."""
    return DeadNumberRuleOut(invalid_in_a_row=await call.app[DEAD_NUMBERS].in_a_row(call.actor))


@routes.put("/dead-numbers/rule", right=Right.CONTACTS_EDIT)
async def set_dead_number_rule(call: Call, body: DeadNumberRule) -> DeadNumberRuleOut:
    """Change when a number counts as dead, from now on."""
    changed = await call.app[DEAD_NUMBERS].set_in_a_row(call.actor, body.invalid_in_a_row)
    return DeadNumberRuleOut(invalid_in_a_row=changed)


@routes.post("/dead-numbers/confirm", right=Right.CONTACTS_EDIT, errors=(BadNumber, NotFound))
async def confirm_dead_number(call: Call, body: NumberIn) -> None:
    """Say that a number leads to nobody.

    Its leads are closed, and the contact's next number takes their place.
    """
    await call.app[DEAD_NUMBERS].confirm(call.actor, body.number)


@routes.post("/dead-numbers/revive", right=Right.CONTACTS_EDIT, errors=(BadNumber, NotFound))
async def revive_dead_number(call: Call, body: NumberIn) -> None:
    """Say that a number is alive, whatever its calls came to until now.

    Its leads are opened again, where no other number of the contact has taken their place.
    """
    await call.app[DEAD_NUMBERS].revive(call.actor, body.number)
