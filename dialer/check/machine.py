"""Looks at the machine: settings, folders, disks, clock rules, the port of the pages, voices."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import stat
import tempfile
import zoneinfo
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path

from dialer.asterisk import speech
from dialer.check.model import Finding, count, fail, note, ok, warn
from dialer.clock import utc_now
from dialer.debian import apt, packages
from dialer.httpkit.identity import is_loopback, is_secure
from dialer.settings import CONFIG_FILE, Settings

#: A talk as it is recorded: 8000 samples a second of 2 bytes.
RECORDING_BYTES_H = 8000 * 2 * 3600
#: Under it PostgreSQL may stop at any moment.
LEAST_FREE_BYTES = 1_000_000_000
LOW_FREE_BYTES = 10_000_000_000
#: Governments change their clocks with a notice of months; rules that are older have missed some.
RULES_TOO_OLD_YEARS = 2


def machine(settings: Settings) -> Iterator[Finding]:
    """All findings of this machine but the port (see `pages`)."""
    yield settings_file(os.environ, CONFIG_FILE)
    folder = data_folder(settings.data_dir)
    yield folder
    for name, path in disks(settings).items():
        yield judge_disk(name, path, shutil.disk_usage(existing(path)).free)
    yield judge_rules(rules_version(), utc_now())
    yield voice(settings)
    yield softphones()


# -- settings and folders ---------------------------------------------------------------------------------


def settings_file(environment: Mapping[str, str], default: Path) -> Finding:
    """Where the settings come from, and who else may read their secrets."""
    named = environment.get("DOZVON_CONFIG")
    file = Path(named) if named else default
    given = sum(name.startswith("DOZVON_") and name != "DOZVON_CONFIG" for name in environment)
    where = f"{count(given, 'setting')} in the environment"
    if not file.is_file():
        return ok("settings", f"{where}, no file")
    found = f"{file}, {where}"
    if file.stat().st_mode & stat.S_IROTH:
        return warn("settings", f"{found}; everybody on this machine can read it", f"chmod o-r {file}")
    return ok("settings", found)


def data_folder(folder: Path) -> Finding:
    """Whether the server can write there, and whether its secrets are its own."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".check-"):
            pass
    except OSError as error:
        return fail(
            "data folder",
            f"{folder} cannot be written ({error.strerror})",
            "give the folder to the user that runs the server, or set DOZVON_DATA_DIR to another one",
        )
    secrets = folder / "secrets"
    if secrets.is_dir():
        open_ones = [path for path in (secrets, *secrets.iterdir()) if path.stat().st_mode & 0o077]
        if open_ones:
            return warn(
                "data folder", f"{folder}: others can reach its secrets", f"chmod -R go-rwx {secrets}"
            )
    return ok("data folder", str(folder))


def disks(settings: Settings) -> dict[str, Path]:
    """The folders that grow, one a disk."""
    recordings, data = settings.recording_dir, settings.data_dir
    same = existing(recordings).stat().st_dev == existing(data).stat().st_dev
    return {"disk": recordings} if same else {"disk": data, "recordings": recordings}


def existing(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    return next(one for one in (path, *path.parents) if one.exists())


def judge_disk(name: str, path: Path, free_bytes: int) -> Finding:
    """How much longer the disk will do."""
    found = f"{free_bytes / 1e9:.1f} GB free in {path}: {free_bytes // RECORDING_BYTES_H} hours of recordings"
    mend = "make room, or set DOZVON_RECORDINGS_DIR to a folder on a larger disk"
    if free_bytes < LEAST_FREE_BYTES:
        return fail(name, found, mend)
    if free_bytes < LOW_FREE_BYTES:
        return warn(name, found, mend)
    return ok(name, found)


# -- time zones -------------------------------------------------------------------------------------------


def rules_version() -> str | None:
    """The version of the time zone rules that this Python uses: 2026a; None where it is not said."""
    for folder in zoneinfo.TZPATH:
        if not (Path(folder) / "Europe/Moscow").is_file():
            continue
        file = Path(folder) / "tzdata.zi"
        first = file.read_text(encoding="utf-8").partition("\n")[0] if file.is_file() else ""
        return first.removeprefix("# version ").strip() or None
    # No system files: the wheel, which names its version in a file of its own.
    zones = resources.files("tzdata") / "zoneinfo" / "tzdata.zi"
    with zones.open(encoding="utf-8") as file_of_wheel:
        return file_of_wheel.readline().removeprefix("# version ").strip() or None


def judge_rules(version: str | None, now: datetime) -> Finding:
    """Whether the rules are young enough, and whether they know where Russia's clocks stand."""
    mend = "update the system's package tzdata (sudo apt install --only-upgrade tzdata)"
    # No summer time since 2011, and +3 since October 2014.
    if zoneinfo.ZoneInfo("Europe/Moscow").utcoffset(datetime(2026, 7, 1, tzinfo=UTC)) != timedelta(hours=3):
        return fail("time zones", f"version {version}: Moscow's clock is wrong", mend)
    if version is None:
        return note("time zones", "rules of an unknown version")
    if not version[:4].isdecimal() or int(version[:4]) < now.year - RULES_TOO_OLD_YEARS:
        return warn("time zones", f"rules of version {version}, which are old", mend)
    return ok("time zones", f"rules of version {version}")


# -- what speaks ------------------------------------------------------------------------------------------


def voice(settings: Settings) -> Finding:
    """Whether messages can be spoken. Fetches nothing."""
    name = "voice"
    if program := shutil.which("espeak-ng"):
        return ok(name, f"espeak-ng, {program}")
    if unpacked := packages.find(speech.PACKAGES, settings.packages_dir):
        return ok(name, f"espeak-ng {unpacked.version}, {unpacked.root}")
    if apt.read_host().id in ("debian", "ubuntu"):
        return note(name, "espeak-ng is not here yet; it is fetched with the first text to speak")
    return warn(name, "there is no espeak-ng: texts cannot be spoken", speech.PACKAGES.mend)


def softphones() -> Finding:
    """The demo's phones: nothing that a server needs."""
    if importlib.util.find_spec("pjsua2") is None:
        return note("softphones", "no pjsua2: agents of `dozvon demo` are phones on its carrier")
    return ok("softphones", "pjsua2, for `dozvon demo`")


# -- the pages --------------------------------------------------------------------------------------------


def exposure(settings: Settings) -> Finding | None:
    """Passwords in clear: pages on a network without https."""
    if is_loopback(settings.http_host) or is_secure(settings):
        return None
    return warn(
        "exposure",
        f"pages are open to the network at {settings.http_host}, without https",
        "set DOZVON_TLS_CERTIFICATE and DOZVON_TLS_KEY, or bind DOZVON_HTTP_HOST to 127.0.0.1 behind a proxy "
        "with a certificate and set DOZVON_PUBLIC_URL to its https address",
    )


def free_port(settings: Settings) -> Finding:
    """Whether the pages can have their port; asked only while the server does not run."""
    host, port = settings.http_host, settings.http_port
    if port == 0:
        return ok("pages", f"any free port of {host}")
    try:
        info = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(info[0], info[1]) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(info[4])
    except OSError as error:
        return fail(
            "pages",
            f"{host}:{port} cannot be bound ({error.strerror})",
            "stop what has the port, or set DOZVON_HTTP_HOST and DOZVON_HTTP_PORT to what is free",
        )
    return ok("pages", f"{host}:{port} is free")
