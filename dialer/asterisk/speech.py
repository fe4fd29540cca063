"""Spoken texts: words to a sound for the telephone, by whatever program speaks, each text once.

espeak-ng needs no account and no network, so it is there from the first start; its voice is plain. Any other
program that reads a text and writes a WAV file takes its place by two settings. Where it matters, a person
records the prompt.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import structlog

from dialer.debian import packages
from dialer.debian.packages import PackageSet, Progress
from dialer.errors import BadSound, PartMissing
from dialer.settings import Settings

log = structlog.get_logger(__name__)

#: Words a minute of espeak-ng: slower than its own 175, for a line of 8 kHz.
_SPEED = 150
_LONGEST_TEXT = 2000
#: A sound that was asked for within this time is not removed: a call may be about to play it.
_IN_USE_S = 900.0
#: How old the mark of the last use may be, s: not every use writes it.
_MARK_S = 300.0

PACKAGES = PackageSet(
    name="espeak-ng",
    packages=("espeak-ng",),
    suite="host",
    mend="install it (sudo apt install espeak-ng), or upload a recorded WAV in place of a text",
    library_dirs=("usr/lib/x86_64-linux-gnu/pulseaudio", "usr/lib/aarch64-linux-gnu/pulseaudio"),
)


class Engine(Protocol):
    """A program that speaks."""

    @property
    def name(self) -> str:
        """What people call it: in errors."""

    @property
    def languages(self) -> Sequence[str]:
        """Languages that it can speak: ru, en."""

    def voice(self, language: str) -> str:
        """All that decides how a text sounds, besides the text: another one makes other files."""

    async def argv(self, language: str, out: Path) -> Sequence[str]:
        """The command that reads a text (UTF-8) from its input and writes it as the WAV file `out`.

        Raises PartMissing where the program cannot be had.
        """


class Espeak:
    """espeak-ng: the machine's own, or Debian's, unpacked."""

    name = "espeak-ng"
    #: Its names of the voices.
    _VOICES: Mapping[str, str] = {"ru": "ru", "en": "en-us"}
    languages = tuple(_VOICES)

    def __init__(self, packages_dir: Path, progress: Progress = packages.silent) -> None:
        self._packages_dir = packages_dir
        self._progress = progress
        #: How it is started; empty until it is needed.
        self._program: tuple[str, ...] = ()
        self._finding = asyncio.Lock()

    def voice(self, language: str) -> str:
        """Its name of the voice, and how fast it speaks."""
        return f"{self._VOICES[language]} {_SPEED}"

    async def argv(self, language: str, out: Path) -> Sequence[str]:
        """See `Engine.argv`."""
        async with self._finding:
            self._program = self._program or await asyncio.to_thread(self._find)
        options = ("-v", self._VOICES[language], "-s", str(_SPEED), "-b", "1", "--stdin", "-w", str(out))
        return (*self._program, *options)

    def _find(self) -> tuple[str, ...]:
        if program := shutil.which("espeak-ng"):
            return (program,)
        unpacked = packages.unpack(PACKAGES, self._packages_dir, self._progress)
        data = next((unpacked.root / "usr").glob("**/espeak-ng-data/phontab"), None)
        if data is None:
            raise PartMissing(part="espeak-ng's data", mend=f"remove {unpacked.root} and start again")
        return (*unpacked.argv("usr/bin/espeak-ng"), f"--path={data.parent.parent}")


class Command:
    """A program of the installation's own: `piper --model /opt/voices/{language}.onnx --output_file {out}`.

    Started without a shell; {language} and {out} are filled in, the text comes by its input.
    """

    languages = ("ru", "en")

    def __init__(self, line: str) -> None:
        self._line = line
        self.name = shlex.split(line)[0]

    def voice(self, language: str) -> str:
        """The line itself: another model is another voice."""
        return f"{language} {self._line}"

    async def argv(self, language: str, out: Path) -> Sequence[str]:
        """See `Engine.argv`."""
        return [
            word.replace("{language}", language).replace("{out}", str(out))
            for word in shlex.split(self._line)
        ]


def engine_of(settings: Settings, progress: Progress = packages.silent) -> Engine:
    """The one that the settings name."""
    if settings.speech_command is not None:
        return Command(settings.speech_command)
    return Espeak(settings.packages_dir, progress)


class Speaker:
    """Speaks texts; what was once spoken is kept in `cache_dir`, up to `most_bytes` of it.

    A text that several ask for at once is spoken once; of what is kept, what nobody has asked for the longest
    goes first.
    """

    def __init__(
        self, engine: Engine, cache_dir: Path, *, timeout_s: float = 60.0, most_bytes: int = 500_000_000
    ) -> None:
        self.engine = engine
        self._cache_dir = cache_dir
        self._timeout_s = timeout_s
        self._most_bytes = most_bytes
        # A program a text: beyond the processors they only wait for each other.
        self._turn = asyncio.Semaphore(os.cpu_count() or 1)
        self._under_way: dict[str, asyncio.Task[Path]] = {}
        #: Bytes that are kept; None: not counted yet.
        self._kept: int | None = None

    @classmethod
    def of(cls, settings: Settings, progress: Progress = packages.silent) -> Speaker:
        """The speaker of an installation. What it keeps lies where Asterisk can play it."""
        return cls(
            engine_of(settings, progress),
            settings.prompts_dir / "speech",
            timeout_s=settings.speech_timeout_s,
            most_bytes=settings.speech_cache_mb * 1_000_000,
        )

    async def speak(self, text: str, locale: str, out: Path) -> float:
        """Write `text`, spoken in `locale` (ru or en), as the WAV file `out`; returns its length, seconds.

        Raises BadSound for a text that cannot be spoken, PartMissing where the engine cannot be had or fails.
        """
        kept = await self.sound(text, locale)
        from dialer.asterisk import sound  # see `_convert`

        return await asyncio.to_thread(sound.copy, kept, out)

    async def sound(self, text: str, locale: str) -> Path:
        """The kept file of `text`, spoken if it was not yet; 8 kHz, mono. Raises as `speak` does."""
        words = " ".join(text.split())
        if locale not in self.engine.languages:
            known = ", ".join(self.engine.languages)
            raise BadSound(reason=f"there is no voice for {locale!r}; there are {known}")
        if not words or not words.isprintable():
            raise BadSound(reason="the text is empty or holds control characters")
        if len(words) > _LONGEST_TEXT:
            raise BadSound(
                reason=f"the text has {len(words)} characters; {_LONGEST_TEXT} can be spoken at once"
            )
        engine = self.engine
        key = hashlib.sha256(
            "\n".join((engine.name, engine.voice(locale), locale, words)).encode()
        ).hexdigest()
        kept = self._cache_dir / f"{key}.wav"
        if await asyncio.to_thread(_use, kept):
            return kept
        making = self._under_way.get(key)
        if making is None:
            making = asyncio.create_task(self._make(words, locale, kept))
            self._under_way[key] = making
            making.add_done_callback(lambda task: self._made(key, task))
        # Whoever gives up waiting does not take it from the others.
        return await asyncio.shield(making)

    def _made(self, key: str, task: asyncio.Task[Path]) -> None:
        del self._under_way[key]
        if not task.cancelled() and (error := task.exception()) is not None:
            # Whoever waits is told; here because all of them may have given up.
            log.warning("not_spoken", engine=self.engine.name, reason=str(error))

    async def _make(self, words: str, language: str, kept: Path) -> Path:
        async with self._turn:
            await asyncio.to_thread(self._cache_dir.mkdir, parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".speak-", dir=self._cache_dir) as folder:
                raw = Path(folder, "raw.wav")
                await self._run(await self.engine.argv(language, raw), words, raw)
                try:
                    await asyncio.to_thread(_convert, raw, kept)
                except BadSound as error:
                    raise PartMissing(
                        part=f"a working {self.engine.name}", mend=f"what it writes is no sound: {error}"
                    ) from error
        if self._kept is None:
            self._kept = await asyncio.to_thread(_size, self._cache_dir)
        else:
            self._kept += (await asyncio.to_thread(kept.stat)).st_size
        if self._kept > self._most_bytes:
            self._kept = await asyncio.to_thread(_forget, self._cache_dir, self._most_bytes)
        return kept

    async def _run(self, argv: Sequence[str], words: str, raw: Path) -> None:
        part = f"a working {self.engine.name}"
        try:
            # A session of its own, so that what it has started is killed with it.
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise PartMissing(part=part, mend=f"{argv[0]}: {error}") from error
        try:
            # The text goes by a pipe: no text of a user is an argument.
            async with asyncio.timeout(self._timeout_s):
                _, err = await process.communicate(words.encode())
        except TimeoutError:
            raise PartMissing(part=part, mend=f"it has not spoken within {self._timeout_s:g} s") from None
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        if process.returncode or not await asyncio.to_thread(raw.is_file):
            said = "".join(err.decode(errors="replace").strip().splitlines()[-1:])
            raise PartMissing(part=part, mend=f"it says: {said or process.returncode}")


def _convert(raw: Path, kept: Path) -> None:
    # Here and not above: numpy comes with it, a tenth of the time until a server is back after a crash.
    from dialer.asterisk import sound

    sound.convert(raw, kept)


def _use(kept: Path) -> bool:
    """Whether it is there; if so, it was used now."""
    try:
        if time.time() - kept.stat().st_mtime > _MARK_S:
            os.utime(kept)
    except FileNotFoundError:
        return False
    return True


def _files(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """When each was used last, bytes, the file. Other processes write and forget meanwhile: what is not whole
    yet, or gone, is none of them."""
    for file in folder.glob("[!.]*.wav"):
        with suppress(FileNotFoundError):
            found = file.stat()
            yield found.st_mtime, found.st_size, file


def _size(folder: Path) -> int:
    return sum(size for _, size, _ in _files(folder))


def _forget(folder: Path, most_bytes: int) -> int:
    """Remove what was not used the longest, down to four fifths of the limit; returns what is left, bytes."""
    found = sorted(_files(folder))
    left, oldest_in_use = sum(size for _, size, _ in found), time.time() - _IN_USE_S
    removed = 0
    for used, size, file in found:
        if left <= most_bytes * 0.8 or used > oldest_in_use:
            break
        file.unlink(missing_ok=True)  # another process may be at it too
        left, removed = left - size, removed + 1
    log.info("speech_forgotten", files=removed, left_bytes=left)
    return left
