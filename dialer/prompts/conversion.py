"""Uploaded audio to what Asterisk plays: 8 kHz for every line, 16 kHz beside it for those that carry more.

libsndfile reads WAV, FLAC, Ogg (Vorbis, Opus), MP3, AIFF, AU, CAF and more; what it cannot read (M4A, WMA,
AMR, WebM) goes through ffmpeg: the machine's own, or Debian's, fetched and unpacked when it is first needed.
Both run as programs of their own with a deadline.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from dialer.debian import packages
from dialer.debian.packages import PackageSet
from dialer.errors import BadSound, PartMissing
from dialer.said import Said

log = structlog.get_logger(__name__)

#: The longest prompt, s; a longer one is a recording that was taken by mistake.
LONGEST_S = 600
DEADLINE_S = 90.0

#: How WebM and Matroska, WMA, AMR and bare AAC begin.
HEADS = (b"\x1a\x45\xdf\xa3", b"\x30\x26\xb2\x75", b"#!AMR", b"\xff\xf1", b"\xff\xf9")
PACKAGES = PackageSet(
    name="ffmpeg",
    packages=("ffmpeg",),
    suite="host",
    mend="save the file as WAV, MP3, Ogg or FLAC, or install ffmpeg (sudo apt install ffmpeg)",
    library_dirs=tuple(
        f"usr/lib/{machine}-linux-gnu/{part}"
        for machine in ("x86_64", "aarch64")
        for part in ("pulseaudio", "blas", "lapack")
    ),
)

#: What can be wrong with a file, by the code that the program tells.
WRONG: Mapping[str, Said] = {
    "unreadable": Said("it is no sound that can be read; save it as WAV, MP3, Ogg or FLAC"),
    "too-long": Said("it is longer than {minutes} minutes", minutes=LONGEST_S // 60),
    "empty": Said("it is empty"),
    "silent": Said("nothing can be heard in it"),
}


@dataclass(frozen=True, slots=True)
class Converted:
    """A file that Asterisk plays, under the path that was asked for with `.wav`."""

    #: seconds
    length_s: float
    #: whether one of 16 kHz (`.wav16`) lies beside it
    wide: bool


class Ffmpeg:
    """ffmpeg: the machine's own, or the distribution's, unpacked."""

    def __init__(self, packages_dir: Path) -> None:
        self._packages_dir = packages_dir
        self._finding = asyncio.Lock()

    async def argv(self) -> Sequence[str]:
        """How it is started. A minute the first time; raises PartMissing where it cannot be had."""
        if program := shutil.which("ffmpeg"):
            return (program,)
        async with self._finding:
            unpacked = await asyncio.to_thread(packages.unpack, PACKAGES, self._packages_dir)
        return unpacked.argv("usr/bin/ffmpeg")


async def convert(source: Path, out: Path, ffmpeg: Ffmpeg) -> Converted:
    """Make `out`.wav and, of a source that has so much, `out`.wav16, of one loudness with all others.

    `out` is a path without an ending. Raises BadSound that says what is wrong with the source.
    """
    found = await _decode(source, out)
    if found.get("wrong") == "unreadable" and await asyncio.to_thread(_is_of_ffmpeg, source):
        try:
            program = await ffmpeg.argv()
        except PartMissing as error:
            raise BadSound(reason=error) from error
        with tempfile.TemporaryDirectory(prefix=".ffmpeg-", dir=out.parent) as folder:
            plain = Path(folder, "plain.wav")
            # Only files: a playlist in disguise must not make it fetch anything.
            argv = [
                *program,
                "-v",
                "error",
                "-nostdin",
                "-protocol_whitelist",
                "file",
                "-i",
                f"file:{source}",
            ]
            argv += ["-map", "0:a:0", "-ac", "1", "-ar", "16000", "-t", str(LONGEST_S + 1), str(plain)]
            if await _run(argv) is not None:
                found = await _decode(plain, out)
    if "wrong" in found:
        reason = WRONG.get(str(found["wrong"]), WRONG["unreadable"])
        raise BadSound(reason=reason)
    return Converted(float(found["seconds"]), bool(found["wide"]))


def _is_of_ffmpeg(source: Path) -> bool:
    """Whether it begins as a format does that only ffmpeg reads: nothing is fetched for garbage."""
    with source.open("rb") as file:
        head = file.read(16)
    return head[4:8] == b"ftyp" or head.startswith(HEADS)


async def _decode(source: Path, out: Path) -> dict[str, float | str | bool]:
    argv = [sys.executable, "-m", "dialer.prompts.decoding", str(source)]
    argv += [f"{out}.wav", f"{out}.wav16", str(LONGEST_S)]
    said = await _run(argv)
    if said is None:
        return {"wrong": "killed"}  # not worth another program's time
    found: dict[str, float | str | bool] = json.loads(said)
    return found


async def _run(argv: Sequence[str]) -> bytes | None:
    """What the program printed; None when it failed or was killed at the deadline."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(DEADLINE_S):
            out, err = await process.communicate()
    except TimeoutError:
        log.warning("sound_took_too_long", program=argv[0], after_s=DEADLINE_S)
        return None
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if process.returncode:
        said = err.decode(errors="replace").strip().splitlines()[-1:]
        log.info("sound_not_read", program=argv[0], status=process.returncode, said="".join(said))
        return None
    return out
