"""A talk's way through its script: one event in, the next state out. Pure; it knows no call and no clock.

The agent leads: nothing moves on by itself but branches. Answers stay when the talk goes back, so that a
changed answer is changed, not asked for anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from dialer.errors import Invalid, NotFound, WrongState
from dialer.scripts import answers
from dialer.scripts.model import (
    ELSE,
    RETURN,
    Action,
    Branch,
    Case,
    End,
    Mark,
    Question,
    Script,
    Step,
    Talk,
)
from ivr_flows.values import Value

#: So many branches may stand one behind the other; a checked script has no ring of them.
MOST_BRANCHES: Final = 300
#: So far one can go back.
LONGEST_TRAIL: Final = 200


@dataclass(frozen=True, slots=True)
class Went:
    """The agent goes on: it was said, it was done or is left undone."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The customer's answer, as it was typed or clicked; empty: none."""

    given: str


@dataclass(frozen=True, slots=True)
class Done:
    """The step's action was carried out."""


@dataclass(frozen=True, slots=True)
class Back:
    """One step back."""


@dataclass(frozen=True, slots=True)
class Left:
    """An exit is taken."""

    exit: str


Event: TypeAlias = Went | Answered | Done | Back | Left


@dataclass(frozen=True, slots=True)
class Share:
    """Of the required questions that a talk is about, how many are answered."""

    collected: int
    required: int


def begin(script: Script) -> Talk:
    """Before the first word."""
    return _settled(script, Talk(Mark(script.first)))


def step(script: Script, talk: Talk, event: Event) -> Talk:
    """How far the talk is after this. Raises Invalid where the answer is none of its kind, NotFound for an
    exit that is none, WrongState for an event that the step does not have."""
    here = script.steps[talk.step]
    match event:
        case Back():
            if not talk.trail:
                raise _wrong(here, "not the first")
            return replace(talk, at=talk.trail[-1], trail=talk.trail[:-1])
        case Left(name):
            found = script.exits.get(name)
            if found is None:
                raise NotFound(what="exit", key=name)
            return _to(script, talk, found.to, waits=(*talk.at.waits, talk.step))
        case Answered(given) if isinstance(here, Question):
            value = answers.read(here, given)
            kept = {name: old for name, old in talk.answers.items() if name != here.key}
            if value is not None:
                kept[here.key] = value
            return _to(script, replace(talk, answers=kept), _after(here, value))
        case Done() if isinstance(here, Action):
            talk = replace(talk, done=(*(one for one in talk.done if one != here.name), here.name))
            return _to(script, talk, here.next)
        case Went() if not isinstance(here, Question | Branch | End):
            return _to(script, talk, here.next)
    raise _wrong(here, "of another kind")


def said_already(script: Script, talk: Talk, at: str, event: Event) -> bool:
    """Whether the talk has just come from that step by this event: it was sent twice."""
    here = script.steps.get(at)
    if here is None or not talk.trail or talk.trail[-1].step != at:
        return False
    match event:
        case Back():
            return False
        case Answered(given):
            return isinstance(here, Question) and answers.read(here, given) == talk.answers.get(here.key)
        case Left(name):
            way = script.exits.get(name)
            return way is not None and talk.step == way.to
        case Went() | Done():
            return True


def share(script: Script, given: Mapping[str, Value]) -> Share:
    """Of the required questions that these answers leave open or have led to, how many are answered.

    A question is left out when an answer has led past it. What exits lead to is not counted: nobody wants an
    objection.
    """
    asked = {one.key for one in _possible(script, given) if isinstance(one, Question) and one.required}
    return Share(sum(given.get(key) is not None for key in asked), len(asked))


def ended(script: Script, talk: Talk) -> bool:
    """Whether the last words are said."""
    return isinstance(script.steps[talk.step], End)


def _possible(script: Script, given: Mapping[str, Value]) -> Iterator[Step]:
    """The steps that a talk with these answers may come to without an exit."""
    seen: set[str] = set()
    waiting = [script.first]
    while waiting:
        name = waiting.pop()
        if name in seen or name not in script.steps:
            continue
        seen.add(name)
        here = script.steps[name]
        yield here
        waiting += _ways(here, given)


def _ways(here: Step, given: Mapping[str, Value]) -> list[str]:
    if isinstance(here, Question) and given.get(here.key) is not None:
        return [_after(here, given[here.key])]
    # What is not known yet rules nothing out.
    if isinstance(here, Branch) and all(given.get(one.answer) is not None for one in here.cases):
        return [_chosen(here, given)]
    return [target for _, target in here.leads_to()]


def _wrong(here: Step, allowed: str) -> WrongState:
    return WrongState(what="The step", state=here.type, allowed=allowed)


def _after(here: Question, value: Value) -> str:
    if isinstance(here.next, str):
        return here.next
    return here.next.get(str(value)) or here.next[ELSE]


def _to(script: Script, talk: Talk, target: str, waits: tuple[str, ...] | None = None) -> Talk:
    """The talk at its next step, the present one noted as where it was."""
    trail = (*talk.trail, talk.at)[-LONGEST_TRAIL:]
    if waits is None:
        waits = talk.at.waits
    if target == RETURN:
        # A checked script returns only from where an exit has led.
        target, waits = (waits[-1], waits[:-1]) if waits else (script.first, ())
    return _settled(script, replace(talk, at=Mark(target, waits[-LONGEST_TRAIL:]), trail=trail))


def _settled(script: Script, talk: Talk) -> Talk:
    """Past branches, to a step that shows something."""
    for _ in range(MOST_BRANCHES):
        here = script.steps.get(talk.step)
        if here is None:
            raise Invalid(field="script", reason="leads to a step that is not there")
        if not isinstance(here, Branch):
            return talk
        target, waits = _chosen(here, talk.answers), talk.at.waits
        if target == RETURN:
            target, waits = (waits[-1], waits[:-1]) if waits else (script.first, ())
        talk = replace(talk, at=Mark(target, waits))
    raise Invalid(field="script", reason="goes round without a question")


def _chosen(here: Branch, given: Mapping[str, Value]) -> str:
    return next((case.next for case in here.cases if _fits(case, given.get(case.answer))), here.otherwise)


def _fits(case: Case, value: Value) -> bool:
    if case.given is not None:
        return (value is not None) == case.given
    if value is None:
        return False
    if case.equals is not None:
        return value == case.equals or str(value) == str(case.equals)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return (case.least is None or value >= case.least) and (case.most is None or value <= case.most)
