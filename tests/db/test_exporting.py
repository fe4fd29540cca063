"""All that is kept of a person, in one file."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest
from sqlalchemy import insert, select
from support import people as make

from dialer.clock import utc_now
from dialer.compliance.policy import Purpose
from dialer.contacts import consents, exporting
from dialer.contacts.agreed import NewConsent
from dialer.contacts.erasure import ErasureService
from dialer.contacts.exporting import ExportService
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.errors import NotFound, WrongState
from dialer.httpkit.access import Actor, Role

SUPERVISOR = Actor(1, None, Role.SUPERVISOR, "Somebody", "en")
NUMBER, SHARED = "+79161234567", "+79031112233"
#: Larger than a piece, so that it is sent in several.
SOUND = bytes(range(256)) * 5000


async def test_everything_is_in_it_and_of_nobody_else(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Card, numbers, lists, leads, calls with notes, consents, talks; a file that is lost is told."""
    monkeypatch.setattr(exporting, "PIECE", 100_000)
    now = utc_now()
    async with database.tenant(1) as conn:
        place = await make.ground(conn)
        contact_id = await make.person(
            conn, place, [NUMBER, SHARED], email="i@example.org", custom={"VIN": "X1"}
        )
        other = await make.person(conn, place, [SHARED], "Соседов")
        await make.lead(conn, place, contact_id, NUMBER)
        talk = await make.attempt(conn, place, contact_id, NUMBER, disposition_note="звонить после шести")
        lost = await make.attempt(conn, place, None, NUMBER)
        strange = await make.attempt(conn, place, other, SHARED, disposition_note="чужое")
        await consents.add_many(conn, 1, [NewConsent(contact_id, Purpose.SURVEY, "form", now)], None)
        for call, name in ((talk, "a.wav"), (lost, "b.wav"), (strange, "c.wav")):
            await conn.execute(
                insert(t.recording).values(
                    tenant_id=1, attempt_id=call, path=name, status="whole", started_at=now
                )
            )
    (tmp_path / "a.wav").write_bytes(SOUND)
    (tmp_path / "c.wav").write_bytes(b"strange")
    service = ExportService(database, tmp_path)

    pieces = [piece async for piece in await service.export(SUPERVISOR, contact_id)]
    assert max(map(len, pieces)) < len(SOUND)
    with zipfile.ZipFile(io.BytesIO(b"".join(pieces))) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == ["person.json", f"recordings/{talk}.wav"]
        assert archive.read(f"recordings/{talk}.wav") == SOUND
        text = archive.read("person.json").decode()
    told = json.loads(text)
    tables = told["tables"]
    assert tables["contact"][0]["custom"] == {"VIN": "X1"}
    assert [row["e164"] for row in tables["contact_phone"]] == [NUMBER, SHARED]
    assert {row["id"] for row in tables["attempt"]} == {str(talk), str(lost)}
    assert "звонить после шести" in text
    assert "чужое" not in text
    assert "Соседов" not in text
    assert [row["purpose"] for row in tables["consent"]] == ["survey"]
    assert len(tables["lead"]) == len(tables["list_contact"]) == 1
    assert told["names"] == {
        "campaign": {str(place.campaigns[0]): "Осень 0"},
        "list": {str(place.list_id): "Весна"},
        "disposition": {},
    }
    files = {one["call"]: one["file"] for one in told["recordings"]}
    assert files == {str(talk): f"recordings/{talk}.wav", str(lost): None}
    async with database.tenant(1) as conn:
        assert list(await conn.scalars(select(t.audit.c.action))) == ["contact.export"]
        assert list(await conn.scalars(select(t.contact_event.c.kind))) == ["exported"]


async def test_of_whom_nothing_is_kept(database: Database, tmp_path: Path) -> None:
    """An erased person, and one who never was, are refused before a byte is sent."""
    async with database.tenant(1) as conn:
        place = await make.ground(conn)
        contact_id = await make.person(conn, place, [NUMBER])
    await ErasureService(database, tmp_path).erase(SUPERVISOR, contact_id, never_again=False)
    service = ExportService(database, tmp_path)
    with pytest.raises(WrongState):
        await service.export(SUPERVISOR, contact_id)
    with pytest.raises(NotFound):
        await service.export(SUPERVISOR, contact_id + 100)
