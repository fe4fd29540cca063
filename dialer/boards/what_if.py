"""What would it be like with other settings? The campaign's own figures as a world of the simulator. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from dialer.pacing.simulator.figures import Minute, Run, quantile, together
from dialer.pacing.simulator.planned import Limits
from dialer.pacing.simulator.rules import Terms
from dialer.pacing.simulator.runs import Job
from dialer.pacing.simulator.world import Times, World

#: With fewer talks, or attempts, the figures tell nothing of the people.
LEAST_TALKS: Final = 20
LEAST_ATTEMPTS: Final = 100
#: Agents of a setting: more are not simulated in a few seconds.
MOST_AGENTS: Final = 300
#: Seconds from the dial to the ringing, of the simulator's worlds on average.
SETUP_S: Final = 1.5
#: Hours of work of all agents that one run counts: done in some seconds, as often as there is time.
AGENT_HOURS: Final = 6.0
WARM_UP_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class Known:
    """What the campaign's latest calls tell."""

    attempts: int
    #: answered by a person
    live: int
    machines: int
    #: not answered, and known at once
    busy: int
    talks: int
    #: seconds: means, and standard deviations
    ring_s: float
    ring_sd_s: float
    talk_s: float
    talk_sd_s: float
    wrap_s: float
    wrap_sd_s: float

    @property
    def enough(self) -> bool:
        """Whether it tells anything."""
        return self.attempts >= LEAST_ATTEMPTS and self.talks >= LEAST_TALKS and self.live > 0


@dataclass(frozen=True, slots=True)
class Setting:
    """What a supervisor can change."""

    agents: int
    #: a mode of dialling that the simulator knows by the same name
    mode: str
    #: power: calls an agent
    ratio: float
    #: predictive: the highest share of abandoned calls
    abandon_target: float


@dataclass(frozen=True, slots=True)
class Around:
    """What stays as it is."""

    #: a person is abandoned so long after the answer
    abandon_after_s: float
    ring_timeout_s: float
    detects_machines: bool
    #: predictive: ringing calls are taken back after so long; None: never
    take_back_s: float | None
    #: calls that the trunks carry at once; None: enough
    lines: int | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a setting would give. Shares from 0 to 1, times in seconds."""

    setting: Setting
    #: runs that were done in the time there was, and the answers that they had: how sure it is
    runs: int
    answers: int
    #: talks an hour of all agents, and dials
    contacts_per_hour: float
    dials_per_hour: float
    occupancy: float
    abandon_share: float
    #: 95 % of customers wait no longer for an agent; None: nobody did
    wait_p95_s: float | None
    #: an agent waits so long between two calls, on average
    idle_s: float | None
    lines_mean: float


@dataclass(frozen=True, slots=True)
class RunFigures:
    """What one run gave, as it goes from process to process."""

    total: Minute
    waits_s: Sequence[float]
    idle_s: Sequence[float]


def job(known: Known, around: Around, setting: Setting, seed: int) -> Job:
    """One run of a setting in the campaign's own world."""
    counted = known.attempts
    ring = max(known.ring_s - SETUP_S, 0.5)
    world = World(
        agents=setting.agents,
        answer_rate=min(max(known.live / counted, 0.005), 1.0),
        ring=Times.of(ring, _cv(known.ring_sd_s, ring)),
        ring_cut_s=max(around.ring_timeout_s - SETUP_S, 1.0),
        busy_share=min(known.busy / max(counted - known.live - known.machines, 1), 1.0),
        talk=Times.of(max(known.talk_s, 1.0), _cv(known.talk_sd_s, known.talk_s)),
        wrap=Times.of(max(known.wrap_s, 0.5), _cv(known.wrap_sd_s, known.wrap_s)),
        slack_s=around.abandon_after_s,
        day_h=24.0,
        warm_up_s=WARM_UP_S,
        lines=around.lines,
        machine_rate=min(known.machines / counted, 1.0 - known.live / counted),
        detection=around.detects_machines,
    )
    drop = around.take_back_s if setting.mode == "predictive" else None
    # Of an hour that follows a day: what a day allows is no matter of it.
    limits = Limits(setting.abandon_target, long_run=True, drop_after_s=drop)
    ratio = setting.ratio if setting.mode == "power" else None
    hours = min(max(AGENT_HOURS / setting.agents, 0.1), 1.5)
    return Job(setting.mode, world, Terms(limits, ratio), hours, seed)


def read_run(run: Run) -> RunFigures:
    """What is told of a run."""
    return RunFigures(run.total, run.waits_s, run.idle_s)


def _cv(deviation: float, mean: float) -> float:
    """The coefficient of variation, as far as a lognormal law is drawn with it."""
    return min(max(deviation / mean, 0.05), 3.0) if mean > 0 else 0.5


def changed(
    now: Setting,
    *,
    agents_more: int = 0,
    abandon_target: float | None = None,
    ratio: float | None = None,
    mode: str | None = None,
) -> Setting:
    """The setting that is asked about; what is not named stays."""
    wanted: dict[str, Any] = {"abandon_target": abandon_target, "ratio": ratio, "mode": mode}
    given = {name: value for name, value in wanted.items() if value is not None}
    return replace(now, agents=now.agents + agents_more, **given)


def outcome(setting: Setting, runs: Iterable[RunFigures]) -> Outcome | None:
    """All runs of a setting together; None: none was done."""
    done = list(runs)
    if not done:
        return None
    total = together([one.total for one in done])
    hours = total.worked_s / 3600
    idle = [each for one in done for each in one.idle_s]
    return Outcome(
        setting,
        len(done),
        total.live,
        total.contacts / hours,
        total.dials / hours,
        total.occupancy,
        total.abandon_rate,
        quantile([each for one in done for each in one.waits_s], 0.95),
        math.fsum(idle) / len(idle) if idle else None,
        total.lines_s / total.worked_s,
    )
