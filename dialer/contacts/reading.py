"""How a file is to be read where a person has decided; what is left open is found out.

A *mapping* says of headers what their columns are: `{"Тел.": "phone", "Авто": "custom:car", "№": "skip"}`.
Its words are those of `Field`; `custom:<key>` keeps the cells in `contact.custom` under that key, `custom`
under the header. A header that it does not name goes by its own name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from dialer.contacts.columns import MAX_HEADER, Field
from dialer.errors import Invalid
from dialer.said import Said

#: Encodings and delimiters that a person may choose.
ENCODINGS: Final = ("utf-8-sig", "cp1251", "utf-16")
DELIMITERS: Final = (";", "\t", ",")
#: Most columns of a mapping; as many as a file may have.
MAX_MAPPED = 200
#: Before the key under which `contact.custom` keeps the cells.
CUSTOM_KEY: Final = "custom:"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a person has decided of a file."""

    #: one of ENCODINGS; None: as detected
    encoding: str | None = None
    #: one of DELIMITERS; None: as detected
    delimiter: str | None = None
    #: name of the sheet of a spreadsheet; None: the first
    sheet: str | None = None
    #: header -> word
    mapping: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As it is kept: what is decided, nothing else."""
        kept: dict[str, Any] = {
            name: value
            for name in ("encoding", "delimiter", "sheet")
            if (value := getattr(self, name)) is not None
        }
        if self.mapping:
            kept["mapping"] = dict(self.mapping)
        return kept

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Reading:
        """What `to_json` has made."""
        return cls(**kept)


#: Nothing is decided.
AS_FOUND: Final = Reading()


def check(reading: Reading) -> None:
    """Raises Invalid for what no file can be read by."""
    if reading.encoding is not None and reading.encoding not in ENCODINGS:
        expected = ", ".join(ENCODINGS)
        raise Invalid(field="encoding", reason=Said("must be one of: {expected}", expected=expected))
    if reading.delimiter is not None and reading.delimiter not in DELIMITERS:
        raise Invalid(field="delimiter", reason="must be a semicolon, a tab or a comma")
    check_mapping(reading.mapping)


def check_mapping(mapping: Mapping[str, str], field: str = "mapping") -> None:
    """Raises Invalid for a mapping with a word that is none, or of two columns that are one field."""
    if len(mapping) > MAX_MAPPED:
        raise Invalid(field=field, reason=Said("has more than {limit} columns", limit=MAX_MAPPED))
    for header, word in mapping.items():
        if not 0 < len(header) <= MAX_HEADER or not _known(word):
            raise Invalid(field=field, reason=Said("{header}: {word} is no field", header=header, word=word))
    for word, times in Counter(mapping.values()).items():
        if times > 1 and word not in {Field.PHONE, Field.SKIP, Field.CUSTOM}:
            raise Invalid(field=field, reason=Said("{times} columns are {word}", times=times, word=word))


def check_headers(mapping: Iterable[str], headers: Sequence[str], field: str = "mapping") -> None:
    """Raises Invalid for a header that a file with these does not have."""
    for header in mapping:
        if header not in headers:
            raise Invalid(
                field=field,
                reason=Said(
                    "{header}: the file has no such column (it has: {columns})",
                    header=header,
                    columns=", ".join(headers[:20]),
                ),
            )


def _known(word: str) -> bool:
    if word.startswith(CUSTOM_KEY):
        return 0 < len(word) - len(CUSTOM_KEY) <= MAX_HEADER
    return word in set(Field)


def fits(mapping: Mapping[str, str], headers: Sequence[str]) -> bool:
    """Whether a saved mapping is for files with these headers: the file has every column that it names."""
    return bool(mapping) and mapping.keys() <= set(headers)
