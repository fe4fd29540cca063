"""What a backup is: its manifest, line by line, and when it may be restored.

A manifest is lines of JSON: what the backup is, then its parts, one a line, then a line that counts the parts
and seals the lines above. It is written last: a backup without a sealed manifest is none.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any

from dialer.errors import BackupDamaged, RestoreRefused

#: Of manifests; one of a later version is refused.
FORMAT = 1
MANIFEST = "manifest.jsonl"
DATABASE = "database.dump"
SETTINGS = "settings.toml"


class Kind(StrEnum):
    """What a part is of; but for the last two also the folder it lies in."""

    RECORDINGS = "recordings"
    PROMPTS = "prompts"
    SECRETS = "secrets"
    DATABASE = DATABASE
    SETTINGS = SETTINGS


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a backup."""

    #: path in the backup: database.dump, recordings/2026/05/01/....wav
    name: str
    size: int
    #: of its content, hexadecimal
    sha256: str
    #: when the file was written, nanoseconds since 1970; with its size it tells that a file is the same one
    mtime_ns: int = 0

    @property
    def kind(self) -> Kind:
        """What it is of."""
        return Kind(PurePosixPath(self.name).parts[0])

    @property
    def path(self) -> PurePosixPath:
        """Its path below the folder of its kind."""
        return PurePosixPath(*PurePosixPath(self.name).parts[1:])


@dataclass(frozen=True, slots=True)
class Head:
    """What a backup is of."""

    format: int
    #: of Dozvon
    version: str
    #: of the schema
    revision: str
    #: when the database was looked at: all that was committed before is in the backup
    made_at: datetime
    #: major version of the PostgreSQL that it was made of
    postgres: int
    #: major version of the program that wrote the dump; an older one cannot read it
    dumped_by: int
    #: rows by table
    counts: Mapping[str, int]
    #: what was left out because it was asked for
    without: tuple[str, ...]
    #: recordings that the database knew and that were not there
    recordings_missing: int
    #: settings that were in force, secrets left out: what another machine needs to know
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Manifest:
    """A whole backup."""

    head: Head
    parts: tuple[Part, ...]

    @property
    def size(self) -> int:
        """Bytes of all parts."""
        return sum(part.size for part in self.parts)

    def of(self, *kinds: Kind) -> list[Part]:
        """Its parts of these kinds."""
        return [part for part in self.parts if part.kind in kinds]


def lines(manifest: Manifest) -> Iterator[bytes]:
    """The manifest as it is written."""
    seal = hashlib.sha256()
    head = asdict(manifest.head) | {"made_at": manifest.head.made_at.isoformat()}
    for value in (head, *(asdict(part) for part in manifest.parts)):
        line = _line(value)
        seal.update(line)
        yield line
    yield _line({"parts": len(manifest.parts), "seal": seal.hexdigest()})


def parse(written: Iterable[bytes]) -> Manifest:
    """A manifest as it was written. Raises BackupDamaged, and RestoreRefused for one of a later format."""
    *body, last = list(written) or [b""]
    seal = hashlib.sha256()
    for line in body:
        seal.update(line)
    end = _object(last)
    if end.get("seal") != seal.hexdigest() or end.get("parts") != len(body) - 1:
        raise BackupDamaged(reason="its manifest is torn or was changed")
    head = _object(body[0])
    if (found := head.get("format")) != FORMAT:
        raise RestoreRefused(
            reason=f"the backup is of format {found}, which a later version of Dozvon writes"
        )
    try:
        at, without = datetime.fromisoformat(head["made_at"]), tuple(head["without"])
        made = Head(**(dict(head) | {"made_at": at, "without": without}))
        parts = tuple(_part(_object(line)) for line in body[1:])
    except (TypeError, ValueError, KeyError):
        raise BackupDamaged(reason="its manifest cannot be read") from None
    if len({part.name for part in parts}) != len(parts) or DATABASE not in {part.name for part in parts}:
        raise BackupDamaged(reason="its manifest does not name each part once, the database among them")
    return Manifest(made, parts)


def why_not(head: Head, known: Sequence[str], server: int, oldest: int) -> str | None:
    """Why this version of Dozvon, which has the revisions `known`, cannot restore the backup into this major
    version of PostgreSQL; None: it can. A dump of a newer PostgreSQL goes into an older one: our tables use
    nothing that the `oldest` does not have."""
    if head.revision not in known:
        return (
            f"the backup is of revision {head.revision}, made by Dozvon {head.version}, which is later than "
            "this one: restore it with that version"
        )
    if server < oldest:
        return f"PostgreSQL {server} is too old: {oldest} or later is needed"
    return None


def newest(names: Iterable[str]) -> list[str]:
    """Names of backups in a folder, the newest first; a name is the time it was made at."""
    return sorted((name for name in names if not name.startswith(".")), reverse=True)


def name_of(made_at: datetime) -> str:
    """The name of a backup in a folder: sorts by time, and is a file name everywhere."""
    return made_at.strftime("%Y-%m-%dT%H-%M-%SZ")


def inside(name: str) -> bool:
    """Whether a path leads into the folder that it is relative to, and not out of it."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and str(path) == name and "\0" not in name


def _part(value: Mapping[str, Any]) -> Part:
    part = Part(**{field.name: value[field.name] for field in fields(Part)})
    single = part.kind in (Kind.DATABASE, Kind.SETTINGS)
    if not inside(part.name) or single is bool(part.path.parts) or type(part.size) is not int:
        raise ValueError(part.name)
    return part


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"


def _object(line: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise BackupDamaged(reason="its manifest is torn or was changed")
    return found
