"""Files of JSON lines, appended one by one: a break loses the line that was being written, and no other."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from dialer.errors import Invalid, UnreadableFile

Line = dict[str, Any]
T = TypeVar("T")


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
            file.seek(0)
            rest = file.read().rpartition(b"\n")[2]
            if _cut(rest):
                file.truncate(file.tell() - len(rest))
                rest = b""
            file.write((b"\n" if rest else b"") + said + b"\n")
            file.flush()
            os.fsync(file.fileno())


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
