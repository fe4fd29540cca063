"""`dozvon simulate`: one rule in one world, and what came of it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from dialer.errors import Invalid
from dialer.pacing.simulator import switches
from dialer.pacing.simulator.figures import LEAST_ANSWERS, Run, summary
from dialer.pacing.simulator.planned import Limits
from dialer.pacing.simulator.rules import RULES, Terms, make
from dialer.pacing.simulator.runs import Job, run_seeds
from dialer.pacing.simulator.world import RING, WRAP, Times, World

#: No ringing call may be taken back earlier, by the strictest law that names a time.
LEAST_RING_S: Final = 15.0
#: Instead of a name: the names.
LIST: Final = "list"


@dataclass(frozen=True, slots=True)
class Simulate:
    """The options of the command."""

    rule: str
    agents: int
    answer_rate: float
    talk_s: float
    talk_cv: float
    wrap_s: float
    ring_s: float
    slack_s: float
    hours: float
    day_h: float
    warm_up_min: float
    seed: int
    runs: int
    processes: int
    target: float
    #: held in the long run alone
    long_run: bool
    drop_after_s: float | None
    ratio: float | None
    lines: int | None
    #: what is put into the world: `name` or `name=value`
    with_: tuple[str, ...]
    json_line: bool


def job_of(options: Simulate) -> Job:
    """What is to be run. Raises Invalid, which names the option."""
    _between("--answer-rate", options.answer_rate, 0.0, 1.0, above=True)
    _between("--target", options.target, 0.0, 1.0, above=True)
    _between("--hours", options.hours, 0.0, 10_000.0, above=True)
    _between("--talk", options.talk_s, 0.0, 86_400.0, above=True)
    _between("--talk-cv", options.talk_cv, 0.0, 10.0)
    _between("--wrap", options.wrap_s, 0.0, 86_400.0, above=True)
    _between("--ring", options.ring_s, 0.0, 24.0, above=True)
    _between("--slack", options.slack_s, 0.0, 600.0)
    _between("--day", options.day_h, 0.0, 24.0, above=True)
    _between("--warm-up", options.warm_up_min, 0.0, 600.0)
    if options.drop_after_s is not None:
        _between("--drop-after", options.drop_after_s, LEAST_RING_S, 3600.0)
    if options.ratio is not None:
        _between("--ratio", options.ratio, 0.0, 100.0, above=True)
    if options.day_h < 24 and options.day_h + options.warm_up_min / 60 > 23:
        raise Invalid(field="--day", reason="day and warm-up together are 23 hours at most, or the day is 24")
    world = World(
        agents=options.agents,
        answer_rate=options.answer_rate,
        talk=Times.of(options.talk_s, options.talk_cv),
        wrap=Times.of(options.wrap_s, WRAP.parts[0][2]),
        ring=Times.of(options.ring_s, RING.parts[0][2]),
        slack_s=options.slack_s,
        day_h=options.day_h,
        warm_up_s=options.warm_up_min * 60,
        lines=options.lines,
    )
    world = switches.apply(world, options.with_, options.hours)
    terms = Terms(Limits(options.target, options.long_run, options.drop_after_s), options.ratio)
    make(options.rule, world, terms)  # says what is wrong with it before anything runs
    return Job(options.rule, world, terms, options.hours, options.seed)


def _between(option: str, value: float, low: float, high: float, *, above: bool = False) -> None:
    if not (math.isfinite(value) and low <= value <= high and not (above and value == low)):
        span = f"above {low:g}, at most {high:g}" if above else f"{low:g} to {high:g}"
        raise Invalid(field=option, reason=f"{value:g} is not {span}")


def simulate(options: Simulate) -> None:
    """Run it and print what came of it. Raises Invalid for options that make no sense."""
    if options.rule == LIST or LIST in options.with_:
        _list(Console(), rules=options.rule == LIST)
        return
    job = job_of(options)
    runs = run_seeds(job, options.runs, options.processes)
    found = line(job, runs, options.with_)
    if options.json_line:
        print(json.dumps(found), flush=True)
    else:
        show(Console(), job, found, options.with_)


def _list(console: Console, *, rules: bool) -> None:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("rule" if rules else "--with", no_wrap=True)
    table.add_column("")
    if rules:
        for name, rule in RULES.items():
            table.add_row(name, rule.text)
    else:
        for name, switch in switches.SWITCHES.items():
            table.add_row(f"{name}={switch.value:g}", switch.text.format("so many"))
    console.print(table)


def line(job: Job, runs: Sequence[Run], with_: Sequence[str]) -> dict[str, Any]:
    """What `--json` prints."""
    return {
        "rule": job.rule,
        "agents": job.world.agents,
        "answer_rate": job.world.answer_rate,
        "target": job.terms.limits.share,
        "hours": job.hours,
        "with": list(with_),
        **summary(runs, job.terms.limits.share),
    }


def show(console: Console, job: Job, found: dict[str, Any], with_: Sequence[str]) -> None:
    """A small table, for people."""
    seeds = found["seeds"]
    which = f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {seeds[0]} to {seeds[-1]}"
    console.print(
        f"{job.rule}: {job.world.agents} agents, {job.world.answer_rate:.0%} answer, at most"
        f" {job.terms.limits.share:.1%} abandoned; {job.hours:g} h, {which}",
        highlight=False,
    )
    for wish in with_:
        name, _, value = wish.partition("=")
        switch = switches.SWITCHES[name]
        console.print(f"  {switch.text.format(value or f'{switch.value:g}')}", style="dim", highlight=False)
    band = found.get("band", {})
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_header=bool(band))
    table.add_column("")
    table.add_column("all" if band else "", justify="right")
    if band:
        table.add_column("5 to 95 % of runs", justify="right")

    def row(name: str, value: str, of: str = "") -> None:
        beside = [" to ".join(_percent(each) for each in band[of])] if of else [""] if band else []
        table.add_row(name, value, *beside)

    row("occupancy", _percent(found["occupancy"]), "occupancy" if band else "")
    row("talk, min an agent-hour", f"{found['talk_min_per_hour']:.1f}")
    row("contacts an agent-hour", f"{found['contacts_per_agent_hour']:.1f}")
    row("abandoned", _percent(found["abandon_rate"]), "abandon_rate" if band else "")
    row("  worst day", _percent(found["worst_day_abandon_rate"]))
    row(f"  worst 24 h of {LEAST_ANSWERS} answers", _percent(found["worst_24h_abandon_rate"]))
    if found["unserved_rate"] != found["abandon_rate"]:
        row("  by the customers' own ear", _percent(found["unserved_rate"]))
    row("customers' wait, s (half, 95 %)", _two(found["wait_s"]))
    row("agents' wait, s (half, 95 %)", _two(found["agent_idle_s"]))
    row("lines (mean, peak)", f"{found['lines']['mean']:.1f}, {found['lines']['peak']}")
    row("dials, live answers", f"{found['dials']:,}, {found['live_answers']:,}")
    if found["list_ended_h"] is not None:
        row("the list was used up after, h", f"{found['list_ended_h']:.2f}")
    console.print(table)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f} %"


def _two(quantiles: dict[str, float | None]) -> str:
    return ", ".join("-" if value is None else f"{value:.2f}" for value in quantiles.values())
