"""What a flow is made of: states, what is heard, what happens, what is to be done. Values only.

Where what is: `loader.load` and `loader.from_document` make a `Flow`, `checks.problems` says what is wrong
with one, `interpreter.begin` and `interpreter.step` run it, `spoken.spoken` tells all that it can say,
`hosts.allowed` whether a request may go out, `shipped` has the flows that come along. Nothing here knows
Asterisk, a database or a clock.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Self, TypeAlias

from pydantic import BaseModel, ConfigDict

#: What a variable of a call can be.
Value: TypeAlias = str | int | float | bool | None

LANGUAGES: Final = ("ru", "en")
KEYS: Final = "0123456789*#"
#: A text in a variable has so many characters at most, and a call so many variables.
MOST_TEXT: Final = 2_000
MOST_VARIABLES: Final = 500


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
        Verb.ENQUEUE: ("answered", "full", "empty", "timeout", "left_by_key", "failed"),
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


# -- what is heard -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sound:
    """A recording by its name."""

    name: str
    language: str


@dataclass(frozen=True, slots=True)
class Text:
    """Words, to be spoken."""

    text: str
    language: str


@dataclass(frozen=True, slots=True)
class Digits:
    """Digits one by one."""

    #: 0-9 * # only
    text: str
    language: str


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number."""

    value: int
    language: str
    #: m, f or n: of what is counted (Russian: один, одна, одно)
    gender: str = "m"
    #: nominative, genitive, dative, accusative, instrumental, prepositional
    case: str = "nominative"


@dataclass(frozen=True, slots=True)
class Money:
    """An amount of money."""

    amount: Decimal
    #: RUB, USD or EUR
    currency: str
    language: str


@dataclass(frozen=True, slots=True)
class Date:
    """A date."""

    date: date
    language: str


@dataclass(frozen=True, slots=True)
class Time:
    """A time of day."""

    time: time
    language: str


@dataclass(frozen=True, slots=True)
class DateTime:
    """A date with a time of day, local."""

    moment: datetime
    language: str


Prompt: TypeAlias = Sound | Text | Digits | Number | Money | Date | Time | DateTime


# -- what happens --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Began:
    """The call came in; or the position is taken up again (another server goes on with it)."""


@dataclass(frozen=True, slots=True)
class Played:
    """All was heard to its end."""


@dataclass(frozen=True, slots=True)
class Pressed:
    """Keys, until the terminator (without it) or as many as were asked for."""

    digits: str


@dataclass(frozen=True, slots=True)
class Nothing:
    """No key came in time."""


@dataclass(frozen=True, slots=True)
class Came:
    """What became of an action, by the name that transitions use."""

    event: str
    values: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failed:
    """The action could not be carried out."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class HungUp:
    """The caller is gone."""


Event: TypeAlias = Began | Played | Pressed | Nothing | Came | Failed | HungUp


# -- what is to be done --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Say:
    """Let this be heard. Answer: Played, or Pressed with the key that broke in."""

    prompts: tuple[Prompt, ...]
    #: keys that interrupt
    stop_on: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """Let this be heard and take keys. Answer: Pressed or Nothing."""

    prompts: tuple[Prompt, ...]
    #: so many at most
    digits: int
    #: the key that ends; "": none
    until: str
    #: how long the first key may take after what is heard, seconds
    first_s: float
    #: and each further one
    between_s: float
    #: whether a key breaks into what is heard
    barge_in: bool = True
    #: what comes is not to be written down (a PIN)
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Lookup:
    """Find a customer. Answer: Came("found", {field: value}) by the fields' own names, or Came("unknown")."""

    #: phone, id, email, external_id, or a field of the tenant's own
    by: str
    value: str
    #: which are wanted; empty: what the card has
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """Ask a server (`hosts.allowed` first). Answer: Came("done", hosts.taken(take, body)) under 400, else
    Came("refused")."""

    url: str
    #: GET or POST
    method: str
    #: sent as JSON; None: no body
    body: Mapping[str, Value] | None
    timeout_s: float
    #: variable -> where it is in the reply's JSON ("data.balance", "items.0.price")
    into: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Enqueue:
    """Wait for an agent and talk. Answer: Came of EVENTS; "answered" when the talk is over."""

    queue: str
    #: higher is sooner
    priority: int = 0
    #: skill -> least level
    skills: Mapping[str, int] = field(default_factory=dict)
    #: None: as the queue says
    max_wait_s: float | None = None
    #: keys with which the caller leaves the queue
    leave_on: str = ""
    #: why they call, for the agent's card
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Dial:
    """Ring others and connect the first who answers. Answer: Came of EVENTS; "answered" when it is over."""

    targets: tuple[str, ...]
    timeout_s: float
    #: all at once, or one after another, each for `timeout_s`
    together: bool = True


@dataclass(frozen=True, slots=True)
class Offer:
    """Ask what to offer here. Answer: Came("offered", {"id", "text"}) or Came("none")."""

    place: str


@dataclass(frozen=True, slots=True)
class OfferAnswer:
    """Write down what was said to an offer. Answer: Came("done")."""

    place: str
    offer: str
    #: accepted, declined or shown
    answer: str


@dataclass(frozen=True, slots=True)
class RequestCallback:
    """Promise a call. Answer: Came("done"), or Came("refused") for a number that cannot be called."""

    number: str
    #: ISO 8601; "": as soon as somebody is free
    when: str = ""
    queue: str = ""
    #: the place in the queue is kept, the call comes in its turn
    keep_place: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Voicemail:
    """Record a message. Answer: Came("done") or Came("empty")."""

    box: str
    most_s: float
    beep: bool
    #: it ends after so long a silence
    silence_s: float = 5.0


@dataclass(frozen=True, slots=True)
class RecordConsent:
    """Write down a consent, or that it was refused. Answer: Came("done")."""

    purpose: str
    given: bool
    #: until when it holds; None: until taken back
    until: date | None = None


@dataclass(frozen=True, slots=True)
class OptOut:
    """Have the number called no more. Answer: Came("done")."""

    #: campaign or all
    scope: str
    number: str


@dataclass(frozen=True, slots=True)
class CheckHours:
    """Look at hours that the tenant keeps under a name. Answer: Came("open" | "closed" | "holiday")."""

    schedule: str


@dataclass(frozen=True, slots=True)
class Transfer:
    """Hand the call over. Answer: Came of EVENTS."""

    target: str
    #: blind: gone at once; attended: gone when the other side has answered
    kind: str = "blind"


@dataclass(frozen=True, slots=True)
class GoTo:
    """Go on in another flow: `begin` it with this position's variables and language. Answer: Failed, where
    there is none."""

    flow: str


@dataclass(frozen=True, slots=True)
class HangUp:
    """Hang up. There is no answer: the flow has ended."""

    #: normal, busy or congestion
    cause: str = "normal"


Action: TypeAlias = (
    Say
    | Ask
    | Lookup
    | Request
    | Enqueue
    | Dial
    | Offer
    | OfferAnswer
    | RequestCallback
    | Voicemail
    | RecordConsent
    | OptOut
    | CheckHours
    | Transfer
    | GoTo
    | HangUp
)


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
    text: str

    def __str__(self) -> str:
        where = ", ".join(filter(None, (f"line {self.line}" if self.line else "", self.path)))
        return f"{where}: {self.text}" if where else self.text


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
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Back from `to_json`."""
        return cls(**{**document, "variables": clean_values(document["variables"])})


def clean_values(values: Mapping[str, Any]) -> dict[str, Value]:
    """Those of the values that a variable can be, texts cut to `MOST_TEXT`."""
    clean: dict[str, Value] = {}
    for name, value in values.items():
        if isinstance(value, str):
            # A lone surrogate is no text that could be stored.
            clean[name] = value[:MOST_TEXT].encode("utf-8", "replace").decode().replace("\0", "")
        elif value is None or isinstance(value, bool):
            clean[name] = value
        elif isinstance(value, int):
            clean[name] = value if abs(value) < 2**53 else str(value)[:MOST_TEXT]
        elif isinstance(value, float) and math.isfinite(value):
            clean[name] = value
    return clean


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
