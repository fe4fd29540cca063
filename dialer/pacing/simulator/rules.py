"""The rules that can be simulated, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from dialer.errors import Invalid
from dialer.pacing.model import DialMode
from dialer.pacing.simulator.pacer import Pacer
from dialer.pacing.simulator.planned import Limits, Planned, Predictive
from dialer.pacing.simulator.rivals import Adaptive, Boost, FixedRatio, Gamma, NearlyDone
from dialer.pacing.simulator.world import Leads, World


@dataclass(frozen=True, slots=True)
class Terms:
    """What a rule is set to."""

    limits: Limits = field(default_factory=Limits)
    #: calls or lines for each agent, of the rules that take one; None: the rule's own
    ratio: float | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """A rule with a name."""

    text: str
    make: Callable[[World, Terms], Pacer]
    #: what its `ratio` is where none is given; None: it takes none
    ratio: Callable[[World], float] | None = None
    #: what it makes of the world: a bound is told what nobody knows
    world: Callable[[World], World] | None = None


def _ratio_of(terms: Terms, default: float) -> float:
    return default if terms.ratio is None else terms.ratio


def _release_known(world: World, terms: Terms) -> Pacer:
    # Not at the top: the bounds need numpy, the other rules do not.
    from dialer.pacing.simulator.bounds import ReleaseKnown

    return ReleaseKnown(world, terms.limits)


def _all_answer(world: World) -> World:
    return replace(world, answer_rate=1.0, kinds=(Leads(1.0, 1.0),), kinds_known=True, machine_rate=0.0)


RULES: Final[Mapping[str, Known]] = MappingProxyType(
    {
        "predictive": Known(
            "looks ahead: as many as expected answers and free agents allow",
            lambda w, t: Predictive(w, t.limits),
        ),
        "predictive-alike": Known(
            "the same, taking all agents for alike",
            lambda w, t: Predictive(w, replace(t.limits, each_agent=False)),
        ),
        "progressive": Known("one call for each free agent", lambda w, t: Planned(DialMode.PROGRESSIVE)),
        "power": Known(
            "a fixed number of calls for each free agent",
            lambda w, t: Planned(DialMode.POWER, _ratio_of(t, 1.5)),
            lambda w: 1.5,
        ),
        "ratio": Known(
            "a fixed number of lines for each agent who is logged in",
            lambda w, t: FixedRatio(_ratio_of(t, 1.2)),
            lambda w: 1.2,
        ),
        "adaptive": Known(
            "a dial level that drifts, halved while the day is over the limit",
            lambda w, t: Adaptive(t.limits.share, hard=False),
        ),
        "adaptive-hard": Known(
            "the same, 1 while the day is over the limit", lambda w, t: Adaptive(t.limits.share, hard=True)
        ),
        "adaptive-idle": Known(
            "the same, halved, its level counting free agents only",
            lambda w, t: Adaptive(t.limits.share, hard=False, ready_only=True),
        ),
        "nearly-done": Known("free agents and those 97 % likely to be free", lambda w, t: NearlyDone()),
        "overcommit": Known("the same, divided by the answer rate", lambda w, t: NearlyDone(overcommit=True)),
        "boost": Known(
            "free agents times a number set by hand",
            lambda w, t: Boost(_ratio_of(t, 1 / w.answer_rate)),
            lambda w: 1 / w.answer_rate,
        ),
        "gamma": Known(
            "expected free agents over the answer rate, damped", lambda w, t: Gamma(t.limits.share)
        ),
        "release-known": Known("a bound: predictive that knows when each agent will be free", _release_known),
        "answers-known": Known(
            "a bound: predictive that dials only those who will answer",
            lambda w, t: Predictive(w, t.limits),
            world=_all_answer,
        ),
    }
)


def world_of(name: str, world: World) -> World:
    """The world that this rule meets. Raises Invalid where there is no such rule."""
    change = _known(name).world
    return world if change is None else change(world)


def make(name: str, world: World, terms: Terms) -> Pacer:
    """The rule of that name. Raises Invalid where there is none, or it takes no ratio."""
    known = _known(name)
    if terms.ratio is not None and known.ratio is None:
        takers = ", ".join(rule for rule, one in RULES.items() if one.ratio is not None)
        raise Invalid(field="--ratio", reason=f"{name} takes none; {takers} do")
    return known.make(world, terms)


def _known(name: str) -> Known:
    known = RULES.get(name)
    if known is None:
        raise Invalid(field="--rule", reason=f"there is no {name!r}; there are {', '.join(RULES)}")
    return known
