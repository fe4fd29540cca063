"""What a trunk, or a tenant over all its trunks, may carry, what it carries now, and what a call costs.

Three caps, each of which may be absent: calls at once, new calls a second (a bucket of tokens), and money a
day. A call reserves the price of its first `RESERVED_S` seconds when it is placed; when it ends, the price of
the seconds that were answered is booked in its place. Calls that are on the line are never cut off: what they
cost beyond the reserve is the most by which a day's cap can be passed.

`Load.granted` and `Load.taken` are what the conditional UPDATE of `dialer.trunks.loads` does to a row;
tests put the same cases through both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import ROUND_UP, Decimal
from enum import StrEnum

#: The smallest amount that is counted.
CENT = Decimal("0.0001")
NOTHING = Decimal(0)
#: Seconds of talk that a call reserves the price of.
RESERVED_S = 120
#: A clock that goes back by more was set; by less it is two servers' requests that overtook each other.
STEP_BACK = timedelta(seconds=1)
#: Sums of floats: a billionth of a call is not worth a wait.
EPSILON = 1e-9
#: Numbers that an agent may type by hand in an hour, where the tenant does not say otherwise.
TYPED_PER_HOUR = 60
#: A trunk that was found bad is tried by one call after so long, then after twice as long, up to the most.
PROBE_FIRST_S, PROBE_MOST_S = 5, 300


class Refusal(StrEnum):
    """Why no call is placed now; of a trunk's, the later ones came nearer to placing it."""

    NO_TRUNK = "no_trunk"
    UNREACHABLE = "unreachable"
    PREFIX = "prefix"
    NO_RATE = "no_rate"
    BAD = "trunk_bad"
    SPEND = "spend"
    CHANNELS = "channels"
    RATE = "rate"
    TENANT_SPEND = "tenant_spend"
    TENANT_CHANNELS = "tenant_channels"
    TENANT_RATE = "tenant_rate"

    @property
    def of_number(self) -> bool:
        """Whether it is the number that is refused: another may be placed, this one not by waiting."""
        return self in (Refusal.PREFIX, Refusal.NO_RATE)

    @property
    def cap(self) -> bool:
        """Whether a cap that a person has set was reached, which somebody should hear of."""
        return self in _CAPS

    @property
    def said(self) -> str:
        """It in words, for whoever dials by hand."""
        return _SAID[self]


_SAID = {
    Refusal.NO_TRUNK: "no trunk of the campaign is switched on",
    Refusal.UNREACHABLE: "no carrier of the campaign answers",
    Refusal.PREFIX: "no trunk of the campaign may call such numbers",
    Refusal.NO_RATE: "money is capped, and no trunk has a tariff for such numbers",
    Refusal.BAD: "the carriers of the campaign fail all calls",
    Refusal.SPEND: "the trunk has spent its money of today",
    Refusal.CHANNELS: "all lines of the trunk are taken",
    Refusal.RATE: "the trunk takes no more calls in this second",
    Refusal.TENANT_SPEND: "all money of today is spent",
    Refusal.TENANT_CHANNELS: "as many calls are on the lines as there may be at once",
    Refusal.TENANT_RATE: "no more calls may be placed in this second",
}
_CAPS = frozenset(
    {
        Refusal.NO_RATE,
        Refusal.SPEND,
        Refusal.CHANNELS,
        Refusal.RATE,
        Refusal.TENANT_SPEND,
        Refusal.TENANT_CHANNELS,
        Refusal.TENANT_RATE,
    }
)


@dataclass(frozen=True, slots=True)
class Rate:
    """A tariff."""

    #: for a minute of talk, counted by the second
    per_minute: Decimal
    #: for each answered call
    per_call: Decimal = NOTHING

    def price(self, answered_s: float) -> Decimal:
        """What a call costs that was answered for so long; a begun second counts whole."""
        whole = Decimal(math.ceil(answered_s))
        return (self.per_call + self.per_minute * whole / 60).quantize(CENT, ROUND_UP)

    @property
    def reserve(self) -> Decimal:
        """What a call reserves when it is placed."""
        return self.price(RESERVED_S)


def rate_of(rates: Mapping[str, Rate], e164: str) -> Rate | None:
    """The tariff of a number, by the longest prefix that it begins with; None: there is none."""
    return next((rates[p] for p in prefixes(e164) if p in rates), None)


def prefixes(e164: str) -> list[str]:
    """All that the number begins with, the longest first: `+7916`, `+791`, `+79`, `+7`."""
    return [e164[:end] for end in range(len(e164), 1, -1)]


@dataclass(frozen=True, slots=True)
class Caps:
    """How much may be carried; None: as much as comes."""

    max_channels: int | None = None
    #: new calls a second
    max_cps: float | None = None
    #: money a day, by the tenant's clock
    max_spend: Decimal | None = None

    @property
    def burst(self) -> float:
        """Calls that may follow each other at once after a pause: one, and a quarter of a second's.

        Who looks four times a second then gets all of `max_cps`: what is left of a call waits for the next
        look. Over any span of s seconds there are at most `burst + max_cps * s` calls.
        """
        return math.inf if self.max_cps is None else 1 + self.max_cps / 4


@dataclass(frozen=True, slots=True)
class Load:
    """What is carried at a moment."""

    #: Calls that hold a line.
    channels: int = 0
    #: Calls that may be placed at `filled_at` by the rate limit; None: nothing was placed yet.
    tokens: float | None = None
    filled_at: datetime | None = None
    #: Money of `spend_day`: booked, and reserved by the calls on the line.
    spent: Decimal = NOTHING
    spend_day: date | None = None
    #: Asterisk says that the carrier answers.
    reachable: bool = True
    #: The carrier fails its calls: nothing but a probe goes, and that not before `probe_at`.
    bad: bool = False
    probe_at: datetime | None = None
    probe_every_s: int = 0

    def tokens_at(self, caps: Caps, now: datetime) -> float:
        """The tokens that have gathered by `now`, at most the burst.

        A clock that was set back gives nothing, but for one call that writes the new time down: else nothing
        would be placed until the old time comes again.
        """
        if caps.max_cps is None or self.tokens is None or self.filled_at is None:
            return caps.burst
        if self.filled_at > now + STEP_BACK:
            return max(min(caps.burst, self.tokens), 1.0)
        passed_s = max(0.0, (now - self.filled_at).total_seconds())
        return min(caps.burst, self.tokens + passed_s * caps.max_cps)

    def spent_on(self, today: date) -> Decimal:
        """What was spent today; a day that is over stays over, also when the clock goes back."""
        return NOTHING if self.spend_day is not None and today > self.spend_day else self.spent

    def granted(self, caps: Caps, now: datetime, today: date, sums: Sequence[Decimal]) -> int:
        """How many of the calls may be placed. `sums`: what the first, the first two, ... reserve."""
        most = len(sums)
        if self.bad:
            most = min(most, 1 if self.probe_at is None or now >= self.probe_at else 0)
        if caps.max_channels is not None:
            most = min(most, caps.max_channels - self.channels)
        if caps.max_cps is not None:
            most = min(most, math.floor(self.tokens_at(caps, now) + EPSILON))
        if caps.max_spend is not None:
            spent = self.spent_on(today)
            most = min(most, sum(spent + each <= caps.max_spend for each in sums))
        return max(0, most)

    def taken(self, caps: Caps, now: datetime, today: date, sums: Sequence[Decimal]) -> tuple[int, Load]:
        """How many of the calls are placed, and what is carried then."""
        n = self.granted(caps, now, today, sums)
        stepped_back = self.filled_at is None or self.filled_at > now + STEP_BACK
        probes = self.bad and n > 0
        return n, replace(
            self,
            channels=self.channels + n,
            tokens=None if caps.max_cps is None else self.tokens_at(caps, now) - n,
            filled_at=now if stepped_back or self.filled_at is None else max(self.filled_at, now),
            spent=self.spent_on(today) + (sums[n - 1] if n else NOTHING),
            spend_day=today if self.spend_day is None else max(self.spend_day, today),
            probe_at=now + timedelta(seconds=self.probe_every_s) if probes else self.probe_at,
            probe_every_s=min(self.probe_every_s * 2, PROBE_MOST_S) if probes else self.probe_every_s,
        )

    def refusal(self, caps: Caps, now: datetime, today: date, reserve: Decimal) -> Refusal | None:
        """Why one more call is not placed; None: it is."""
        if not self.reachable:
            return Refusal.UNREACHABLE
        if self.bad and self.probe_at is not None and now < self.probe_at:
            return Refusal.BAD
        if caps.max_spend is not None and self.spent_on(today) + reserve > caps.max_spend:
            return Refusal.SPEND
        if caps.max_channels is not None and self.channels >= caps.max_channels:
            return Refusal.CHANNELS
        return Refusal.RATE if self.tokens_at(caps, now) < 1 - EPSILON else None

    def retry_at(self, caps: Caps, now: datetime) -> datetime:
        """When the rate limit will let the next call through."""
        assert caps.max_cps is not None
        return now + timedelta(seconds=(1 - self.tokens_at(caps, now)) / caps.max_cps)


#: Nothing is capped.
UNCAPPED = Caps()
#: What carries nothing.
IDLE = Load()
