"""What prompts become, played by a real Asterisk: each sound is there, and is heard in full."""

from __future__ import annotations

import datetime as dt
import wave
from decimal import Decimal
from pathlib import Path

import pytest
from support.ami_links import running as linked
from support.asterisk import StartAsterisk
from support.line import said

from dialer.asterisk.ami import AmiLink
from dialer.asterisk.runtime import AsteriskBinary
from dialer.asterisk.speech import Speaker
from dialer.db.session import Database
from dialer.prompts.model import SET_SOUNDS
from dialer.prompts.player import Prompts
from dialer.prompts.soundset import SoundSet
from dialer.settings import load
from ivr_flows.prompts import Date, Digits, Money, Number, Prompt, Text

#: Plays what it is told into a channel that records itself; the channel's language is the other one.
PLAY = """
#include extensions_dozvon.conf
[dozvon-inbound]
[dozvon-closed]
[play]
exten => s,1,Answer()
 same => n,Set(CHANNEL(language)=${OTHER})
 same => n,MixMonitor(${RECORDING})
 same => n,Playback(${FILES})
 same => n,StopMixMonitor()
 same => n,UserEvent(Played,Status: ${PLAYBACKSTATUS})
[listen]
exten => s,1,Answer()
 same => n,Wait(60)
"""


def seconds(file: Path) -> float:
    """The length of a sound."""
    with wave.open(str(file)) as sound:
        return float(sound.getnframes()) / 8000


@pytest.mark.parametrize(
    ("prompts", "spoken"),
    [
        ([Text("Ждём вас", "ru"), Date(dt.date(2026, 11, 21), "ru")], True),
        ([Number(121, "ru"), Digits("405", "ru")], False),
        ([Date(dt.date(2026, 11, 21), "en"), Money(Decimal(2000), "USD", "en")], False),
    ],
    ids=["a Russian date", "Russian numbers", "an English date"],
)
async def test_all_of_a_prompt_is_heard(
    start_asterisk: StartAsterisk, database: Database, tmp_path: Path, prompts: list[Prompt], spoken: bool
) -> None:
    """Whatever the channel's language; as long as all its sounds together, without one that is skipped."""
    running = await start_asterisk(conf={"extensions.conf": PLAY})
    folder = running.server.run_dir / "data/sounds"
    settings = load(data_dir=tmp_path, cache_dir=load().packages_dir, asterisk_sounds_dir=folder)
    player = Prompts(database, settings.prompts_dir, Speaker.of(settings), SoundSet.of(settings))
    assert await player.missing(1, prompts) == ()
    names = await player.resolve(1, prompts)
    assert all(name.startswith("/") == spoken for name in names)
    length_s = sum(seconds(folder / f"{name}.wav") for name in names)
    record = tmp_path / "heard.wav"
    async with linked(running.ami) as link:
        await link.wait_up(10)
        await play(link, names, record, "en" if prompts[0].language == "ru" else "ru")
        played = await said(link, "UserEvent", within_s=60, UserEvent="Played")
    assert played["Status"] == "SUCCESS"
    assert seconds(record) == pytest.approx(length_s, abs=0.1 + 0.1 * len(names))
    errors = running.server.log_path.read_text()
    assert not [line for line in errors.splitlines() if "does not exist" in line]


async def play(link: AmiLink, names: tuple[str, ...], record: Path, other: str) -> None:
    """Have a channel hear them."""
    await link.send(
        {
            "Action": "Originate",
            "Channel": "Local/s@listen",
            "Context": "play",
            "Exten": "s",
            "Priority": "1",
            "Async": "true",
            "Variable": [f"FILES={'&'.join(names)}", f"RECORDING={record}", f"OTHER={other}"],
        }
    )


@pytest.mark.parametrize("language", ["ru", "en"])
def test_the_sets_of_the_distribution_have_what_we_say_they_have(
    asterisk_binary: AsteriskBinary, language: str
) -> None:
    """Each word that we take for recorded is a file of Asterisk's own, and not an empty one."""
    sounds = SoundSet((asterisk_binary.data_dir / "sounds",))
    assert [one for one in SET_SOUNDS[language].values() if sounds.find(one, language) is None] == []
    folder = asterisk_binary.data_dir / "sounds"
    lengths = [seconds(folder / f"{sounds.find(one, language)}.wav") for one in SET_SOUNDS[language].values()]
    assert min(lengths) > 0.2
