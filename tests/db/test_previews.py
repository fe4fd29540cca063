"""A file that waits for a person, with a real database: looked at, changed, started, thrown away."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update
from support.floor import Floor
from support.imports import BOSS, Lists, count, many, pieces

from dialer.clock import utc_now
from dialer.contacts import previews as module
from dialer.contacts.importing import file_of, run_next_import
from dialer.contacts.mappings import MappingService
from dialer.contacts.model import Counts, ImportJob, ImportStatus
from dialer.contacts.old_previews import KEPT, OldPreviews
from dialer.contacts.previews import PreviewService
from dialer.contacts.reading import Reading
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.errors import Forbidden, Invalid, NoPhoneColumn, NotFound, WrongState
from dialer.httpkit.access import Role

DIRTY = (
    "Тел;Имя;Авто\n"
    "8 (916) 000-00-01;Анна;Lada\n"  # in another list
    "89160000002;Иван;Kia\n"
    "+7 916 000 00 02;Иван;Kia\n"  # stood higher
    "нет;Ольга;Volvo\n"
    ";;\n"
    "89160000003;Пётр;\n"  # in this list
    "12;;\n"
)


@pytest.fixture
async def lists(database: Database, tmp_path: Path) -> Lists:
    """Two lists; Anna is in the summer's, Pyotr in the spring's."""
    made = await Lists.open(database, tmp_path)
    await made.bring(made.summer, "89160000001;;Анна\n")
    await made.bring(made.spring, "89160000003;;Пётр\n")
    return made


@pytest.fixture
def service(lists: Lists) -> PreviewService:
    """The service on the lists' database and folder."""
    return PreviewService(lists.database, lists.settings)


async def put(lists: Lists, content: str = DIRTY, campaign_id: int | None = None) -> ImportJob:
    """Upload a file that is to be looked at."""
    return await lists.service.add_import(
        BOSS, lists.spring, "осень.csv", pieces(content.encode()), campaign_id, preview=True
    )


async def test_a_file_waits_until_it_is_started(lists: Lists, service: PreviewService) -> None:
    """The jobs process passes over it; started, it does what the preview said it would."""
    job = await put(lists)
    assert (job.status, job.about_rows) == (ImportStatus.PREVIEW, 7)
    assert not await run_next_import(lists.database, lists.settings)
    trial = (await service.preview(BOSS, job.id)).trial
    assert trial is not None and not trial.cut
    assert trial.counts == Counts(rows=7, loaded=1, joined=1, duplicates=2, rejected=2, filled=1)
    started = await service.start(BOSS, job.id)
    assert started.status is ImportStatus.QUEUED
    assert await run_next_import(lists.database, lists.settings)
    ended = await lists.service.get_import(BOSS, job.id)
    assert (ended.status, ended.counts) == (ImportStatus.DONE, trial.counts)
    assert not file_of(lists.settings, 1, job.id).exists()


async def test_looking_changes_nothing(lists: Lists, service: PreviewService) -> None:
    """No contact, no lead, no reject."""
    before = {table: await count(lists.database, table) for table in ("contact", "list_contact", "lead")}
    job = await put(lists, campaign_id=(await Floor.open(lists.database)).campaign_id)
    shown = await service.preview(BOSS, job.id)
    assert shown.campaign is not None
    after = {table: await count(lists.database, table) for table in ("contact", "list_contact", "lead")}
    assert after == before
    assert await count(lists.database, "import_reject") == 0


async def test_what_a_preview_shows(lists: Lists, service: PreviewService) -> None:
    """The rows as read, what each column is, what will be rejected and why."""
    shown = await service.preview(BOSS, (await put(lists)).id)
    assert shown.words == ("phone", "first_name", "custom")
    assert [row.number for row in shown.rows] == [1, 2, 3, 4, 5, 6, 7]
    assert shown.trial is not None
    assert shown.trial.codes == {"letters": 1, "too_short": 1}
    assert [(one.row, one.column, one.value) for one in shown.trial.rejects] == [
        (4, "Тел", "нет"),
        (7, "Тел", "12"),
    ]


async def test_a_trial_of_several_batches_counts_as_loading_does(
    lists: Lists, service: PreviewService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who stood in an earlier batch is known in a later one; beyond the limit it says that there is more."""
    content = many(2500).decode() + "+79160000000;снова\n89160000001;А\n89160000001;Б\n"
    job = await put(lists, content)
    trial = (await service.preview(BOSS, job.id)).trial
    # Anna joins, Pyotr is in the list; the last three stood higher.
    assert trial is not None
    assert trial.counts == Counts(rows=2503, loaded=2498, joined=1, duplicates=4)
    monkeypatch.setattr(module, "TRIED_ROWS", 2000)
    cut = (await service.preview(BOSS, job.id)).trial
    assert cut is not None
    assert (cut.cut, cut.counts.rows) == (True, 2000)


async def test_a_file_is_read_as_one_decides(lists: Lists, service: PreviewService) -> None:
    """Other columns, another campaign; what is decided is what is loaded."""
    campaign_id = (await Floor.open(lists.database)).campaign_id
    job = await put(lists, "кому;зачем\n89160000009;ТО\n")
    shown = await service.preview(BOSS, job.id)
    assert shown.trial is None
    assert isinstance(shown.fault, NoPhoneColumn)
    with pytest.raises(NoPhoneColumn):
        await service.start(BOSS, job.id)
    mapping = {"кому": "phone", "зачем": "custom:reason"}
    await service.change(BOSS, job.id, Reading(mapping=mapping), campaign_id)
    shown = await service.preview(BOSS, job.id)
    assert (shown.fault, shown.words) == (None, ("phone", "custom:reason"))
    await service.start(BOSS, job.id)
    assert await run_next_import(lists.database, lists.settings)
    (found,) = await lists.service.contacts(BOSS, number="89160000009")
    assert found.custom == {"reason": "ТО"}
    async with lists.database.tenant(1) as conn:
        assert list(await conn.scalars(select(t.lead.c.campaign_id))) == [campaign_id]


async def test_the_last_used_mapping_is_proposed(lists: Lists, service: PreviewService) -> None:
    """A file with its columns comes with it; to start is to use."""
    mappings = MappingService(lists.database)
    saved = await mappings.add(BOSS, "Осень", {"Тел": "phone", "Имя": "skip"})
    job = await put(lists)
    shown = await service.preview(BOSS, job.id)
    assert (shown.chosen, shown.words) == (saved, ("phone", "skip", "custom"))
    await service.change(BOSS, job.id, Reading())
    assert (await service.preview(BOSS, job.id)).chosen is None
    await service.change(BOSS, job.id, Reading(), mapping_id=saved.id)
    await service.start(BOSS, job.id)
    assert (await mappings.get(BOSS, saved.id)).used_at is not None
    other = await put(lists, "phone\n89160000001\n")
    assert (await service.preview(BOSS, other.id)).chosen is None


async def test_what_cannot_be_is_refused(lists: Lists, service: PreviewService) -> None:
    """A mapping that says nonsense, a campaign or a mapping that is not there; what was decided stays."""
    job = await put(lists)
    with pytest.raises(Invalid):
        await service.change(BOSS, job.id, Reading(mapping={"Тел": "telephone"}))
    with pytest.raises(NotFound):
        await service.change(BOSS, job.id, Reading(), 999)
    with pytest.raises(NotFound):
        await service.change(BOSS, job.id, Reading(), mapping_id=999)
    assert (await lists.service.get_import(BOSS, job.id)).reading == Reading()


async def test_only_what_waits_can_be_looked_at(lists: Lists, service: PreviewService) -> None:
    """Started once, it is neither changed, started again nor thrown away."""
    job = await put(lists)
    await service.start(BOSS, job.id)
    for late in (
        service.preview(BOSS, job.id),
        service.change(BOSS, job.id, Reading()),
        service.start(BOSS, job.id),
        service.discard(BOSS, job.id),
    ):
        with pytest.raises(WrongState):
            await late
    with pytest.raises(NotFound):
        await service.preview(BOSS, job.id + 1)


async def test_a_file_is_thrown_away(lists: Lists, service: PreviewService) -> None:
    """Row and file are gone at once."""
    job = await put(lists)
    path = file_of(lists.settings, 1, job.id)
    assert path.exists()
    await service.discard(BOSS, job.id)
    assert not path.exists()
    with pytest.raises(NotFound):
        await lists.service.get_import(BOSS, job.id)


async def test_operators_have_no_right(lists: Lists, service: PreviewService) -> None:
    """None of it is an operator's."""
    operator = replace(BOSS, role=Role.OPERATOR)
    job = await put(lists)
    for refused in (
        service.preview(operator, job.id),
        service.change(operator, job.id, Reading()),
        service.start(operator, job.id),
        service.discard(operator, job.id),
    ):
        with pytest.raises(Forbidden):
            await refused


async def test_after_a_day_it_is_gone(lists: Lists, database: Database) -> None:
    """Row and file of what nobody started; what waits for the jobs process stays, however old it is."""
    old, young = await put(lists), await put(lists)
    queued = await lists.service.add_import(BOSS, lists.spring, "b.csv", pieces(many(1)))
    async with database.tenant(1) as conn:
        past = utc_now() - KEPT - timedelta(minutes=1)
        for job in (old, queued):
            await conn.execute(
                update(t.import_job).where(t.import_job.c.id == job.id).values(created_at=past)
            )
    for job in (old, queued):
        path = file_of(lists.settings, 1, job.id)
        os.utime(path, (time.time() - KEPT.total_seconds() - 60,) * 2)
    orphan = file_of(lists.settings, 1, 999_999)
    orphan.write_bytes(b"phone\n")
    os.utime(orphan, (0, 0))
    assert await OldPreviews(database, lists.settings).sweep() == 1
    left = {path.name for path in (lists.settings.data_dir / "imports").iterdir()}
    assert left == {file_of(lists.settings, 1, job.id).name for job in (young, queued)}
    with pytest.raises(NotFound):
        await lists.service.get_import(BOSS, old.id)
