"""A file on its way into a list, with a real database under row security."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text
from support.imports import BOSS, bring, count, many, pieces

from dialer.contacts import batches, store
from dialer.contacts.importing import file_of, run_import, run_next_import
from dialer.contacts.model import Counts, ImportJob, ImportStatus
from dialer.contacts.service import ContactService
from dialer.db import tables as t
from dialer.db.session import Database, connect
from dialer.errors import BadNumber, Conflict, Forbidden, NoPhoneColumn, NotFound, UnreadableFile
from dialer.httpkit.access import Actor, Role
from dialer.settings import Settings, load

# The same dirty file in two encodings. Row by row: two numbers and a foreign column; a duplicate of row 1
# within the file, written otherwise; letters; too short; no number; blank; a formula as a name with a good
# number; a formula as a number; a good row with a bad e-mail; a row with a cell too many.
DIRTY = """Фамилия;Имя;Телефон;Телефон 2;E-mail;Город
Иванов;Иван;8 (916) 123-45-67;+7 495 123-45-67;i@x.ru;Тверь
Иванов;Ваня;+79161234567;;;Тверь
Петров;Пётр;нет телефона;;;
Сидоров;Семён;12345;;;
Ёлкина;Анна;;;;

=HYPERLINK("http://x");Яна;89161234568;;;Омск
Орлов;Олег;=2+3;;;
Зуева;Зоя;89161234569;;нет@;Псков
Лишний;Лев;89161234570;;;Уфа;ещё
"""
COUNTS = Counts(rows=10, loaded=3, duplicates=1, rejected=5)
REJECTS = (
    "row,column,code,value\r\n"
    "2,Имя,differs,Ваня\r\n"
    "3,Телефон,letters,нет телефона\r\n"
    "4,Телефон,too_short,12345\r\n"
    "5,Телефон,no_phone,\r\n"
    "8,Телефон,too_short,'=2+3\r\n"
    "9,E-mail,email,нет@\r\n"
    "10,,columns,ещё\r\n"
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with a data folder of the test's own."""
    return load(data_dir=tmp_path)


@pytest.fixture
def service(database: Database, settings: Settings) -> ContactService:
    """What is tested."""
    return ContactService(database, settings)


@pytest.fixture
async def list_id(service: ContactService) -> int:
    """An empty list."""
    return (await service.add_list(BOSS, "Весна")).id


@pytest.fixture
async def campaign_id(database: Database) -> int:
    """A campaign without leads."""
    async with database.tenant(1) as conn:
        made = insert(t.campaign).values(tenant_id=1, name="Обзвон", policy="demo").returning(t.campaign.c.id)
        found = await conn.scalar(made)
    assert isinstance(found, int)
    return found


async def rejects_of(service: ContactService, import_id: int) -> str:
    """The rejects file."""
    content = b"".join([piece async for piece in service.rejects_file(BOSS, import_id)])
    assert content.startswith(b"\xef\xbb\xbf")
    return content.decode("utf-8-sig")


async def leads_of(database: Database, campaign_id: int) -> list[str]:
    """The numbers of a campaign's leads in the order they are dialled."""
    lead = t.lead.c
    async with database.tenant(1) as conn:
        query = select(lead.e164).where(lead.campaign_id == campaign_id).order_by(lead.sort_key, lead.id)
        return list(await conn.scalars(query))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1251"])
async def test_dirty_file(
    service: ContactService, database: Database, settings: Settings, list_id: int, encoding: str
) -> None:
    """Good rows load, duplicates are counted, each bad row and cell is in the rejects file, word for word."""
    job = await bring(service, database, settings, list_id, DIRTY.encode(encoding))
    assert (job.status, job.error) == (ImportStatus.DONE, None)
    assert job.counts == COUNTS
    assert job.counts.blank == 1
    assert await rejects_of(service, job.id) == REJECTS
    contacts = await service.contacts(BOSS, list_id=list_id)
    assert [(one.last_name, one.first_name, one.email) for one in contacts] == [
        ("Иванов", "Иван", "i@x.ru"),
        ('=HYPERLINK("http://x")', "Яна", ""),
        ("Зуева", "Зоя", ""),
    ]
    assert [(phone.position, phone.e164, phone.kind) for phone in contacts[0].phones] == [
        (1, "+79161234567", "mobile"),
        (2, "+74951234567", "fixed_line"),
    ]
    assert len(contacts[0].phones[0].timezones) > 10
    assert contacts[0].phones[1].timezones == ("Europe/Moscow",)
    assert contacts[0].custom == {"Город": "Тверь"}
    assert not file_of(settings, 1, job.id).exists()


async def test_the_same_file_twice_adds_nothing(
    service: ContactService, database: Database, settings: Settings, list_id: int, campaign_id: int
) -> None:
    """The second time every good row is a duplicate: no contact, number or lead more."""
    content = DIRTY.encode()
    await bring(service, database, settings, list_id, content, campaign_id)
    before = [await count(database, name) for name in ("contact", "contact_phone", "lead")]
    again = await bring(service, database, settings, list_id, content, campaign_id)
    assert again.counts == Counts(rows=10, loaded=0, duplicates=4, rejected=5)
    assert [await count(database, name) for name in ("contact", "contact_phone", "lead")] == before


async def test_the_same_upload_twice_is_one_import(service: ContactService, list_id: int) -> None:
    """A button pressed twice makes one import, known by the file's SHA-256."""
    first = await service.add_import(BOSS, list_id, "a.csv", pieces(DIRTY.encode()))
    second = await service.add_import(BOSS, list_id, "b.csv", pieces(DIRTY.encode()))
    assert first.id == second.id
    assert first.fingerprint == hashlib.sha256(DIRTY.encode()).hexdigest()


async def test_leads_of_a_named_campaign(
    service: ContactService, database: Database, settings: Settings, list_id: int, campaign_id: int
) -> None:
    """A lead of each person's first number in the file's order, with its hours, in the zone of the record."""
    content = "phone;phone2;timezone\n89161234567;84951234567;МСК+2\n84231234567;;\n89161234568;;\n".encode()
    await bring(service, database, settings, list_id, content, campaign_id)
    assert await leads_of(database, campaign_id) == ["+79161234567", "+74231234567", "+79161234568"]
    async with database.tenant(1) as conn:
        rows = list(await conn.execute(select(t.lead).order_by(t.lead.c.sort_key)))
        has_hours = await conn.scalar(text("SELECT bool_and(open_until > open_from) FROM lead"))
    assert [row.timezones for row in rows[:2]] == [["Etc/GMT-5"], ["Asia/Vladivostok"]]
    assert len(rows[2].timezones) > 10
    assert {row.status for row in rows} == {"new"}
    assert has_hours


async def test_campaign_named_later_gets_people_already_there(
    service: ContactService, database: Database, settings: Settings, list_id: int, campaign_id: int
) -> None:
    """A file whose people are in the list already still makes leads of them, when a campaign is named now."""
    await bring(service, database, settings, list_id, DIRTY.encode())
    again = await bring(service, database, settings, list_id, DIRTY.encode(), campaign_id)
    assert again.counts.loaded == 0
    assert await leads_of(database, campaign_id) == ["+79161234567", "+79161234568", "+79161234569"]


async def test_list_added_to_a_campaign(
    service: ContactService, database: Database, settings: Settings, list_id: int, campaign_id: int
) -> None:
    """Leads can be made afterwards of a whole list; the second time none is left to make."""
    await bring(service, database, settings, list_id, DIRTY.encode())
    assert await service.add_list_to_campaign(BOSS, list_id, campaign_id) == 3
    assert await service.add_list_to_campaign(BOSS, list_id, campaign_id) == 0
    assert await leads_of(database, campaign_id) == ["+79161234567", "+79161234568", "+79161234569"]
    with pytest.raises(NotFound):
        await service.add_list_to_campaign(BOSS, list_id, campaign_id + 1)


async def test_shared_number_is_one_lead(
    service: ContactService, database: Database, settings: Settings, list_id: int, campaign_id: int
) -> None:
    """A person in two lists is called once by a campaign that has both."""
    other = (await service.add_list(BOSS, "Лето")).id
    for one in (list_id, other):
        await bring(service, database, settings, one, b"phone\n89161234567\n", campaign_id)
    assert await leads_of(database, campaign_id) == ["+79161234567"]


async def test_person_known_by_another_number_is_a_duplicate(
    service: ContactService, database: Database, settings: Settings, list_id: int
) -> None:
    """Any number in common makes a duplicate, across batches and within one; its other number is theirs."""
    await bring(service, database, settings, list_id, b"phone;phone2\n89161234567;84951234567\n")
    content = b"phone;phone2\n89161234568;84951234567\n89161234569;\n89161234560;89161234569\n"
    job = await bring(service, database, settings, list_id, content)
    assert job.counts == Counts(rows=3, loaded=1, duplicates=2, filled=2)


async def test_batches_follow_one_another(
    service: ContactService, database: Database, settings: Settings, list_id: int
) -> None:
    """A file of several batches loads whole and in order, with progress told as it goes."""
    rows = batches.BATCH_ROWS * 2 + 1
    job = await bring(service, database, settings, list_id, many(rows))
    assert job.counts == Counts(rows=rows, loaded=rows)
    async with database.tenant(1) as conn:
        numbers = list(
            await conn.scalars(select(t.contact_phone.c.e164).order_by(t.contact_phone.c.contact_id))
        )
        events = list(
            await conn.scalars(
                select(t.event.c.payload).where(t.event.c.kind == "import.progress").order_by(t.event.c.id)
            )
        )
    assert numbers == [f"+7916{n:07}" for n in range(rows)]
    assert [events[0]["status"], events[-1]["status"]] == ["running", "done"]
    assert events[-1]["rows"] == rows
    assert [one["rows"] for one in events] == sorted(one["rows"] for one in events)


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from dialer.contacts import batches, importing, parsing
from dialer.db.session import Database
from dialer.settings import Settings, load

batches.BATCH_ROWS = 50
if sys.argv[5] == "processes":
    parsing.SHORT_FILE = 0

async def main() -> None:
    database = Database.open(sys.argv[1], pool=3)
    left = int(sys.argv[3])
    def progress(job) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    # Half of the deaths come inside a batch's transaction, before its commit.
    if sys.argv[4] == "inside":
        real = importing.importstore.advance_import
        async def advance(*args):
            done = await real(*args)
            progress(None)
            return done
        importing.importstore.advance_import = advance
        await importing.run_import(database, Settings(data_dir=Path(sys.argv[2])), 1)
    else:
        await importing.run_import(database, Settings(data_dir=Path(sys.argv[2])), 1, None, progress)

if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.mark.parametrize("by", ["thread", "processes"])
@pytest.mark.parametrize("where", ["between", "inside"])
async def test_import_goes_on_after_kill(
    service: ContactService,
    database: Database,
    database_url: str,
    settings: Settings,
    list_id: int,
    campaign_id: int,
    where: str,
    by: str,
) -> None:
    """kill -9 in the middle, twice, then another process: the counts and rows are those of an undisturbed
    import, and the workers have gone with their process."""
    rows = 400
    bad = b"".join(b"12%d;x\n" % n for n in range(10))
    job = await service.add_import(BOSS, list_id, "a.csv", pieces(many(rows) + bad, 4096), campaign_id)
    for after in (2, 3):
        process = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", KILLED, database_url, str(settings.data_dir), str(after), where, by],
            check=False,
            stdout=subprocess.PIPE,  # read to its end: until the last worker has gone, too
            timeout=100,
        )
        assert process.returncode == -signal.SIGKILL
    half = await service.get_import(BOSS, job.id)
    assert half.status is ImportStatus.RUNNING
    assert half.counts.rows == {"between": 250, "inside": 150}[where]
    assert await run_next_import(database, settings)
    whole = await service.get_import(BOSS, job.id)
    assert whole.status is ImportStatus.DONE
    assert whole.counts == Counts(rows=rows + 10, loaded=rows, duplicates=0, rejected=10)
    assert [await count(database, name) for name in ("contact", "contact_phone", "lead")] == [rows] * 3
    assert await count(database, "import_reject") == 10
    assert not await run_next_import(database, settings)


async def test_one_import_has_one_worker(
    service: ContactService, database: Database, settings: Settings, list_id: int
) -> None:
    """While one process loads a file another one passes over it, and takes the next."""
    first = await service.add_import(BOSS, list_id, "a.csv", pieces(many(10)))
    second = await service.add_import(BOSS, list_id, "b.csv", pieces(many(20)))
    ran = await asyncio.gather(*(run_import(database, settings, 1) for _ in range(3)))
    assert sorted(ran) == [False, True, True]
    jobs = [await service.get_import(BOSS, one.id) for one in (first, second)]
    assert [one.status for one in jobs] == [ImportStatus.DONE] * 2
    # Side by side, into one list, of the same people: each came in once.
    assert sum(one.counts.loaded for one in jobs) == 20
    assert await count(database, "contact") == 20


async def test_lost_file_fails_its_import_only(
    service: ContactService, database: Database, settings: Settings, list_id: int
) -> None:
    """An import whose file has gone ends as failed and says so; the next one is loaded."""
    lost = await service.add_import(BOSS, list_id, "a.csv", pieces(many(10)))
    await service.add_import(BOSS, list_id, "b.csv", pieces(many(20)))
    file_of(settings, 1, lost.id).unlink()
    assert await run_next_import(database, settings)
    assert await run_next_import(database, settings)
    job = await service.get_import(BOSS, lost.id)
    assert job.status is ImportStatus.FAILED
    assert json.loads(job.error or "")["id"] == UnreadableFile.id
    assert await count(database, "contact") == 20


@pytest.mark.parametrize(
    ("content", "error"), [(b"", UnreadableFile), (b"PK\x03\x04", UnreadableFile), (b"a;b\n", NoPhoneColumn)]
)
async def test_file_that_is_no_list_is_refused_at_once(
    service: ContactService, settings: Settings, list_id: int, content: bytes, error: type[UnreadableFile]
) -> None:
    """The refusal comes with the upload, no import is queued, and no file stays."""
    with pytest.raises(error):
        await service.add_import(BOSS, list_id, "a.csv", pieces(content))
    assert await service.imports(BOSS, list_id) == []
    assert list((settings.data_dir / "imports").iterdir()) == []


async def test_what_a_killed_upload_left_is_removed(
    service: ContactService, settings: Settings, list_id: int
) -> None:
    """A part of an upload that is older than a day goes with the next upload, a younger one stays."""
    folder = settings.data_dir / "imports"
    folder.mkdir()
    for name, age_s in (("old.part", 25 * 3600), ("young.part", 60)):
        (folder / name).write_bytes(b"x")
        moment = time.time() - age_s
        os.utime(folder / name, (moment, moment))
    job = await service.add_import(BOSS, list_id, "a.csv", pieces(many(1)))
    assert {one.name for one in folder.iterdir()} == {"young.part", f"1-{job.id}.csv"}


async def test_upload_to_nowhere(service: ContactService, list_id: int) -> None:
    """A list or a campaign that does not exist is found out before the upload is read."""
    for where in ((list_id + 1, None), (list_id, 1)):
        with pytest.raises(NotFound):
            await service.add_import(BOSS, where[0], "a.csv", pieces(b""), where[1])


async def test_import_for_the_command_line(service: ContactService, list_id: int, tmp_path: Path) -> None:
    """A path, a list, and the import is done when the call returns, with progress on the way."""
    path = tmp_path / "весна.csv"
    path.write_bytes(many(30))
    seen: list[ImportJob] = []
    job = await service.import_file(BOSS, list_id, path, progress=seen.append)
    assert (job.status, job.filename, job.counts.loaded) == (ImportStatus.DONE, "весна.csv", 30)
    assert [one.counts.rows for one in seen] == [30, 30]
    assert path.exists()


async def test_file_name_is_only_a_name(service: ContactService, list_id: int) -> None:
    """Folders and control characters in an uploaded name are left out."""
    job = await service.add_import(BOSS, list_id, "..\\..\\etc/pass\nwd.csv", pieces(many(1)))
    assert job.filename == "passwd.csv"


async def test_lists(service: ContactService, database: Database, settings: Settings, list_id: int) -> None:
    """A list is made, found, renamed, counted, and removed while it is empty; names are unique."""
    other = await service.add_list(BOSS, "Лето")
    with pytest.raises(Conflict):
        await service.add_list(BOSS, "Лето")
    with pytest.raises(Conflict):
        await service.rename_list(BOSS, list_id, "Лето")
    assert (await service.rename_list(BOSS, list_id, "Зима")).name == "Зима"
    await bring(service, database, settings, list_id, many(3))
    assert [(one.name, one.contacts) for one in await service.lists(BOSS)] == [("Лето", 0), ("Зима", 3)]
    assert [one.id for one in await service.lists(BOSS, before=other.id)] == [list_id]
    with pytest.raises(Conflict):
        await service.remove_list(BOSS, list_id)
    await service.remove_list(BOSS, other.id)
    with pytest.raises(NotFound):
        await service.get_list(BOSS, other.id)


async def test_contacts_by_pages(
    service: ContactService, database: Database, settings: Settings, list_id: int
) -> None:
    """Pages follow each other without a gap; a number that is none is refused with its reason."""
    await bring(service, database, settings, list_id, many(5))
    first = await service.contacts(BOSS, list_id=list_id, limit=3)
    rest = await service.contacts(BOSS, list_id=list_id, after=first[-1].id, limit=3)
    assert [one.custom for one in first + rest] == [{}] * 5
    assert [one.phones[0].e164 for one in first + rest] == [f"+791600000{n:02}" for n in range(5)]
    assert await service.get_contact(BOSS, first[0].id) == first[0]
    with pytest.raises(BadNumber):
        await service.contacts(BOSS, number="12")


async def test_operators_see_no_lists(service: ContactService, list_id: int) -> None:
    """An operator has neither lists nor contacts nor imports."""
    agent = Actor(1, None, Role.OPERATOR, "Agent", "ru")
    for refused in (
        service.lists(agent),
        service.get_list(agent, list_id),
        service.contacts(agent),
        service.get_contact(agent, 1),
        service.add_list(agent, "x"),
        service.add_import(agent, list_id, "a.csv", pieces(b"")),
        service.get_import(agent, 1),
    ):
        with pytest.raises(Forbidden):
            await refused


async def test_tenants_do_not_meet(
    service: ContactService, database: Database, settings: Settings, list_id: int, owner_url: str
) -> None:
    """Another tenant finds nothing of this one's, and its own imports are run as well."""
    owner = await connect(owner_url)
    await owner.execute("INSERT INTO tenant (id, name) VALUES (2, 'Second')")
    await owner.close()
    await bring(service, database, settings, list_id, many(3))
    other = Actor(2, None, Role.SUPERVISOR, "Other", "ru")
    assert await service.lists(other) == []
    assert await service.contacts(other, number="+79160000000") == []
    with pytest.raises(NotFound):
        await service.get_list(other, list_id)
    own = await service.add_list(other, "Весна")
    job = await service.add_import(other, own.id, "a.csv", pieces(many(2)))
    assert await run_next_import(database, settings)
    assert (await service.get_import(other, job.id)).counts.loaded == 2


async def test_look_for_duplicates_needs_no_statistics(
    service: ContactService, database: Database, settings: Settings, list_id: int
) -> None:
    """Under row security, before any ANALYZE, the look for known numbers goes by indexes of both tables."""
    await bring(service, database, settings, list_id, many(2000))
    async with database.tenant(1) as conn:
        values = {"tenant_id": 1, "list_id": list_id, "numbers": ["+79160000001"]}
        plan = "\n".join(await conn.scalars(text(f"EXPLAIN {store._KNOWN.text}"), values))
    assert "list_contact_" in plan
    assert "contact_phone_tenant_id_e164_idx" in plan
    assert "Seq Scan" not in plan
