"""Asterisk's own sounds as they are on the disk: what is not seen there is not played."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dialer.prompts.model import LANGUAGES
from dialer.settings import Settings

#: Folders where an Asterisk of this machine has them.
USUAL = (
    Path("/usr/share/asterisk/sounds"),
    Path("/var/lib/asterisk/sounds"),
    Path("/usr/local/share/asterisk/sounds"),
)
#: Where there were none before it is looked again after so long, seconds: Asterisk may start later.
_AGAIN_S = 30.0
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
#: What Asterisk can play of a file, of our modules and most others'.
_ENDINGS = frozenset({".wav", ".wav16", ".gsm", ".ulaw", ".alaw", ".g722", ".sln", ".sln16"})


@dataclass(slots=True)
class SoundSet:
    """Asterisk's sounds by language; the folders are read when they are first asked for."""

    folders: Sequence[Path]
    #: language -> name without ending -> what Asterisk is told to play
    _found: dict[str, dict[str, str]] = field(default_factory=dict)
    _looked_at: float | None = None

    @classmethod
    def of(cls, settings: Settings) -> SoundSet:
        """Those of an installation; of an Asterisk on another machine only if the settings say where."""
        if settings.asterisk_sounds_dir is not None:
            return cls((settings.asterisk_sounds_dir,))
        if settings.asterisk == "managed":
            return cls((settings.data_dir / "asterisk/data/sounds",))
        return cls(USUAL if settings.ami_host in _LOOPBACK else ())

    def find(self, name: str, language: str) -> str | None:
        """What Asterisk is told to play, whatever the channel's language; None: there is none.

        `ru/digits/1`: below the folder of all sounds, where Asterisk looks when its language lacks the name.
        """
        if not self._found.get(language):
            now = time.monotonic()
            if self._looked_at is None or now - self._looked_at > _AGAIN_S:
                # In this order: who asks meanwhile, in another thread, reads them too, and misses none.
                self._found = {one: self._read(one) for one in LANGUAGES}
                self._looked_at = now
        return self._found.get(language, {}).get(name)

    def names(self, language: str) -> frozenset[str]:
        """All of a language."""
        self.find("", language)
        return frozenset(self._found.get(language, {}))

    def _read(self, language: str) -> dict[str, str]:
        for base in self.folders:
            for folder in (base / language, *sorted(base.glob(f"{language}_*"))):
                names = {
                    file.relative_to(folder).with_suffix("").as_posix()
                    for file in folder.rglob("*")
                    if file.suffix in _ENDINGS and file.stat().st_size
                }
                if names:
                    return {name: f"{folder.name}/{name}" for name in names}
        return {}
