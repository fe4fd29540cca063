"""YAML or JSON text as plain values, with the line of each. Never an object, never more than was written.

It reads the YAML of today (1.2): `true` and `false` are the only truths, `no` and `on` are words, `010` and
`01` are words, `12:30` is a word. Names of a mapping are always words, as written: `1:` is the key "1".
Anchors, aliases and tags are not taken: a flow needs none, and they are how a small file becomes a large one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeAlias

import yaml

from dialer.errors import BadFlow
from dialer.said import told
from ivr_flows.model import Problem

MOST_BYTES: Final = 256 * 1024
MOST_DEPTH: Final = 20
MOST_VALUES: Final = 20_000

Path: TypeAlias = tuple[str | int, ...]

_INT = re.compile(r"[-+]?(0|[1-9][0-9]{0,14})")
_FLOAT = re.compile(r"[-+]?(0|[1-9][0-9]{0,14})\.[0-9]{1,15}([eE][-+]?[0-9]{1,2})?")
_WORDS: Final[Mapping[str, bool | None]] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip


class Read(NamedTuple):
    """What a text holds."""

    value: Any
    #: path -> line, from 1
    lines: Mapping[Path, int]


class _Level:
    """A mapping or a list that is being read."""

    def __init__(self, value: dict[str, Any] | list[Any], path: Path) -> None:
        self.value, self.path = value, path
        self.key: str | None = None

    @property
    def here(self) -> Path:
        return (*self.path, len(self.value) if isinstance(self.value, list) else self.key or "")


def read(text: str, source: str) -> Read:
    """The values of a text. Raises BadFlow."""
    reader = _Reader(source)
    if len(text.encode("utf-8", "replace")) > MOST_BYTES:
        raise reader.bad(0, "too_large", told("the text has more than {size} KiB", size=MOST_BYTES // 1024))
    if text.lstrip("\ufeff \t\r\n").startswith("{"):
        # JSON may be indented with tabs, which YAML forbids; inside of its texts there are none.
        text = text.replace("\t", " ")
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            reader.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        words = told(
            "{reason}; look at indents, colons, and quotes around # * {{",
            reason=str(error.problem or error.context),
        )
        raise reader.bad(mark.line + 1 if mark else 0, "not_yaml", words) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        words = told("there is a character that no text has (U+{number})", number=f"{_number(error):04X}")
        raise reader.bad(line, "not_yaml", words) from error
    except (ValueError, OverflowError) as error:
        # An escape like \U0011FFFF, a version like %YAML 9999...9.
        raise reader.bad(
            reader.line, "not_yaml", told("it cannot be read: {reason}", reason=str(error))
        ) from error
    return Read(reader.found[0] if reader.found else None, reader.lines)


def named(document: Any) -> str:
    """The name that a document has, good or not; empty: none."""
    name = document.get("name") if isinstance(document, Mapping) else None
    return name if isinstance(name, str) else ""


class _Reader:
    """Values that are being read, event by event: the depth is ours to hold, no call goes deeper."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.lines: dict[Path, int] = {}
        self.levels: list[_Level] = []
        self.found: list[Any] = []
        #: where the reading is
        self.line = 1

    def bad(self, line: int, code: str, words: str, path: Path = ()) -> BadFlow:
        """The error of what cannot be read."""
        return BadFlow([Problem(line, ".".join(map(str, path)), code, words)], self.source)

    def take(self, event: Any) -> None:
        """One event of the parser. Raises BadFlow."""
        self.line = line = event.start_mark.line + 1
        self.refuse(event)
        level = self.levels[-1] if self.levels else None
        wants_name = level is not None and isinstance(level.value, dict) and level.key is None
        if isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self.levels.pop()
        elif isinstance(event, yaml.ScalarEvent) and level is not None and wants_name:
            self.name(level, _text(event.value))
        elif isinstance(event, yaml.ScalarEvent):
            self.put(_plain(event.value) if event.style is None else _text(event.value))
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            if wants_name:
                raise self.bad(
                    line, "odd_name", told("a name must be a word; a text that begins with {{ needs quotes")
                )
            if len(self.levels) >= MOST_DEPTH:
                raise self.bad(line, "too_deep", told("it is nested deeper than {depth}", depth=MOST_DEPTH))
            made: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
            self.levels.append(_Level(made, self.put(made)))

    def refuse(self, event: Any) -> None:
        """Raises BadFlow for what is YAML but none of ours."""
        if isinstance(event, yaml.DocumentStartEvent) and self.found:
            raise self.bad(self.line, "two_documents", "one file holds one flow: take out the line ---")
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            words = told("anchors (&) and aliases (*) are not taken: write it out; the key of a phone is '*'")
            raise self.bad(self.line, "alias", words)
        if isinstance(event, yaml.NodeEvent) and getattr(event, "tag", None):
            raise self.bad(
                self.line, "tag", told("tags like {tag} are not taken: write a plain value", tag=event.tag)
            )

    def name(self, level: _Level, key: str) -> None:
        """The name of the value that comes next."""
        path = (*level.path, key)
        if key in level.value:
            words = told(
                "“{name}” stands here a second time; the first is on line {line}",
                name=key,
                line=self.lines.get(path, 0),
            )
            raise self.bad(self.line, "twice", words, path)
        level.key = key
        # A value is looked for where its name stands.
        self.lines[path] = self.line

    def put(self, value: Any) -> Path:
        """Put a value where it belongs, and say where that is."""
        if len(self.lines) >= MOST_VALUES:
            raise self.bad(self.line, "too_many", told("there are more than {most} values", most=MOST_VALUES))
        path: Path = ()
        if not self.levels:
            self.found.append(value)
        else:
            level = self.levels[-1]
            path = level.here
            if isinstance(level.value, list):
                level.value.append(value)
            else:
                level.value[level.key or ""] = value
                level.key = None
        self.lines.setdefault(path, self.line)
        return path


def _number(error: yaml.reader.ReaderError) -> int:
    """The character that YAML's reader did not like."""
    return error.character if isinstance(error.character, int) else ord(error.character[:1] or "\0")


def _text(raw: str) -> str:
    """Two halves of a character that JSON escapes apart are one."""
    return raw.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _plain(raw: str) -> Any:
    if raw in _WORDS:
        return _WORDS[raw]
    if _INT.fullmatch(raw):
        return int(raw)
    return float(raw) if _FLOAT.fullmatch(raw) else _text(raw)
