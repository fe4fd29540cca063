"""Prompts of tenants: kept, replaced, removed, and what a call is told to play."""

from __future__ import annotations

import datetime as dt
import io
import os
import time
import wave
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection
from support.imports import BOSS, pieces
from support.room import Client, room

from dialer.asterisk.speech import Espeak, Speaker
from dialer.contacts.persondata import PLACES
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.errors import (
    BadSound,
    DatabaseUnavailable,
    Forbidden,
    Invalid,
    NotFound,
    PromptInUse,
    TooLarge,
)
from dialer.httpkit.access import Actor, Role
from dialer.prompts import http
from dialer.prompts.http import PROMPTS
from dialer.prompts.player import Prompts
from dialer.prompts.service import PromptService
from dialer.prompts.soundset import SoundSet
from dialer.settings import Settings, load
from ivr_flows.naming import Named
from ivr_flows.prompts import Date, Digits, Money, Number, Prompt, Sound, Text

DAY = dt.date(2026, 11, 21)
#: Sounds that this Asterisk has.
BUILTIN = ("beep", "digits/hundred", "digits/20", "digits/3", *(f"digits/{n}" for n in range(10)))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A data folder of the test's own; espeak-ng as it was unpacked before."""
    return load(data_dir=tmp_path, cache_dir=load().packages_dir)


@pytest.fixture
def sounds(settings: Settings) -> SoundSet:
    """A folder of Asterisk's with a few sounds of Russian, and none of English."""
    folder = settings.data_dir / "asterisk/data/sounds"
    for name in BUILTIN:
        file = folder / "ru" / f"{name}.wav"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"RIFF")
    return SoundSet.of(settings)


@pytest.fixture
def service(database: Database, settings: Settings, sounds: SoundSet) -> PromptService:
    """The service; of the prompt `busy` a flow is told to play it in Russian."""

    async def uses(conn: AsyncConnection, tenant_id: int, kind: Named, name: str) -> list[str]:
        spoken = t.prompt.c.language + "/" + t.prompt.c.name
        assert await conn.scalar(select(t.prompt.c.tenant_id).where(spoken == name)) == tenant_id
        return ["reception"] if (kind, name) == (Named.SOUND, "ru/busy") else []

    return PromptService(database, settings, Speaker.of(settings), sounds, uses)


@pytest.fixture
def player(database: Database, settings: Settings, sounds: SoundSet) -> Prompts:
    """What calls ask."""
    return Prompts(database, settings.prompts_dir, Speaker.of(settings), sounds)


@pytest.fixture
async def client(database: Database, settings: Settings, service: PromptService) -> AsyncIterator[Client]:
    """The feature's routes, for whom the header X-Role names."""
    async with room(database, settings, PROMPTS, service, [http.routes]) as opened:
        yield opened


def recording(seconds: float = 0.5, kind: str = "MP3") -> bytes:
    """A file as somebody uploads it."""
    at = np.arange(round(44100 * seconds)) / 44100
    made = io.BytesIO()
    soundfile.write(made, 0.1 * np.sin(2 * np.pi * 300 * at), 44100, format=kind)
    return made.getvalue()


def files(settings: Settings) -> list[str]:
    """What lies in the folder of tenants' prompts."""
    folder = settings.prompts_dir / "own"
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


async def upload(service: PromptService, name: str, language: str = "ru", **more: Any) -> Any:
    return await service.upload(BOSS, name, language, "c:\\greeting.mp3", pieces(recording(), 4096), **more)


async def test_an_upload_is_kept_under_a_name_of_the_servers(
    service: PromptService, database: Database, settings: Settings
) -> None:
    """With who made it and what it was; nothing else is left on the disk."""
    made = await upload(service, "menu/Главное", text="Нажмите один.")
    assert (made.name, made.language, made.filename) == ("menu/Главное", "ru", "greeting.mp3")
    assert made.length_s == pytest.approx(0.5, abs=0.1)
    assert files(settings) == [
        f"{made.path.removeprefix('own/')}.wav",
        f"{made.path.removeprefix('own/')}.wav16",
    ]
    assert made.path.startswith("own/1/")
    assert await service.prompt(BOSS, made.id) == made
    with wave.open(str(await service.sound(BOSS, made.id))) as file:
        assert (file.getframerate(), file.getnframes() / 8000) == (8000, pytest.approx(made.length_s))
    async with database.tenant(1) as conn:
        assert await conn.scalar(select(t.audit.c.action)) == "prompt.upload"
        assert await conn.scalar(select(t.event.c.kind)) == "prompt.changed"
    assert t.prompt not in {place.table for place in PLACES}, "what callers hear is no caller's data"


async def test_a_name_again_replaces_the_sound(service: PromptService, settings: Settings) -> None:
    """Another language is another prompt. A file that no row names stays for a day: a call may play it."""
    first = await upload(service, "greeting")
    english = await upload(service, "greeting", "en")
    second = await service.speak(BOSS, "greeting", "ru", " Здравствуйте!\n")
    assert (second.id, second.text, second.filename) == (first.id, "Здравствуйте!", "")
    assert second.path != first.path
    assert [one.id for one in await service.prompts(BOSS)] == [english.id, second.id]
    old = settings.prompts_dir / f"{first.path}.wav"
    assert old.is_file()
    os.utime(old, (0, time.time() - 25 * 3600))
    await upload(service, "other")
    assert not old.exists()
    assert (settings.prompts_dir / f"{second.path}.wav").is_file()


async def test_what_a_flow_plays_cannot_be_removed(service: PromptService) -> None:
    """The refusal names the flow; whoever means it all the same says so. What nothing plays goes, also what
    is played in another language alone."""
    busy, free = await upload(service, "busy"), await upload(service, "free")
    english = await upload(service, "busy", "en")
    with pytest.raises(PromptInUse, match="reception"):
        await service.remove(BOSS, busy.id)
    for one in (free, english):
        await service.remove(BOSS, one.id)
        with pytest.raises(NotFound):
            await service.prompt(BOSS, one.id)
    with pytest.raises(NotFound):
        await service.remove(BOSS, free.id)
    await service.remove(BOSS, busy.id, even_if_used=True)
    assert await service.prompts(BOSS) == []


async def test_programs_remove_what_is_played_by_saying_so(client: Client) -> None:
    """The problem has an id of its own, and the flows."""
    params = {"name": "busy", "language": "ru"}
    made = await client.post(
        "/api/v1/prompts", params=params, data=recording(), headers={"Content-Type": "audio/mpeg"}
    )
    path = f"/api/v1/prompts/{(await made.json())['id']}"
    refused = await client.delete(path)
    told = await refused.json()
    assert (refused.status, told["type"], told["flows"]) == (409, "/problems/prompt-in-use", ["reception"])
    assert (await client.delete(path, params={"even_if_used": "true"})).status == 204


async def test_what_is_wrong_leaves_nothing(service: PromptService, settings: Settings) -> None:
    """A name that is a path, a language, garbage, too many bytes, the wrong person."""
    for name, language, field in (("../x", "ru", "name"), ("a b", "ru", "name"), ("a", "de", "language")):
        with pytest.raises(Invalid) as refused:
            await upload(service, name, language)
        assert refused.value.details["field"] == field
    with pytest.raises(BadSound):
        await service.upload(BOSS, "a", "ru", "a.mp3", pieces(b"not a sound"))
    with pytest.raises(TooLarge):
        await service.upload(BOSS, "a", "ru", "a.wav", pieces(bytes(10_000_001), 1 << 20))
    with pytest.raises(Forbidden):
        agent = Actor(1, None, Role.OPERATOR, "Agent", "ru")
        await service.upload(agent, "a", "ru", "a.mp3", pieces(recording(), 4096))
    assert await service.prompts(BOSS) == []
    assert files(settings) == []


async def test_a_row_that_leads_out_of_the_folder_is_no_prompt(
    service: PromptService, database: Database, settings: Settings
) -> None:
    """Whatever stands in the table."""
    made = await upload(service, "greeting")
    (settings.data_dir / "secret.wav").write_bytes(b"x")
    async with database.tenant(1) as conn:
        await conn.execute(t.prompt.update().values(path="../secret"))
    with pytest.raises(NotFound):
        await service.sound(BOSS, made.id)


async def test_a_call_plays_recordings_where_there_are_and_a_voice_else(
    service: PromptService, player: Prompts, settings: Settings
) -> None:
    """Asterisk's under the folder of its language, the tenant's and spoken ones by their path."""
    own = await upload(service, "greeting")
    found = await player.resolve(
        1,
        [Sound("greeting", "ru"), Sound("beep", "ru"), Number(123, "ru"), Digits("405", "ru"),
         Text("Да.", "ru"), Date(DAY, "ru")],
    )  # fmt: skip
    assert found[:8] == (
        str(settings.prompts_dir / own.path), "ru/beep", "ru/digits/hundred", "ru/digits/20", "ru/digits/3",
        "ru/digits/4", "ru/digits/0", "ru/digits/5",
    )  # fmt: skip
    spoken = found[8:]
    assert len(spoken) == 2  # the date as a whole: first and November have no sounds here
    for path in spoken:
        with wave.open(f"{path}.wav") as file:
            assert file.getframerate() == 8000
            assert file.getnframes() > 1000


async def test_own_words_complete_a_number(
    service: PromptService, player: Prompts, settings: Settings
) -> None:
    """With them nothing is spoken any more."""
    own = await upload(service, "words/двести")
    assert await player.resolve(1, [Number(203, "ru")]) == (
        str(settings.prompts_dir / own.path),
        "ru/digits/3",
    )
    words = await service.words(BOSS, "ru")
    assert words.own == ("двести",)
    assert "три" in words.builtin
    assert "рублей" in words.spoken


async def test_what_is_missing_is_told_and_left_out(player: Prompts) -> None:
    """Before a call it is a problem; in a call the rest is played."""
    prompts: list[Prompt] = [
        Sound("nowhere", "ru"),
        Sound("beep", "en"),
        Number(10**20, "ru"),
        Sound("beep", "ru"),
    ]
    problems = await player.missing(1, [*prompts, *prompts])
    assert [(one.what, one.language, one.code) for one in problems] == [
        ("nowhere", "ru", "unknown-sound"),
        ("beep", "en", "unknown-sound"),
        ("Number", "ru", "not-spoken"),
    ]
    assert await player.resolve(1, prompts) == ("ru/beep",)
    assert await player.warm_up(1, [Money(Decimal("5.50"), "RUB", "ru"), Text("Готово", "ru")]) == ()


async def test_without_a_voice_texts_are_missing(
    database: Database, settings: Settings, sounds: SoundSet, tmp_path: Path
) -> None:
    """And said to be; recorded ones are played."""
    no_voice = settings.model_copy(update={"speech_command": "/no-such-voice {out}"})
    player = Prompts(database, settings.prompts_dir, Speaker.of(no_voice), sounds)
    (problem,) = await player.missing(1, [Text("Да", "ru"), Sound("beep", "ru")])
    assert (problem.what, problem.code) == ("Да", "not-spoken")
    assert "no-such-voice" in problem.reason


async def test_calls_go_on_without_the_database(
    service: PromptService, player: Prompts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what was known of it; a new upload is heard as soon as it is back."""
    await upload(service, "greeting")
    first = await player.resolve(1, [Sound("greeting", "ru")])

    def away(_tenant: int) -> Any:
        raise DatabaseUnavailable(reason="away")

    with monkeypatch.context() as patch:
        patch.setattr(player.database, "tenant", away)
        patch.setattr("dialer.prompts.player._REMEMBERED_S", 0.0)
        assert await player.resolve(1, [Sound("greeting", "ru")]) == first
        # Of a tenant that nothing is known of: Asterisk's own at least.
        assert await player.resolve(2, [Sound("greeting", "ru"), Sound("beep", "ru")]) == ("ru/beep",)
    await service.speak(BOSS, "greeting", "ru", "Здравствуйте")
    monkeypatch.setattr("dialer.prompts.player._REMEMBERED_S", 0.0)
    assert await player.resolve(1, [Sound("greeting", "ru")]) != first


async def test_tenants_do_not_hear_each_other(
    service: PromptService, player: Prompts, database: Database
) -> None:
    """A prompt of one is unknown to the other."""
    await upload(service, "greeting")
    (problem,) = await player.missing(2, [Sound("greeting", "ru")])
    assert problem.code == "unknown-sound"
    assert "greeting" in await player.known(1, "ru")
    assert "greeting" not in await player.known(2, "ru")
    assert "beep" in await player.known(2, "ru")


async def test_programs_upload_list_hear_and_remove(client: Client) -> None:
    """The languages of a name come together, whatever the page's length."""
    for name, language in (("a", "ru"), ("a", "en"), ("b", "ru"), ("c", "en")):
        reply = await client.post(
            "/api/v1/prompts",
            params={"name": name, "language": language, "filename": "a.flac", "text": "Слова"},
            data=recording(kind="FLAC"),
            headers={"Content-Type": "audio/flac"},
        )
        assert reply.status == 201, await reply.text()
    seen: list[tuple[str, str]] = []
    query = {"limit": "2"}
    while True:
        page = await (await client.get("/api/v1/prompts", params=query)).json()
        seen += [(one["name"], one["language"]) for one in page["items"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert seen == [("a", "en"), ("a", "ru"), ("b", "ru"), ("c", "en")]
    one = page["items"][0]
    assert (one["filename"], one["text"]) == ("a.flac", "Слова")
    heard = await client.get(f"/api/v1/prompts/{one['id']}/sound", headers={"Range": "bytes=0-3"})
    assert (heard.status, heard.content_type, await heard.read()) == (206, "audio/wav", b"RIFF")
    assert (await client.delete(f"/api/v1/prompts/{one['id']}")).status == 204
    assert (await client.get(f"/api/v1/prompts/{one['id']}")).status == 404
    spoken = {"name": "c", "language": "en", "text": "Hello"}
    reply = await client.post("/api/v1/prompts/spoken", json=spoken)
    assert (reply.status, (await reply.json())["text"]) == (201, "Hello")


async def test_programs_are_told_what_is_wrong(client: Client) -> None:
    """Each with its status: no sound, too large, no name, no right."""

    async def send(data: bytes, role: str = "supervisor", **query: str) -> tuple[int, str]:
        headers = {"Content-Type": "application/octet-stream", "X-Role": role}
        params = {"name": "a", "language": "ru"} | query
        reply = await client.post("/api/v1/prompts", params=params, data=io.BytesIO(data), headers=headers)
        return reply.status, (await reply.json())["type"]

    assert await send(b"nonsense") == (422, "/problems/bad-sound")
    assert await send(bytes(10_000_001)) == (413, "/problems/too-large")
    assert await send(recording(), name="a b") == (422, "/problems/invalid")
    assert await send(recording(), role="operator") == (403, "/problems/forbidden")


def test_sounds_of_another_machine_are_not_guessed(tmp_path: Path) -> None:
    """An external Asterisk elsewhere has none that we know of, unless the settings say where they are."""
    far = load(data_dir=tmp_path, asterisk="external", ami_host="192.0.2.1")
    assert SoundSet.of(far).find("beep", "ru") is None
    seen = tmp_path / "seen" / "ru_RU_f_Somebody" / "beep.gsm"
    seen.parent.mkdir(parents=True)
    seen.write_bytes(b"x")
    told = load(data_dir=tmp_path, asterisk="external", asterisk_sounds_dir=tmp_path / "seen")
    assert SoundSet.of(told).find("beep", "ru") == "ru_RU_f_Somebody/beep"
    assert isinstance(Speaker.of(told).engine, Espeak)
