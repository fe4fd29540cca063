"""What `dozvon bench pacing-live` compares: real runs, and the simulator's of one length and start. Pure.

A run is counted from an empty centre: all agents are ready, nothing was dialled, nothing is learned, and the
campaign is started. Both count the same things, as a `Minute` of the simulator.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

from dialer.pacing.simulator.figures import Minute, quantile, together
from dialer.pacing.simulator.planned import Limits
from dialer.pacing.simulator.rules import Terms
from dialer.pacing.simulator.runs import Job
from dialer.pacing.simulator.world import HOUR_S, Times, World

#: Words in the lines of the results file.
REAL: Final = "real"
SIMULATED: Final = "simulated"
#: Names of simulated worlds.
PLAIN: Final = "plain"
DELAYED: Final = "delayed"


@dataclass(frozen=True, slots=True)
class Setting:
    """What is run, really and in the simulator."""

    agents: int = 10
    minutes: float = 20.0
    #: everything goes faster, so that something happens within a minute
    short: bool = False

    @property
    def world(self) -> World:
        """The plain world of the simulator, from a cold start; scaled down where it is short."""
        plain = World(agents=self.agents, warm_up_s=0.0)
        if not self.short:
            return plain
        return replace(
            plain,
            answer_rate=0.5,
            ring=Times.of(2.0, 0.5),
            ring_cut_s=5.0,
            talk=Times.of(6.0, 0.5),
            wrap=Times.of(2.0, 0.5),
        )

    def job(self, seed: int, delays: Delays | None = None) -> Job:
        """The simulator's run of it."""
        world = delays.into(self.world) if delays else self.world
        return Job("predictive", world, Terms(Limits()), self.minutes * 60 / HOUR_S, seed)

    @property
    def ring_timeout_s(self) -> int:
        """The campaign's: the carrier ends what nobody answers, a moment before that."""
        world = self.world
        return int(world.setup_s[1] + world.ring_cut_s) + 1


@dataclass(frozen=True, slots=True)
class Delays:
    """What passes beyond the plan on real lines, with real phones and agents, means in seconds."""

    #: before it rings
    setup_s: float = 0.0
    #: from the answer until both hear each other, where an agent is free
    join_s: float = 0.0
    #: by which a talk is longer than the customer's plan, counted from the join
    talk_s: float = 0.0
    #: by which a wrap-up is longer than the agent's plan
    wrap_s: float = 0.0

    def into(self, world: World) -> World:
        """The world with them."""
        low, high = world.setup_s
        return replace(
            world,
            setup_s=(low + self.setup_s, high + self.setup_s),
            transfer_s=max(0.0, self.join_s),
            talk=_longer(world.talk, self.talk_s),
            wrap=_longer(world.wrap, self.wrap_s),
        )


def _longer(law: Times, by_s: float) -> Times:
    """The law with a mean longer by so much, and the same deviation."""
    return Times(tuple((share, mean + by_s, cv * mean / (mean + by_s)) for share, mean, cv in law.parts))


@dataclass(frozen=True, slots=True)
class Real:
    """A run on a real Asterisk; one line of the results file."""

    setting: Setting
    seed: int
    counted: Minute
    delays: Delays
    #: more of it by name; units in the names
    figures: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    #: what did not hold, in words; empty: all held
    broken: str = ""


@dataclass(frozen=True, slots=True)
class Simulated:
    """Many runs of the simulator, from the seed 1 on; one line of the results file."""

    setting: Setting
    #: PLAIN or DELAYED
    world: str
    runs: Sequence[Minute]
    delays: Delays = field(default_factory=Delays)
    #: customers' waits for an agent: medians and 95th percentiles over all runs, by name
    figures: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


def to_line(one: Real | Simulated) -> dict[str, Any]:
    """The line of it."""
    line: dict[str, Any] = {"what": REAL if isinstance(one, Real) else SIMULATED, **asdict(one.setting)}
    if isinstance(one, Real):
        line |= {"seed": one.seed, "counted": _rounded(one.counted._asdict())}
        line |= {"broken": one.broken} if one.broken else {}
    else:
        line |= {"world": one.world, "runs": [[_short(value) for value in run] for run in one.runs]}
    return line | {"delays": _rounded(asdict(one.delays)), "figures": _rounded(one.figures)}


def from_line(line: Mapping[str, Any]) -> Real | Simulated:
    """What `to_line` has written. Raises ValueError or TypeError for another line."""
    try:
        setting = Setting(line["agents"], line["minutes"], line["short"])
        delays, figures = Delays(**line["delays"]), dict(line["figures"])
        if line["what"] == REAL:
            counted = Minute(**line["counted"])
            return Real(setting, line["seed"], counted, delays, figures, line.get("broken", ""))
        runs = [Minute(*run) for run in line["runs"]]
        return Simulated(setting, line["world"], runs, delays, figures)
    except KeyError as error:
        raise ValueError(f"it has no {error}") from None


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: _short(value) for name, value in values.items()}


def _short(value: float) -> float:
    return value if isinstance(value, int) else round(value, 4)


@dataclass(frozen=True, slots=True)
class Known:
    """What a results file has of one setting, the newest of each."""

    #: by seed
    real: Mapping[int, Real]
    #: by world
    simulated: Mapping[str, Simulated]

    @classmethod
    def of(cls, lines: Iterable[Real | Simulated], setting: Setting) -> Known:
        """Of these lines, oldest first."""
        ours = [one for one in lines if one.setting == setting]
        real = {one.seed: one for one in ours if isinstance(one, Real)}
        simulated = {one.world: one for one in ours if isinstance(one, Simulated)}
        return cls(dict(sorted(real.items())), simulated)


@dataclass(frozen=True, slots=True)
class Band:
    """Where the middle nine tenths of simulated figures lie, 0 to 1."""

    p5: float
    p50: float
    p95: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Band:
        """Of one value at least."""
        p5, p50, p95 = (quantile(values, share) for share in (0.05, 0.5, 0.95))
        assert p5 is not None and p50 is not None and p95 is not None
        return cls(p5, p50, p95)

    def holds(self, value: float) -> bool:
        """Whether the value lies in it."""
        return self.p5 <= value <= self.p95


@dataclass(frozen=True, slots=True)
class Bands:
    """Of both figures."""

    occupancy: Band
    abandon_rate: Band

    @classmethod
    def of(cls, runs: Sequence[Minute]) -> Bands:
        """Of runs, or of pools of such."""
        return cls(Band.of([run.occupancy for run in runs]), Band.of([run.abandon_rate for run in runs]))

    def hold(self, run: Minute) -> bool:
        """Whether both figures lie in them."""
        return self.occupancy.holds(run.occupancy) and self.abandon_rate.holds(run.abandon_rate)


def pools(runs: Sequence[Minute], size: int) -> list[Minute]:
    """Each so many runs together as one; what is left over is left out."""
    return [together(runs[at : at + size]) for at in range(0, len(runs) - size + 1, size)]


def pooled(real: Iterable[Real]) -> Minute:
    """Real runs together as one; there is one at least."""
    return together([run.counted for run in real])


def mean_delays(real: Sequence[Real]) -> Delays:
    """The delays of all runs, each weighed alike."""
    each = [asdict(run.delays) for run in real]
    # To the millisecond: no more is kept of them either.
    return Delays(**{name: round(sum(one[name] for one in each) / len(each), 3) for name in each[0]})


def summary(known: Known) -> dict[str, Any]:
    """What `--json` prints of a setting: real runs pooled, beside the band of simulated pools of as many.

    `inside`: None where a side of the comparison is missing.
    """
    runs = list(known.real.values())
    simulated = known.simulated.get(PLAIN)
    found: dict[str, Any] = {"runs": len(runs), "seeds": list(known.real), "inside": None, "sim": None}
    if not runs:
        return found
    total = pooled(runs)
    found |= {
        "occupancy": round(total.occupancy, 5),
        "abandon_rate": round(total.abandon_rate, 5),
        "answers": total.live,
        "abandoned": total.abandoned,
        "contacts": total.contacts,
        "dials": total.dials,
        "broken": [f"seed {run.seed}: {run.broken}" for run in runs if run.broken],
    }
    if simulated is None or not (groups := pools(simulated.runs, len(runs))):
        return found
    bands, single = Bands.of(groups), Bands.of(simulated.runs)
    found["sim"] = asdict(bands) | {"runs": len(simulated.runs), "pools": len(groups)}
    found["single"] = asdict(single) | {"inside": sum(single.hold(run.counted) for run in runs)}
    found["inside"] = bands.hold(total)
    if (delayed := known.simulated.get(DELAYED)) is not None:
        bands = Bands.of(pools(delayed.runs, len(runs)))
        found["delayed"] = asdict(bands) | {"inside": bands.hold(total)}
    return found
