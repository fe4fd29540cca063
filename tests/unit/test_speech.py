"""Texts that a program speaks: once, kept, bounded, and never waited for longer than is allowed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import sys
import time
import wave
from pathlib import Path

import pytest

from dialer.asterisk.speech import Command, Espeak, Speaker, engine_of
from dialer.errors import BadSound, PartMissing, SettingsError
from dialer.settings import load

#: Speaks a tone, as long as the text has characters, 10 ms each; writes down what it was asked for.
PROGRAM = """
import math, struct, sys, time, wave
out, language, diary = sys.argv[1:4]
text = sys.stdin.buffer.read().decode()
with open(diary, "a") as file: file.write(language + " " + text + "\\n")
if "hang" in text: time.sleep(600)
if "fall" in text: sys.exit("no voice")
if "nothing" in text: sys.exit(0)
with wave.open(out, "wb") as file:
    file.setnchannels(1); file.setsampwidth(2); file.setframerate(22050)
    n = 22050 * len(text) // 100
    file.writeframes(b"".join(struct.pack("<h", round(9000 * math.sin(i / 9))) for i in range(n)))
"""


def line_of(folder: Path) -> str:
    """A program that speaks."""
    program = folder / "speak.py"
    program.write_text(PROGRAM)
    return shlex.join([sys.executable, str(program), "{out}", "{language}", str(folder / "diary")])


def asked(folder: Path) -> list[str]:
    """What it was asked for."""
    return (folder / "diary").read_text().splitlines()


def seconds(path: Path) -> float:
    """The length of a sound for the telephone."""
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        return float(file.getnframes()) / 8000


async def test_a_program_of_the_settings_speaks(tmp_path: Path) -> None:
    """Without a shell: quotes and dollars of a text are only heard."""
    settings = load(data_dir=tmp_path, speech_command=line_of(tmp_path))
    speaker = Speaker.of(settings)
    text = 'a\'; touch $HOME/x "{out}" && 1'
    kept = await speaker.sound(text, "en")
    assert kept.is_relative_to(settings.prompts_dir)
    assert seconds(kept) == pytest.approx(len(text) / 100, abs=0.02)
    assert asked(tmp_path) == [f"en {text}"]
    assert isinstance(engine_of(load(data_dir=tmp_path)), Espeak)


async def test_a_text_that_many_want_at_once_is_spoken_once(tmp_path: Path) -> None:
    """And who gives up waiting does not take it from the others; spaces do not make another text."""
    speaker = Speaker(Command(line_of(tmp_path)), tmp_path / "kept")
    waiting = [asyncio.create_task(speaker.sound("one  text", "ru")) for _ in range(9)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    found = await asyncio.gather(*waiting[1:], speaker.sound("one text ", "ru"))
    assert len(set(found)) == 1
    await speaker.sound("one text", "ru")
    await speaker.sound("one text", "en")
    assert asked(tmp_path) == ["ru one text", "en one text"]
    assert not list((tmp_path / "kept").glob(".speak-*"))


async def test_another_voice_speaks_anew(tmp_path: Path) -> None:
    """What one program has spoken is not what another would say."""
    line = line_of(tmp_path)
    first = await Speaker(Command(line), tmp_path / "kept").sound("text", "ru")
    assert await Speaker(Command(f"{line} --loud"), tmp_path / "kept").sound("text", "ru") != first


def processes_of(folder: Path) -> list[str]:
    """The command lines that name the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            found.append((process / "cmdline").read_text(errors="replace"))
    return [line for line in found if str(folder) in line]


async def test_a_program_that_hangs_is_killed(tmp_path: Path) -> None:
    """With what it has started; the next text is spoken."""
    speaker = Speaker(Command(line_of(tmp_path)), tmp_path / "kept", timeout_s=2.0)
    began = time.monotonic()
    with pytest.raises(PartMissing, match="within 2 s"):
        await speaker.sound("hang", "ru")
    assert time.monotonic() - began < 20
    assert processes_of(tmp_path) == []
    assert await speaker.sound("go on", "ru")


@pytest.mark.parametrize(
    ("text", "said"), [("fall", "no voice"), ("nothing", "it says: 0")], ids=["fails", "writes nothing"]
)
async def test_a_program_that_fails_is_told_of(tmp_path: Path, text: str, said: str) -> None:
    """In its own words, and it is asked again the next time."""
    speaker = Speaker(Command(line_of(tmp_path)), tmp_path / "kept")
    for _ in range(2):
        with pytest.raises(PartMissing, match=said):
            await speaker.sound(text, "ru")
    assert len(asked(tmp_path)) == 2


async def test_a_program_that_is_not_there_is_told_of(tmp_path: Path) -> None:
    """By its name."""
    with pytest.raises(PartMissing, match="no-such-program"):
        await Speaker(Command("/no-such-program {out}"), tmp_path).sound("text", "ru")


@pytest.mark.parametrize("text", ["", " ", "a\0b", "x" * 2001])
async def test_what_is_no_text_is_refused(tmp_path: Path, text: str) -> None:
    """Before a program is started."""
    speaker = Speaker(Command(line_of(tmp_path)), tmp_path / "kept")
    with pytest.raises(BadSound):
        await speaker.sound(text, "ru")
    with pytest.raises(BadSound, match="no voice for 'de'"):
        await speaker.sound("Guten Tag", "de")
    assert not (tmp_path / "diary").exists()


async def test_what_nobody_has_asked_for_the_longest_goes_first(tmp_path: Path) -> None:
    """The folder stays under its limit; what was played a moment ago stays whatever the limit says."""
    kept = tmp_path / "kept"
    speaker = Speaker(Command(line_of(tmp_path)), kept, most_bytes=10_000)
    files = [await speaker.sound(f"text {n}" * 2, "ru") for n in range(4)]  # 2,000 bytes each
    for hours, file in enumerate(files, start=1):
        os.utime(file, (0, time.time() - 3600 * hours))
    assert await speaker.sound("text 3" * 2, "ru") == files[3]  # asked for again: it is the newest now
    newer = [await speaker.sound(f"more {n}" * 2, "ru") for n in range(2)]
    assert [file.exists() for file in files] == [True, False, False, True]
    assert all(file.exists() for file in newer)
    assert sum(file.stat().st_size for file in kept.glob("*.wav")) <= 10_000


@pytest.mark.parametrize("line", ["piper", "piper --text", "piper 'x {out}"])
def test_a_command_must_say_where_it_writes(tmp_path: Path, line: str) -> None:
    """Else every text would be spoken into nowhere."""
    with pytest.raises(SettingsError, match="DOZVON_SPEECH_COMMAND"):
        load(data_dir=tmp_path, speech_command=line)


async def test_what_other_processes_write_and_forget_meanwhile_stops_no_text(tmp_path: Path) -> None:
    """A sound that is not whole yet, or is gone since it was seen, is not there when sounds are counted: as
    these links to nothing."""
    kept = tmp_path / "kept"
    kept.mkdir()
    for name in (".sound-half.wav", "gone.wav"):
        (kept / name).symlink_to(tmp_path / "nothing")
    speaker = Speaker(Command(line_of(tmp_path)), kept, most_bytes=1)
    assert seconds(await speaker.sound("Good day", "en")) > 0
    assert seconds(await speaker.sound("Goodbye", "en")) > 0
