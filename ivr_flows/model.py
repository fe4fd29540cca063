"""What a flow is made of: states, what is heard, what happens, what is to be done. Values only.

Where what is: `loader.load` and `loader.from_document` make a `Flow`, `checks.problems` says what is wrong
with one, `interpreter.begin` and `interpreter.step` run it, `spoken.spoken` tells all that it can say,
`hosts.allowed` whether a request may go out, `shipped` has the flows that come along. Nothing here knows
Asterisk, a database or a clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict

from dialer.said import Name, told
from ivr_flows.actions import (
    Action,
    Ask,
    Began,
    Came,
    CheckHours,
    Dial,
    Enqueue,
    Event,
    Failed,
    GoTo,
    HangUp,
    HungUp,
    Lookup,
    Nothing,
    Offer,
    OfferAnswer,
    OptOut,
    Played,
    Pressed,
    RecordConsent,
    Request,
    RequestCallback,
    Say,
    Transfer,
    Voicemail,
)
from ivr_flows.prompts import Date, DateTime, Digits, Money, Number, Prompt, Sound, Text, Time
from ivr_flows.values import KEYS, LANGUAGES, MOST_TEXT, MOST_VARIABLES, Value, clean_values

__all__ = [
    "EVENTS",
    "KEYS",
    "LANGUAGES",
    "MOST_TEXT",
    "MOST_VARIABLES",
    "Action",
    "Ask",
    "Began",
    "Came",
    "CheckHours",
    "Date",
    "DateTime",
    "Dial",
    "Digits",
    "Ended",
    "Enqueue",
    "Event",
    "Failed",
    "Flow",
    "GoTo",
    "HangUp",
    "HungUp",
    "Lookup",
    "Money",
    "Nothing",
    "Number",
    "Offer",
    "OfferAnswer",
    "OptOut",
    "Passed",
    "Played",
    "Position",
    "Pressed",
    "Problem",
    "Prompt",
    "Properties",
    "RecordConsent",
    "Request",
    "RequestCallback",
    "Say",
    "Sound",
    "State",
    "Step",
    "Text",
    "Time",
    "Transfer",
    "Value",
    "Verb",
    "Voicemail",
    "clean_values",
]


class Verb(StrEnum):
    """What a state does."""

    PLAY = "play"
    SAY = "say"
    GATHER = "gather"
    MENU = "menu"
    SET = "set"
    LOOKUP = "lookup"
    CONDITION = "condition"
    SCHEDULE = "schedule"
    ENQUEUE = "enqueue"
    DIAL = "dial"
    OFFER = "offer"
    REQUEST_CALLBACK = "request_callback"
    VOICEMAIL = "voicemail"
    RECORD_CONSENT = "record_consent"
    OPT_OUT = "opt_out"
    HTTP_REQUEST = "http_request"
    TRANSFER = "transfer"
    GOTO_FLOW = "goto_flow"
    HANGUP = "hangup"


#: What a state of each verb can end with: the names that its transitions may have (beside `default`). A menu
#: has its keys beside these.
EVENTS: Final[Mapping[Verb, tuple[str, ...]]] = MappingProxyType(
    {
        Verb.PLAY: ("done", "failed"),
        Verb.SAY: ("done", "failed"),
        Verb.GATHER: ("done", "nothing", "invalid", "failed"),
        Verb.MENU: ("nothing", "invalid", "failed"),
        Verb.SET: ("done",),
        Verb.LOOKUP: ("found", "unknown", "failed"),
        Verb.CONDITION: ("yes", "no"),
        Verb.SCHEDULE: ("open", "closed", "holiday", "failed"),
        Verb.ENQUEUE: (
            *("answered", "full", "empty", "timeout", "left_by_key", "callback", "voicemail", "failed"),
        ),
        Verb.DIAL: ("answered", "busy", "no_answer", "failed"),
        Verb.OFFER: ("accepted", "declined", "none", "nothing", "failed"),
        Verb.REQUEST_CALLBACK: ("done", "refused", "failed"),
        Verb.VOICEMAIL: ("done", "empty", "failed"),
        Verb.RECORD_CONSENT: ("given", "refused", "nothing", "failed"),
        Verb.OPT_OUT: ("done", "failed"),
        Verb.HTTP_REQUEST: ("done", "refused", "failed"),
        Verb.TRANSFER: ("done", "busy", "no_answer", "failed"),
        Verb.GOTO_FLOW: ("failed",),
        Verb.HANGUP: (),
    }
)


class Ended(StrEnum):
    """How a flow ended (`Position.ended`)."""

    #: a state `hangup`
    FINISHED = "finished"
    #: the caller hung up
    LEFT = "left"
    #: somebody talked with the caller, and the flow had nothing more to do
    ANSWERED = "answered"
    #: handed over to another number
    TRANSFERRED = "transferred"
    #: nothing was there to go on with; the caller heard the polite end
    FAILED = "failed"


# -- the flow and where a call is in it ----------------------------------------------------------------------


class Properties(BaseModel):
    """What a state of some verb is told; a subclass a verb in `properties`."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True)
class State:
    """One thing that a flow does, and what comes after."""

    name: str
    verb: Verb
    properties: Properties
    #: what it ended with -> the next state; `default` stands for all that are not named
    transitions: Mapping[str, str]
    #: who has been here has been served: a caller who leaves then is no loss
    serves: bool = False
    #: for people, in drawings and reports
    title: str = ""


@dataclass(frozen=True, slots=True)
class Flow:
    """A whole flow; unchanging."""

    name: str
    language: str
    initial_state: str
    states: Mapping[str, State]
    #: as written
    document: Mapping[str, Any]
    #: where to go on when an action failed and its state says nothing of that; "": the polite end
    on_error: str = ""
    #: IANA name, of its hours; "": the tenant's (variable `zone`)
    zone: str = ""
    title: str = ""
    #: path of the document -> line, from 1; empty where it came without lines
    lines: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a flow, where, and how to mend it."""

    #: from 1; 0: not known
    line: int
    #: states.greeting.transitions.done
    path: str
    #: stable
    code: str
    #: can be translated: see `dialer.said`
    text: str

    @property
    def said(self) -> str:
        """All of it as one text, which can be translated."""
        match self.line, self.path:
            case 0, "":
                return self.text
            case 0, path:
                return told("{path}: {text}", path=path, text=self.text)
            case line, "":
                return told("line {line}: {text}", line=line, text=self.text)
            case line, path:
                return told("line {line}, {path}: {text}", line=line, path=path, text=self.text)

    def members(self) -> dict[str, Any]:
        """As plain values; what is for programs is no text."""
        return {"line": self.line, "path": Name(self.path), "code": Name(self.code), "text": self.text}

    def __str__(self) -> str:
        return str(self.said)


@dataclass(frozen=True, slots=True)
class Position:
    """Where a call is in its flow, and what is known. All that has to be kept of it."""

    flow: str
    state: str
    variables: Mapping[str, Value]
    #: questions of this state that were answered wrongly or not at all
    tries: int
    language: str
    #: "" while it runs, else of `Ended`
    ended: str = ""
    #: how far a state of several actions is
    phase: str = ""
    #: whether a state that serves was reached
    served: bool = False
    #: how often `on_error` was taken
    errors: int = 0
    #: states that the call has come to, through all flows
    walked: int = 0

    def to_json(self) -> dict[str, Any]:
        """As values that JSON knows."""
        return {
            "flow": self.flow,
            "state": self.state,
            "variables": dict(self.variables),
            "tries": self.tries,
            "language": self.language,
            "ended": self.ended,
            "phase": self.phase,
            "served": self.served,
            "errors": self.errors,
            "walked": self.walked,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Back from `to_json`."""
        return cls(**{**document, "variables": clean_values(document["variables"])})


@dataclass(frozen=True, slots=True)
class Passed:
    """A state that was left in a step: what to keep of the caller's way."""

    state: str
    #: what it ended with
    event: str
    #: variables that the caller gave in it; secret ones are not among them
    collected: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """What a step gave."""

    position: Position
    #: what is to be done now; None: the flow has ended
    action: Action | None
    #: the states that were left, in order
    passed: tuple[Passed, ...] = ()
