"""Contacts over HTTP."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from dialer.contacts.keys import CONTACTS, only
from dialer.errors import BadNumber, NotFound
from dialer.httpkit.access import Right
from dialer.httpkit.paging import MAX_ID, Page, PageQuery, cut, decode
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import Out

routes = Routes("contacts")


class PhoneOut(Out):
    """A number of a contact."""

    position: int = Field(description="1 is dialled first")
    e164: str
    kind: str = Field(description="mobile, fixed_line, toll_free, ...")
    timezones: list[str] = Field(description="every zone in which the phone may be")


class ContactOut(Out):
    """A person that can be called."""

    id: int
    list_ids: list[int] = Field(description="the lists that have them, oldest first")
    external_id: str | None
    last_name: str
    first_name: str
    middle_name: str
    email: str
    timezone: str | None = Field(description="from the record; wins over the zones of the number")
    custom: dict[str, str] = Field(description="other columns of the file, by their header")
    created_at: datetime
    phones: list[PhoneOut]


class ContactQuery(PageQuery):
    """Which contacts."""

    list_id: int | None = Field(None, alias="list", ge=1, le=MAX_ID, description="of this list only")
    number: str | None = Field(None, max_length=50, description="with this number, written in any way")


@routes.get("/contacts", right=Right.CONTACTS_READ, errors=(BadNumber,))
async def contacts(call: Call, query: ContactQuery) -> Page[ContactOut]:
    """Contacts in the order they came, of a list or with a number."""
    found = await call.app[CONTACTS].contacts(
        call.actor,
        list_id=query.list_id,
        number=query.number,
        after=only(decode(query.cursor, int)),
        limit=query.limit + 1,
    )
    page, following = cut(found, query.limit, lambda one: (one.id,))
    return Page[ContactOut](items=[ContactOut.model_validate(one) for one in page], next=following)


@routes.get("/contacts/{contact_id}", right=Right.CONTACTS_READ, errors=(NotFound,))
async def get_contact(call: Call, contact_id: int) -> ContactOut:
    """One contact."""
    return ContactOut.model_validate(await call.app[CONTACTS].get_contact(call.actor, contact_id))
