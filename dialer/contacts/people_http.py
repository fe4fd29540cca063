"""One person over HTTP: search, card, numbers, consents, history."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self

from aiohttp import web
from pydantic import AfterValidator, Field, model_validator

from dialer.compliance.policy import Hours, Purpose
from dialer.contacts.agreed import MAX_PROOF, MAX_SOURCE
from dialer.contacts.cleaning import Mark, clean_email
from dialer.contacts.history import SOURCES
from dialer.contacts.model import MAX_CUSTOM, MAX_EMAIL, MAX_EXTERNAL_ID, MAX_NAME, MAX_PHONES
from dialer.contacts.people import MAX_SEARCH, PersonService
from dialer.contacts.people_base import Person
from dialer.contacts.people_model import MAX_CUSTOM_FIELDS, MAX_LABEL, Card, Number
from dialer.contacts.rows import read_timezone
from dialer.errors import BadNumber, Conflict, Forbidden, Invalid, NotFound, WrongState
from dialer.httpkit.access import Right
from dialer.httpkit.paging import Page, PageQuery, cut, decode, encode
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import In, Line, Moment, Out, form

PEOPLE = web.AppKey("people", PersonService)
routes = Routes("people")


def _email(text: str) -> str:
    found = clean_email(text)
    if found.mark is Mark.EMAIL_FORM:
        raise ValueError("must be an e-mail address")
    return found.value


def _zone(text: str | None) -> str | None:
    if not text:
        return None
    zone = read_timezone(text)
    if zone is None:
        raise ValueError("must be a time zone like Asia/Omsk, UTC+5 or MSK+2")
    return zone


Name = Annotated[Line, Field(max_length=MAX_NAME)]
Email = Annotated[Line, Field(max_length=MAX_EMAIL), AfterValidator(_email)]
Zone = Annotated[Line | None, Field(max_length=MAX_NAME), AfterValidator(_zone)]
CLOCK = form(r"^([01]\d|2[0-3]):[0-5]\d$|^24:00$", "must be a time of the day like 09:30")
Clock = Annotated[
    str,
    Field(
        pattern=CLOCK,
        description="HH:MM",
    ),
]
CustomName = Annotated[Line, Field(min_length=1, max_length=MAX_NAME)]
CustomText = Annotated[str, Field(max_length=MAX_CUSTOM)]


class GoodHours(In):
    """Hours at which the person asked to be called, by their own clock."""

    opens: Clock
    closes: Clock = Field(description="not any more at that minute; `24:00` is midnight")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.opens >= self.closes:
            raise ValueError("must open before they close")
        return self

    def hours(self) -> Hours:
        """As the rules take them."""
        return Hours.parse(self.opens, self.closes)


class PersonFields(In):
    """Fields of a card; what is left out stays as it is."""

    last_name: Name = ""
    first_name: Name = ""
    middle_name: Name = ""
    email: Email = ""
    timezone: Zone = Field(None, description="IANA name, `UTC+5` or `MSK+2`; null: the numbers' own zones")
    external_id: Annotated[Line, Field(max_length=MAX_EXTERNAL_ID)] | None = None
    custom: dict[CustomName, CustomText | None] = Field(
        default_factory=dict, max_length=MAX_CUSTOM_FIELDS, description="other fields; null takes one away"
    )

    def given(self) -> dict[str, Any]:
        """The fields of the card that are named."""
        named = self.model_fields_set & PersonFields.model_fields.keys() - {"custom"}
        return {name: getattr(self, name) for name in named}


class NewPerson(PersonFields):
    """A card to be made by hand."""

    numbers: list[Annotated[Line, Field(max_length=50)]] = Field(
        min_length=1, max_length=MAX_PHONES, description="however written; the first is dialled first"
    )
    even_if_known: bool = Field(False, description="make it although somebody has one of the numbers")


class NumberIn(In):
    """A number to be added to a card."""

    number: Line = Field(max_length=50, description="however written")
    label: Line = Field("", max_length=MAX_LABEL, description="as people call it: `work`")
    good: GoodHours | None = None
    first: bool = Field(False, description="dial it first; else last")


class NumberChange(In):
    """What is to be changed of a number; what is left out stays as it is."""

    number: Line | None = Field(None, max_length=50, description="the corrected number, however written")
    label: Line | None = Field(None, max_length=MAX_LABEL)
    good: GoodHours | None = Field(None, description="null: at any hour")


class OrderIn(In):
    """The numbers of a card in the order in which they are dialled."""

    phones: list[int] = Field(min_length=1, max_length=MAX_PHONES, description="ids, each once")


class ConsentIn(In):
    """What a person agrees to."""

    purpose: Purpose
    source: Line = Field(min_length=1, max_length=MAX_SOURCE, description="where it was given")
    proof: str = Field("", max_length=MAX_PROOF, description="what shows it: an address, a number, words")
    valid_from: Moment | None = Field(None, description="null: now")
    valid_until: Moment | None = Field(None, description="null: until it is withdrawn")


class NumberOut(Out):
    """A number of a person."""

    id: int
    position: int = Field(description="1 is dialled first")
    number: str = Field(description="masked for who may not see whole numbers")
    kind: str = Field(description="mobile, fixed_line, toll_free, ...")
    label: str
    timezones: list[str]
    good_from: str | None = Field(description="asked to be called from here, HH:MM by their clock")
    good_until: str | None
    busy: bool = Field(description="it is in a call now")
    dead: bool = Field(description="it leads to nobody, and is not dialled")


class CardOut(Out):
    """A person, as a search shows them."""

    id: int
    external_id: str | None
    last_name: str
    first_name: str
    middle_name: str
    email: str
    timezone: str | None
    custom: dict[str, str]
    created_at: datetime
    erased_at: datetime | None = Field(description="nothing of the person is left since then")
    numbers: list[NumberOut]


class MembershipOut(Out):
    """A list that has the person."""

    list_id: int
    name: str
    added_at: datetime


class LeadOut(Out):
    """A number of the person that a campaign calls, or has called."""

    id: int
    campaign_id: int
    campaign: str
    list_id: int
    number: str
    status: str
    hold: str | None = Field(description="what it rests for")
    open_from: datetime
    attempts: int
    last_result: str | None
    last_attempt_at: datetime | None
    closed_reason: str | None


class ConsentOut(Out):
    """A consent on record."""

    id: int
    purpose: Purpose
    source: str
    proof: str
    valid_from: datetime
    valid_until: datetime | None
    withdrawn_at: datetime | None
    created_at: datetime
    by: str | None = Field(description="who wrote it down; null: the server, from a file")
    withdrawn_by: str | None


class PersonOut(CardOut):
    """All about a person."""

    lists: list[MembershipOut]
    leads: list[LeadOut]
    consents: list[ConsentOut]


class EntryOut(Out):
    """One thing that happened."""

    at: datetime
    source: str = Field(description=", ".join(SOURCES))
    key: str = Field(description="id of the call, the list, ...")
    kind: str = Field(
        description="of an event: created, changed, phone_added, ...; of a promised call that is over: "
        "callback_done, callback_missed, callback_canceled; of a letter letter_waiting, letter_sent, "
        "letter_failed; else the source"
    )
    by: str | None
    detail: dict[str, Any]


class SearchQuery(PageQuery):
    """Whom to find."""

    text: str = Field(
        "",
        max_length=MAX_SEARCH,
        description="a number however written, the beginning of an e-mail (with its `@`), or beginnings of "
        "words of the name; empty: the newest",
    )


@routes.get("/contacts/search", right=Right.CONTACTS_READ, errors=(BadNumber,))
async def search(call: Call, query: SearchQuery) -> Page[CardOut]:
    """Find people by number, e-mail or name."""
    key = decode(query.cursor, str, int)
    found = await call.app[PEOPLE].search(
        call.actor, query.text, after=(key[0], key[1]) if key else None, limit=query.limit
    )
    following = encode(*found.following) if found.following else None
    return Page[CardOut](items=[CardOut(**_card(one)) for one in found.cards], next=following)


@routes.post("/contacts", status=201, errors=(Forbidden, BadNumber, Conflict))
async def add(call: Call, body: NewPerson) -> PersonOut:
    """Make a card by hand; agents may, too."""
    made = await call.app[PEOPLE].add(
        call.actor,
        body.given(),
        body.numbers,
        {name: text for name, text in body.custom.items() if text},
        even_if_known=body.even_if_known,
    )
    return person_out(made)


@routes.get("/contacts/{contact_id}/card", errors=(NotFound, Forbidden))
async def person(call: Call, contact_id: int) -> PersonOut:
    """All about a person; an agent sees the one on the line. It is written down that they were looked at."""
    return person_out(await call.app[PEOPLE].person(call.actor, contact_id))


@routes.patch("/contacts/{contact_id}", errors=(NotFound, Forbidden, WrongState))
async def change(call: Call, contact_id: int, body: PersonFields) -> PersonOut:
    """Write fields of a card; the history keeps what stood there before."""
    changed = await call.app[PEOPLE].change(call.actor, contact_id, body.given(), body.custom)
    return person_out(changed)


@routes.get("/contacts/{contact_id}/history", errors=(NotFound, Forbidden))
async def history(call: Call, contact_id: int, query: PageQuery) -> Page[EntryOut]:
    """What happened to a person, newest first: calls of both directions, promised ones, visits, letters,
    lists, campaigns, consents, wishes not to be called, changes of the card."""
    key = decode(query.cursor, datetime, str, str)
    found = await call.app[PEOPLE].history(
        call.actor, contact_id, after=(key[0], key[1], key[2]) if key else None, limit=query.limit + 1
    )
    page, following = cut(found, query.limit, lambda one: (one.at, one.source, one.key))
    return Page[EntryOut](items=[EntryOut.model_validate(one) for one in page], next=following)


@routes.post(
    "/contacts/{contact_id}/numbers",
    status=201,
    errors=(NotFound, Forbidden, BadNumber, Conflict, WrongState),
)
async def add_number(call: Call, contact_id: int, body: NumberIn) -> PersonOut:
    """Add a number to a card."""
    good = body.good.hours() if body.good else None
    return person_out(
        await call.app[PEOPLE].add_number(
            call.actor, contact_id, body.number, label=body.label, good=good, first=body.first
        )
    )


@routes.patch(
    "/contacts/{contact_id}/numbers/{phone_id}",
    right=Right.CONTACTS_EDIT,
    errors=(NotFound, BadNumber, Conflict, WrongState),
)
async def change_number(call: Call, contact_id: int, phone_id: int, body: NumberChange) -> PersonOut:
    """Correct a number, name it, or say at which hours the person wants to be called on it."""
    good: Hours | bool | None = False
    if "good" in body.model_fields_set:
        good = body.good.hours() if body.good else None
    return person_out(
        await call.app[PEOPLE].change_number(
            call.actor, contact_id, phone_id, written=body.number, label=body.label, good=good
        )
    )


@routes.delete(
    "/contacts/{contact_id}/numbers/{phone_id}",
    right=Right.CONTACTS_EDIT,
    errors=(NotFound, Conflict, WrongState),
)
async def remove_number(call: Call, contact_id: int, phone_id: int) -> PersonOut:
    """Take a number off a card; leads that wait for it go on with another one."""
    return person_out(await call.app[PEOPLE].remove_number(call.actor, contact_id, phone_id))


@routes.put(
    "/contacts/{contact_id}/numbers", right=Right.CONTACTS_EDIT, errors=(NotFound, Invalid, WrongState)
)
async def order_numbers(call: Call, contact_id: int, body: OrderIn) -> PersonOut:
    """Say in which order the numbers are dialled."""
    return person_out(await call.app[PEOPLE].order_numbers(call.actor, contact_id, body.phones))


@routes.post("/contacts/{contact_id}/consents", status=201, errors=(NotFound, Forbidden, Invalid, WrongState))
async def add_consent(call: Call, contact_id: int, body: ConsentIn) -> PersonOut:
    """Write down that a person agrees to be called."""
    return person_out(
        await call.app[PEOPLE].add_consent(
            call.actor,
            contact_id,
            body.purpose,
            body.source,
            proof=body.proof,
            valid_from=body.valid_from,
            valid_until=body.valid_until,
        )
    )


@routes.post(
    "/contacts/{contact_id}/consents/{consent_id}/withdraw", errors=(NotFound, Forbidden, WrongState)
)
async def withdraw_consent(call: Call, contact_id: int, consent_id: int) -> PersonOut:
    """The person agrees no more, from now on."""
    return person_out(await call.app[PEOPLE].withdraw_consent(call.actor, contact_id, consent_id))


def person_out(one: Person) -> PersonOut:
    """A person as the API shows them."""
    return PersonOut(
        **_card(one.card),
        lists=[MembershipOut.model_validate(each) for each in one.lists],
        leads=[
            LeadOut(
                **{name: getattr(lead, name) for name in LeadOut.model_fields if name != "number"},
                number=lead.e164,
            )
            for lead in one.leads
        ],
        consents=[
            ConsentOut(
                **{name: getattr(record.consent, name) for name in type(record.consent).__slots__},
                created_at=record.created_at,
                by=record.by,
                withdrawn_by=record.withdrawn_by,
            )
            for record in one.consents
        ],
    )


def _card(card: Card) -> dict[str, Any]:
    fields = {name: getattr(card, name) for name in CardOut.model_fields if name != "numbers"}
    return {**fields, "numbers": [_number(number) for number in card.numbers]}


def _number(number: Number) -> NumberOut:
    opens, _, closes = str(number.good).partition("-") if number.good else ("", "", "")
    return NumberOut(
        id=number.id,
        position=number.position,
        number=number.e164,
        kind=number.kind,
        label=number.label,
        timezones=list(number.timezones),
        good_from=opens or None,
        good_until=closes or None,
        busy=number.busy,
        dead=number.dead,
    )
