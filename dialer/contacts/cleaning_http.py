"""Passes that bring the values of a base to one form, over HTTP."""

from __future__ import annotations

from datetime import datetime

from aiohttp import web
from pydantic import Field

from dialer.contacts.cleaning_service import CleaningRun, CleaningService
from dialer.errors import Conflict, NotFound
from dialer.httpkit.access import Right
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import In, Out

CLEANING = web.AppKey("cleaning", CleaningService)

routes = Routes("contacts")


class CleaningIn(In):
    """A pass that is asked for."""

    dry: bool = Field(True, description="only say what would change")


class ExampleOut(Out):
    """One value."""

    contact_id: int
    old: str
    new: str = Field(description="of a mark: what was probably meant, where that can be told")


class CleaningOut(Out):
    """A pass over the base."""

    id: int
    dry: bool
    status: str = Field(description="queued, running, done, failed")
    looked: int = Field(description="contacts looked at so far")
    changed: int = Field(description="of these the ones with a value that is, or would be, changed")
    counts: dict[str, int] = Field(
        description="values that are changed (name, split, email, vin, plate), and that are only marked"
        " (email_form, email_domain, email_letters, vin_length, vin_letters, plate_form)"
    )
    examples: dict[str, list[ExampleOut]] = Field(description="the first few of each")
    created_at: datetime
    finished_at: datetime | None


def cleaning_out(run: CleaningRun) -> CleaningOut:
    """A pass as the API shows it."""
    return CleaningOut(
        id=run.id,
        dry=run.dry,
        status=run.status,
        looked=run.looked,
        changed=run.changed,
        counts=dict(run.counts),
        examples={
            what: [ExampleOut(contact_id=contact_id, old=old, new=new) for contact_id, old, new in some]
            for what, some in run.examples.items()
        },
        created_at=run.created_at,
        finished_at=run.finished_at,
    )


@routes.post("/cleanings", right=Right.CONTACTS_EDIT, status=202, errors=(Conflict,))
async def clean(call: Call, body: CleaningIn) -> CleaningOut:
    """Have all contacts looked through, and changed unless the pass is dry.

    A dry pass says what would change, a real one changes it, with each old value in the contact's history.
    See `GET /cleanings/{cleaning_id}` or the event `cleaning.progress`.
    """
    return cleaning_out(await call.app[CLEANING].begin(call.actor, dry=body.dry))


@routes.get("/cleanings/{cleaning_id}", right=Right.CONTACTS_READ, errors=(NotFound,))
async def get_cleaning(call: Call, cleaning_id: int) -> CleaningOut:
    """How far a pass is, and what it has found."""
    return cleaning_out(await call.app[CLEANING].get(call.actor, cleaning_id))
