"""A flow is tried without a call: words say what the caller does and what becomes of each action."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from ivr_flows import interpreter
from ivr_flows.model import (
    EVENTS,
    Action,
    Ask,
    Began,
    Came,
    CheckHours,
    Date,
    DateTime,
    Digits,
    Event,
    Failed,
    Flow,
    GoTo,
    HangUp,
    HungUp,
    Money,
    Nothing,
    Number,
    Offer,
    OfferAnswer,
    Played,
    Position,
    Pressed,
    Prompt,
    Say,
    Sound,
    Text,
    Time,
    Value,
    Verb,
)  # fmt: skip

#: A flow that sends a caller round is stopped after so many actions: a script may be wrong.
MOST_ACTIONS: Final = 500


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened."""

    #: heard, did, said (a word of the script), passed (a state was left)
    kind: str
    #: the words that are heard; the name of the action; the word; the event
    text: str
    state: str
    #: members of the action, or what was collected
    about: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """How far the words have led."""

    lines: Sequence[Line]
    position: Position
    #: what waits for the next word; None: the call is over
    waits: Action | None
    #: what may become of it: the usual first; empty where keys are asked for
    choices: Sequence[str] = ()


def rehearse(
    flow: Flow,
    words: Iterable[str],
    *,
    now: datetime,
    variables: Mapping[str, Any],
    language: str = "",
    other: Callable[[str], Flow | None] = lambda _name: None,
    answers: Mapping[str, str] = MappingProxyType({}),
    hours: Callable[[str], str | None] = lambda _name: None,
) -> Rehearsal:
    """Play the flow until the words are used up or the call is over.

    `other` finds what `goto_flow` names. `answers`: state -> the word for whatever is asked there, each time
    that it is; `hours`: what hours of a name say; None: it is asked. Raises ValueError for a word that says
    nothing.
    """
    script, lines = iter(words), list[Line]()
    position = interpreter.begin(flow, variables=variables, language=language)
    event: Event = Began()
    for _ in range(MOST_ACTIONS):
        step = interpreter.step(flow, position, event, now=now)
        lines += [Line("passed", one.event, one.state, one.collected) for one in step.passed]
        position, action = step.position, step.action
        if action is None or isinstance(action, HangUp):
            return Rehearsal(lines, position, None)
        if isinstance(action, Say | Ask):
            lines += [Line("heard", heard(one), position.state, {}) for one in action.prompts]
        else:
            lines.append(Line("did", type(action).__name__, position.state, members(action)))
        if isinstance(action, GoTo):
            found = other(action.flow)
            if found is None:
                event = Failed()
                continue
            flow, event = found, Began()
            position = interpreter.go_on(flow, position)
            continue
        if isinstance(action, Say | OfferAnswer):
            event = Played() if isinstance(action, Say) else Came("done")
            continue
        word = answers.get(position.state)
        if word is None and isinstance(action, CheckHours):
            word = hours(action.schedule)
        if word is None:
            word = next(script, None)
        if word is None:
            choices = () if isinstance(action, Ask) else outcomes(action, flow.states[position.state].verb)
            return Rehearsal(lines, position, action, choices)
        lines.append(Line("said", word, position.state, {}))
        event = event_of(word)
    return Rehearsal(lines, position, None)


def outcomes(action: Action, verb: Verb) -> tuple[str, ...]:
    """What may become of an action, the usual first."""
    return ("offered", "none", "failed") if isinstance(action, Offer) else EVENTS[verb]


def event_of(word: str) -> Event:
    """A word of a script: keys, `-` silence, `!` hang-up, or an event with values (`found:name=Anna`)."""
    if word in ("-", ""):
        return Nothing()
    if word == "!":
        return HungUp()
    if set(word) <= set("0123456789*#"):
        return Pressed(word)
    name, _, values = word.partition(":")
    return Failed() if name == "failed" else Came(name, pairs(values.split(";")) if values else {})


def pairs(given: Iterable[str]) -> dict[str, Value]:
    """`name=value` each. Raises ValueError with the one that is not."""
    found: dict[str, Value] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals or not name:
            raise ValueError(one)
        found[name] = value
    return found


def members(action: Action) -> dict[str, Any]:
    """What an action says, prompts in words."""
    assert is_dataclass(action)
    found = asdict(action)
    if isinstance(action, Say | Ask):
        found["prompts"] = [heard(prompt) for prompt in action.prompts]
    return found


def heard(prompt: Prompt) -> str:
    """A prompt in words."""
    match prompt:
        case Text(text):
            return text
        case Sound(name):
            return f"[sound {name}]"
        case Digits(text):
            return " ".join(text)
        case Number(value):
            return str(value)
        case Money(amount, currency):
            return f"{amount} {currency}"
        case Date(date):
            return f"{date:%d.%m.%Y}"
        case Time(time):
            return f"{time:%H:%M}"
        case DateTime(moment):
            return f"{moment:%d.%m.%Y %H:%M}"
