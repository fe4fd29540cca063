"""Which Asterisk to run: the system's own when it is new enough, else one unpacked from packages."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from dialer.debian import packages
from dialer.debian.packages import PackageSet, Progress
from dialer.errors import PartMissing

log = structlog.get_logger(__name__)

#: The oldest Asterisk that will do.
LEAST_VERSION = (20,)

PACKAGES = PackageSet(
    name="asterisk",
    packages=("asterisk", "asterisk-core-sounds-en-wav", "asterisk-core-sounds-ru-wav"),
    suite="sid",
    mend="install Asterisk 20 or 22 (on Ubuntu 24.04 or later: sudo apt install asterisk; elsewhere from "
    "asterisk.org), or name one that runs elsewhere: DOZVON_ASTERISK=external, DOZVON_AMI_HOST=...",
    least_version=LEAST_VERSION,
)

_VERSION = re.compile(r"Asterisk (?:certified[/-])?(\d+(?:\.\d+)*)")


@dataclass(frozen=True, slots=True)
class AsteriskBinary:
    """An Asterisk that can be started."""

    #: Start of its command line: the program, or its loader and the program.
    argv: tuple[str, ...]
    #: 22.10.1
    version: str
    #: Folder of its modules.
    modules_dir: Path
    #: Folder of its documentation and sounds.
    data_dir: Path


async def find_asterisk(packages_dir: Path, progress: Progress = packages.silent) -> AsteriskBinary:
    """The system's Asterisk when it is new enough, else the unpacked one, fetched on first use.

    Raises PartMissing with one line that says what to do.
    """
    return await asyncio.to_thread(_find, packages_dir, progress)


def _find(packages_dir: Path, progress: Progress) -> AsteriskBinary:
    return system_asterisk() or unpacked_asterisk(packages_dir, progress)


def system_asterisk() -> AsteriskBinary | None:
    """The Asterisk that is installed here; None when there is none, or it is too old."""
    program = shutil.which("asterisk") or shutil.which("asterisk", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        return None
    version = _version((program,))
    modules = _first_folder(
        *Path("/usr/lib").glob("*-linux-gnu*/asterisk/modules"),
        Path("/usr/lib/asterisk/modules"),
        Path("/usr/lib64/asterisk/modules"),
        Path("/usr/local/lib/asterisk/modules"),
        holding="res_pjsip.so",
    )
    # Documentation may be a package of its own; prompts lie under `sounds` wherever Asterisk came from.
    data = _first_folder(
        Path("/usr/share/asterisk"),
        Path("/var/lib/asterisk"),
        Path("/usr/local/share/asterisk"),
        holding="sounds",
    )
    if packages.version_numbers(version) < LEAST_VERSION or modules is None or data is None:
        log.info("asterisk.system_not_used", version=version, modules=str(modules), data=str(data))
        return None
    return AsteriskBinary((program,), version, modules, data)


def unpacked_asterisk(packages_dir: Path, progress: Progress = packages.silent) -> AsteriskBinary:
    """Asterisk from the distribution's packages, in a folder of ours. Raises PartMissing."""
    unpacked = packages.unpack(PACKAGES, packages_dir, progress)
    argv = tuple(unpacked.argv("usr/sbin/asterisk"))
    modules = _first_folder(
        *(unpacked.root / "usr/lib").glob("*-linux-gnu*/asterisk/modules"), holding="res_pjsip.so"
    )
    if modules is None:
        raise PartMissing(part="Asterisk's modules", mend=f"remove {unpacked.root} and start again")
    return AsteriskBinary(argv, _version(argv), modules, unpacked.root / "usr/share/asterisk")


def _first_folder(*folders: Path, holding: str) -> Path | None:
    return next((folder for folder in folders if (folder / holding).exists()), None)


def _version(argv: Sequence[str]) -> str:
    try:
        done = subprocess.run(
            [*argv, "-V"], capture_output=True, text=True, errors="replace", timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PartMissing(part="a working Asterisk", mend=f"{argv[-1]} does not start: {error}") from error
    match = _VERSION.search(done.stdout)
    if match is None:
        words = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise PartMissing(part="a working Asterisk", mend=f"{argv[-1]} -V says: {''.join(words)}")
    return match[1]
