"""How Asterisk reads what we write, told a second time from its own sources: manager packets, the items of a
Variable header, configuration files, lines of AGI.

Written without a look at our writers, so that an agreement between the two says something. Sources:
main/manager.c (get_input, man_do_variable_value), main/app.c (__ast_app_separate_args), main/config.c
(process_text_line), res/res_agi.c (parse_args).
"""

from __future__ import annotations

from dataclasses import dataclass, field

#: A line of the manager is cut at so many bytes, with its end.
MANAGER_LINE = 1024


@dataclass(slots=True)
class Action:
    """One action, as the manager takes it."""

    headers: list[tuple[str, str]] = field(default_factory=list)

    @property
    def keys(self) -> list[str]:
        """The names of its headers, in order."""
        return [name for name, _ in self.headers]

    def of(self, name: str) -> list[str]:
        """The values of a header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]


def actions(stream: bytes) -> list[Action]:
    """The actions in a stream: a line ends at a line feed with or without its return, an action at an empty
    line. Lines without a colon are headers of no name."""
    found, current = [], Action()
    for raw in stream.split(b"\n"):
        line = raw.removesuffix(b"\r")
        # A NUL ends a string of C; what follows it on the line is not seen.
        text = line.split(b"\0")[0].decode("utf-8", "surrogateescape")
        if len(line) >= MANAGER_LINE - 1:
            text = "\N{REPLACEMENT CHARACTER}too long"
        if not text:
            if current.headers:
                found.append(current)
                current = Action()
            continue
        name, _, value = text.partition(":")
        current.headers.append((name, value.lstrip(" \t")))
    if current.headers:
        found.append(current)
    return found


def variables(header: str) -> list[tuple[str, str]]:
    """The variables that a Variable header sets: items between commas, a backslash keeps what follows, quotes
    are eaten and keep commas, parentheses keep commas."""
    items, current = [], ""
    depth = 0
    quoted = False
    at = 0
    while at < len(header):
        mark = header[at]
        if mark == "\\":
            at += 1
            current += header[at : at + 1]
        elif mark == '"':
            quoted = not quoted
        elif mark == "," and not depth and not quoted:
            items.append(current)
            current = ""
        else:
            depth += mark == "("
            depth -= mark == ")" and depth > 0
            current += mark
        at += 1
    items.append(current)
    made = []
    for item in items:
        name, sign, value = item.partition("=")
        if sign and name:
            made.append((name, value))
    return made


def words(line: bytes) -> list[bytes]:
    """The words of a line of AGI; a line ends at its line feed or at a NUL."""
    found: list[bytearray] = []
    quoted = escaped = False
    blank = True
    for code in line.split(b"\n")[0].split(b"\0")[0]:
        mark = bytes([code])
        if mark == b'"' and not escaped:
            quoted = not quoted
            if quoted and blank:
                found.append(bytearray())
                blank = False
        elif mark in (b" ", b"\t") and not quoted and not escaped:
            blank = True
        elif mark == b"\\" and not escaped:
            escaped = True
        else:
            if blank:
                found.append(bytearray())
                blank = False
            found[-1] += mark
            escaped = False
    return [bytes(word) for word in found]


@dataclass(frozen=True, slots=True)
class Section:
    """A section of a configuration file."""

    name: str
    #: what stands in the parentheses behind it
    template: str
    values: tuple[tuple[str, str], ...]


class Directive(Exception):
    """The file has a line that begins with #: another file, or a program to be run."""


def sections(text: str) -> list[Section]:
    """The sections of a configuration file; the first, of no name, is that of the file which includes it.

    Raises Directive, and ValueError for a line that is nothing.
    """
    made: list[tuple[str, str, list[tuple[str, str]]]] = [("", "", [])]
    comment = False
    for raw in text.split("\n"):
        line, comment = _without_comments(raw.split("\0")[0], comment)
        line = line.strip(" \t\r\x0b\x0c" + "".join(map(chr, range(1, 32))))
        if not line:
            continue
        if line.startswith("["):
            name, closed, rest = line[1:].partition("]")
            if not closed:
                raise ValueError(f"no ] in {line[:50]!r}")
            made.append((name, rest.strip().removeprefix("(").removesuffix(")"), []))
        elif line.startswith("#"):
            raise Directive(line[:50])
        else:
            key, sign, value = line.partition("=")
            if not sign:
                raise ValueError(f"nothing that Asterisk knows: {line[:50]!r}")
            made[-1][2].append((key.strip(), value.removeprefix(">").strip()))
    return [Section(name, template, tuple(values)) for name, template, values in made]


def _without_comments(line: str, within: bool) -> tuple[str, bool]:
    """The line without `; ...` and `;-- ... --;`, and whether a comment of several lines goes on."""
    kept = ""
    at = 0
    while at < len(line):
        if within:
            end = line.find("--;", at)
            if end < 0:
                return kept, True
            at, within = end + 3, False
        elif line[at] == "\\" and line[at + 1 : at + 2] == ";":
            kept, at = kept + ";", at + 2
        elif line[at] == ";":
            if line[at + 1 : at + 3] != "--" or line[at + 3 : at + 4] == "-":
                return kept, False
            at, within = at + 3, True
        else:
            kept, at = kept + line[at], at + 1
    return kept, within
