"""Where backups lie: a folder of backups, or one tar file. Short file work, for a thread of its own.

A backup grows under a name that begins with a dot, its manifest comes last, then it gets its name: what has a
name is whole. A folder's backups share what did not change by hard links, and each stands alone all the same:
any may be removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, Protocol

from dialer.backup import model
from dialer.backup.model import MANIFEST, Kind, Manifest, Part
from dialer.errors import BackupDamaged, BackupFailed, DozvonError

PIECE = 1 << 20
Count = Callable[[int], None]


class Sink:
    """A part that is being written."""

    def __init__(self, file: IO[bytes], name: str, mtime_ns: int, close: Callable[[int], None]) -> None:
        self._file = file
        self._name = name
        self._mtime_ns = mtime_ns
        self._close = close
        self._hash = hashlib.sha256()
        self._size = 0

    def write(self, piece: bytes) -> None:
        """The next bytes. Raises OSError."""
        self._file.write(piece)
        self._hash.update(piece)
        self._size += len(piece)

    def end(self) -> Part:
        """No more bytes."""
        self._close(self._size)
        return Part(self._name, self._size, self._hash.hexdigest(), self._mtime_ns)


class Target(Protocol):
    """A backup that is being made. All of it raises OSError."""

    def begin(self, name: str, mtime_ns: int = 0) -> Sink:
        """The next part; one at a time."""

    def again(self, name: str, size: int, mtime_ns: int) -> Part | None:
        """The same file of an earlier backup, taken over without a copy; None: there is none."""

    def finish(self, manifest: Manifest) -> Path:
        """Make it a backup; its path."""

    def abandon(self) -> None:
        """Leave nothing behind; after `finish` nothing happens."""


def target(path: Path, made_at: datetime, *, folder: bool) -> Target:
    """A new backup at `path`: in that folder of backups, or as that file. Raises BackupFailed, OSError."""
    return FolderTarget(path, made_at) if folder else FileTarget(path)


class FolderTarget:
    """A backup in a folder of backups; all of it is its owner's alone (0700, 0600)."""

    def __init__(self, folder: Path, made_at: datetime) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._lock = _locked(folder / ".lock", folder)
        for left in folder.glob(".new-*"):  # of a backup that was killed: the lock is ours
            shutil.rmtree(left)
        self._final = folder / model.name_of(made_at)
        if self._final.exists():
            raise BackupFailed(reason=f"{self._final} is there already; wait a second")
        self._new = folder / f".new-{self._final.name}"
        self._new.mkdir(mode=0o700)
        self._earlier = _latest(folder)
        self._open: IO[bytes] | None = None

    def begin(self, name: str, mtime_ns: int = 0) -> Sink:
        """See Target."""
        self._open = file = _private(self._place(name))

        def close(_size: int) -> None:
            file.flush()
            os.fdatasync(file.fileno())  # one by one: all at once would hold up the database's own writing
            if mtime_ns:
                os.utime(file.fileno(), ns=(mtime_ns, mtime_ns))
            file.close()

        return Sink(file, name, mtime_ns, close)

    def again(self, name: str, size: int, mtime_ns: int) -> Part | None:
        """See Target."""
        if self._earlier is None:
            return None
        folder, parts = self._earlier
        part = parts.get(name)
        if part is None or (part.size, part.mtime_ns) != (size, mtime_ns):
            return None
        try:
            found = (folder / name).stat()
            if (found.st_size, found.st_mtime_ns) != (size, mtime_ns):
                return None
            os.link(folder / name, self._place(name))
        except OSError:  # removed meanwhile, or a file system without hard links: then it is copied
            return None
        return part

    def finish(self, manifest: Manifest) -> Path:
        """See Target."""
        with _private(self._new / MANIFEST) as file:
            file.writelines(model.lines(manifest))
            file.flush()
            os.fsync(file.fileno())
        for path, _, _ in os.walk(self._new):
            _sync(Path(path))
        self._new.rename(self._final)
        _sync(self._folder)
        os.close(self._lock)
        self._lock = -1
        return self._final

    def abandon(self) -> None:
        """See Target."""
        if self._lock >= 0:
            if self._open is not None:
                with contextlib.suppress(OSError):  # the last buffer does not fit on a full disk
                    self._open.close()
            shutil.rmtree(self._new, ignore_errors=True)
            os.close(self._lock)
            self._lock = -1

    def _place(self, name: str) -> Path:
        place = self._new / name
        for parent in reversed(place.relative_to(self._new).parents):
            (self._new / parent).mkdir(exist_ok=True, mode=0o700)
        return place


class FileTarget:
    """A backup as one tar file (0600)."""

    def __init__(self, file: Path) -> None:
        if file.exists():
            raise BackupFailed(reason=f"{file} is there already; name another file, or a folder")
        file.parent.mkdir(parents=True, exist_ok=True)
        self._final = file
        self._new = file.with_name(f".{file.name}.new")
        self._fd = _locked(self._new, file)
        os.ftruncate(self._fd, 0)
        self._file: IO[bytes] = os.fdopen(self._fd, "wb")

    def begin(self, name: str, mtime_ns: int = 0) -> Sink:
        """See Target."""
        at = self._file.tell()
        # The size is known at the end; a header is as long whatever it says.
        self._file.write(_header(name, 0, mtime_ns))

        def close(size: int) -> None:
            self._file.write(b"\0" * (-size % tarfile.BLOCKSIZE))
            end = self._file.tell()
            self._file.seek(at)
            self._file.write(_header(name, size, mtime_ns))
            self._file.seek(end)

        return Sink(self._file, name, mtime_ns, close)

    def again(self, name: str, size: int, mtime_ns: int) -> Part | None:
        """A file shares nothing with others."""
        return None

    def finish(self, manifest: Manifest) -> Path:
        """See Target."""
        sink = self.begin(MANIFEST)
        for line in model.lines(manifest):
            sink.write(line)
        sink.end()
        self._file.write(b"\0" * (2 * tarfile.BLOCKSIZE))
        self._file.flush()
        os.fsync(self._fd)
        self._new.rename(self._final)
        _sync(self._final.parent)
        self._file.close()
        return self._final

    def abandon(self) -> None:
        """See Target."""
        if not self._file.closed:
            self._new.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # the last buffer does not fit on a full disk
                self._file.close()


class Source(Protocol):
    """A backup that is there."""

    path: Path
    manifest: Manifest

    def open(self, part: Part) -> IO[bytes]:
        """A part's content; to be closed. Raises OSError, BackupDamaged."""


def source(path: Path) -> Source:
    """The backup at `path`: a file, the folder of one, or a folder of backups, then the newest in it.

    Raises BackupDamaged, and RestoreRefused for one of a later format.
    """
    try:
        if not path.is_dir():
            return FileSource(path)
        if (path / MANIFEST).is_file():
            return FolderSource(path)
        for name in model.newest(one.name for one in path.iterdir()):
            if (path / name / MANIFEST).is_file():
                return FolderSource(path / name)
    except OSError as error:
        raise BackupDamaged(reason=f"{error.filename or path}: {error.strerror}") from error
    raise BackupDamaged(reason=f"there is no whole backup in {path}")


class FolderSource:
    """A backup that is a folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        with (folder / MANIFEST).open("rb") as file:
            self.manifest = model.parse(file)

    def open(self, part: Part) -> IO[bytes]:
        """See Source."""
        try:
            return (self.path / part.name).open("rb")
        except FileNotFoundError:
            raise BackupDamaged(reason=f"{part.name} is missing") from None


class FileSource:
    """A backup that is a tar file."""

    def __init__(self, file: Path) -> None:
        self.path = file
        #: where the parts lie in the file
        self._at: dict[str, tuple[int, int]] = {}
        try:
            with tarfile.open(file, "r:", encoding="utf-8") as tar:
                while (member := tar.next()) is not None:
                    if not member.isreg() or member.name in self._at:
                        raise BackupDamaged(reason=f"{member.name} is no file of its own")
                    self._at[member.name] = member.offset_data, member.size
                    tar.members.clear()  # type: ignore[attr-defined]  # a million recordings are a gigabyte of them
        except tarfile.TarError as error:
            raise BackupDamaged(reason=f"{file} is no backup, or a torn one ({error})") from None
        if MANIFEST not in self._at:
            raise BackupDamaged(reason=f"{file} has no manifest")
        with self._opened(MANIFEST) as written:
            self.manifest = model.parse(written)

    def open(self, part: Part) -> IO[bytes]:
        """See Source."""
        if self._at.get(part.name, (0, -1))[1] != part.size:
            raise BackupDamaged(reason=f"{part.name} is missing, or has another length")
        return self._opened(part.name)

    def _opened(self, name: str) -> IO[bytes]:
        at, size = self._at[name]
        return io.BufferedReader(_Slice(self.path, at, size))


class _Slice(io.RawIOBase):
    """Some bytes of a file, as a file."""

    def __init__(self, path: Path, at: int, size: int) -> None:
        self._file = path.open("rb", buffering=0)
        self._file.seek(at)
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        piece = self._file.read(min(len(buffer), self._left))
        buffer[: len(piece)] = piece
        self._left -= len(piece)
        return len(piece)

    def close(self) -> None:
        self._file.close()
        super().close()


def verify(backup: Source, count: Count) -> None:
    """Read all of it. Raises BackupDamaged at the first part that is not what the manifest says, OSError."""
    for part in backup.manifest.parts:
        for _ in pieces(backup, part):
            count(len(_))


def pieces(backup: Source, part: Part) -> Iterator[bytes]:
    """A part's content; after the last piece raises BackupDamaged if it was not what the manifest says."""
    seen, size = hashlib.sha256(), 0
    with backup.open(part) as file:
        while piece := file.read(PIECE):
            seen.update(piece)
            size += len(piece)
            yield piece
    if (size, seen.hexdigest()) != (part.size, part.sha256):
        raise BackupDamaged(reason=f"{part.name} is not what was written: the disk or a copy of it is faulty")


def prune(folder: Path, keep: int) -> list[str]:
    """Remove the oldest whole backups of a folder until `keep` are left; their names."""
    whole = [
        name
        for name in model.newest(one.name for one in folder.iterdir())
        if (folder / name / MANIFEST).is_file()
    ]
    for name in whole[keep:]:
        # The manifest first: a half-removed backup is none.
        (folder / name / MANIFEST).unlink()
        shutil.rmtree(folder / name)
    return whole[keep:]


def _latest(folder: Path) -> tuple[Path, dict[str, Part]] | None:
    """The newest whole backup of a folder and its recordings by name."""
    try:
        found = source(folder)
    except DozvonError:  # none, or one that is damaged: then all is copied
        return None
    return found.path, {part.name: part for part in found.manifest.of(Kind.RECORDINGS)}


def _locked(file: Path, what: Path) -> int:
    """A file of ours, open and locked until it is closed."""
    fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Between our open and our lock another may have finished: the file has its final name now.
        taken = os.fstat(fd).st_ino != file.stat().st_ino
    except (BlockingIOError, FileNotFoundError):
        taken = True
    if taken:
        os.close(fd)
        raise BackupFailed(reason=f"another backup is being made into {what}")
    os.fchmod(fd, 0o600)
    return fd


def _private(file: Path) -> IO[bytes]:
    return os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _header(name: str, size: int, mtime_ns: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = size, mtime_ns // 10**9, 0o600
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8")


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
