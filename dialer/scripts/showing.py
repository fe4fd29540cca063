"""What an agent sees of a talk's script now: the step with its words filled in. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from dialer.scripts import answers, walking
from dialer.scripts.model import Action, Exit, Knowledge, Question, Script, Talk
from ivr_flows.templates import render
from ivr_flows.values import Value


@dataclass(frozen=True, slots=True)
class Collected:
    """A question that was answered."""

    #: the answer's name
    name: str
    text: str
    #: in words
    answer: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A step, ready to be read out."""

    script: str
    title: str
    step: str
    #: text, question, action, knowledge or end
    type: str
    text: str
    #: the step's question, None where it asks nothing
    question: Question | None
    #: what was answered to it before; "": nothing
    answer: str
    #: the step's action; None where it does nothing
    action: str | None
    #: what the action is told
    values: Mapping[str, str]
    #: the action was carried out before
    done: bool
    #: what is looked for; "": nothing
    query: str
    exits: Sequence[Exit]
    #: one can go back
    back: bool
    ended: bool
    collected: int
    required: int
    #: in the order of the script
    answers: Sequence[Collected]


def show(script: Script, talk: Talk, variables: Mapping[str, Value], now: datetime) -> Shown:
    """The step of a talk. `variables`: what is known besides answers, `contact.name`; `now` is local."""
    here = script.steps[talk.step]
    known = {**variables, **spoken(script, talk.answers)}

    def filled(text: str) -> str:
        return render(text, known, now, script.language)

    share = walking.share(script, talk.answers)
    question = here if isinstance(here, Question) else None
    action = here if isinstance(here, Action) else None
    kept = talk.answers.get(question.key) if question else None
    return Shown(
        script=script.name,
        title=script.title or script.name,
        step=here.name,
        type=here.type,
        text=filled(getattr(here, "text", "")),
        question=question,
        answer="" if kept is None else str(kept),
        action=action.action if action else None,
        values={name: filled(text) for name, text in action.values.items()} if action else {},
        done=here.name in talk.done,
        query=filled(here.query) if isinstance(here, Knowledge) else "",
        exits=tuple(script.exits.values()),
        back=bool(talk.trail),
        ended=walking.ended(script, talk),
        collected=share.collected,
        required=share.required,
        answers=_collected(script, talk.answers, filled),
    )


def told(script: Script, talk: Talk, variables: Mapping[str, Value], now: datetime) -> dict[str, str]:
    """What the action of the talk's step is told, answers as they are kept."""
    here = script.steps[talk.step]
    if not isinstance(here, Action):
        return {}
    known = {**variables, **talk.answers}
    return {name: render(text, known, now, script.language).strip() for name, text in here.values.items()}


def spoken(script: Script, given: Mapping[str, Value]) -> dict[str, Value]:
    """Answers as texts say them."""
    return {
        one.key: answers.words(one, given[one.key], script.language)
        for one in script.questions
        if given.get(one.key) is not None
    }


def _collected(
    script: Script, given: Mapping[str, Value], filled: Callable[[str], str]
) -> tuple[Collected, ...]:
    words = spoken(script, given)
    texts = {one.key: one.title or filled(one.text) for one in script.questions}
    return tuple(Collected(name, texts[name], str(words[name])) for name in words)
