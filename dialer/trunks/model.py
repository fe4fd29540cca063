"""Trunks: which way out a call takes, how fast calls may follow each other, and the dialled address.

A trunk is chosen in the campaign's order: the first that is switched on, can be reached, allows the number's
prefix, is not bad, and whose caps leave room (`caps`). A trunk that has just failed the same lead comes last.
What is not allowed is refused; an empty list of prefixes allows nothing, and where money is capped a number
without a tariff is refused.

The names and numbers that reach a dial string are held to whitelists here, where a trunk is made *and* where
the string is built: `&` would call a second number, `,` and `|` would start a new argument.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

from dialer import names
from dialer.errors import BadNumber, UnsafeValue
from dialer.trunks.caps import EPSILON, IDLE, NOTHING, UNCAPPED, Caps, Load, Rate, Refusal

E164 = re.compile(r"\+[1-9][0-9]{2,14}")
PREFIX = re.compile(r"\+[1-9][0-9]{0,14}")
ENDPOINT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
HOST = re.compile(names.HOST)
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
    #: Money a day; None: no cap.
    max_spend_per_day: Decimal | None = None
    #: It has a tariff.
    priced: bool = False

    @property
    def on_this_machine(self) -> bool:
        """Whether the carrier is this machine: a demonstration or a test."""
        return self.sip_host in LOOPBACK

    @property
    def caps(self) -> Caps:
        """What it may carry."""
        return Caps(self.max_channels, self.max_cps, self.max_spend_per_day)

    def allows(self, e164: str) -> bool:
        """Whether the number begins with an allowed prefix."""
        return e164.startswith(self.allowed_prefixes)


@dataclass(frozen=True, slots=True)
class Refused:
    """No trunk takes the call now."""

    #: Why the trunk that came nearest to taking it did not.
    reason: Refusal
    #: rate: when the first of them will; None: when something else changes.
    retry_at: datetime | None = None
    #: The trunk that came nearest; None: there is none, or the tenant's caps refuse.
    trunk_id: int | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """A call that is to be placed."""

    e164: str
    #: The trunk whose fault ended the last call to it: it is tried last. None: none.
    avoid: int | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """A trunk that takes a call."""

    trunk: Trunk
    #: The tariff of the number; None: the trunk has none, and needs none.
    rate: Rate | None
    #: The trunk is bad: the call tries whether it still is.
    probe: bool = False

    @property
    def reserve(self) -> Decimal:
        """What the call reserves."""
        return self.rate.reserve if self.rate else NOTHING


@dataclass(frozen=True, slots=True)
class Book:
    """What a tenant's lines carry at one moment."""

    now: datetime
    #: by the tenant's clock
    today: date
    #: by trunk; one that is not here is idle
    loads: Mapping[int, Load]
    #: of the tenant over all its trunks
    caps: Caps = UNCAPPED
    load: Load = IDLE


def choose(
    trunks: Sequence[Trunk], book: Book, ask: Ask, rates: Mapping[int, Rate | None] | None = None
) -> Choice | Refused:
    """The first trunk of the order that takes the call, or why none does.

    `rates`: the number's tariff by trunk id. The caller keeps the book: `placed(book, choice)`. Over any span
    of s seconds a trunk gets at most `burst + max_cps * s` calls.
    """
    found = Refused(Refusal.NO_TRUNK)
    order = list(Refusal)
    priced = rates or {}
    for trunk in sorted(trunks, key=lambda trunk: trunk.id == ask.avoid):
        rate = priced.get(trunk.id)
        load = book.loads.get(trunk.id, IDLE)
        reason = _refusal(trunk, load, book, ask.e164, rate)
        if reason is None:
            choice = Choice(trunk, rate, probe=load.bad)
            return _of_tenant(book, choice) or choice
        at = load.retry_at(trunk.caps, book.now) if reason is Refusal.RATE else None
        if order.index(reason) > order.index(found.reason) or (at and found.retry_at and at < found.retry_at):
            found = Refused(reason, at, trunk.id)
    return found


def nearest(trunks: Sequence[Trunk], book: Book) -> Refused | None:
    """Why these trunks take no call at all, whatever the number; None: one of them may take one."""
    found = Refused(Refusal.NO_TRUNK)
    order = list(Refusal)
    for trunk in trunks:
        load = book.loads.get(trunk.id, IDLE)
        reason = (
            load.refusal(trunk.caps, book.now, book.today, NOTHING) if trunk.enabled else Refusal.NO_TRUNK
        )
        if reason is None:
            reason = book.load.refusal(book.caps, book.now, book.today, NOTHING)
            return Refused(_TENANTS[reason]) if reason else None
        if order.index(reason) > order.index(found.reason):
            found = Refused(reason, trunk_id=trunk.id)
    return found


def placed(book: Book, choice: Choice) -> Book:
    """The book after the call was placed."""
    sums = [choice.reserve]
    _, of_trunk = book.loads.get(choice.trunk.id, IDLE).taken(choice.trunk.caps, book.now, book.today, sums)
    _, of_tenant = book.load.taken(book.caps, book.now, book.today, sums)
    return replace(book, loads={**book.loads, choice.trunk.id: of_trunk}, load=of_tenant)


def _refusal(trunk: Trunk, load: Load, book: Book, e164: str, rate: Rate | None) -> Refusal | None:
    if not trunk.enabled:
        return Refusal.NO_TRUNK
    if not load.reachable:
        return Refusal.UNREACHABLE
    if not E164.fullmatch(e164) or not trunk.allows(e164):
        return Refusal.PREFIX
    if rate is None and (trunk.caps.max_spend is not None or book.caps.max_spend is not None):
        return Refusal.NO_RATE
    return load.refusal(trunk.caps, book.now, book.today, rate.reserve if rate else NOTHING)


#: The tenant's word for a cap.
_TENANTS = {
    Refusal.SPEND: Refusal.TENANT_SPEND,
    Refusal.CHANNELS: Refusal.TENANT_CHANNELS,
    Refusal.RATE: Refusal.TENANT_RATE,
}


def _of_tenant(book: Book, choice: Choice) -> Refused | None:
    reason = book.load.refusal(book.caps, book.now, book.today, choice.reserve)
    if reason is None:
        return None
    at = book.load.retry_at(book.caps, book.now) if reason is Refusal.RATE else None
    return Refused(_TENANTS[reason], at)


def lines_left(trunks: Iterable[Trunk], loads: Mapping[int, Load], now: datetime) -> int:
    """Calls that those trunks can take now that are switched on and can be reached, by their channels and
    their calls a second."""
    return sum(
        max(0, min(trunk.max_channels - load.channels, int(load.tokens_at(trunk.caps, now) + EPSILON)))
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
