"""What happens on a call, and what is to be done: how the interpreter and its runner speak."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TypeAlias

from ivr_flows.prompts import Prompt
from ivr_flows.values import Value

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
    #: 1 to 9, the highest is served first; 0: as the queue says
    priority: int = 0
    #: skill -> least level, 1 to 9
    skills: Mapping[str, int] = field(default_factory=dict)
    #: in all; the queue's longest wait holds besides. None: that alone
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
    """Hand the call over. Answer: Came of EVENTS; "done" when it is over."""

    target: str
    #: blind: the caller hears it ring; attended: music until the other side has answered
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
