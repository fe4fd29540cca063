"""The number plan of the loopback carrier: what a number does when it is called is written in the number.

    +7 9PP DDD BB RR
        PP   a real mobile code, so that any check of phone numbers takes it for one; of some also how long
             the network takes before it rings (see SETUP_S)
        DDD  a detail: the voice, the seconds of a talk or the digits that are sent (see Behaviour)
        BB   the behaviour, a code of `Behaviour`
        RR   the ring time in half seconds, 0 to 49.5 s

So a seed decides a whole campaign, and the carrier (`carrier_conf/extensions.conf`) keeps no state.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType

#: Mobile codes 9PP that are in use.
PREFIXES = (3, 5, 6, 9, *range(10, 18), 19, 20, 21, 25, 26, 27, *range(61, 69), *range(80, 84), 87, 88, 89)

#: The longest ring time that a number can say, seconds.
MAX_RING_S = 49.5

#: The longest talk of STAYS, seconds, and the steps in which it goes.
MAX_STAY_S = 1998.0
STAY_STEP_S = 2.0


class Behaviour(IntEnum):
    """What the called number does; the value is BB of the number."""

    # Somebody live answers. He says hello, listens, talks while he is talked to and leaves after 20 s in
    # which nobody has said a word.
    HUMAN = 10
    LATE_HUMAN = 11  # the same, after a long ring
    LEAVES_TALK = 12  # hangs up DDD tenths of a second after the first words he hears
    LEAVES_EARLY = 13  # hangs up DDD tenths of a second after his answer, whatever he hears
    HANGS_UP_AT_ONCE = 14
    STAYS = 15  # after the network's time: rings, answers, hangs up 2 x DDD s after that, whatever he hears
    MACHINE = 20  # a long greeting, a beep, then it listens
    # For scenarios; never in a demo's list.
    SILENT = 30  # answers and sends silence
    NO_VOICE = 31  # answers and sends no packet at all
    SENDS_DTMF = 32  # answers, says hello and sends the three digits DDD
    PRESSES = 33  # answers and presses the three digits DDD, one each time that he has heard words
    # Nobody answers.
    BUSY = 40
    NO_ANSWER = 41  # rings for ever
    INVALID = 42
    CONGESTION = 43
    DECLINED = 44
    RINGS_OUT = 45  # after the network's time: rings until the network gives up
    UNAVAILABLE = 50
    TIMED_OUT = 51
    INCOMPLETE = 52
    FORBIDDEN = 53
    OUT_OF_ORDER = 54
    ANNOUNCED_INVALID = 55  # 183 with a spoken announcement, then 404


@dataclass(frozen=True, slots=True)
class Refusal:
    """How a call that is never answered ends, as the caller sees it."""

    #: Final SIP status.
    sip_code: int
    #: Q.850 cause that Asterisk makes of it on the caller's side.
    cause: int
    #: DialStatus of the DialEnd event.
    dial_status: str


#: The end of each number that refuses (measured on Asterisk 22; see docs/architecture.md).
REFUSALS: Mapping[Behaviour, Refusal] = MappingProxyType(
    {
        Behaviour.BUSY: Refusal(486, 17, "BUSY"),
        Behaviour.INVALID: Refusal(404, 1, "NOANSWER"),
        Behaviour.CONGESTION: Refusal(503, 34, "CONGESTION"),
        Behaviour.DECLINED: Refusal(603, 21, "NOANSWER"),
        Behaviour.UNAVAILABLE: Refusal(480, 19, "NOANSWER"),
        Behaviour.RINGS_OUT: Refusal(480, 19, "NOANSWER"),
        Behaviour.TIMED_OUT: Refusal(408, 18, "NOANSWER"),
        Behaviour.INCOMPLETE: Refusal(484, 28, "NOANSWER"),
        Behaviour.FORBIDDEN: Refusal(403, 21, "NOANSWER"),
        Behaviour.OUT_OF_ORDER: Refusal(502, 27, "NOANSWER"),
        Behaviour.ANNOUNCED_INVALID: Refusal(404, 1, "NOANSWER"),
    }
)

#: Behaviours in which a person answers.
LIVE = frozenset(
    {
        Behaviour.HUMAN,
        Behaviour.LATE_HUMAN,
        Behaviour.LEAVES_TALK,
        Behaviour.LEAVES_EARLY,
        Behaviour.HANGS_UP_AT_ONCE,
        Behaviour.STAYS,
        Behaviour.SILENT,
        Behaviour.NO_VOICE,
        Behaviour.SENDS_DTMF,
    }
)
#: Behaviours that answer, be it a person or a machine.
ANSWERING = LIVE | {Behaviour.MACHINE}

#: Shares among the numbers where a person answers.
LIVE_SHARES: Mapping[Behaviour, float] = MappingProxyType(
    {
        Behaviour.HUMAN: 0.74,
        Behaviour.LATE_HUMAN: 0.08,
        Behaviour.LEAVES_TALK: 0.10,
        Behaviour.LEAVES_EARLY: 0.03,
        Behaviour.HANGS_UP_AT_ONCE: 0.05,
    }
)
#: Shares among the numbers where none does.
OTHER_SHARES: Mapping[Behaviour, float] = MappingProxyType(
    {
        Behaviour.NO_ANSWER: 0.42,
        Behaviour.BUSY: 0.16,
        Behaviour.MACHINE: 0.20,
        Behaviour.INVALID: 0.09,
        Behaviour.DECLINED: 0.08,
        Behaviour.CONGESTION: 0.05,
    }
)


#: The network's time of a prefix: before it rings, for a number of STAYS or RINGS_OUT; 1.05 to 1.95 s.
SETUP_S: Mapping[int, float] = MappingProxyType(
    {prefix: round(1.05 + prefix % 10 / 10, 2) for prefix in PREFIXES}
)


@dataclass(frozen=True, slots=True)
class Planned:
    """A number of the plan and what it does."""

    #: The number, `+79` and nine digits.
    e164: str
    behaviour: Behaviour
    #: Seconds from the call, or from the first ringing, to the answer or refusal.
    ring_s: float
    #: DDD, 0 to 999.
    detail: int

    @property
    def setup_s(self) -> float:
        """Seconds from the call to the first ringing; with `ring_s` until the answer or refusal."""
        after_a_time = self.behaviour in (Behaviour.STAYS, Behaviour.RINGS_OUT)
        return SETUP_S[int(self.e164[3:5])] if after_a_time else 0.0

    @property
    def stay_s(self) -> float:
        """STAYS: seconds from the answer to the end."""
        return self.detail * STAY_STEP_S


def encode(behaviour: Behaviour, *, ring_s: float = 0.0, detail: int = 0, prefix: int = 16) -> Planned:
    """The number that does this; `ring_s` is rounded to half seconds and cut at MAX_RING_S.

    Raises ValueError if `detail` is not 0 to 999 or `prefix` is no mobile code of the plan.
    """
    if not 0 <= detail <= 999 or prefix not in PREFIXES or ring_s < 0:
        raise ValueError(f"no number has detail {detail}, prefix {prefix}, ring time {ring_s} s")
    halves = min(round(MAX_RING_S * 2), round(ring_s * 2))
    e164 = f"+79{prefix:02d}{detail:03d}{behaviour.value:02d}{halves:02d}"
    return Planned(e164, behaviour, halves / 2, detail)


def decode(e164: str) -> Planned:
    """What the number does. Raises ValueError if it is not a number of the plan."""
    if len(e164) != 12 or not e164.startswith("+79") or not e164[1:].isdecimal():
        raise ValueError(f"{e164!r} is not +79 and nine digits")
    return Planned(e164, Behaviour(int(e164[8:10])), int(e164[10:]) / 2, int(e164[5:8]))


def apportion(total: int, shares: Mapping[Behaviour, float]) -> dict[Behaviour, int]:
    """`total` split by shares with whole numbers that sum to it (largest remainders).

    A small campaign so has its share of everything, which a throw of dice would not give it.
    """
    weight = sum(shares.values())
    exact = {kind: total * share / weight for kind, share in shares.items()}
    counts = {kind: math.floor(value) for kind, value in exact.items()}
    by_remainder = sorted(exact, key=lambda kind: counts[kind] - exact[kind])
    for kind in by_remainder[: total - sum(counts.values())]:
        counts[kind] += 1
    return counts


def lognormal_s(rng: random.Random, mean_s: float, sigma: float = 0.5) -> float:
    """A time of people, a ring or a talk: lognormal with this mean."""
    return rng.lognormvariate(math.log(mean_s) - sigma * sigma / 2, sigma) if mean_s > 0 else 0.0


def make_numbers(
    n: int, *, seed: int, human_share: float = 0.5, ring_mean_s: float = 12.0, talk_mean_s: float = 60.0
) -> list[Planned]:
    """`n` different numbers in random order; the same arguments give the same list.

    `human_share` of them (rounded) are answered by a person. Networks refuse after a third of `ring_mean_s`,
    late people answer after three times as long as the others. Who hangs up in the middle of a talk does so
    after half of `talk_mean_s` on average (and less than 100 s).

    Raises ValueError if the plan has not that many numbers or an argument is out of its range.
    """
    if not 0 <= n <= 200_000 or not 0 <= human_share <= 1 or ring_mean_s < 0:
        raise ValueError(
            f"cannot make {n} numbers, human share {human_share}, mean ring time {ring_mean_s} s"
        )
    rng = random.Random(seed)  # noqa: S311 - a test plan, not a secret
    live = round(n * human_share)
    counts = apportion(live, LIVE_SHARES) | apportion(n - live, OTHER_SHARES)
    kinds = [kind for kind, count in counts.items() for _ in range(count)]
    rng.shuffle(kinds)
    numbers: dict[str, Planned] = {}
    for kind in kinds:
        while True:
            planned = encode(
                kind,
                ring_s=lognormal_s(rng, ring_mean_s * _RING_FACTOR.get(kind, 1.0)),
                detail=_detail(kind, rng, talk_mean_s),
                prefix=rng.choice(PREFIXES),
            )
            if planned.e164 not in numbers:
                numbers[planned.e164] = planned
                break
    return list(numbers.values())


_RING_FACTOR = MappingProxyType(
    {
        Behaviour.LATE_HUMAN: 3.0,
        Behaviour.BUSY: 0.35,
        Behaviour.INVALID: 0.25,
        Behaviour.CONGESTION: 0.25,
    }
)


def _detail(kind: Behaviour, rng: random.Random, talk_mean_s: float) -> int:
    if kind is Behaviour.LEAVES_TALK:
        return min(999, max(10, round(10 * lognormal_s(rng, talk_mean_s / 2))))
    if kind is Behaviour.LEAVES_EARLY:
        return rng.randint(4, 15)  # 0.4 to 1.5 s after the answer: before the 2 s of the abandon clock
    return rng.randint(0, 999)
