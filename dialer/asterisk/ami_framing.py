"""AMI's bytes, without I/O: packets out of segments, safe packets out of values.

A packet is lines of `Key: value` that end with CR LF, closed by an empty line. Before the first packet
Asterisk says one line, the banner. Nothing here waits, so every rule is tested on plain bytes.

Source: https://docs.asterisk.org/Configuration/Interfaces/Asterisk-Manager-Interface-AMI/AMI-v2-Specification/
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from panoramisk.message import Message

from dialer.errors import Invalid, UnsafeValue

EOL = b"\r\n"
END = b"\r\n\r\n"
BANNER = b"Asterisk Call Manager/"
#: How every packet of Asterisk's begins.
PACKETS = (b"Event: ", b"Response: ")

#: The longest packet that is read, bytes. Asterisk's own longest are answers to `Command`.
MAX_PACKET = 4 * 1024 * 1024
#: The longest banner line, bytes.
MAX_BANNER = 200
#: Asterisk reads a line into 1024 bytes, its end included, and answers a longer one without its ActionID.
MAX_LINE = 1022
#: Asterisk refuses an action of more lines (AST_MAX_MANHEADERS), again without its ActionID.
MAX_LINES = 120

_KEY = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_BREAK = re.compile(r"[\r\n\0]")
#: One item of a `Variable` header as Asterisk splits it: commas within the parentheses of a function's name
#: and after a backslash are kept, an unescaped quote is eaten, any other comma begins the next variable.
_ITEM = re.compile(r'[^=,()"\\]+(?:\([^()"\\]*\))?(?:=(?:[^,"\\]|\\.)*)?', re.DOTALL)
_ITEM_SPECIAL = re.compile(r'([,"\\])')


class FramingError(Exception):
    """The other side does not speak AMI, or sends a packet past the limit; the link cannot go on."""


class Framer:
    """Cuts a stream of segments into packets, however they were torn.

    Its memory is bounded by `max_packet` and one segment; each byte is looked at once or twice, whatever the
    sizes of the segments.
    """

    def __init__(self, max_packet: int = MAX_PACKET) -> None:
        self.version: str | None = None
        self._max = max_packet
        self._buffer = bytearray()
        self._scanned = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The packets that `data` completes, without their empty lines. Raises FramingError."""
        buffer = self._buffer
        buffer += data
        if self.version is None and not self._banner():
            return []
        # The end may be torn too: look again at the three bytes before the new ones.
        end = buffer.rfind(END, max(0, self._scanned - 3))
        if end < 0:
            self._scanned = len(buffer)
            self._check(len(buffer))
            return []
        packets = bytes(memoryview(buffer)[:end]).split(END)
        del buffer[: end + len(END)]
        self._scanned = len(buffer)
        self._check(max(map(len, packets)))
        return packets

    def _banner(self) -> bool:
        line, eol, _rest = self._buffer.partition(EOL)
        if not line.startswith(BANNER[: len(line)]) or len(line) > MAX_BANNER:
            raise FramingError("no AMI banner: another service listens on this port")
        if not eol:
            return False
        if not line.startswith(BANNER):
            raise FramingError("no AMI banner: another service listens on this port")
        self.version = line[len(BANNER) :].decode("ascii", "replace").strip()
        del self._buffer[: len(line) + len(EOL)]
        return True

    def _check(self, size: int) -> None:
        if size > self._max:
            raise FramingError(f"a packet of more than {self._max} bytes")


def event_name(packet: bytes) -> bytes | None:
    """The name of the event in `packet` if that is one, without parsing the rest: Asterisk puts it first."""
    if not packet.startswith(b"Event: "):
        return None
    end = packet.find(EOL)
    return packet[7:] if end < 0 else packet[7:end]


class Packet(Message):  # type: ignore[misc]
    """A packet parsed by panoramisk, over a plain dict.

    panoramisk's `from_line` parses; its case-insensitive dict costs as much again for each packet and holds
    the values of a repeated header as a list. Here they are one string, a line each, so that a value is
    always a string.
    """

    def __init__(self, headers: dict[str, Any], content: str = "") -> None:
        for key, value in headers.items():
            if value.__class__ is list:
                headers[key] = "\n".join(value)
        self.headers: dict[str, str] = headers
        self.content = content
        self.manager = None
        #: Read by panoramisk for each event that it dispatches.
        self.event: str = headers.get("Event", "")

    @classmethod
    def parse(cls, packet: bytes) -> Packet | None:
        """Parse one packet; None where it is neither an event nor a response.

        Bytes that are no UTF-8 become U+FFFD: a broken caller name costs its letters, never the event.
        """
        # A stray line end before a packet is not part of it; a blank after the last colon is.
        return cls.from_line(packet.decode("utf-8", "replace").strip("\r\n"))  # type: ignore[no-any-return]

    def __getitem__(self, key: str) -> str:
        return field(self.headers, key)

    @property
    def success(self) -> bool:
        """Whether it is an event, or the answer to an action that was accepted."""
        return bool(self.event) or self.get("Response") in self.success_responses

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.get(key) is not None

    def __iter__(self) -> Any:
        return iter(self.headers)

    def __len__(self) -> int:
        return len(self.headers)


def field(headers: Mapping[str, str], key: str) -> str:
    """The value of a header in whatever case Asterisk wrote it. Raises KeyError."""
    value = headers.get(key)
    if value is not None:
        return value
    folded = key.lower()
    for name, value in headers.items():
        if name.lower() == folded:
            return value
    raise KeyError(key)


def variable(name: str, value: str) -> str:
    """An item of an Originate's `Variable` header that arrives as it is, commas and quotes included."""
    return f"{name}={_ITEM_SPECIAL.sub(lambda match: chr(92) + match[0], value)}"


def checked(action: Mapping[str, str | Sequence[str]]) -> dict[str, str | list[str]]:
    """A copy of `action` that is one action and nothing else when written to the socket.

    Raises UnsafeValue for a character that would end the line or begin another variable, Invalid where
    Asterisk would throw the line away for its length.
    """
    safe: dict[str, str | list[str]] = {}
    lines = 0
    for key, value in action.items():
        if not _KEY.fullmatch(key):
            raise UnsafeValue(field="the name of a header", character=_first(_KEY.sub("", key)))
        values = [value] if isinstance(value, str) else list(value)
        for item in values:
            _check_value(key, item)
        lines += len(values)
        safe[key] = value if isinstance(value, str) else values
    if lines > MAX_LINES:
        raise Invalid(field="action", reason=f"Asterisk takes {MAX_LINES} lines at most, not {lines}")
    return safe


def _check_value(key: str, value: str) -> None:
    if found := _BREAK.search(value):
        raise UnsafeValue(field=key, character=repr(found[0]))
    if key.lower() == "variable" and value and not _ITEM.fullmatch(value):
        # The first character that the pattern could not take, for the message only.
        rest = value[match.end() :] if (match := _ITEM.match(value)) else value
        raise UnsafeValue(field=key, character=_first(rest))
    try:
        size = len(f"{key}: {value}".encode())
    except UnicodeEncodeError as error:
        raise UnsafeValue(field=key, character=repr(value[error.start - len(key) - 2])) from None
    if size > MAX_LINE:
        raise Invalid(field=key, reason=f"Asterisk takes {MAX_LINE} bytes a line at most, not {size}")


def _first(text: str) -> str:
    return repr(text[:1])
