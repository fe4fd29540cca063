"""Files of JSON lines, appended one by one: a break loses the line that was being written, and no other."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar, cast

from dialer.errors import Invalid, UnreadableFile

Line = dict[str, Any]
T = TypeVar("T")
#: What a field may hold, by its annotation.
KINDS: dict[str, Any] = {"str": str, "int": int, "bool": bool, "float | None": int | float | None}
FIGURES = "Mapping[str, float]"


@dataclass(frozen=True, slots=True)
class Lines:
    """One file; it need not be there."""

    path: Path

    def claim(self, field: str) -> None:
        """See that lines can be appended, before there is anything to lose; makes the file and its folder.

        Raises Invalid naming `field`, the option that chose the path.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.open("ab").close()
        except OSError as error:
            raise Invalid(field=field, reason=f"{self.path} cannot be written: {error.strerror}") from None

    def read(self, made: Callable[[Mapping[str, Any]], T]) -> list[T]:
        """What `made` makes of each line, the oldest first; nothing where there is no file.

        A last line without a newline is read where it is whole, and passed over where a break has cut it.
        Raises UnreadableFile with the number of a line that is none, or of which `made` raises ValueError or
        TypeError.
        """
        try:
            *whole, last = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise UnreadableFile(reason=f"{self.path}: {error.strerror}") from None
        if not _cut(last):
            whole.append(last)
        found = []
        for number, raw in enumerate(whole, 1):
            if not raw.strip():
                continue
            try:
                found.append(made(_object(raw)))
            except (ValueError, TypeError) as error:
                raise UnreadableFile(reason=f"{self.path}, line {number}: {error}") from None
        return found

    def append(self, line: Line) -> None:
        """Put a line at the end; on the disk when this returns. Raises OSError."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        said = json.dumps(line, ensure_ascii=False).encode()
        with self.path.open("ab+") as file:
            # Another bench may write to it: what it is about to end is no line that a break has cut.
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            rest = file.read().rpartition(b"\n")[2]
            if _cut(rest):
                file.truncate(file.tell() - len(rest))
                rest = b""
            file.write((b"\n" if rest else b"") + said + b"\n")
            file.flush()
            os.fsync(file.fileno())


def checked(made: T) -> T:
    """The same dataclass, if each field is of its kind. Raises TypeError that names one that is not."""
    for each in fields(cast("Any", made)):
        value = getattr(made, each.name)
        if each.type == FIGURES:
            right = isinstance(value, Mapping) and all(isinstance(one, int | float) for one in value.values())
        else:
            right = isinstance(value, KINDS[str(each.type)])
        if not right:
            raise TypeError(f"{each.name} is {value!r}")
    return made


def _object(raw: bytes) -> Line:
    """The line's object. Raises ValueError."""
    found = json.loads(raw)
    if not isinstance(found, dict):
        raise ValueError("no object of JSON")  # noqa: TRY004 - what is wrong is the text
    return found


def _cut(last: bytes) -> bool:
    """Whether a break has cut this last line, which has no newline: an object is whole or is none."""
    try:
        _object(last)
    except ValueError:
        return True
    return False
