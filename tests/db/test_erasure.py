"""Nothing of an erased person is left: in no column of no table, and on no disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from sqlalchemy import insert, select, text, update
from support import people as make
from support.people import Ground
from support.web import Caller, Web, serving

from dialer.clock import utc_now
from dialer.compliance.policy import Purpose
from dialer.contacts import consents
from dialer.contacts.agreed import NewConsent
from dialer.contacts.erasure import ErasureService, delete_recordings
from dialer.contacts.erasure_http import ERASURE, EXPORT
from dialer.contacts.erasure_http import routes as erasure_routes
from dialer.contacts.exporting import ExportService
from dialer.contacts.people import PersonService
from dialer.contacts.people_http import PEOPLE
from dialer.contacts.people_http import routes as people_routes
from dialer.db import tables as t
from dialer.db.session import Database, connect
from dialer.donotcall import store as donotcall
from dialer.errors import Conflict, Forbidden
from dialer.httpkit.access import Actor, Role
from dialer.recordings.recorder import relative_path
from dialer.settings import load

SUPERVISOR = Actor(1, None, Role.SUPERVISOR, "Somebody", "en")
NUMBER, SECOND, OLD, SHARED = "+79161234567", "+74957654321", "+79260000077", "+79031112233"
#: What tells the person: digits of numbers, names and e-mails of now and before, what was said of them.
MARKS = (
    "9161234567", "4957654321", "9260000077", "закревск", "аграфена", "agrafena", "zakrevskaya", "вишнев",
    "xw8zzz1k", "медный всадник", "договор-5512",
)  # fmt: skip


async def findings(owner_url: str, marks: tuple[str, ...] = MARKS) -> list[str]:
    """Every column of every table in which one of the marks stands, whatever is between its digits."""
    owner = await connect(owner_url)
    found = []
    try:
        columns = await owner.fetch(
            """
            SELECT table_name, column_name FROM information_schema.columns
             WHERE table_schema = 'public'
               AND data_type IN ('text', 'character varying', 'json', 'jsonb', 'ARRAY', 'bytea', 'name')
            """
        )
        assert len(columns) > 150
        for table, column in columns:
            query = f"""
                SELECT count(*) FROM "{table}"
                 WHERE strpos(lower("{column}"::text), $1) > 0
                    OR $1 ~ '^[0-9]+$' AND strpos(regexp_replace("{column}"::text, '[^0-9]', '', 'g'), $1) > 0
            """
            for mark in marks:
                if await owner.fetchval(query, mark):
                    found.append(f"{table}.{column}: {mark}")
    finally:
        await owner.close()
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Recordings."""
    made = tmp_path / "recordings"
    made.mkdir()
    return made


@pytest.fixture
async def site(database: Database, database_url: str, tmp_path: Path, folder: Path) -> AsyncIterator[Web]:
    """The application with people, export and erasure."""
    settings = load(data_dir=tmp_path, recordings_dir=folder)
    services: Mapping[web.AppKey[Any], Any] = {
        PEOPLE: PersonService(database, settings),
        ERASURE: ErasureService(database, folder),
        EXPORT: ExportService(database, folder),
    }
    tables = [people_routes, erasure_routes]
    async with serving(
        database, database_url, tables=tables, services=services, settings=settings
    ) as running:
        yield running


@pytest.fixture
async def place(database: Database) -> Ground:
    """A list and two campaigns."""
    async with database.tenant(1) as conn:
        return await make.ground(conn, campaigns=2)


async def recorded(database: Database, folder: Path, attempt_id: object) -> Path:
    """A whole recording of a call."""
    now = utc_now()
    path = relative_path(attempt_id, now)  # type: ignore[arg-type]
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"RIFF" + b"\0" * 60)
    async with database.tenant(1) as conn:
        await conn.execute(
            insert(t.recording).values(
                tenant_id=1, attempt_id=attempt_id, path=path, status="whole", started_at=now, ended_at=now
            )
        )
    return file


async def lived(
    site: Web, program: Caller, database: Database, place: Ground, folder: Path
) -> tuple[int, list[Path]]:
    """A person with all that can come together of somebody, and the files of their talks."""
    body = {
        "last_name": "Вишневская", "first_name": "Аграфена", "email": "zakrevskaya@example.org",
        "numbers": ["8 926 000 00 77", "+7 495 765-43-21", "8 903 111-22-33"], "custom": {"VIN": "XW8ZZZ1KZ"},
    }  # fmt: skip
    made = await program.call("POST", "~/contacts", body, headers={"Idempotency-Key": "a"})
    assert made.status == 201, made.text
    contact_id = made.json["id"]
    path = f"~/contacts/{contact_id}"
    for method, where, what in (
        (
            "PATCH",
            path,
            {"last_name": "Закревская", "email": "agrafena@example.org", "external_id": "договор-5512"},
        ),
        (
            "PATCH",
            f"{path}/numbers/{made.json['numbers'][0]['id']}",
            {"number": "8 (916) 123-45-67", "label": "Аграфена"},
        ),
        (
            "POST",
            f"{path}/consents",
            {"purpose": "advertising", "source": "анкета Закревской", "proof": "договор-5512"},
        ),
    ):
        reply = await program.call(
            method, where, what, headers={"Idempotency-Key": where} if method == "POST" else {}
        )
        assert reply.status < 300, reply.text
    async with database.tenant(1) as conn:
        await make.person(conn, place, [SHARED], "Соседов")
        await conn.execute(
            insert(t.list_contact).values(tenant_id=1, list_id=place.list_id, contact_id=contact_id)
        )
        await make.lead(conn, place, contact_id, NUMBER)
        await make.lead(conn, place, contact_id, SECOND, campaign=1, status="waiting", hold="retry")
        calls = [
            await make.attempt(
                conn, place, contact_id, NUMBER, result="answered", disposition_note="Медный всадник"
            ),
            await make.attempt(conn, place, contact_id, OLD),
            await make.attempt(conn, place, None, SECOND),
        ]
        job = await conn.scalar(
            insert(t.import_job)
            .values(tenant_id=1, list_id=place.list_id, filename="a.csv", fingerprint="0")
            .returning(t.import_job.c.id)
        )
        for value in ("8(916)123 45 67 доп", "ЗАКРЕВСКАЯ Аграфена", "agrafena@example.org,", "Лида"):
            await conn.execute(
                insert(t.import_reject).values(
                    tenant_id=1, import_id=job, row=1, column="имя", code="letters", value=value
                )
            )
        rejects = [[2, "letters", "Закревская 8(916)123 45 67"], [3, "too_short", "123"]]
        await conn.execute(
            insert(t.do_not_call_import).values(
                tenant_id=1, filename="a.csv", fingerprint="0", rejects=rejects
            )
        )
        await conn.execute(
            insert(t.command).values(
                tenant_id=1,
                kind="dial_number",
                payload={"e164": SECOND},
                done_at=utc_now(),
                reply={"ok": True},
            )
        )
        await conn.execute(
            insert(t.lead_change).values(
                tenant_id=1, campaign_id=place.campaigns[0], what=t.LEAD_CHANGES[0], after_e164=NUMBER
            )
        )
        told = {"tenant_id": 1, "channel": "1790000000.1"}
        await conn.execute(
            insert(t.hook_outcome).values(
                **told, outcome="sold", note="Закревская", e164=NUMBER, contact_id=contact_id
            )
        )
        await conn.execute(
            insert(t.survey_answer).values(
                **told, survey="service", question="1", answer="Аграфена", e164=SECOND
            )
        )
        other = await make.person(conn, place, ["+79160000001"], "Вишнева")
        await conn.execute(
            insert(t.contact_merge).values(
                tenant_id=1,
                survivor_id=contact_id,
                merged_id=999,
                record={"before": {"last_name": "Закревска"}},
            )
        )
        await conn.execute(
            insert(t.cleaning_run).values(
                tenant_id=1, dry=True, examples={"name": [[contact_id, "ЗАКРЕВСКАЯ", "Закревская"]]}
            )
        )
        first, second = sorted((contact_id, other))
        await conn.execute(
            insert(t.duplicate_pair).values(
                tenant_id=1, first_id=first, second_id=second, score=0.9, reasons=[{"field": "name"}]
            )
        )
        await conn.execute(
            insert(t.contact_key).values(tenant_id=1, key="p:9161234567", contact_id=contact_id)
        )
        await conn.execute(text("DELETE FROM contact WHERE id = :id").bindparams(id=other))
    files = [await recorded(database, folder, call) for call in calls]
    return contact_id, files


async def test_nothing_is_left_of_an_erased_person(
    site: Web, database: Database, owner_url: str, place: Ground, folder: Path
) -> None:
    """Whatever was written of them and by whom: no column of any table has it, and no recording is on the
    disk. Calls stay, one lead a campaign stays closed, and the neighbour keeps the number of both."""
    program = await site.program(Role.SUPERVISOR)
    contact_id, files = await lived(site, program, database, place, folder)
    before = await findings(owner_url)
    assert {one.partition(".")[0] for one in before} >= {
        "contact", "contact_phone", "contact_event", "contact_key", "contact_merge", "cleaning_run", "lead",
        "attempt", "command", "consent", "import_reject", "idempotency", "lead_change",
    }  # fmt: skip

    done = await program.call("POST", f"~/contacts/{contact_id}/erase", {"never_again": False})
    assert (done.status, done.json["before"], done.json["recordings_left"]) == (200, False, 0), done.text

    assert await findings(owner_url) == []
    assert [file for file in files if file.exists()] == []
    async with database.tenant(1) as conn:
        assert list(await conn.scalars(select(t.recording.c.id))) == []
        calls = [
            tuple(row)
            for row in await conn.execute(
                select(t.attempt.c.contact_id, t.attempt.c.result, t.attempt.c.campaign_id)
            )
        ]
        kept = [(contact_id, "answered"), (contact_id, "no_answer"), (None, "no_answer")]
        assert sorted(calls, key=str) == sorted(
            [(one, result, place.campaigns[0]) for one, result in kept],
            key=str,
        )
        leads = await conn.execute(select(t.lead.c.status, t.lead.c.closed_reason, t.lead.c.hold))
        assert [tuple(row) for row in leads] == [("closed", "erased", None)] * 2
        assert [
            row.value
            for row in await conn.execute(select(t.import_reject.c.value).order_by(t.import_reject.c.id))
        ] == ["", "", "", "Лида"]
        assert list(await conn.scalars(select(t.contact_phone.c.e164))) == [SHARED]
        logged = {
            row.action: row.details for row in await conn.execute(select(t.audit.c.action, t.audit.c.details))
        }
        assert logged["contact.erase"]["rows"]["attempt"] == 3
    assert (await program.call("GET", "~/contacts/search?text=закр")).json["items"] == []
    seen = await program.call("GET", f"~/contacts/{contact_id}/card")
    assert seen.json["erased_at"] is not None
    told = await program.call("GET", f"~/contacts/{contact_id}/history")
    assert [one["kind"] for one in told.json["items"] if one["source"] == "event"] == ["erased"]
    assert (await program.call("PATCH", f"~/contacts/{contact_id}", {"last_name": "x"})).status == 409


async def test_a_second_erasure_changes_nothing_and_ends_what_is_left(
    database: Database, place: Ground, folder: Path
) -> None:
    """A recording whose folder was away stays marked, is heard by nobody, and goes with the next request."""
    async with database.tenant(1) as conn:
        contact_id = await make.person(conn, place, [NUMBER])
        call = await make.attempt(conn, place, contact_id, NUMBER)
    file = await recorded(database, folder, call)
    away = await asyncio.to_thread(folder.rename, folder.with_name("elsewhere"))
    service = ErasureService(database, folder)
    first = await service.erase(SUPERVISOR, contact_id, never_again=False)
    assert (first.before, first.recordings_left) == (False, 1)
    await asyncio.to_thread(away.rename, folder)
    assert file.exists()
    again = await service.erase(SUPERVISOR, contact_id, never_again=True)
    assert (again.before, again.recordings_left, again.erased_at) == (True, 0, first.erased_at)
    assert not file.exists()


async def test_the_sweep_ends_what_a_crash_has_left(database: Database, place: Ground, folder: Path) -> None:
    """Marked recordings go, others stay."""
    async with database.tenant(1) as conn:
        contact_id = await make.person(conn, place, [NUMBER])
        calls = [await make.attempt(conn, place, contact_id, NUMBER) for _ in range(3)]
    files = [await recorded(database, folder, call) for call in calls]
    files[1].unlink()
    async with database.tenant(1) as conn:
        await conn.execute(
            update(t.recording).where(t.recording.c.attempt_id.in_(calls[:2])).values(status="erasing")
        )
    assert await delete_recordings(database, 1, folder) == 0
    assert [file.exists() for file in files] == [False, False, True]
    async with database.tenant(1) as conn:
        assert list(await conn.scalars(select(t.recording.c.attempt_id))) == [calls[2]]


async def test_nobody_is_erased_in_a_call(database: Database, place: Ground, folder: Path) -> None:
    """Neither during a call to the card, nor to the number typed by hand, nor while the card is shown."""
    service = ErasureService(database, folder)
    for attempt in ({"contact": True}, {"contact": False}):
        async with database.tenant(1) as conn:
            contact_id = await make.person(conn, place, [NUMBER])
            call = await make.attempt(
                conn,
                place,
                contact_id if attempt["contact"] else None,
                NUMBER,
                state="ringing",
                result=None,
                ended_at=None,
            )
        with pytest.raises(Conflict):
            await service.erase(SUPERVISOR, contact_id, never_again=False)
        async with database.tenant(1) as conn:
            await conn.execute(
                update(t.attempt)
                .where(t.attempt.c.id == call)
                .values(state="ended", result="busy", ended_at=utc_now())
            )
        await service.erase(SUPERVISOR, contact_id, never_again=False)
    async with database.tenant(1) as conn:
        contact_id = await make.person(conn, place, [SECOND])
        lead = await make.lead(conn, place, contact_id, SECOND, status="offered")
    with pytest.raises(Conflict):
        await service.erase(SUPERVISOR, contact_id, never_again=False)
    async with database.tenant(1) as conn:
        assert await conn.scalar(select(t.lead.c.e164).where(t.lead.c.id == lead)) == SECOND


async def test_who_asked_for_it_is_not_called_again(database: Database, place: Ground, folder: Path) -> None:
    """Who is about to dial is told of their numbers when they come back, not of those who did not ask."""
    async with database.tenant(1) as conn:
        asked = await make.person(conn, place, [NUMBER, SECOND])
        silent = await make.person(conn, place, [OLD])
        before = await make.person(conn, place, [SHARED])
        await conn.execute(
            insert(t.do_not_call).values(tenant_id=1, kind="number", mark=SHARED, source="disposition")
        )
    service = ErasureService(database, folder)
    await service.erase(SUPERVISOR, asked, never_again=True)
    await service.erase(SUPERVISOR, silent, never_again=False)
    await service.erase(SUPERVISOR, before, never_again=False)
    async with database.tenant(1) as conn:
        assert list(await conn.scalars(select(t.do_not_call.c.mark))) == []
        numbers = [NUMBER, SECOND, OLD, SHARED]
        kept_off = await donotcall.covering(conn, 1, numbers, place.campaigns[0], utc_now())
    assert kept_off.keys() == {NUMBER, SECOND, SHARED}


async def test_reports_stay_as_they_were(database: Database, place: Ground, folder: Path) -> None:
    """The hours that are closed stay closed: nothing that figures are made of has changed."""
    async with database.tenant(1) as conn:
        contact_id = await make.person(conn, place, [NUMBER])
        await make.attempt(conn, place, contact_id, NUMBER)
        await conn.execute(
            insert(t.report_state).values(
                tenant_id=1, timezone="Europe/Moscow", closed_until=utc_now(), marked_until=utc_now()
            )
        )
    await ErasureService(database, folder).erase(SUPERVISOR, contact_id, never_again=False)
    async with database.tenant(1) as conn:
        assert await conn.scalar(select(t.report_state.c.reopened)) == 0


async def test_agents_erase_nobody(database: Database, place: Ground, folder: Path) -> None:
    """Neither erase nor export, whoever is on the line."""
    async with database.tenant(1) as conn:
        contact_id = await make.person(conn, place, [NUMBER])
    operator = Actor(1, 1, Role.OPERATOR, "Олег", "ru")
    with pytest.raises(Forbidden):
        await ErasureService(database, folder).erase(operator, contact_id, never_again=False)
    with pytest.raises(Forbidden):
        await ExportService(database, folder).export(operator, contact_id)


async def test_two_erasures_at_once_are_one(database: Database, place: Ground, folder: Path) -> None:
    """One of them finds that it was done."""
    async with database.tenant(1) as conn:
        contact_id = await make.person(conn, place, [NUMBER])
        await consents.add_many(conn, 1, [NewConsent(contact_id, Purpose.ANY, "form", utc_now())], None)
    service = ErasureService(database, folder)
    both = await asyncio.gather(*(service.erase(SUPERVISOR, contact_id, never_again=False) for _ in range(2)))
    assert sorted(one.before for one in both) == [False, True]
    async with database.tenant(1) as conn:
        assert len(list(await conn.scalars(select(t.consent.c.source)))) == 1
