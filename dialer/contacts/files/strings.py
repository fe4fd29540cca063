"""The texts that the cells of an XLSX refer to by number, read as far as somebody has asked.

They stand in a part of their own, which may be larger than the sheet. The first ones, where repeated values
are, are kept in memory; the others in a file without a name, which goes with us.
"""

from __future__ import annotations

import os
import re
import tempfile
import zipfile
from array import array
from collections.abc import Generator

from dialer.contacts.files.archive import fed, local, parser
from dialer.errors import UnreadableFile

#: So many of them are in memory.
KEPT = 50_000

_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")


def unescaped(text: str) -> str:
    """`_x000D_` is a character that XML could not hold (ECMA-376, ST_Xstring)."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if "_x" in text else text


class Strings:
    """The shared texts of an open workbook; close it."""

    def __init__(self, parts: zipfile.ZipFile, name: str | None) -> None:
        self._kept: list[str] = []
        self._ends = array("Q", [0])
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        self._buffer: list[bytes] = []
        self._written = 0
        self._size = 0
        self._read = self._strings(parts, name)

    def close(self) -> None:
        """Give back the room."""
        self._read.close()
        self._file.close()

    def __getitem__(self, number: int) -> str:
        """The text of this number. Raises UnreadableFile when there is none."""
        if 0 <= number < len(self._kept):
            return self._kept[number]
        while number >= len(self._kept) + len(self._ends) - 1:
            if next(self._read, self) is self:
                raise UnreadableFile(reason="a cell refers to a text that is not there")
        if number < 0:
            raise UnreadableFile(reason="a cell refers to a text that is not there")
        if number < len(self._kept):
            return self._kept[number]
        return self._from_file(number - len(self._kept))

    def _from_file(self, place: int) -> str:
        start, end = self._ends[place], self._ends[place + 1]
        if end > self._written:
            self._flush()
        return os.pread(self._file.fileno(), end - start, start).decode("utf-8", "surrogatepass")

    def _flush(self) -> None:
        # Unbuffered by hand: what is written is read by place, past any buffer of the file.
        data = b"".join(self._buffer)
        self._buffer.clear()
        os.pwrite(self._file.fileno(), data, self._written)
        self._written += len(data)

    def _add(self, text: str) -> None:
        if len(self._kept) < KEPT:
            self._kept.append(text)
            return
        data = text.encode("utf-8", "surrogatepass")
        self._buffer.append(data)
        self._size += len(data)
        self._ends.append(self._size)
        if self._size - self._written > 1 << 20:
            self._flush()

    def _strings(self, parts: zipfile.ZipFile, name: str | None) -> Generator[None]:
        if name is None:
            return
        words: list[str] = []
        inside = phonetic = False

        def start(tag: str, _: dict[str, str]) -> None:
            nonlocal inside, phonetic
            tag = local(tag)
            if tag == "si":
                words.clear()
            elif tag == "rPh":
                phonetic = True
            elif tag == "t":
                inside = not phonetic

        def end(tag: str) -> None:
            nonlocal inside, phonetic
            tag = local(tag)
            if tag == "si":
                self._add(unescaped("".join(words)))
            elif tag == "rPh":
                phonetic = False
            elif tag == "t":
                inside = False

        def text(data: str) -> None:
            if inside:
                words.append(data)

        with parts.open(name) as part:
            yield from fed(part, parser(start, end, text))
