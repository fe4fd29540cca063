"""Programs from the distribution's packages, unpacked into a folder of ours: no root, no installation.

A set is fetched with everything it needs, libc included, and run by its own loader, so that a program of one
release runs on another. A set that was unpacked once is used again without a look at the network.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dialer.debian import apt
from dialer.errors import PartMissing, SettingsError

#: Told what is being done, one line at a time, for a person who waits.
Progress = Callable[[str], None]

#: In the root of an unpacked set: what it is. Its presence says that the set is whole.
_MARK = ".dozvon.json"
#: What a person calls a suite.
_RELEASES = {"sid": "unstable", "bookworm": "12"}
#: A program of the host's own loader must not meet a second libc.
_LIBC = frozenset({"libc6", "libc-bin", "locales"})


def silent(_line: str) -> None:
    """Progress that nobody reads."""


@dataclass(frozen=True, slots=True)
class PackageSet:
    """Packages that are fetched together with what they need."""

    #: First part of the folder's name: asterisk.
    name: str
    #: The packages; the first one's version is the version of the set.
    packages: tuple[str, ...]
    #: Whose packages: a release of Debian by its name, or that of the host itself. A host that is no Debian
    #: gives its own in any case.
    suite: apt.Suite
    #: What a person can do where it cannot be had: ends "... is missing; ".
    mend: str
    #: Folders of libraries under the root besides those of the loader: usr/lib/x86_64-linux-gnu/pulseaudio.
    library_dirs: tuple[str, ...] = ()
    #: Run by the set's own loader. False for a program that starts itself or others of its set (a browser,
    #: PostgreSQL), and for a library that is loaded into programs of the host: they run by the host's loader
    #: and libc, so the suite must be the host's, or older.
    own_loader: bool = True
    #: Least first numbers of the version that will do: (20,); None: any.
    least_version: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A set on disk, ready to run."""

    #: Its root: what would be `/`.
    root: Path
    #: The dynamic loader that runs its programs; None: the host's.
    loader: Path | None
    #: Folders of its libraries, joined by colons.
    library_path: str
    #: Version of its first package: 1:22.10.1+dfsg-1.
    version: str

    def argv(self, program: str) -> list[str]:
        """The start of a command line that runs `program` (`usr/sbin/asterisk`)."""
        path = str(self.root / program)
        if self.loader is None:
            return [path]
        return [str(self.loader), "--library-path", self.library_path, path]

    def environment(self) -> dict[str, str]:
        """What the program needs in its environment besides."""
        return {} if self.loader else {"LD_LIBRARY_PATH": self.library_path}

    def file(self, pattern: str) -> Path:
        """The one that is meant by a pattern (`usr/lib/*/faketime/libfaketime.so.1`), the last of several.

        Raises PartMissing.
        """
        found = sorted(self.root.glob(pattern))
        if not found:
            raise PartMissing(
                part=pattern, mend=f"remove {self.root} and start again to have it unpacked anew"
            )
        return found[-1]


def find(spec: PackageSet, packages_dir: Path) -> Unpacked | None:
    """The set as it was unpacked before, the latest of several versions; None when it never was. Raises
    SettingsError where nobody lets us look."""
    found: list[tuple[float, Path, str]] = []
    with _ours(packages_dir):
        for mark in packages_dir.glob(f"{spec.name}-*/{_MARK}"):
            told = json.loads(mark.read_text())
            if told["packages"] == list(spec.packages) and told["suite"] == spec.suite:
                found.append((mark.stat().st_mtime, mark.parent, told["version"]))
    if not found:
        return None
    _, root, version = max(found)
    return _unpacked(spec, root, version)


def unpack(spec: PackageSet, packages_dir: Path, progress: Progress = silent) -> Unpacked:
    """Fetch and unpack `spec` into `packages_dir/<name>-<version>`, or find it there.

    Blocks: some 15 s for Asterisk on a fast line. Two processes at once do the work once. Raises PartMissing
    with one line that says what to do, and SettingsError where the folder cannot be made or written.
    """
    if found := find(spec, packages_dir):
        return found
    with _locked(packages_dir, progress):
        # Somebody else may have done it while we waited for the lock.
        if found := find(spec, packages_dir):
            return found
        for left in packages_dir.glob(".partial-*"):  # of a run that was killed: we hold the lock
            shutil.rmtree(left)
        work = Path(tempfile.mkdtemp(prefix=".partial-", dir=packages_dir))
        try:
            return _fetch(spec, packages_dir, work, progress)
        except OSError as error:
            raise PartMissing(part=spec.name, mend=f"it could not be unpacked: {error}") from error
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _fetch(spec: PackageSet, packages_dir: Path, work: Path, progress: Progress) -> Unpacked:
    host = apt.read_host()
    if host.id not in ("debian", "ubuntu"):
        raise PartMissing(part=spec.name, mend=spec.mend)
    suite = spec.suite if host.id == "debian" else "host"
    private = apt.PrivateApt(work, apt.sources_for(suite, host, apt.host_sources()))
    progress(f"{spec.name}: reading the package lists of {_release(suite, host)}")
    private.update()
    version = private.candidate(spec.packages[0])
    if version is None or not _new_enough(version, spec.least_version):
        raise PartMissing(
            part=f"{spec.name} (the release has {version or 'none'})" if spec.least_version else spec.name,
            mend=spec.mend,
        )
    archives = private.plan(spec.packages)
    megabytes = sum(archive.size for archive in archives) // 1_000_000
    progress(f"{spec.name}: fetching {len(archives)} packages, {megabytes} MB")
    private.download(spec.packages)
    progress(f"{spec.name}: unpacking version {version}")
    root = work / "root"
    root.mkdir()
    files = [private.archives / archive.file for archive in archives]
    if not spec.own_loader:
        files = [file for file in files if file.name.split("_")[0] not in _LIBC]
    _extract(files, root)
    _drop_setuid(root)
    mark = {"packages": spec.packages, "suite": spec.suite, "version": version, "release": host.title}
    (root / _MARK).write_text(json.dumps(mark))
    root.chmod(0o755)
    target = packages_dir / f"{spec.name}-{re.sub(r'[^0-9A-Za-z.]+', '-', version)}"
    if target.exists():  # the same version of a set that has since been given more packages
        target.rename(work / "old")
    root.rename(target)
    progress(f"{spec.name}: ready in {target}")
    return _unpacked(spec, target, version)


def _release(suite: apt.Suite, host: apt.Host) -> str:
    return host.title if suite in ("host", host.codename) else f"Debian {_RELEASES[suite]}"


def _new_enough(version: str, least: tuple[int, ...] | None) -> bool:
    return least is None or version_numbers(version) >= least


def version_numbers(version: str) -> tuple[int, ...]:
    """`1:22.10.1+dfsg-1` -> (22, 10, 1); empty when there are none."""
    match = re.match(r"(?:\d+:)?(\d+(?:\.\d+)*)", version)
    return tuple(int(part) for part in match[1].split(".")) if match else ()


def _extract(files: Sequence[Path], root: Path) -> None:
    def extract(file: Path) -> None:
        done = subprocess.run(
            ["dpkg", "-x", str(file), str(root)],
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=apt.APT_DEADLINE_S,
            check=False,
        )
        if done.returncode:
            raise PartMissing(
                part=file.name, mend=f"dpkg could not unpack it: {done.stderr.strip().splitlines()[-1:]}"
            )

    # One after another for what makes the root (its links to folders must come before files in them).
    base = [file for file in files if file.name.startswith(("base-files_", "usrmerge_", "usr-is-merged_"))]
    for file in base:
        extract(file)
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        list(pool.map(extract, [file for file in files if file not in base]))


def _drop_setuid(root: Path) -> None:
    """Nothing in our folder may lend its owner's rights: the set holds `passwd` and its like."""
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
                path.chmod(mode & 0o777)


def _unpacked(spec: PackageSet, root: Path, version: str) -> Unpacked:
    loaders = sorted(
        loader
        for pattern in ("usr/lib/*-linux-gnu*/ld-linux*.so.*", "lib/*-linux-gnu*/ld-linux*.so.*")
        for loader in root.glob(pattern)
    )
    if spec.own_loader and not loaders:
        raise PartMissing(
            part=f"the loader of {spec.name}", mend=f"remove {root} and start again to have it unpacked anew"
        )
    folders = [
        path for pattern in ("usr/lib/*-linux-gnu*", "lib/*-linux-gnu*") for path in root.glob(pattern)
    ]
    folders += [root / name for name in spec.library_dirs]
    return Unpacked(
        root=root,
        loader=loaders[0] if spec.own_loader else None,
        library_path=":".join(str(folder) for folder in folders),
        version=version,
    )


@contextmanager
def _ours(packages_dir: Path) -> Iterator[None]:
    """Whatever keeps us out of the folder is said in one line."""
    try:
        yield
    except OSError as error:
        raise SettingsError(
            setting="DOZVON_CACHE_DIR",
            reason=f"packages cannot be kept in {packages_dir} ({error.strerror}); give the folder to the "
            "user that runs the server, or name another one",
        ) from None


@contextmanager
def _locked(packages_dir: Path, progress: Progress) -> Iterator[None]:
    """Hold the folder's lock. The kernel frees it with its holder, whose every step has a deadline."""
    with _ours(packages_dir):
        packages_dir.mkdir(parents=True, exist_ok=True)
        file = (packages_dir / ".lock").open("w")
    with file as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress(f"another process is unpacking into {packages_dir}; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
