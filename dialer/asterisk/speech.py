"""Spoken prompts: a text to a sound for the telephone, by espeak-ng.

The voice is plain; it makes a campaign ready to start. Where it matters, a person records the prompt.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Literal, cast, get_args

from dialer.debian import packages
from dialer.debian.packages import PackageSet, Progress
from dialer.errors import BadSound, PartMissing
from dialer.settings import Settings

Voice = Literal["ru", "en"]
#: espeak-ng's names of the voices.
_VOICES = {"ru": "ru", "en": "en-us"}

#: Words a minute: slower than the program's own 175, for a line of 8 kHz.
_SPEED = 150
_LONGEST_TEXT = 2000
_DEADLINE_S = 60

PACKAGES = PackageSet(
    name="espeak-ng",
    packages=("espeak-ng",),
    suite="host",
    mend="install it (sudo apt install espeak-ng), or upload a recorded WAV in place of a text",
    library_dirs=("usr/lib/x86_64-linux-gnu/pulseaudio", "usr/lib/aarch64-linux-gnu/pulseaudio"),
)


class Speaker:
    """Speaks texts; what was once spoken is kept in `cache_dir`."""

    def __init__(self, packages_dir: Path, cache_dir: Path, progress: Progress = packages.silent) -> None:
        self._packages_dir = packages_dir
        self._cache_dir = cache_dir
        self._progress = progress
        #: How espeak-ng is started; empty until it is needed.
        self._program: tuple[str, ...] = ()
        self._finding = asyncio.Lock()
        # A program a text: beyond the processors they only wait for each other.
        self._turn = asyncio.Semaphore(os.cpu_count() or 1)

    @classmethod
    def of(cls, settings: Settings, progress: Progress = packages.silent) -> Speaker:
        """The speaker of an installation."""
        return cls(settings.packages_dir, settings.data_dir / "speech", progress)

    async def speak(self, text: str, locale: str, out: Path) -> float:
        """Write `text`, spoken in `locale` (ru or en), as the WAV file `out`; returns its length, seconds.

        Raises BadSound for a text that cannot be spoken, PartMissing where espeak-ng cannot be had.
        """
        words = " ".join(text.split())
        if locale not in get_args(Voice):
            raise BadSound(reason=f"there is no voice for {locale!r}; there are {', '.join(get_args(Voice))}")
        if not words or not words.isprintable():
            raise BadSound(reason="the text is empty or holds control characters")
        if len(words) > _LONGEST_TEXT:
            raise BadSound(
                reason=f"the text has {len(words)} characters; {_LONGEST_TEXT} can be spoken at once"
            )
        key = hashlib.sha256(f"{_SPEED}\n{_VOICES[locale]}\n{words}".encode()).hexdigest()
        kept = self._cache_dir / f"{key}.wav"
        if not kept.is_file():
            async with self._finding:
                self._program = self._program or await asyncio.to_thread(self._find)
            async with self._turn:
                await asyncio.to_thread(_speak, self._program, cast("Voice", locale), words, kept)
        from dialer.asterisk import sound  # see `_speak`

        return await asyncio.to_thread(sound.copy, kept, out)

    def _find(self) -> tuple[str, ...]:
        if program := shutil.which("espeak-ng"):
            return (program,)
        unpacked = packages.unpack(PACKAGES, self._packages_dir, self._progress)
        data = next((unpacked.root / "usr").glob("**/espeak-ng-data/phontab"), None)
        if data is None:
            raise PartMissing(part="espeak-ng's data", mend=f"remove {unpacked.root} and start again")
        return (*unpacked.argv("usr/bin/espeak-ng"), f"--path={data.parent.parent}")


def _speak(program: tuple[str, ...], voice: Voice, words: str, kept: Path) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".speak-", dir=kept.parent) as folder:
        raw = Path(folder, "raw.wav")
        argv = [*program, "-v", _VOICES[voice], "-s", str(_SPEED), "-b", "1", "--stdin", "-w", str(raw)]
        try:
            # The text goes by a pipe: no text of a user is an argument.
            done = subprocess.run(
                argv, input=words.encode(), capture_output=True, timeout=_DEADLINE_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise PartMissing(part="a working espeak-ng", mend=f"{argv[0]}: {error}") from error
        if done.returncode or not raw.is_file():
            said = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
            raise PartMissing(part="a working espeak-ng", mend=f"it says: {''.join(said) or done.returncode}")
        # Here and not above: numpy comes with it, a tenth of the time until a server is back after a crash.
        from dialer.asterisk import sound

        sound.convert(raw, kept)
