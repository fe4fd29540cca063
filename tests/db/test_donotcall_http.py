"""Do-not-call as a program sees it over HTTP, and files of numbers on their way in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select
from support.floor import NODE, TENANT, Floor
from support.placer import Line, placer_of, terms_of
from support.promises import promised, row
from support.room import Client, room

from dialer.calls.placing import Placed
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.donotcall import http, importing, store
from dialer.donotcall.http import DO_NOT_CALL
from dialer.donotcall.importing import rows_of, run_next_import
from dialer.donotcall.model import MOST_LOCKS, NumbersImport
from dialer.donotcall.service import DoNotCallService
from dialer.errors import DatabaseUnavailable
from dialer.httpkit.keys import DATABASE
from dialer.settings import Settings, load
from scheduler import changes
from scheduler.changes import Changes

FIRST = "+79160000000"
CSV = {"Content-Type": "text/csv"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with a data folder of the test's own."""
    return load(data_dir=tmp_path)


@pytest.fixture
async def client(database: Database, settings: Settings) -> AsyncIterator[Client]:
    """The feature's routes, for whom the header X-Role names."""
    service = DoNotCallService(database, settings)
    async with room(database, settings, DO_NOT_CALL, service, [http.routes]) as opened:
        yield opened


async def post(client: Client, path: str, expected: int, **body: Any) -> Any:
    """Send JSON; the reply, whose status must be as expected."""
    reply = await client.post(f"/api/v1/do-not-call{path}", json=body)
    assert reply.status == expected, await reply.text()
    return await reply.json()


async def get(client: Client, path: str, **query: str) -> Any:
    """A reply that must be good."""
    reply = await client.get(f"/api/v1/do-not-call{path}", params=query)
    assert reply.status == 200, await reply.text()
    return await reply.json()


async def test_a_number_is_added_checked_and_removed(client: Client, floor: Floor) -> None:
    """Written in any way; its lead closes and comes back, and what was said of it stays."""
    (lead,) = await floor.leads(1)
    added = await post(client, "", 201, numbers=["8 (916) 000-00-00"], reason="by letter")
    assert (len(added["ids"]), added["known"]) == (1, 0)
    assert (await post(client, "", 201, numbers=[FIRST]))["known"] == 1
    assert (await floor.row(t.lead, lead)).closed_reason == "do_not_call"
    checked = await get(client, "/check", number="+7 916 000 00 00")
    (entry,) = checked["entries"]
    assert (checked["e164"], checked["forbidden"]) == (FIRST, True)
    assert (entry["number"], entry["source"], entry["reason"]) == (FIRST, "api", "by letter")
    removed = await post(client, f"/{entry['id']}/remove", 200, reason="asked for calls again")
    assert removed["removed_reason"] == "asked for calls again"
    assert (await floor.row(t.lead, lead)).status == "waiting"
    checked = await get(client, "/check", number=FIRST)
    assert (checked["forbidden"], len(checked["entries"])) == (False, 1)
    assert (await get(client, ""))["items"] == []
    assert (await get(client, "", removed="true"))["items"] == checked["entries"]
    await post(client, f"/{entry['id']}/remove", 409, reason="again")


async def test_more_numbers_than_locks(client: Client, floor: Floor) -> None:
    """Their leads are closed too, and none of them is dialled."""
    count = MOST_LOCKS + 5
    await floor.leads(count + 1)
    numbers = [f"+{79160000000 + n}" for n in range(count)]
    assert len((await post(client, "", 201, numbers=numbers))["ids"]) == count
    line = Line(floor.database)
    assert await placer_of(floor, line).next_leads(terms_of(floor), 5, NODE) == Placed(1)
    async with floor.database.tenant(TENANT) as conn:
        closed = select(func.count()).select_from(t.lead).where(t.lead.c.closed_reason == "do_not_call")
        assert await conn.scalar(closed) == count


async def test_an_area_is_refused_at_once_and_its_leads_close_after(client: Client, floor: Floor) -> None:
    """The request touches no lead, and nobody of the area is dialled from then on; the jobs process closes
    them piece by piece, and nothing beside the area, with what was promised; and opens them again."""
    leads = await floor.leads(7)
    beside = [*await floor.leads(1, first=79150000000), *await floor.leads(1, first=79170000000)]
    kept = await promised(floor, leads[3], due_s=3600)
    statuses = select(t.lead.c.status, func.count()).group_by(t.lead.c.status)

    async def by_status() -> dict[str, int]:
        async with floor.database.tenant(TENANT) as conn:
            return dict((await conn.execute(statuses)).all())

    added = await post(client, "", 201, prefixes=["7 916"])
    assert await by_status() == {"new": 8, "waiting": 1}
    async with floor.database.tenant(TENANT) as conn:
        numbers = ["+79160000000", "+79170000000"]
        assert list(await store.covering(conn, TENANT, numbers, floor.campaign_id, utc_now())) == numbers[:1]
        # A process that dies in between has closed some: the next goes on where it ended.
        assert await changes.piece(conn, TENANT, most=3) == 3
    assert await by_status() == {"closed": 3, "new": 5, "waiting": 1}
    assert await Changes(floor.database).round(TENANT) == 4
    assert await by_status() == {"closed": 7, "new": 2}
    assert [(await floor.row(t.lead, one)).status for one in beside] == ["new", "new"]
    callback = await row(floor, kept.id)
    assert (callback.state, callback.reason) == ("canceled", "do_not_call")
    await post(client, f"/{added['ids'][0]}/remove", 200, reason="a slip")
    assert await by_status() == {"closed": 7, "new": 2}
    await Changes(floor.database).round(TENANT)
    assert await by_status() == {"waiting": 7, "new": 2}


async def test_an_area_that_is_allowed_again_meanwhile(client: Client, floor: Floor) -> None:
    """Who changes their mind before the leads were closed has none closed, in whichever order processes get
    to it; another campaign's leads are never touched."""
    await floor.leads(3)
    async with floor.database.tenant(TENANT) as conn:
        other = await conn.scalar(
            insert(t.campaign).values(tenant_id=TENANT, name="Лето", policy="demo").returning(t.campaign.c.id)
        )
    elsewhere = await floor.leads(1, campaign_id=other, first=79160000000)
    added = await post(client, "", 201, prefixes=["7 916"], campaign_id=floor.campaign_id)
    await post(client, f"/{added['ids'][0]}/remove", 200, reason="a slip")
    async with floor.database.tenant(TENANT) as first, floor.database.tenant(TENANT) as second:
        assert await changes.piece(first, TENANT) == 3
        assert await changes.piece(second, TENANT) is None, "two are at work at once"
    await Changes(floor.database).round(TENANT)
    closed = select(func.count()).select_from(t.lead).where(t.lead.c.status == "closed")
    async with floor.database.tenant(TENANT) as conn:
        assert set(await conn.scalars(select(t.lead.c.status))) == {"new"}, "closed and opened again"
    await post(client, "", 201, prefixes=["7 916"], campaign_id=floor.campaign_id)
    await Changes(floor.database).round(TENANT)
    async with floor.database.tenant(TENANT) as conn:
        assert await conn.scalar(closed) == 3
    assert (await floor.row(t.lead, elsewhere[0])).status == "new"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"numbers": ["123"]},
        {"prefixes": ["+7"]},
        {"prefixes": ["+44"]},
        {"prefixes": ["+99"]},
        {"prefixes": ["*"]},
        {"numbers": [FIRST], "valid_until": "2020-01-01T00:00:00Z"},
    ],
)
async def test_what_cannot_be_added(client: Client, body: dict[str, Any]) -> None:
    """Nothing, no number, a whole country or several, an end in the past: nothing is written."""
    await post(client, "", 422, **body)
    assert (await get(client, "", removed="true"))["items"] == []


async def test_a_beginning_is_read_by_the_country(client: Client) -> None:
    """As people write it and as numbers are read: the 8 is none of the number; and what it covers is told."""
    added = await post(client, "", 201, prefixes=["8495", "8 (812)"])
    items = (await get(client, ""))["items"]
    assert {one["number"] for one in items} == {"+7495", "+7812"}
    assert len(added["ids"]) == 2
    assert (await get(client, "/check", number="88121234567"))["forbidden"]
    assert (await get(client, "/check", number="84951234567"))["forbidden"]


async def test_refusals_in_the_language_of_the_reader(client: Client) -> None:
    """An entry that was taken out already, none at all, what is no number: no word of another language."""
    (entry,) = (await post(client, "", 201, numbers=[FIRST]))["ids"]
    await post(client, f"/{entry}/remove", 200, reason="a slip")

    async def told(method: str, path: str, locale: str, **body: str) -> str:
        headers = {"Accept-Language": locale}
        reply = await client.request(method, f"/api/v1/do-not-call{path}", headers=headers, json=body or None)
        return str((await reply.json())["detail"])

    said = await told("POST", f"/{entry}/remove", "ru", reason="снова")
    assert said == "Запись: сейчас уже снята; это можно, только когда она действует."
    assert await told("POST", "/999/remove", "ru", reason="снова") == "Не найдено: запись 999."
    said = "Номер телефона не подходит: в нём есть буквы."
    assert await told("GET", "/check?number=abc", "ru") == said
    assert await told("GET", "/check?number=12", "en") == (
        "The phone number cannot be used: it has too few digits."
    )


@pytest.mark.parametrize(("role", "may"), [("operator", 403), ("supervisor", 201)])
async def test_who_may_add(client: Client, role: str, may: int) -> None:
    """Those who look after the rules; an operator says it by the disposition of a call."""
    sent = await client.post("/api/v1/do-not-call", json={"numbers": [FIRST]}, headers={"X-Role": role})
    assert sent.status == may


# -- files ------------------------------------------------------------------------------------------------


async def bring(client: Client, settings: Settings, content: str, **query: str) -> Any:
    """Send a file and load it; how it ended."""
    reply = await client.post("/api/v1/do-not-call/imports", params=query, data=content.encode(), headers=CSV)
    assert reply.status == 202, await reply.text()
    assert await run_next_import(client.app[DATABASE], settings)
    return await get(client, f"/imports/{(await reply.json())['id']}")


async def numbers_in_force(floor: Floor) -> set[str]:
    """What the list says now."""
    async with floor.database.tenant(TENANT) as conn:
        every = await store.page(conn, TENANT, source=None, removed=False, before=10**9, limit=1000)
    return {entry.number for entry in every}


@pytest.mark.parametrize(
    "content",
    [
        "телефон;почему\n8 916 000-00-00;просил\n123;\n+79160000001;\n",
        "8 916 000-00-00\n123\n\n+79160000001\n",
        "номер;с\n89160000000;2020\n123;\n89160000001;\n",
    ],
    ids=["with a header", "a plain list", "first cells"],
)
async def test_a_file_of_numbers(client: Client, settings: Settings, floor: Floor, content: str) -> None:
    """With a header or none; what is no number is counted and told of, the others close their leads."""
    leads = await floor.leads(3)
    done = await bring(client, settings, content, reason="letters of May")
    assert (done["status"], done["added"], done["rejected"]) == ("done", 2, done["rejected"])
    assert ("too_short", "123") in {(one["code"], one["value"]) for one in done["rejects"]}
    assert await numbers_in_force(floor) == {FIRST, "+79160000001"}
    states = [(await floor.row(t.lead, lead)).status for lead in leads]
    assert states == ["closed", "closed", "new"]
    again = await bring(client, settings, content)
    assert (again["added"], again["known"]) == (0, 2)


async def test_a_file_without_numbers_is_refused(client: Client) -> None:
    """It is somebody's mistake, which is told at once."""
    reply = await client.post("/api/v1/do-not-call/imports", data=b"a;b\nc;d\n", headers=CSV)
    assert reply.status == 422, await reply.text()


async def test_a_registry_is_replaced(client: Client, settings: Settings, floor: Floor) -> None:
    """What its new file has no longer is removed, with the file as the reason, and dialled again; an entry
    of somebody's own stays."""
    leads = await floor.leads(4)
    numbers = [f"+{79160000000 + n}" for n in range(4)]
    await post(client, "", 201, numbers=[numbers[1]], reason="asked")
    first = await bring(client, settings, "\n".join(numbers[:3]), registry="FTC", filename="may.csv")
    assert (first["status"], first["added"], first["registry"]) == ("done", 3, "FTC")
    second = await bring(
        client, settings, "\n".join(numbers[2:]), registry="FTC", filename="june.csv", fewer="1"
    )
    assert (second["added"], second["known"], second["removed"]) == (1, 1, 2)
    assert await numbers_in_force(floor) == {numbers[1], numbers[2], numbers[3]}
    (one,) = await get(client, "/registries")
    assert (one["name"], one["numbers"]) == ("FTC", 2)
    async with floor.database.tenant(TENANT) as conn:
        (gone,) = await store.entries_of(conn, TENANT, [numbers[0]])
    assert gone.removed_reason == "not in june.csv"
    line = Line(floor.database)
    assert await placer_of(floor, line).next_leads(terms_of(floor), 5, NODE) == Placed(1)
    assert (await floor.row(t.lead, leads[0])).status == "dialling"


async def test_a_registry_that_was_cut_short_opens_nothing(
    client: Client, settings: Settings, floor: Floor
) -> None:
    """A file with less than half of what the registry held adds what it has and removes nothing."""
    numbers = [f"+{79160000000 + n}" for n in range(10)]
    await bring(client, settings, "\n".join(numbers), registry="FTC")
    cut = await bring(client, settings, "\n".join([*numbers[:4], "+79031112233"]), registry="FTC")
    assert (cut["status"], cut["error"]["id"], cut["added"]) == ("failed", "registry-shrunk", 1)
    assert await numbers_in_force(floor) == {*numbers, "+79031112233"}


async def test_an_import_goes_on_after_a_kill(
    client: Client, settings: Settings, floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What broke off between a batch's entries and its leads is taken up there; nothing is left."""
    monkeypatch.setattr(importing, "BATCH_ROWS", 2)
    monkeypatch.setattr(importing.read_batch, "__defaults__", (2,))
    leads = await floor.leads(5)
    numbers = [f"+{79160000000 + n}" for n in range(5)]
    stop = store.stop_numbers
    broken: list[tuple[Any, ...]] = []

    async def once(*given: Any) -> int:
        if len(broken) < 2:
            broken.append(given)
            if len(broken) == 2:
                raise DatabaseUnavailable(reason="killed")
        return await stop(*given)

    monkeypatch.setattr(store, "stop_numbers", once)
    with pytest.raises(DatabaseUnavailable):
        await bring(client, settings, "\n".join(numbers))
    assert await numbers_in_force(floor) == set(numbers[:4])
    seen: list[NumbersImport] = []
    assert await importing.run_import(floor.database, settings, TENANT, progress=seen.append)
    assert seen[-1].status == "done"
    assert seen[-1].counts.rows == 5
    assert {(await floor.row(t.lead, lead)).status for lead in leads} == {"closed"}
    assert not await run_next_import(floor.database, settings)
    assert list(settings.data_dir.glob("imports/*")) == []


def test_rows_go_on_where_they_broke_off(tmp_path: Path) -> None:
    """The rows after a number are the same however the file is written."""
    plain, headed = tmp_path / "a", tmp_path / "b"
    plain.write_text("89160000000\n89160000001;x\n")
    headed.write_text("имя;телефон;моб\nА;89160000000;\nБ;89160000001;89160000002\n")
    assert list(rows_of(plain, after=1)) == [(2, ["89160000001"])]
    assert list(rows_of(headed, after=1)) == [(2, ["89160000001", "89160000002"])]


async def test_an_end_of_a_file_is_its_numbers(client: Client, settings: Settings, floor: Floor) -> None:
    """Numbers of a file that counts until a day are put off to that day."""
    (lead,) = await floor.leads(1)
    until = utc_now() + timedelta(days=7)
    await bring(client, settings, FIRST, valid_until=until.isoformat())
    row = await floor.row(t.lead, lead)
    assert (row.hold, row.open_from) == ("do_not_call", until)
