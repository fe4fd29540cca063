"""What the reference leaves out, each under a name: `dozvon simulate --with hang-ups=0.05 --with bursts`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from dialer.errors import Invalid
from dialer.pacing.simulator.world import HOUR_S, Absence, Leads, Times, World

#: The answer probability of a good lead, where leads differ.
GOOD_LEAD: Final = 0.9
#: How often agents leave, the clock is set and all that was learned is lost, hours.
EVERY_H: Final = 2.0
_ABSENCE_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Switch:
    """One thing that is put into the world."""

    #: what it does; {} is its value
    text: str
    #: where none is given
    value: float
    #: lowest and highest value
    bounds: tuple[float, float]
    #: (world, value, counted hours) -> the world with it
    apply: Callable[[World, float, float], World]


def _times(hours: float, every_h: float = EVERY_H) -> Iterable[float]:
    """Every so many hours, the first time after half of that; worked seconds."""
    at = every_h / 2
    while at < hours:
        yield at * HOUR_S
        at += every_h


def _leads_differ(world: World, share: float, known: bool) -> World:
    rest = (world.answer_rate - share * GOOD_LEAD) / (1 - share)
    if not 0 <= rest <= 1:
        raise Invalid(
            field="--with",
            reason=f"with {share:.0%} of the leads at {GOOD_LEAD}, the others cannot bring the mean to"
            f" {world.answer_rate}",
        )
    kinds = (Leads(share, GOOD_LEAD / world.answer_rate), Leads(1 - share, rest / world.answer_rate))
    return replace(world, kinds=kinds, kinds_known=known)


def _bimodal(world: World, share: float, _: float) -> World:
    """Short refusals of a quarter of the mean, and long talks that keep the mean."""
    mean = world.talk.mean_s
    long = mean * (1 - share / 4) / (1 - share)
    return replace(world, talk=Times(((share, mean / 4, 0.5), (1 - share, long, 0.3))))


def _absences(world: World, share: float, hours: float) -> World:
    return replace(world, absences=tuple(Absence(at, _ABSENCE_S, share) for at in _times(hours)))


def _clock(world: World, by_s: float, hours: float) -> World:
    """Forward and back in turn."""
    steps = tuple((at, by_s if turn % 2 == 0 else -by_s) for turn, at in enumerate(_times(hours)))
    return replace(world, clock_steps=steps)


SWITCHES: Final[Mapping[str, Switch]] = MappingProxyType(
    {
        "machines": Switch(
            "{} of the dials are answered by machines; answers are listened to, with errors",
            0.15,
            (0, 1),
            lambda w, v, _: replace(w, machine_rate=v, detection=True),
        ),
        "unheard-machines": Switch(
            "{} of the dials are answered by machines; agents find out",
            0.15,
            (0, 1),
            lambda w, v, _: replace(w, machine_rate=v),
        ),
        "greeting": Switch(
            "the clock starts at the end of a greeting of {} s on average",
            1.5,
            (0.2, 10),
            lambda w, v, _: replace(w, greeting_s=(v / 2, v * 1.5)),
        ),
        "hang-ups": Switch(
            "{} of the people who answer hang up within three seconds",
            0.05,
            (0, 1),
            lambda w, v, _: replace(w, hang_up_share=v),
        ),
        "late-answers": Switch(
            "an answer is told {} s late on average",
            0.5,
            (0, 10),
            lambda w, v, _: replace(w, answer_late_s=v),
        ),
        "late-events": Switch(
            "ends of calls and talks are told {} s late",
            2.0,
            (0, 60),
            lambda w, v, _: replace(w, events_late_s=v),
        ),
        "transfer": Switch(
            "{} s pass from the choice of an agent until both hear each other",
            0.4,
            (0, 10),
            lambda w, v, _: replace(w, transfer_s=v),
        ),
        "leads": Switch(
            "the list has {} leads, and ends", 3000, (1, 1e9), lambda w, v, _: replace(w, leads=int(v))
        ),
        "mixed-leads": Switch(
            "{} of the leads answer with 0.9, the others seldom; the rule is not told which",
            0.25,
            (0, 0.99),
            lambda w, v, _: _leads_differ(w, v, known=False),
        ),
        "scored-leads": Switch(
            "{} of the leads answer with 0.9, the others seldom; the rule is told which",
            0.25,
            (0, 0.99),
            lambda w, v, _: _leads_differ(w, v, known=True),
        ),
        "traits-unknown": Switch(
            "kind of number, earlier attempts and hour change the odds of an answer, by {} times what is"
            " usual; the rule is told nothing of it",
            1.0,
            (0.01, 5),
            lambda w, v, _: replace(w, traits=v),
        ),
        "learned-leads": Switch(
            "the same, {} times; the rule is told the kind, the attempts and the hour, and learns",
            1.0,
            (0.01, 5),
            lambda w, v, _: replace(w, traits=v, traits_known=True),
        ),
        "traits-known": Switch(
            "the same, {} times; the rule is told the odds",
            1.0,
            (0.01, 5),
            lambda w, v, _: replace(w, traits=v, kinds_known=True),
        ),
        "breaks": Switch(
            "each agent works an hour on average, then has a break of {} min",
            10.0,
            (0.1, 240),
            lambda w, v, _: replace(w, break_after_s=HOUR_S, break_s=v * 60),
        ),
        "differing-agents": Switch(
            "agents differ: the means of their talks and of their wrap-ups have a variation of {}",
            0.5,
            (0, 3),
            lambda w, v, _: replace(w, agents_cv=v),
        ),
        "leave": Switch(
            "{} of the agents leave unannounced every two hours, for ten minutes", 1.0, (0, 1), _absences
        ),
        "bimodal": Switch("{} of the talks are short, the others long", 0.8, (0, 0.95), _bimodal),
        "bursts": Switch(
            "the answer rate goes up and down by {} of itself, for a minute on average",
            0.5,
            (0, 1),
            lambda w, v, _: replace(w, burst=v),
        ),
        "rate-step": Switch(
            "from the middle on, {} times as many answer",
            2.0,
            (0, 100),
            lambda w, v, hours: replace(w, rate_changes=((hours * HOUR_S / 2, v),)),
        ),
        "clock-steps": Switch(
            "the server's clock is set by {} s every two hours, forward and back", 300.0, (-1e6, 1e6), _clock
        ),
        "resets": Switch(
            "all that was learned is lost every {} hours",
            EVERY_H,
            (0.05, 1e6),
            lambda w, v, hours: replace(w, resets=tuple(_times(hours, v))),
        ),
    }
)


def apply(world: World, wishes: Iterable[str], hours: float) -> World:
    """The world with all of these, each `name` or `name=value`. Raises Invalid for an unknown one."""
    for wish in wishes:
        name, given, value_text = wish.partition("=")
        switch = SWITCHES.get(name)
        if switch is None:
            raise Invalid(field="--with", reason=f"there is no {name!r}; there are {', '.join(SWITCHES)}")
        try:
            value = float(value_text) if given else switch.value
        except ValueError:
            raise Invalid(field="--with", reason=f"{value_text!r} in {wish!r} is no number") from None
        low, high = switch.bounds
        if not low <= value <= high:
            raise Invalid(field="--with", reason=f"{name} takes {low:g} to {high:g}, not {value:g}")
        world = switch.apply(world, value, hours)
    return world
