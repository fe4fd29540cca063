"""A clock that can be set while it is read: libfaketime in the bench's own processes; and zones of its own.

The library stands between a program and the wall clock; how far it is off is read from a file, anew each
second. The clock that only runs on (CLOCK_MONOTONIC) is left alone, as setting a machine's clock leaves it.
Source: https://github.com/wolfcw/libfaketime (README).
"""

from __future__ import annotations

import asyncio
import shutil
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dialer.debian import packages
from dialer.debian.packages import PackageSet, Progress
from dialer.errors import PartMissing

PACKAGES = PackageSet(
    name="faketime",
    packages=("libfaketime",),
    suite="host",
    mend="install libfaketime (Debian and Ubuntu: apt-get install libfaketime)",
    own_loader=False,
)
#: For programs of several threads.
_LIBRARY = "usr/lib/*/faketime/libfaketimeMT.so.1"
#: How long a program may go on by what it has read of the file, seconds.
SEEN_S = 1.0


async def library(packages_dir: Path, progress: Progress = packages.silent) -> Path:
    """The library, unpacked where the machine has none. Raises PartMissing."""
    unpacked = await asyncio.to_thread(packages.unpack, PACKAGES, packages_dir, progress)
    return unpacked.file(_LIBRARY)


@dataclass(slots=True)
class SetClock:
    """One clock that some processes share."""

    library: Path
    path: Path

    def __post_init__(self) -> None:
        self.step(0)

    def step(self, seconds: float) -> None:
        """Set it to be so far before (less than 0: behind) the machine's."""
        other = self.path.with_suffix(".new")
        other.write_text(f"{seconds:+.0f}\n", encoding="ascii")
        other.chmod(0o644)
        other.replace(self.path)  # nobody reads half of it

    def environment(self) -> Mapping[str, str]:
        """What makes a process go by it."""
        return {
            "LD_PRELOAD": str(self.library),
            "FAKETIME_TIMESTAMP_FILE": str(self.path),
            "FAKETIME_CACHE_DURATION": f"{SEEN_S:.0f}",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",  # its name before 0.9.9
        }


@dataclass(slots=True)
class Zones:
    """Zone data in a folder of our own, in which one zone's rule can be changed."""

    folder: Path

    def environment(self) -> Mapping[str, str]:
        """What makes a Python program read the zones here; those that are not here it has elsewhere."""
        return {"PYTHONTZPATH": str(self.folder)}

    def rule(self, zone: str, hour: int) -> datetime:
        """Make it this hour in the zone now, by a rule without summer time; the zone's clock as it is then.

        Raises PartMissing where the machine has no zone data.
        """
        now = datetime.now(UTC)
        ahead = (hour - now.hour + 12) % 24 - 12
        # In these names the sign says how far UTC is ahead of the zone.
        name = f"Etc/GMT{-ahead:+d}" if ahead else "Etc/GMT"
        for place in zoneinfo.TZPATH:
            if (found := Path(place, name)).is_file():
                break
        else:
            raise PartMissing(part="zone data", mend="install tzdata")
        target = self.folder / zone
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(found, target)
        return now + timedelta(hours=ahead)
