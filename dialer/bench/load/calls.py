"""How many calls a second are carried, what each costs, and how long an answered customer waits.

Calls go to SIPp's customers, who answer, talk and hang up; each is joined to an agent whose phone, SIPp too,
waits in a bridge. The rate is set by the trunk's own limit; agents are enough that none is waited for.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final

from dialer.bench.load.model import SUSTAINED, Measured, NotMeasured, Say, Wish, fell_behind
from dialer.bench.load.stage import Stage, open_stage, per_call

_COLUMNS: Final = (
    ("asked_per_s", "calls/s asked"),
    ("placed_per_s", "placed"),
    ("windows", "windows"),
    ("concurrent", "calls at once"),
    ("agents", "agents"),
    ("answered", "answered"),
    ("without_agent", "no agent"),
    ("join_ms_p95", "join p95, ms"),
    ("answer_to_agent_ms_p50", "answer to agent p50, ms"),
    ("answer_to_agent_ms_p95", "p95"),
    ("answer_to_agent_ms_p99", "p99"),
    ("server_cpu_per_call", "CPU s a call: server"),
    ("engine_cpu_per_call", "of it engine"),
    ("web_cpu_per_call", "web"),
    ("asterisk_cpu_per_call", "Asterisk"),
    ("db_cpu_per_call", "PostgreSQL"),
    ("carrier_cpu_per_call", "SIPp"),
    ("server_to_asterisk", "server : Asterisk"),
)
MEDIA: Final = "SIPp as carrier and phones; voice both ways, 50 packets a second"


@dataclass(frozen=True, slots=True)
class Load:
    """How long, and at which rates."""

    talk_s: float
    ring_s: float
    #: seconds that are measured, after the calls in the air have become as many as they will be
    window_s: float
    #: calls a second, in the order they are tried; the search ends at the first that falls behind
    rates: tuple[float, ...]
    #: between the last that was carried and the first that fell behind, so near is near enough
    grain: float


LONG: Final = Load(10.0, 0.5, 30.0, (2, 5, 8, 11, 14, 17, 20, 24, 28, 33, 40), 1.0)
SHORT: Final = Load(1.0, 0.5, 4.0, (2,), 8.0)
#: Agents for each call in the air: those in wrap-up, and those whom the pacing rule keeps free.
SPARE: Final = 1.25


def load_of(wish: Wish) -> Load:
    """The long or the short form."""
    return SHORT if wish.short else LONG


def agents_for(load: Load, rate: float) -> int:
    """Enough that no call waits for one."""
    return math.ceil(rate * (load.talk_s + load.ring_s + 0.5) * SPARE) + 2


def _leads_for(load: Load, rates: Sequence[float]) -> int:
    a_step = load.window_s + 2 * (load.talk_s + load.ring_s) + 10
    # Twice and a half: each that falls behind is measured again, and there are rates between.
    return round(sum(rate * a_step for rate in rates) * 2.5) + 100


async def step(stage: Stage, load: Load, rate: float) -> dict[str, float]:
    """Dial at this rate, let the calls become as many as they will be, measure, let them end."""
    await stage.agents(agents_for(load, rate))
    await stage.rate(rate)
    await stage.start()
    settle_s = load.talk_s + load.ring_s + 1.0
    await stage.watch(settle_s)
    cpu, since = stage.cpu(), await stage.now()
    seen = await stage.watch(load.window_s)
    seconds, until = stage.cpu().since(cpu), await stage.now()
    await stage.pause()
    await stage.watch(settle_s + 2.0)
    figures = await stage.figures(since, until)
    return {
        "asked_per_s": rate,
        "agents": stage.at_work,
        "concurrent": seen.open_mean,
        "journal_behind_max": seen.journal_behind_max,
        "engine_mb": stage.memory_mb("engine"),
        **figures,
        **per_call(seconds, figures["calls"], (until - since).total_seconds()),
    }


def stage_for(wish: Wish, say: Say, rates: Sequence[float]) -> AbstractAsyncContextManager[Stage]:
    """A stage with agents and leads for these rates."""
    load = load_of(wish)
    return open_stage(
        say,
        agents=agents_for(load, max(rates)),
        leads=_leads_for(load, rates),
        ring_s=load.ring_s,
        talk_s=load.talk_s,
    )


class Calls:
    """The highest rate that is carried: steps up until something falls behind, then nearer."""

    name = "calls"
    title = (
        "Calls a second into agents' bridges, 10 s each, until anything falls behind: fewer than 95 % "
        "placed, an answered customer without an agent, a failed call, answer to agent p95 over 250 ms, "
        "or a journal more than a second behind; a rate counts as fallen behind after a second window"
    )
    columns = _COLUMNS

    async def measure(self, wish: Wish, say: Say) -> AsyncIterator[Measured]:
        """A measurement a rate, and at the end the one that is `sustained`.

        Raises NotMeasured where no rate was carried.
        """
        if (self.name, SUSTAINED, wish.short) in wish.known:
            return
        load = load_of(wish)
        carried: Measured | None = None
        fallen = math.inf
        async with stage_for(wish, say, load.rates) as stage:
            waiting = list(load.rates)
            while waiting:
                rate = waiting.pop(0)
                case = f"rate={rate:g}"
                one = wish.known.get((self.name, case, wish.short))
                if one is None:
                    one = await self._at(stage, load, rate, wish, say)
                    yield one
                if one.broken:
                    fallen, waiting = min(fallen, rate), []
                elif carried is None or rate > carried.figures["asked_per_s"]:
                    carried = one
                if not waiting and carried is not None and fallen < math.inf:
                    between = (carried.figures["asked_per_s"] + fallen) / 2
                    if fallen - between >= load.grain:
                        waiting.append(math.floor(between))
        if carried is None:
            raise NotMeasured(row=self.name, reason=f"the lowest rate, {load.rates[0]:g}/s, was not carried")
        yield Measured(self.name, SUSTAINED, wish.seed, wish.short, carried.figures, MEDIA)

    async def _at(self, stage: Stage, load: Load, rate: float, wish: Wish, say: Say) -> Measured:
        """A rate; one that falls behind is measured again: it may have been another program's moment."""
        for window in (1,) if wish.short else (1, 2):
            figures = await step(stage, load, rate) | {"windows": window}
            broken = fell_behind(figures, sums_only=wish.short)
            if not broken:
                break
            say(f"calls: {rate:g}/s, window {window}: {broken}")
        else:
            return Measured(self.name, f"rate={rate:g}", wish.seed, wish.short, figures, MEDIA, broken=broken)
        # The short form judges no limit on time: that it went is all that it says.
        say(f"calls: {rate:g}/s: {'made, not judged' if wish.short else 'carried'}")
        return Measured(self.name, f"rate={rate:g}", wish.seed, wish.short, figures, MEDIA)


class Answer:
    """How long an answered customer waits at parts of the sustained rate."""

    name = "answer"
    title = "From the answer to the agent's voice at 10, 50 and 90 % of the sustained rate"
    columns = (("share", "% of sustained"), *_COLUMNS)

    async def measure(self, wish: Wish, say: Say) -> AsyncIterator[Measured]:
        """A measurement a share. Stands on the row `calls`, measured before: else raises NotMeasured."""
        every = [50] if wish.short else [10, 50, 90]
        shares = [s for s in every if (self.name, f"share={s}", wish.short) not in wish.known]
        if not shares:
            return
        best = wish.earlier.get(("calls", SUSTAINED, wish.short))
        if best is None:
            raise NotMeasured(row=self.name, reason="needs calls: no sustained rate is known yet")
        load = load_of(wish)
        rates = [best.figures["asked_per_s"] * share / 100 for share in shares]
        async with stage_for(wish, say, rates) as stage:
            for share, rate in zip(shares, rates, strict=True):
                figures = await step(stage, load, rate)
                yield Measured(
                    self.name,
                    f"share={share}",
                    wish.seed,
                    wish.short,
                    {"share": share, **figures},
                    MEDIA,
                    broken=fell_behind(figures, sums_only=wish.short),
                )


CALLS, ANSWER = Calls(), Answer()
