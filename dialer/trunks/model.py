"""Trunks: which way out a call takes, how fast calls may follow each other, and the dialled address.

A trunk is chosen in the campaign's order: the first that is switched on, can be reached, allows the number's
prefix, has a free channel and has not used up its calls a second. What is not allowed is refused; an empty
list of prefixes allows nothing.

The names and numbers that reach a dial string are held to whitelists here, where a trunk is made *and* where
the string is built: `&` would call a second number, `,` and `|` would start a new argument.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from dialer.errors import BadNumber, UnsafeValue

E164 = re.compile(r"\+[1-9][0-9]{2,14}")
PREFIX = re.compile(r"\+[1-9][0-9]{0,14}")
ENDPOINT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
#: A host's name, or its IPv4 address.
HOST = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
)
SIP_USER = re.compile(r"[A-Za-z0-9+][A-Za-z0-9._+-]{0,63}")
#: No space, quote, backslash, bracket or semicolon: they mean something in Asterisk's files, and so does # at
#: the beginning.
SIP_SECRET = re.compile(r"(?!#)[A-Za-z0-9!#$%&()*+,./:<=?@^_{|}~-]{8,128}")
#: Digits that a carrier wants in front, then the number with or without its plus.
DIAL_FORMAT = re.compile(r"[0-9]{0,8}\{(?:e164|digits)\}")
#: Codecs that may be offered to a carrier: those that a managed Asterisk loads.
CODECS = ("alaw", "ulaw", "g722", "opus", "gsm")
#: Carriers on this machine.
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class Refusal(StrEnum):
    """Why no trunk takes a call now."""

    NO_TRUNK = "no_trunk"
    UNREACHABLE = "unreachable"
    PREFIX = "prefix"
    CHANNELS = "channels"
    RATE = "rate"


@dataclass(frozen=True, slots=True)
class Trunk:
    """A way out to the telephone network."""

    id: int
    name: str
    #: Name of the PJSIP endpoint in Asterisk.
    endpoint: str
    #: Number shown to the called person, E.164.
    caller_id: str
    #: Calls at once.
    max_channels: int
    #: New calls a second.
    max_cps: float
    #: Numbers must begin with one of these; none allows nothing.
    allowed_prefixes: tuple[str, ...]
    #: How the carrier wants the number: `{e164}` is +7..., `{digits}` is 7..., digits may stand before.
    dial_format: str = "{e164}"
    codecs: tuple[str, ...] = ("alaw",)
    enabled: bool = True
    #: Where the carrier is, for a managed Asterisk; None: the endpoint is made elsewhere.
    sip_host: str | None = None

    @property
    def on_this_machine(self) -> bool:
        """Whether the carrier is this machine: a demonstration or a test."""
        return self.sip_host in LOOPBACK

    @property
    def burst(self) -> float:
        """Calls that may follow each other at once after a pause: a quarter of a second's, at least one."""
        return max(1.0, self.max_cps / 4)

    def allows(self, e164: str) -> bool:
        """Whether the number begins with an allowed prefix."""
        return e164.startswith(self.allowed_prefixes)


@dataclass(frozen=True, slots=True)
class Load:
    """What a trunk carries at a moment."""

    #: Calls that hold a channel.
    channels: int = 0
    #: Calls that may be placed at `filled_at` by the rate limit; None: nothing was placed yet.
    tokens: float | None = None
    filled_at: datetime | None = None
    #: Asterisk says that the carrier answers.
    reachable: bool = True

    def tokens_at(self, trunk: Trunk, now: datetime) -> float:
        """The tokens that have gathered by `now`, at most the burst."""
        if self.tokens is None or self.filled_at is None:
            return trunk.burst
        # A clock that was set back gives nothing and takes nothing.
        passed_s = max(0.0, (now - self.filled_at).total_seconds())
        return min(trunk.burst, self.tokens + passed_s * trunk.max_cps)

    def placed(self, trunk: Trunk, now: datetime) -> Load:
        """After one more call was placed over it."""
        return Load(self.channels + 1, self.tokens_at(trunk, now) - 1, now, self.reachable)

    def released(self) -> Load:
        """After a channel ended."""
        return Load(max(0, self.channels - 1), self.tokens, self.filled_at, self.reachable)


#: A trunk that carries nothing.
IDLE = Load()


@dataclass(frozen=True, slots=True)
class Refused:
    """No trunk takes the call now."""

    #: Why the trunk that came nearest to taking it did not.
    reason: Refusal
    #: rate: when the first of them will; None: when something else changes.
    retry_at: datetime | None = None


def choose(trunks: Sequence[Trunk], loads: Mapping[int, Load], e164: str, now: datetime) -> Trunk | Refused:
    """The first trunk of the order that takes a call to `e164` at `now`, or why none does.

    `loads` by trunk id; a trunk without one is idle. The caller keeps them: `loads[t.id].placed(t, now)`.
    Over any span of s seconds a trunk gets at most `burst + max_cps * s` calls.
    """
    nearest = Refused(Refusal.NO_TRUNK)
    for trunk in trunks:
        refused = _refusal(trunk, loads.get(trunk.id, IDLE), e164, now)
        if refused is None:
            return trunk
        order = list(Refusal)
        if order.index(refused.reason) > order.index(nearest.reason) or (
            refused.retry_at and nearest.retry_at and refused.retry_at < nearest.retry_at
        ):
            nearest = refused
    return nearest


def _refusal(trunk: Trunk, load: Load, e164: str, now: datetime) -> Refused | None:
    if not trunk.enabled:
        return Refused(Refusal.NO_TRUNK)
    if not load.reachable:
        return Refused(Refusal.UNREACHABLE)
    if not E164.fullmatch(e164) or not trunk.allows(e164):
        return Refused(Refusal.PREFIX)
    if load.channels >= trunk.max_channels:
        return Refused(Refusal.CHANNELS)
    tokens = load.tokens_at(trunk, now)
    # Sums of floats: a billionth of a call is not worth a wait.
    if tokens < 1 - 1e-9:
        return Refused(Refusal.RATE, now + timedelta(seconds=(1 - tokens) / trunk.max_cps))
    return None


def lines_left(trunks: Iterable[Trunk], loads: Mapping[int, Load]) -> int:
    """Free channels of those trunks that are switched on and can be reached."""
    return sum(
        max(0, trunk.max_channels - load.channels)
        for trunk in trunks
        if trunk.enabled and (load := loads.get(trunk.id, IDLE)).reachable
    )


def dial_string(trunk: Trunk, e164: str) -> str:
    """The channel to originate: `PJSIP/+79161234567@carrier`.

    Raises BadNumber or UnsafeValue for anything that is not plainly a number and an endpoint's name, wherever
    it came from.
    """
    if not E164.fullmatch(e164):
        raise BadNumber(reason="it is not in the international form, + and 3 to 15 digits")
    check("endpoint", ENDPOINT, trunk.endpoint)
    check("dial_format", DIAL_FORMAT, trunk.dial_format)
    number = trunk.dial_format.format(e164=e164, digits=e164.removeprefix("+"))
    return f"PJSIP/{number}@{trunk.endpoint}"


def check(field: str, form: re.Pattern[str], value: str) -> None:
    """Raise UnsafeValue unless the whole value has the form."""
    if not form.fullmatch(value):
        raise UnsafeValue(field=field, character=_first_strange(form, value))


def _first_strange(form: re.Pattern[str], value: str) -> str:
    """The character to name: the first that stands in no value of the form, else the whole form is wrong."""
    known = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-_.:{}")
    strange = next((character for character in value if character not in known), "")
    return repr(strange) if strange else f"the form is {form.pattern}"
