"""A pass over the base brings values to one form, or says what it would change; with a real database."""

from __future__ import annotations

import pytest
from support.base import Base

from dialer.clean_command import look_through
from dialer.contacts.cleaning_service import Cleaning, CleaningRun, CleaningService
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.errors import Conflict, Forbidden, NotFound
from dialer.httpkit.access import Actor, Role

BOSS = Actor(1, None, Role.SUPERVISOR, "Supervisor", "ru")


@pytest.fixture
async def base(database: Database) -> Base:
    """A base of three contacts, two of them untidy."""
    base = await Base.open(database)
    await base.contact("ИВАНОВ", "+79160000001", email="A@B.Example", custom={"VIN": "xta210990y2766389"})
    await base.contact("Петров", "+79160000002")
    await base.contact("иванова анна петровна", "+79160000003", email="анна")
    return base


async def whole(base: Base, *, dry: bool) -> CleaningRun:
    """A pass from its beginning to its end, a contact a batch."""
    run = await CleaningService(base.database).begin(BOSS, dry=dry)
    work = Cleaning(base.database, batch=1)
    while (step := await work.step(1)) is not None:
        run = step
    return run


async def test_a_dry_pass_says_what_would_change(base: Base) -> None:
    """It counts, with examples, and writes nothing."""
    before = await base.rows(t.contact)
    run = await whole(base, dry=True)
    assert (run.status, run.looked, run.changed) == ("done", 3, 2)
    assert run.counts == {"name": 2, "split": 1, "email": 1, "vin": 1, "email_form": 1}
    assert run.examples["email"] == [(1, "A@B.Example", "A@b.example")]
    assert await base.rows(t.contact) == before
    assert await base.rows(t.contact_event) == []


async def test_a_real_pass_writes_with_history(base: Base) -> None:
    """It writes what the dry one has told, each old value is in the history; a second pass finds nothing."""
    run = await whole(base, dry=False)
    assert (run.looked, run.changed) == (3, 2)
    assert await base.rows(t.contact, "last_name", "first_name", "email", "custom") == [
        ("Иванов", "", "A@b.example", {"VIN": "XTA210990Y2766389"}),
        ("Петров", "", "", {}),
        ("Иванова", "Анна", "анна", {}),
    ]
    first, second = await base.rows(t.contact_event, "contact_id", "kind", "detail")
    assert first == (
        1,
        "cleaned",
        {
            "last_name": ["ИВАНОВ", "Иванов"],
            "email": ["A@B.Example", "A@b.example"],
            "custom.VIN": ["xta210990y2766389", "XTA210990Y2766389"],
        },
    )
    assert second.detail["middle_name"] == ["", "Петровна"]
    assert (await whole(base, dry=False)).changed == 0


async def test_one_pass_at_a_time(base: Base) -> None:
    """While one is under way no other begins; the last one is the one that is shown."""
    service = CleaningService(base.database)
    assert await service.latest(BOSS) is None
    run = await service.begin(BOSS, dry=True)
    with pytest.raises(Conflict):
        await service.begin(BOSS, dry=True)
    assert await service.latest(BOSS) == run == await service.get(BOSS, run.id)
    with pytest.raises(NotFound):
        await service.get(BOSS, run.id + 1)
    with pytest.raises(Forbidden):
        await service.begin(Actor(1, None, Role.OPERATOR, "Agent", "ru"), dry=True)


async def test_the_command_line_does_a_whole_pass(base: Base) -> None:
    """`dozvon clean` comes to the end by itself."""
    run = await look_through(base.database, dry_run=True)
    assert (run.status, run.dry, run.looked, run.changed) == ("done", True, 3, 2)
