"""How good the base of contacts is: duplicates, numbers that lead to nobody, values to be cleaned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from dialer.contacts.cleaning_http import CLEANING
from dialer.contacts.dead_numbers_http import DEAD_NUMBERS
from dialer.contacts.duplicates_http import DUPLICATES
from dialer.contacts.duplicates_service import PairView
from dialer.contacts.merging import FIELDS
from dialer.contacts.model import Contact
from dialer.contacts.tidying import MARKS, WHAT
from dialer.errors import DozvonError, Invalid
from dialer.httpkit.access import Right
from dialer.httpkit.identity import page_actor
from dialer.httpkit.paging import decode, encode
from dialer.httpkit.problems import locale_of
from dialer.httpkit.stream import HUB
from dialer.web import forms
from dialer.web.render import page
from dialer.web.views.door import see

routes = web.RouteTableDef()
PAIRS = 50
NUMBERS = 100
MERGES = 10


@dataclass(frozen=True, slots=True)
class Line:
    """A field of two contacts beside each other."""

    #: `email`, `custom.VIN`
    field: str
    #: as it is told; a word of `merge_field`, or the header of a custom column
    label: str
    custom: bool
    first: str
    second: str

    @property
    def differs(self) -> bool:
        """Whether a person has to choose."""
        return bool(self.first and self.second and self.first != self.second)


@routes.get("/lists/quality")
async def summary(request: web.Request) -> web.StreamResponse:
    """What is to be done, and the pass that cleans."""
    return await _summary(request, {})


async def _summary(request: web.Request, faults: dict[str, str], status: int = 200) -> web.StreamResponse:
    actor = page_actor(request, Right.CONTACTS_READ)
    since = await request.app[HUB].newest()
    counts, left = await request.app[DUPLICATES].counts(actor)
    return await page(
        request,
        "quality.html",
        status=status,
        since=since,
        pairs={kind.value: many for kind, many in counts.items()},
        left=left,
        dead=await request.app[DEAD_NUMBERS].by_list(actor),
        in_a_row=await request.app[DEAD_NUMBERS].in_a_row(actor),
        run=await request.app[CLEANING].latest(actor),
        whats=WHAT,
        marks=MARKS,
        faults=faults,
    )


# -- cleaning -----------------------------------------------------------------------------------------------


@routes.get("/lists/cleaning")
async def cleaning(request: web.Request) -> web.StreamResponse:
    """The last pass: the part that changes while it goes on."""
    actor = page_actor(request, Right.CONTACTS_READ)
    run = await request.app[CLEANING].latest(actor)
    return await page(request, "parts/cleaning.html", run=run, whats=WHAT, marks=MARKS)


@routes.post("/lists/cleaning")
async def clean(request: web.Request) -> web.StreamResponse:
    """Have all contacts looked through, or changed."""
    actor = page_actor(request, Right.CONTACTS_EDIT)
    try:
        await request.app[CLEANING].begin(actor, dry=await forms.field(request, "do") != "change")
    except DozvonError as error:
        return await _summary(request, forms.faults(error, locale_of(request)), error.status)
    return see("/lists/quality#cleaning")


# -- dead numbers -------------------------------------------------------------------------------------------


@routes.get("/lists/dead-numbers")
async def dead_numbers(request: web.Request) -> web.StreamResponse:
    """Numbers that lead to nobody."""
    actor = page_actor(request, Right.CONTACTS_READ)
    chosen = request.query.get("list", "")
    list_id = forms.whole(chosen, "list") if chosen else None
    service = request.app[DEAD_NUMBERS]
    found = await service.page(
        actor,
        list_id=list_id,
        after=decode(request.query.get("cursor"), str, int),
        limit=NUMBERS + 1,
    )
    following = encode(found[NUMBERS - 1].e164, found[NUMBERS - 1].id) if len(found) > NUMBERS else None
    return await page(
        request,
        "dead_numbers.html",
        numbers=found[:NUMBERS],
        following=following,
        lists=await service.by_list(actor),
        chosen=list_id,
    )


@routes.post("/lists/dead-numbers/rule")
async def set_rule(request: web.Request) -> web.StreamResponse:
    """How many calls it takes."""
    actor = page_actor(request, Right.CONTACTS_EDIT)
    try:
        in_a_row = forms.whole(await forms.field(request, "in_a_row"), "in_a_row")
        if not 1 <= in_a_row <= 10:
            raise Invalid(field="in_a_row", reason="must be a whole number")
        await request.app[DEAD_NUMBERS].set_in_a_row(actor, in_a_row)
    except DozvonError as error:
        return await _summary(request, forms.faults(error, locale_of(request)), error.status)
    return see("/lists/quality#dead")


@routes.post("/lists/dead-numbers/{what:confirm|revive}")
async def decide(request: web.Request) -> web.StreamResponse:
    """A person says what a number is."""
    actor = page_actor(request, Right.CONTACTS_EDIT)
    service, number = request.app[DEAD_NUMBERS], await forms.field(request, "number")
    if request.match_info["what"] == "revive":
        await service.revive(actor, number)
    else:
        await service.confirm(actor, number)
    chosen = await forms.field(request, "list")
    return see(f"/lists/dead-numbers?list={chosen}" if chosen.isdecimal() else "/lists/dead-numbers")


# -- duplicates ---------------------------------------------------------------------------------------------


@routes.get("/lists/duplicates")
async def duplicates(request: web.Request) -> web.StreamResponse:
    """Pairs that may be one person, and what was merged lately."""
    actor = page_actor(request, Right.CONTACTS_READ)
    service = request.app[DUPLICATES]
    found = await service.page(actor, after=decode(request.query.get("cursor"), float, int), limit=PAIRS + 1)
    last = found[PAIRS - 1].pair if len(found) > PAIRS else None
    return await page(
        request,
        "duplicates.html",
        pairs=found[:PAIRS],
        left=(await service.counts(actor))[1],
        following=encode(last.score.value, last.id) if last else None,
        merges=await service.merges(actor, limit=MERGES),
    )


@routes.get("/lists/duplicates/{pair_id:[0-9]{1,18}}")
async def review(request: web.Request) -> web.StreamResponse:
    """A pair side by side."""
    actor = page_actor(request, Right.CONTACTS_READ)
    view = await request.app[DUPLICATES].get(actor, _pair_id(request))
    return await page(request, "duplicate.html", view=view, lines=lines(view))


def lines(view: PairView) -> list[Line]:
    """Every field that either of the two has."""
    first, second = view.first, view.second
    found = [
        Line(name, name, False, getattr(first, name) or "", getattr(second, name) or "") for name in FIELDS
    ]
    headers = [*first.custom, *(header for header in second.custom if header not in first.custom)]
    found += [
        Line(f"custom.{header}", header, True, _value(first, header), _value(second, header))
        for header in headers
    ]
    return [line for line in found if line.first or line.second]


def _value(contact: Contact, header: str) -> str:
    return str(contact.custom.get(header, ""))


@routes.post("/lists/duplicates/{pair_id:[0-9]{1,18}}/merge")
async def merge(request: web.Request) -> web.StreamResponse:
    """Make the two one, with the values that were chosen."""
    actor = page_actor(request, Right.CONTACTS_EDIT)
    form = await forms.texts(request)
    service = request.app[DUPLICATES]
    view = await service.get(actor, _pair_id(request))
    survivor = form.get("survivor", "first")
    kept, gone = (view.first, view.second) if survivor == "first" else (view.second, view.first)
    take = [
        line.field
        for line in lines(view)
        if line.differs and form.get(f"take.{line.field}", survivor) != survivor
    ]
    await service.merge(actor, kept.id, gone.id, take)
    return await _next(request)


@routes.post("/lists/duplicates/{pair_id:[0-9]{1,18}}/different")
async def different(request: web.Request) -> web.StreamResponse:
    """They are two people."""
    actor = page_actor(request, Right.CONTACTS_EDIT)
    await request.app[DUPLICATES].differ(actor, _pair_id(request))
    return await _next(request)


async def _next(request: web.Request) -> web.StreamResponse:
    """The next pair is looked at at once: there may be thousands."""
    actor = page_actor(request, Right.CONTACTS_READ)
    found: Sequence[PairView] = await request.app[DUPLICATES].page(actor, limit=1)
    return see(f"/lists/duplicates/{found[0].pair.id}" if found else "/lists/duplicates")


@routes.post("/lists/merges/{merge_id:[0-9]{1,18}}/undo")
async def undo(request: web.Request) -> web.StreamResponse:
    """Make them two again."""
    actor = page_actor(request, Right.CONTACTS_EDIT)
    await request.app[DUPLICATES].undo(actor, int(request.match_info["merge_id"]))
    return see("/lists/duplicates")


def _pair_id(request: web.Request) -> int:
    return int(request.match_info["pair_id"])
