"""What `make bench-pacing` measures: each rule, team and trouble is a case, and a line of the results."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from dialer.bench.pacing import verdict
from dialer.clock import utc_now
from dialer.pacing.simulator import switches
from dialer.pacing.simulator.figures import Run, minutes_within, summary, together
from dialer.pacing.simulator.planned import Limits
from dialer.pacing.simulator.rules import Terms
from dialer.pacing.simulator.runs import Job, run_seeds
from dialer.pacing.simulator.world import HOUR_S, World

TEAMS: Final = (5, 10, 20, 50, 100, 200)
RATES: Final = (0.2, 0.3, 0.4, 0.8)
#: Counted hours by the size of the team: some 9,000 live answers each.
HOURS: Final = {5: 80.0, 10: 40.0, 20: 20.0, 50: 8.0, 100: 4.0, 200: 2.0}
#: Where each day has its limit, whole days of so many hours, one at least.
DAY_H: Final = 8.0
_RIVALS: Final = (
    "progressive",
    "adaptive",
    "adaptive-hard",
    "adaptive-idle",
    "power",
    "nearly-done",
    "gamma",
    "overcommit",
    "boost",
)
#: The fixed number of calls a free agent is tuned in these steps.
_RATIO_STEP: Final = 0.05
_AFTER_S: Final = 900.0
#: Of a campaign that nothing is known of: its stretches, worked seconds, and how many starts are looked at.
STARTS_S: Final = ((0.0, 120.0), (120.0, 600.0), (600.0, 1800.0))
STARTS: Final = {5: 60, 10: 40, 20: 24, 50: 12}
START_RATES: Final = (0.2, 0.3, 0.5)


@dataclass(frozen=True, slots=True)
class Case:
    """One line of the results."""

    #: the table that it stands in: `reference`, `start` or `robust`
    part: str
    #: its name there; no two cases of a part have the same
    row: str
    job: Job
    runs: int = 1
    #: what is put into the world
    with_: tuple[str, ...] = ()
    #: worked seconds at which something changes; the stretch after each is looked at
    changes_s: tuple[float, ...] = ()
    #: stretches of worked seconds that are told apart
    stretches_s: tuple[tuple[float, float], ...] = ()
    #: whether its ratio is to be tuned
    tuned: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from all others."""
        return self.part, self.row


def _plain(rule: str, agents: int, rate: float, target: float = 0.03, *, each_day: bool = False) -> Case:
    """A team in the plain world; predictive and its bounds hold the target in the long run, or each day."""
    row = f"{rule} {agents} {rate} {target}"
    bounded = "predictive" in rule or "known" in rule
    if bounded:
        row += " each-day" if each_day else " long-run"
    hours = HOURS[agents]
    if each_day:
        hours = DAY_H * math.ceil(hours / DAY_H)
    terms = Terms(Limits(target, long_run=bounded and not each_day))
    job = Job(rule, World(agents=agents, answer_rate=rate), terms, hours)
    return Case("reference", row, job, tuned=rule == "power")


#: Teams and answer rates, the most usual rate first.
_TEAMS_AND_RATES: Final = sorted(
    ((agents, rate) for agents in TEAMS for rate in RATES), key=lambda one: one[1] != 0.3
)


def ours() -> Iterator[Case]:
    """Predictive in the plain world."""
    for each_day in (False, True):
        for agents, rate in _TEAMS_AND_RATES:
            yield _plain("predictive", agents, rate, each_day=each_day)


def beside() -> Iterator[Case]:
    """What stands beside it there: at 1 %, its bounds, and the rules of others."""
    for agents, rate in _TEAMS_AND_RATES:
        yield _plain("predictive", agents, rate, 0.01)
    for agents in TEAMS:
        yield _plain("answers-known", agents, 0.3)
    for agents, rate in _TEAMS_AND_RATES:
        yield _plain("release-known", agents, rate)
    for rule in _RIVALS:
        for agents in TEAMS:
            for rate in RATES:
                yield _plain(rule, agents, rate)


def _step(name: str, agents: int, rate: float, factor: float) -> Case:
    hours = 3.0
    job = Job("predictive", World(agents=agents, answer_rate=rate), hours=hours)
    return Case("robust", name, job, 12, (f"rate-step={factor}",), (hours * HOUR_S / 2,))


def robust() -> Iterator[Case]:
    """Predictive where the plain world ends, and one call an agent beside it."""
    every_2_h = tuple(HOUR_S * (1 + 2 * turn) for turn in range(12))
    ten, twenty, one = World(), World(agents=20), World(agents=1)
    long = Job("predictive", ten, hours=24)
    cases = [
        Case("robust", "plain", long),
        Case("robust", "one agent", Job("predictive", one, hours=160)),
        _step("twice as many answer, 20 agents", 20, 0.2, 2.0),
        _step("twice as many answer, 50 agents", 50, 0.2, 2.0),
        _step("half as many answer, 20 agents", 20, 0.4, 0.5),
        # Their change is their return: before it nobody is there.
        Case(
            "robust", "all leave for ten minutes", long, 1, ("leave=1",),
            tuple(at + 600.0 for at in every_2_h),
        ),
        Case(
            "robust", "a third leaves for ten minutes, 20 agents", replace(long, world=twenty), 1,
            ("leave=0.33",), every_2_h,
        ),
        Case("robust", "short and long talks", long, 1, ("bimodal",)),
        Case("robust", "answers in bursts", long, 1, ("bursts",)),
        Case("robust", "the clock is set by 5 min", long, 1, ("clock-steps=300",), every_2_h),
        Case("robust", "events 2 s late", long, 1, ("late-events=2",)),
        Case("robust", "all learned is lost", long, 1, ("resets=2",), every_2_h),
        Case("robust", "breaks", long, 1, ("breaks",)),
        Case("robust", "machines, detected with errors", long, 1, ("machines",)),
        Case("robust", "the same, the clock after the greeting", long, 1, ("machines", "greeting")),
        Case("robust", "machines, not detected", long, 1, ("unheard-machines",)),
        Case("robust", "5 % hang up at once", long, 1, ("hang-ups",)),
        Case("robust", "answers told late", long, 1, ("late-answers",)),
        Case("robust", "0.4 s of transfer", long, 1, ("transfer",)),
        Case("robust", "the clock after the greeting", long, 1, ("greeting",)),
        Case("robust", "a list of 3,000 that ends", long, 1, ("leads=3000",)),
        Case("robust", "leads differ, not known", long, 1, ("mixed-leads",)),
        Case("robust", "leads differ, known", long, 1, ("scored-leads",)),
        Case("robust", "leads differ by traits, not known", long, 1, ("traits-unknown",)),
        Case("robust", "the same, traits told, their effect learned", long, 1, ("learned-leads",)),
        Case("robust", "the same, known", long, 1, ("traits-known",)),
        Case("robust", "agents differ", long, 1, ("differing-agents",)),
        Case(
            "robust", "the same, taken for alike", replace(long, rule="predictive-alike"), 1,
            ("differing-agents",),
        ),
        Case(
            "robust", "ringing calls taken back after 15 s",
            replace(long, terms=Terms(Limits(drop_after_s=15.0))),
        ),
    ]  # fmt: skip
    for case in cases:
        world = switches.apply(case.job.world, case.with_, case.job.hours)
        yield replace(case, job=replace(case.job, world=world))
        beside = replace(case.job, world=world, rule="progressive", terms=Terms())
        yield replace(case, row=f"{case.row} (progressive)", job=beside)


def start() -> Iterator[Case]:
    """Predictive from the first call on, with nothing learned."""
    for agents, runs in STARTS.items():
        for rate in START_RATES:
            world = World(agents=agents, answer_rate=rate, warm_up_s=0.0)
            job = Job("predictive", world, hours=STARTS_S[-1][1] / HOUR_S)
            yield Case("start", f"{agents} {rate}", job, runs, stretches_s=STARTS_S)


def cases() -> list[Case]:
    """All, the most telling first."""
    return [*ours(), *robust(), *start(), *beside()]


def measure(case: Case) -> dict[str, Any]:
    """The line of it."""
    job, runs = case.job, list[Run]()
    if case.tuned:
        job, runs = _tune(case.job)
    else:
        runs = run_seeds(job, case.runs)
    figures = summary(runs, job.terms.limits.share)
    if case.part == "robust":
        figures |= verdict.windows(runs, job.terms.limits.share)
    if case.changes_s:
        figures |= _after(runs, case.changes_s) | verdict.recovery(runs, case.changes_s)
    if case.stretches_s:
        figures["stretches"] = [_stretch(runs, *each) for each in case.stretches_s]
    if job.terms.ratio is not None:
        figures["ratio"] = job.terms.ratio
    del figures["seeds"]
    return {
        "part": case.part,
        "row": case.row,
        "rule": job.rule,
        "agents": job.world.agents,
        "answer_rate": case.job.world.answer_rate,
        "target": job.terms.limits.share,
        "long_run": job.terms.limits.long_run,
        "with": list(case.with_),
        "hours": job.hours,
        "seed": job.seed,
        "runs": case.runs,
        "at": utc_now().isoformat(timespec="seconds"),
        "figures": figures,
    }


def _stretch(runs: Sequence[Run], from_s: float, until_s: float) -> dict[str, object]:
    """All runs together, between two worked times."""
    all_ = together([run.between(from_s, until_s) for run in runs])
    figures = {"live": all_.live, "abandoned": all_.abandoned, "occupancy": all_.occupancy}
    return {"from_s": from_s, "until_s": until_s, **figures}


def _tune(job: Job) -> tuple[Job, list[Run]]:
    """The largest number of calls a free agent that keeps the limit, by halves."""
    low, high = 0, round(3 / job.world.answer_rate / _RATIO_STEP)
    found = job, list[Run]()
    while low < high:
        middle = (low + high + 1) // 2
        tried = replace(job, terms=replace(job.terms, ratio=1 + middle * _RATIO_STEP))
        runs = run_seeds(tried, 1)
        if runs[0].total.abandon_rate <= job.terms.limits.share:
            low, found = middle, (tried, runs)
        else:
            high = middle - 1
    if not found[1]:
        found = job, run_seeds(replace(job, terms=replace(job.terms, ratio=1.0)), 1)
    return found


def _after(runs: Sequence[Run], changes_s: Sequence[float]) -> dict[str, object]:
    """The quarter of an hour after each change."""
    first = [minutes_within(run, changes_s, _AFTER_S) for run in runs]
    live = sum(one.live for one in first)
    duty = sum(one.duty_s for one in first)
    return {
        "after_abandon_rate": sum(one.abandoned for one in first) / live if live else 0.0,
        "after_occupancy": sum(one.talk_s + one.wrap_s for one in first) / duty if duty else 0.0,
    }
