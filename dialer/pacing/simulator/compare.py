"""Settings beside each other on one log of calls: what would each have given?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final

from dialer.errors import Invalid
from dialer.pacing.simulator.figures import Run, summary, together
from dialer.pacing.simulator.past import Clock, by_hour, past_run
from dialer.pacing.simulator.planned import Limits
from dialer.pacing.simulator.plot import chart
from dialer.pacing.simulator.replay import Became, Log, world_of
from dialer.pacing.simulator.rules import RULES, Terms, make
from dialer.pacing.simulator.runs import Job, run_all
from dialer.pacing.simulator.world import HOUR_S, World

#: With fewer the draws would tell of chance alone.
LEAST_DIALS: Final = 200
LEAST_TALKS: Final = 30
#: Beside what the campaign has, without other wishes.
LOW_TARGET: Final = 0.01
#: Rules that are told a limit.
_LIMITED: Final = (
    "predictive",
    "predictive-alike",
    "release-known",
    "adaptive",
    "adaptive-hard",
    "adaptive-idle",
    "gamma",
)


@dataclass(frozen=True, slots=True)
class Setting:
    """A rule with what it is set to."""

    #: as it is asked for: `predictive:target=0.01`
    name: str
    rule: str
    terms: Terms
    #: what the campaign has
    own: bool = False


def name_of(rule: str, terms: Terms) -> str:
    """What a setting would be asked for by."""
    words = []
    if rule in _LIMITED:
        words.append(f"target={terms.limits.share:g}")
    if terms.limits.long_run:
        words.append("long-run")
    if terms.limits.drop_after_s is not None:
        words.append(f"drop-after={terms.limits.drop_after_s:g}")
    if terms.ratio is not None:
        words.append(f"ratio={terms.ratio:g}")
    return f"{rule}:{','.join(words)}" if words else rule


def setting_of(text: str, limit: float, least_ring_s: float) -> Setting:
    """`RULE` or `RULE:NAME=VALUE,...`. Raises Invalid, which names what is wrong.

    `limit`: the policy's share of abandoned calls, 0 to 1; `least_ring_s`: its shortest ringing.
    """
    rule, _, rest = text.strip().partition(":")
    known = RULES.get(rule)
    if known is None:
        raise _wrong(text, f"there is no rule {rule!r}; there are {', '.join(RULES)}")
    if known.world is not None:
        raise _wrong(text, f"{rule} needs a world that can be changed; a log cannot")
    limits, ratio = Limits(limit), None
    for word in filter(None, (word.strip() for word in rest.split(","))):
        name, given, value = word.partition("=")
        match name:
            case "target":
                if rule not in _LIMITED:
                    raise _wrong(text, f"{rule} is told no target; {', '.join(_LIMITED)} are")
                limits = replace(limits, share=_number(text, name, value, 0.0, 1.0))
            case "drop-after":
                if not rule.startswith("predictive"):
                    raise _wrong(text, f"{rule} takes no ringing call back; predictive does")
                after_s = _number(text, name, value, 0.0, 3600.0)
                if after_s < least_ring_s:
                    raise _wrong(
                        text, f"drop-after: the policy asks for {least_ring_s:g} s of ringing at least"
                    )
                limits = replace(limits, drop_after_s=after_s)
            case "long-run" if not given:
                limits = replace(limits, long_run=True)
            case "ratio":
                ratio = _number(text, name, value, 0.0, 100.0)
            case _:
                raise _wrong(text, f"there is no {word!r}; there are target, drop-after, ratio and long-run")
    if ratio is not None and known.ratio is None:
        takers = ", ".join(name for name, one in RULES.items() if one.ratio is not None)
        raise _wrong(text, f"{rule} takes no ratio; {takers} do")
    return Setting(text.strip(), rule, Terms(limits, ratio))


def _number(text: str, name: str, value: str, low: float, high: float) -> float:
    try:
        number = float(value)
    except ValueError:
        raise _wrong(text, f"{name} needs a number: {name}=VALUE") from None
    if not low < number <= high:
        raise _wrong(text, f"{name} is above {low:g} and at most {high:g}, not {value}")
    return number


def _wrong(text: str, reason: str) -> Invalid:
    return Invalid(field=f"--compare {text}", reason=reason)


def settings_of(
    texts: Sequence[str], own: Setting | None, limit: float, least_ring_s: float
) -> list[Setting]:
    """What is asked for; without wishes: what the campaign has, one call an agent, predictive at the policy's
    limit and at one per cent. Raises Invalid."""
    if texts:
        asked = [setting_of(text, limit, least_ring_s) for text in texts]
    else:
        names = ["progressive", f"predictive:target={limit:g}", f"predictive:target={LOW_TARGET:g}"]
        asked = [setting_of(name, limit, least_ring_s) for name in names]
        if own is not None:
            asked.insert(0, own)
    found = dict[tuple[str, Terms], Setting]()
    for setting in asked:
        key = (setting.rule, setting.terms)
        same = own is not None and key == (own.rule, own.terms)
        found.setdefault(key, replace(setting, own=same))
    return list(found.values())


def enough(log: Log, where: str) -> None:
    """See that the log can be replayed. Raises Invalid; `where` says of what campaign and days."""
    longer = "choose a longer span by --from and --to"
    known = sum(dial.became is not Became.TAKEN_BACK for dial in log.dials)
    if known < LEAST_DIALS:
        raise Invalid(
            field="--replay",
            reason=f"{where} has {known} dials whose end is known; {LEAST_DIALS} are needed: {longer}",
        )
    talks = sum(dial.talk_s is not None for dial in log.dials)
    if talks < LEAST_TALKS:
        raise Invalid(
            field="--replay", reason=f"{where} has {talks} talks; {LEAST_TALKS} are needed: {longer}"
        )
    if not log.on_duty():
        raise Invalid(
            field="--replay",
            reason=f"{where} has no times of agents who were ready for it while it dialled: they are deleted"
            " after DOZVON_KEEP_AGENT_TIME_DAYS; choose later days by --from and --to",
        )


@dataclass(frozen=True, slots=True)
class Compared:
    """What was, and what each setting would have given."""

    log: Log
    world: World
    past: Run
    each: Mapping[str, Sequence[Run]]
    settings: Sequence[Setting]

    def figures(self) -> Iterator[dict[str, Any]]:
        """A line of figures a setting."""
        for setting in self.settings:
            terms = setting.terms
            yield {
                "name": setting.name,
                "own": setting.own,
                "rule": setting.rule,
                "target": terms.limits.share,
                "drop_after_s": terms.limits.drop_after_s,
                "ratio": terms.ratio,
                **summary(self.each[setting.name], terms.limits.share),
            }

    def past_figures(self) -> dict[str, Any]:
        """The same figures of what was."""
        found = summary([self.past])
        del found["seeds"]
        return found

    def plot(self, title: str) -> str:
        """Occupancy by the hour of the local day."""
        assert self.world.roster is not None
        lines = {}
        was = by_hour(self.log, [self.past], Clock(self.log.at_work()))
        lines[_label("what was", [self.past])] = was
        for setting in self.settings:
            runs = self.each[setting.name]
            hours = by_hour(self.log, runs, Clock(self.world.roster.spans))
            lines[_label(setting.name, runs)] = hours
        lowest = min(share for hours in lines.values() for share in hours.values())
        points = {
            name: [(hour + 0.5, 100 * share) for hour, share in hours.items()]
            for name, hours in lines.items()
        }
        floor = 10.0 * int(10 * lowest)
        return chart(title, "hour of the day", "occupancy, %", points, (floor, 100.0), even=True, labels=330)


def _label(name: str, runs: Sequence[Run]) -> str:
    total = together([run.total for run in runs])
    return f"{name}: {total.occupancy:.1%}, {total.abandon_rate:.1%} abandoned"


def compare(
    log: Log,
    settings: Sequence[Setting],
    *,
    seed: int = 1,
    runs: int = 1,
    processes: int = 1,
    say: Callable[[str], None] = lambda line: None,
) -> Compared:
    """Replay the log for each of the settings, with the same seeds. `say` is told of each that is done."""
    world = world_of(log)
    assert world.roster is not None
    hours = sum(until - since for since, until in world.roster.spans) / HOUR_S
    jobs = []
    for setting in settings:
        make(setting.rule, world, setting.terms)  # says what is wrong with it before anything runs
        jobs += [Job(setting.rule, world, setting.terms, hours, seed + more, log) for more in range(runs)]
    done, each = run_all(jobs, processes), dict[str, list[Run]]()
    for setting in settings:
        each[setting.name] = list(islice(done, runs))
        say(f"replayed: {setting.name}")
    return Compared(log, world, past_run(log), each, settings)
