"""The AGI protocol without I/O: bytes in, messages out; words in, a command line out.

The rules, as Asterisk 20 and 22 follow them (`res/res_agi.c`):

1. Asterisk opens with the *environment*: lines `agi_name: value`, ended by an empty line.
2. Then the server speaks and Asterisk answers, one command at a time. A reply is one line: a three-digit
   status, then `result=` and perhaps a `(value)` and more. Two replies are longer: a refusal for wrong usage
   (`520-`, the usage text, `520 End of proper usage.`), and a value that itself holds line breaks.
3. The line `HANGUP` is no reply. It can stand between any two lines, also between a command and its reply,
   and the reply still comes.
4. A command is words divided by blanks. A word in double quotes keeps its blanks; a backslash takes the next
   character as it is. A line longer than `MAX_COMMAND_BYTES` is cut in two by Asterisk, which would make a
   second command of its tail.

`AgiDecoder` is fed as bytes arrive and asked for messages until it has none. What breaks the rules or a limit
raises BadAgi, once and for all: after that nothing tells which reply belongs to which command.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import parse_qsl, unquote

from dialer.errors import BadAgi, Invalid, UnsafeValue

#: Longest command line in bytes, its line end included (Asterisk reads 2048 with the closing NUL).
MAX_COMMAND_BYTES = 2047
#: Most words of a command (Asterisk drops what is more).
MAX_WORDS = 127

#: What ends a command line, or cannot stand in one, by the name it is shown with.
_FORBIDDEN = {"\n": "line feed", "\r": "carriage return", "\0": "NUL"}
_PLAIN_WORD = re.compile(r"[A-Za-z0-9_./:+-]+\Z")
_VARIABLE = re.compile(r"_{0,2}[A-Za-z][A-Za-z0-9_]{0,78}\Z", re.ASCII)

_STATUS = re.compile(r"([1-5][0-9]{2})([ -])(.*)\Z", re.ASCII | re.DOTALL)
_RESULT = re.compile(r"result=([^\s(]*)[ \t]*(.*)\Z", re.DOTALL)
_ATTRIBUTES = re.compile(r"\) [A-Za-z_]\w*=", re.ASCII)
_END_OF_USAGE = "520 End of proper usage."


@dataclass(frozen=True, slots=True)
class AgiLimits:
    """How much a peer may send before it is taken for something that is not Asterisk."""

    #: bytes of one line, its end included
    line_bytes: int = 8_192
    #: bytes of the environment
    env_bytes: int = 65_536
    #: lines of the environment (Asterisk sends about 25 and one an argument)
    env_lines: int = 256
    #: bytes of one reply of several lines
    reply_bytes: int = 65_536
    #: fields of a query string
    query_fields: int = 64
    #: HANGUP lines of one session (Asterisk sends one)
    hangups: int = 8
    #: interim lines (`100 Trying...`) before one reply
    interims: int = 8


class AgiSignal(Enum):
    """A message without content."""

    #: the channel hung up; replies to commands already sent still come
    HANGUP = "hangup"


@dataclass(frozen=True, slots=True)
class AgiRequest:
    """What the dialplan asked for: AGI(agi://host:port/script?query,arg,arg)."""

    #: the path, percent-decoded, without slashes at its ends: names the route
    script: str
    #: the query string's fields; of a name given twice, the first
    query: Mapping[str, str]
    #: the arguments after the address, in order; an argument left empty is ""
    args: tuple[str, ...] = field(repr=False)
    #: the environment, keys without `agi_`; of a name sent twice, the first. Phone numbers: never log it
    env: Mapping[str, str] = field(repr=False)

    @property
    def channel_id(self) -> str:
        """The channel's Uniqueid: for our own calls the attempt's id."""
        return self.env["uniqueid"]


@dataclass(frozen=True, slots=True)
class AgiReply:
    """Asterisk's answer to one command."""

    #: 200 done, 510 no such command, 511 not on a dead channel, 520 wrong usage
    status: int
    #: what stands after `result=`, often a number, empty for no digits; empty in a refusal
    result: str = ""
    #: what stands in the parentheses: a variable's value, or a word such as `timeout`; None without them
    value: str | None = None
    #: the rest: `endpos=8000`, or the text of a refusal
    text: str = ""

    @property
    def ok(self) -> bool:
        """Whether the command was carried out."""
        return 200 <= self.status < 300


#: What AgiDecoder.next_message gives.
AgiMessage = AgiRequest | AgiReply | AgiSignal


# -- what we send ---------------------------------------------------------------------------------------


def quote(word: str, *, what: str = "AGI word") -> str:
    """One word as it stands in a command line; Asterisk's own parser gives back exactly `word`.

    Raises UnsafeValue, naming `what`, for characters that no quoting carries: line ends, NUL, and lone
    surrogates, which are no text.
    """
    for character, name in _FORBIDDEN.items():
        if character in word:
            raise UnsafeValue(field=what, character=name)
    if _PLAIN_WORD.match(word):
        return word
    if any("\ud800" <= character <= "\udfff" for character in word):
        raise UnsafeValue(field=what, character="lone surrogate")
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def encode_command(*words: str) -> bytes:
    """The command line of `words`, each one word: `encode_command("SET", "VARIABLE", name, value)`.

    Raises UnsafeValue (see `quote`) and Invalid for a command that Asterisk would cut.
    """
    if not words or not words[0]:
        raise Invalid(field="AGI command", reason="it has no words")
    if len(words) > MAX_WORDS:
        raise Invalid(field="AGI command", reason=f"it has {len(words)} words, {MAX_WORDS} are the most")
    line = " ".join(quote(word, what=f"AGI word {at}") for at, word in enumerate(words, 1)).encode() + b"\n"
    if len(line) > MAX_COMMAND_BYTES:
        raise Invalid(
            field="AGI command", reason=f"it has {len(line)} bytes, Asterisk reads {MAX_COMMAND_BYTES}"
        )
    return line


def command_name(words: tuple[str, ...]) -> str:
    """The name of a command for messages and logs: `SET VARIABLE`, never its values."""
    name: list[str] = []
    for word in words[:2]:
        if not (word.isascii() and word.isalpha() and word.isupper()):
            break
        name.append(word)
    return " ".join(name) or "AGI command"


def variable_name(name: str) -> str:
    """`name`, if it is a plain channel variable: anything else could call a dialplan function.

    Raises Invalid.
    """
    if not _VARIABLE.match(name):
        raise Invalid(field="channel variable", reason="its name must be letters, digits and underscores")
    return name


# -- what we read -----------------------------------------------------------------------------------------


class AgiDecoder:
    """Bytes of one session in, messages out: one AgiRequest, then AgiReply and AgiSignal as they come."""

    def __init__(self, limits: AgiLimits | None = None) -> None:
        self._limits = limits or AgiLimits()
        self._buffer = bytearray()
        self._broken: str | None = None
        self._env: dict[str, str] | None = {}  # None once the environment is whole
        self._env_lines = 0
        self._env_bytes = 0
        self._hangups = 0
        self._interims = 0
        self._block: list[str] = []  # lines of a reply that is not whole yet
        self._block_bytes = 0
        self._block_status = ""  # "520" in a usage text, "" in a value of several lines

    def receive(self, data: bytes) -> None:
        """Take in what the peer sent; then call `next_message` until it gives None."""
        self._buffer += data

    def next_message(self) -> AgiMessage | None:
        """The next whole message, or None until more is received.

        Raises BadAgi when the peer breaks the protocol or a limit, and on every call after that.
        """
        if self._broken is not None:
            raise BadAgi(reason=self._broken)
        try:
            while (line := self._next_line()) is not None:
                message = self._take(line)
                if message is not None:
                    return message
        except BadAgi as error:
            self._broken = str(error.details["reason"])
            self._buffer.clear()
            raise
        return None

    @property
    def mid_message(self) -> bool:
        """Whether the bytes end inside a line or a message: an end of the stream here is a torn one."""
        return bool(self._buffer or self._block or (self._env is not None and self._env_lines))

    def _next_line(self) -> str | None:
        end = self._buffer.find(b"\n")
        if end < 0:
            if len(self._buffer) >= self._limits.line_bytes:
                raise BadAgi(reason="a line is too long")
            return None
        if end >= self._limits.line_bytes:
            raise BadAgi(reason="a line is too long")
        raw = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        if self._env is not None:
            self._env_bytes += end + 1
            if self._env_bytes > self._limits.env_bytes:
                raise BadAgi(reason="the environment is too long")
        elif self._block:
            self._block_bytes += end + 1
            if self._block_bytes > self._limits.reply_bytes:
                raise BadAgi(reason="a reply is too long")
        if b"\0" in raw:
            raise BadAgi(reason="a line holds a NUL")
        return raw.removesuffix(b"\r").decode(errors="replace")

    def _take(self, line: str) -> AgiMessage | None:
        if line == "HANGUP":
            self._hangups += 1
            if self._hangups > self._limits.hangups:
                raise BadAgi(reason="HANGUP again and again")
            return AgiSignal.HANGUP
        if self._env is not None:
            return self._take_env(line, self._env)
        if self._block:
            return self._take_block(line)
        return self._take_reply(line)

    def _take_env(self, line: str, env: dict[str, str]) -> AgiRequest | None:
        if not line:
            self._env = None
            return _request(env, self._limits)
        self._env_lines += 1
        if self._env_lines > self._limits.env_lines:
            raise BadAgi(reason="the environment has too many lines")
        name, colon, value = line.partition(":")
        # A line that is no variable is passed over: the counts above bound how many there can be.
        if colon and name.startswith("agi_"):
            env.setdefault(name.removeprefix("agi_"), value.removeprefix(" "))
        return None

    def _take_reply(self, line: str) -> AgiReply | None:
        match = _STATUS.match(line)
        if match is None:
            raise BadAgi(reason="a line is neither a reply nor HANGUP")
        status, divider, rest = match.groups()
        if divider == "-":
            self._open_block(rest, status)
            return None
        if status[0] == "1":  # "100 Trying...": the reply itself is still to come
            self._interims += 1
            if self._interims > self._limits.interims:
                raise BadAgi(reason="interim lines without a reply")
            return None
        self._interims = 0
        if status[0] != "2":
            return AgiReply(int(status), text=rest)
        _, opened, value = rest.partition("(")
        if opened and ")" not in value:
            self._open_block(line, "")
            return None
        return _done(int(status), rest)

    def _open_block(self, first: str, status: str) -> None:
        self._block = [first]
        self._block_status = status
        self._block_bytes = len(first)

    def _take_block(self, line: str) -> AgiReply | None:
        lines, status = self._block, self._block_status
        if not status:
            lines.append(line)
            if not line.endswith(")"):
                return None
            self._block = []
            first = "\n".join(lines)
            return _done(int(first[:3]), first[4:])
        if line.startswith(f"{status} "):
            self._block = []
            return AgiReply(int(status), text="\n".join(lines))
        if line.endswith(_END_OF_USAGE):  # a usage text without a line end of its own runs into the last line
            lines.append(line.removesuffix(_END_OF_USAGE))
            self._block = []
            return AgiReply(int(status), text="\n".join(lines))
        lines.append(line.removeprefix(f"{status}-"))
        return None


def _done(status: int, rest: str) -> AgiReply:
    """A 2xx reply from what stands after its status.

    A value may hold parentheses and blanks itself: a reply that ends in `)` ends in its value. In any other
    the value ends where attributes (` endpos=`) begin.
    """
    match = _RESULT.match(rest)
    if match is None:
        raise BadAgi(reason="a reply has no result")
    result, tail = match.groups()
    if not tail.startswith("("):
        return AgiReply(status, result, None, tail)
    if tail.endswith(")"):
        return AgiReply(status, result, tail[1:-1])
    before = _ATTRIBUTES.search(tail)
    end = before.start() if before else tail.rfind(")")
    return AgiReply(status, result, tail[1:end], tail[end + 1 :].strip())


def _request(env: dict[str, str], limits: AgiLimits) -> AgiRequest:
    if not env.get("uniqueid"):
        raise BadAgi(reason="the environment names no channel")
    address = env.get("network_script")
    if address is None:
        # agi://host:port/script: only the part behind the host
        address = env.get("request", "").partition("://")[2].partition("/")[2]
    path, _, query = address.partition("?")
    fields: dict[str, str] = {}
    try:
        for name, value in parse_qsl(query, keep_blank_values=True, max_num_fields=limits.query_fields):
            fields.setdefault(name, value)
    except ValueError:
        raise BadAgi(reason="the query has too many fields") from None
    args: list[str] = []
    while (arg := env.get(f"arg_{len(args) + 1}")) is not None:
        args.append(arg)
    return AgiRequest(unquote(path).strip("/"), fields, tuple(args), env)
