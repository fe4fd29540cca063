"""A script of a talk as data: its steps, what may be answered, where each leads. Values only.

Where what is: `loader.load` makes a `Script` of a text, `checks.problems` says what is wrong with one,
`walking.step` leads a talk through one, `answers.read` takes an answer as it was given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from dialer.said import told
from ivr_flows.templates import parse
from ivr_flows.values import Value
from ivr_flows.writing import yaml_of

#: Where `next` leads back from the steps of an exit: to the step that the exit was taken from.
RETURN: Final = "return"
#: In a question's `next` by answer: all other answers.
ELSE: Final = "else"
#: The answers to a question of yes or no, as `next` and branches name them.
YES, NO = "yes", "no"
#: Where variables of texts come from that are no answers.
ROOTS: Final = ("contact", "campaign", "agent")
MOST_STEPS: Final = 300
LONGEST: Final = 2_000

Kind = Literal["text", "number", "date", "datetime", "choice", "yes_no", "phone"]
ActionName = Literal["book_visit", "send_letter", "schedule_callback", "do_not_call"]
ExitKind = Literal["objection", "critical"]

#: What each action must be told, and what it may be told besides.
ACTIONS: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "book_visit": (("at",), ("place", "note")),
    "send_letter": (("subject", "text"), ("to",)),
    "schedule_callback": (("at",), ("note",)),
    "do_not_call": ((), ("note",)),
}


def _template(text: Any) -> Any:
    if isinstance(text, str):
        parse(text)  # raises ValueError with what is wrong
    return text


Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Text = Annotated[str, BeforeValidator(_template), StringConstraints(min_length=1, max_length=LONGEST)]
Title = Annotated[str, StringConstraints(max_length=200)]
Words = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _Step(_Part):
    #: how others name it
    name: Name
    #: what the supervisor calls it; empty: its name
    title: Title = ""

    def leads_to(self) -> Iterator[tuple[str, str]]:
        """Where it leads: (where that is written, name of the step)."""
        yield "next", str(getattr(self, "next", ""))


class Said(_Step):
    """Something is said."""

    type: Literal["text"]
    text: Text
    next: Name


class Question(_Step):
    """Something is asked, and the answer is kept."""

    type: Literal["question"]
    text: Text
    kind: Kind = "text"
    #: it is counted in the share of required answers; it cannot be passed over
    required: bool = False
    #: the answer's name; empty: the step's
    into: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$|^$")] = ""
    #: choice: what is kept -> what is shown
    choices: Annotated[dict[Name, Words], Field(max_length=20)] = {}
    #: number: bounds; text: characters
    least: float | None = None
    most: float | None = None
    #: the next step, or one for each answer of a choice or a yes or no
    next: Name | dict[str, Name]

    @model_validator(mode="after")
    def _fits(self) -> Question:
        if (self.kind == "choice") != bool(self.choices):
            raise ValueError("choices are given for a question of the kind choice, and only there")
        if (self.least is not None or self.most is not None) and self.kind not in ("number", "text"):
            raise ValueError("least and most are for the kinds number and text")
        if self.least is not None and self.most is not None and self.least > self.most:
            raise ValueError("least is more than most")
        if isinstance(self.next, dict):
            known = {*self.answers, ELSE}
            if not self.answers:
                raise ValueError("next by answer is for the kinds choice and yes_no")
            if unknown := set(self.next) - known:
                raise ValueError(
                    told(
                        "next knows no answer “{name}”: {names}",
                        name=min(unknown),
                        names=", ".join(sorted(known)),
                    )
                )
            if ELSE not in self.next and (missing := set(self.answers) - set(self.next)):
                raise ValueError(told("next has no step for “{name}”, and no else", name=min(missing)))
            if ELSE not in self.next and not self.required:
                raise ValueError("next needs an else: a question that is not required may be passed over")
        return self

    @property
    def key(self) -> str:
        """The answer's name."""
        return self.into or self.name

    @property
    def answers(self) -> tuple[str, ...]:
        """What may be answered, where that is a list."""
        return (YES, NO) if self.kind == "yes_no" else tuple(self.choices)

    def leads_to(self) -> Iterator[tuple[str, str]]:
        """See `_Step`."""
        if isinstance(self.next, str):
            yield "next", self.next
        else:
            yield from ((f"next.{answer}", target) for answer, target in self.next.items())


class Case(_Part):
    """One way of a branch: the answer is compared with one value."""

    #: the name of an answer
    answer: Name
    #: it is this; of a choice its key, of a yes or no `yes` or `no`
    equals: str | int | float | None = None
    #: it is a number of at least, or at most, so much
    least: float | None = None
    most: float | None = None
    #: whether it was given at all
    given: bool | None = None
    next: Name

    @model_validator(mode="after")
    def _one(self) -> Case:
        bounds = self.least is not None or self.most is not None
        if [self.equals is not None, bounds, self.given is not None].count(True) != 1:
            raise ValueError("a case says one of equals, least and most, given")
        return self


class Branch(_Step):
    """Where it goes on depends on answers; nothing is shown."""

    type: Literal["branch"]
    cases: Annotated[list[Case], Field(min_length=1, max_length=50)]
    #: where no case fits
    otherwise: Name

    def leads_to(self) -> Iterator[tuple[str, str]]:
        """See `_Step`."""
        yield from ((f"cases.{n}.next", case.next) for n, case in enumerate(self.cases))
        yield "otherwise", self.otherwise


class Action(_Step):
    """Something is done when the agent says so."""

    type: Literal["action"]
    text: Text
    action: ActionName
    #: what it is told: `at: "{visit_at}"`
    values: dict[Name, Text] = {}
    next: Name

    @model_validator(mode="after")
    def _told(self) -> Action:
        needed, besides = ACTIONS[self.action]
        if missing := set(needed) - set(self.values):
            raise ValueError(
                told("{action} must be told “{name}” in values", action=self.action, name=min(missing))
            )
        if unknown := set(self.values) - {*needed, *besides}:
            raise ValueError(
                told(
                    "{action} is not told “{name}”: {names}",
                    action=self.action,
                    name=min(unknown),
                    names=", ".join((*needed, *besides)),
                )
            )
        return self


class Knowledge(_Step):
    """Articles are looked for, with words that the agent may change."""

    type: Literal["knowledge"]
    text: Text
    #: what is looked for first
    query: Text
    next: Name


class End(_Step):
    """The last words."""

    type: Literal["end"]
    text: Text

    def leads_to(self) -> Iterator[tuple[str, str]]:
        """See `_Step`."""
        yield from ()


Step: TypeAlias = Said | Question | Branch | Action | Knowledge | End
STEPS: Final[Mapping[str, type[Step]]] = {
    "text": Said,
    "question": Question,
    "branch": Branch,
    "action": Action,
    "knowledge": Knowledge,
    "end": End,
}


class Exit(_Part):
    """A way that is open at every step: an objection that is answered, a talk that goes wrong."""

    name: Name
    title: Words
    kind: ExitKind = "objection"
    to: Name


@dataclass(frozen=True, slots=True)
class Script:
    """A script of a talk."""

    name: str
    title: str
    #: of its texts: ru or en
    language: str
    #: the name of the first step
    first: str
    steps: Mapping[str, Step]
    exits: Mapping[str, Exit]
    #: as it was written
    document: Mapping[str, Any]
    #: path -> line, from 1; empty: it came as values
    lines: Mapping[str, int] = field(default_factory=dict)

    @property
    def questions(self) -> Iterator[Question]:
        """In the order of the text."""
        return (one for one in self.steps.values() if isinstance(one, Question))


@dataclass(frozen=True, slots=True)
class Mark:
    """A place of a talk's way."""

    step: str
    #: the steps that exits were taken from and that are returned to, the last one first in turn
    waits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Talk:
    """How far a talk has come."""

    at: Mark
    #: answers by name, as they are kept
    answers: Mapping[str, Value] = field(default_factory=dict)
    #: where it was before, oldest first
    trail: tuple[Mark, ...] = ()
    #: steps whose action was carried out
    done: tuple[str, ...] = ()

    @property
    def step(self) -> str:
        """Where it is."""
        return self.at.step


@dataclass(frozen=True, slots=True)
class ScriptRow:
    """A script with its versions."""

    id: int
    name: str
    #: None: nothing has been published
    live_version: int | None
    #: the latest
    last_version: int | None


@dataclass(frozen=True, slots=True)
class Version:
    """What a script says in a version."""

    script_id: int
    script: str
    version: int
    #: draft, live or retired
    state: str
    document: Mapping[str, Any]
    #: the YAML that was written, with its comments; "": it came as values
    source: str
    made_by: int | None
    made_at: datetime

    @property
    def text(self) -> str:
        """As YAML."""
        return self.source or yaml_of(self.document)
