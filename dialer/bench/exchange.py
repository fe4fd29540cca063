"""A telephone exchange of values: it says of its calls what Asterisk says, in Asterisk's own order.

Each kind of end of a call is here as Asterisk 22 was seen to tell it (docs/architecture.md has the table);
what comes after the answer depends on what the dialer decides, as in the dialplan. Nothing waits: whoever
holds the exchange moves one call one step on, and finds on `wire` what would have been said of it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum, auto
from uuid import UUID

from dialer.asterisk.ami import AmiEvent
from dialer.calls.model import Result

#: What is said, without the channel that it is said of.
Said = tuple[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Ending:
    """A kind of call: what is said of it up to its end or its answer, and what it must come to."""

    name: str
    said: Sequence[Sequence[Said]]
    #: None: it is answered, and the dialer's doing decides
    result: Result | None = None
    #: what the machine detector says of who answers; empty: nobody listens
    machine: str = ""
    #: the caller leaves before anybody can act
    at_once: bool = False


_NEW: Sequence[Said] = (("Newchannel", {"ChannelStateDesc": "Down"}), ("DialBegin", {}))
_RINGS: Sequence[Said] = (
    ("DialState", {"DialStatus": "RINGING"}),
    ("Newstate", {"ChannelStateDesc": "Ringing"}),
)
_PROGRESS: Sequence[Said] = (("DialState", {"DialStatus": "PROGRESS"}),)
_UP: Sequence[Said] = (
    ("Newstate", {"ChannelStateDesc": "Up"}),
    ("DialEnd", {"DialStatus": "ANSWER"}),
    ("OriginateResponse", {"Response": "Success", "Reason": "4"}),
)


def _end(status: str, cause: int, code: int | None, reason: int = 0) -> Sequence[Said]:
    hangup = {"Cause": str(cause)} | ({"TechCause": str(code)} if code else {})
    said: list[Said] = [("DialEnd", {"DialStatus": status})] if status else []
    said += [("Hangup", hangup), ("OriginateResponse", {"Response": "Failure", "Reason": str(reason)})]
    return said


def _refused(name: str, code: int | None, cause: int, status: str, result: Result) -> list[Ending]:
    end = _end(status, cause, code)
    return [Ending(name, (_NEW, end), result), Ending(f"{name}, rang", (_NEW, _RINGS, end), result)]


_ANSWERED = (_NEW, _RINGS, _UP)
ENDINGS: Sequence[Ending] = (
    *(Ending("answered", _ANSWERED) for _ in range(12)),
    *(Ending("a person, says the detector", _ANSWERED, machine="HUMAN") for _ in range(4)),
    *(Ending("the detector is not sure", _ANSWERED, machine="NOTSURE") for _ in range(2)),
    Ending("answered without ringing", (_NEW, _UP)),
    Ending("a machine", _ANSWERED, machine="MACHINE"),
    Ending("answers and hangs up at once", _ANSWERED, at_once=True),
    *_refused("486", 486, 17, "BUSY", Result.BUSY),
    *_refused("480", 480, 19, "NOANSWER", Result.NO_ANSWER),
    *_refused("408", 408, 18, "NOANSWER", Result.NO_ANSWER),
    *_refused("404", 404, 1, "NOANSWER", Result.INVALID),
    *_refused("484", 484, 28, "NOANSWER", Result.INVALID),
    *_refused("403", 403, 21, "NOANSWER", Result.DECLINED),
    *_refused("603", 603, 21, "NOANSWER", Result.DECLINED),
    *_refused("502", 502, 27, "NOANSWER", Result.CONGESTION),
    *_refused("503", 503, 34, "CONGESTION", Result.CONGESTION),
    *_refused("cause 34 alone", None, 34, "CONGESTION", Result.CONGESTION),
    Ending("183, then 404", (_NEW, _PROGRESS, _end("NOANSWER", 1, 404)), Result.INVALID),
    Ending("rings until we give up", (_NEW, _RINGS, _end("", 19, 480, 3)), Result.NO_ANSWER),
    Ending("nobody at the address", (_NEW, _end("", 19, 480, 3)), Result.FAILED),
    Ending(
        "unknown endpoint", ([("OriginateResponse", {"Response": "Failure", "Reason": "0"})],), Result.FAILED
    ),
)


class Where(StrEnum):
    """Where a customer's channel is."""

    #: before its answer
    COMING = auto()
    #: answered, in the detector or on the way to ask
    ANSWERED = auto()
    #: the dialplan has asked and is held
    ASKS = auto()
    BRIDGED = auto()
    MESSAGE = auto()
    GONE = auto()


@dataclass(slots=True)
class Customer:
    """A customer's channel."""

    id: UUID
    ending: Ending
    action_id: str
    place: int = 0
    where: Where = Where.COMING
    #: BRIDGERESULT of the dialplan
    bridge_result: str = ""
    leg: UUID | None = None
    bridge: str = ""
    #: a talk has begun
    talked: bool = False


@dataclass(slots=True)
class Phone:
    """An agent's leg."""

    id: UUID
    up: bool = False
    bridge: str = ""


@dataclass(slots=True)
class Exchange:
    """Every channel there is, and what is on its way to the dialer."""

    wire: list[AmiEvent] = field(default_factory=list)
    customers: dict[UUID, Customer] = field(default_factory=dict)
    phones: dict[UUID, Phone] = field(default_factory=dict)
    #: customers whose dialplan asks, and was not heard yet
    asking: list[Customer] = field(default_factory=list)
    _bridges: int = 0

    def say(self, channel: UUID, name: str, fields: Mapping[str, str] | None = None) -> None:
        """Put an event of the channel on the wire."""
        key = "DestUniqueid" if name.startswith("Dial") else "Uniqueid"
        self.wire.append(AmiEvent(name, {key: str(channel), **(fields or {})}, time.monotonic()))

    # -- customers -----------------------------------------------------------------------------------------

    def dial(self, channel: UUID, ending: Ending, action_id: str) -> None:
        """An Originate came."""
        self.customers[channel] = Customer(channel, ending, action_id)

    def step(self, customer: Customer, how: int) -> None:
        """The customer's channel goes one step on, by itself; `how` decides between what may happen."""
        match customer.where:
            case Where.COMING:
                self._comes(customer)
            case Where.ANSWERED:
                if customer.ending.at_once:
                    self.leave(customer)
                else:
                    self._ask(customer)
            case Where.ASKS if how % 16 == 0:
                self.leave(customer)
            case Where.BRIDGED if how % 8 == 0:
                # The voice has stopped: Asterisk ends the channel itself.
                self.say(customer.id, "SoftHangupRequest", {"Cause": "44"})
                self.end(customer, "44")
            case Where.BRIDGED if how % 2:
                self.leave(customer)
            case Where.MESSAGE:
                self.end(customer, "0")

    def _comes(self, customer: Customer) -> None:
        for name, fields in customer.ending.said[customer.place]:
            action = {"ActionID": customer.action_id} if name == "OriginateResponse" else {}
            self.say(customer.id, name, {**fields, **action})
        customer.place += 1
        if customer.place == len(customer.ending.said):
            customer.where = Where.GONE if customer.ending.result else Where.ANSWERED

    def leave(self, customer: Customer) -> None:
        """The customer hangs up."""
        self.say(customer.id, "HangupRequest", {"Cause": "16"})
        self.end(customer, "16" if customer.talked else "0")

    def end(self, customer: Customer, cause: str) -> None:
        """The channel ends."""
        self._part(customer)
        customer.where = Where.GONE
        self.say(customer.id, "Hangup", {"Cause": cause})

    def hang_up(self, channel: UUID) -> None:
        """A Hangup action came."""
        customer, phone = self.customers.get(channel), self.phones.get(channel)
        if customer is not None and customer.where is not Where.GONE:
            self.say(channel, "SoftHangupRequest", {"Cause": "16"})
            if customer.where is Where.COMING and customer.place:
                customer.where = Where.GONE
                for name, fields in _end("NOANSWER", 16, None):
                    self.say(channel, name, {**fields, "ActionID": customer.action_id})
            elif customer.where is not Where.COMING:
                self.end(customer, "16")
        elif phone is not None:
            self.lose(phone)

    def bridge(self, customer: Customer, leg: UUID) -> None:
        """The dialplan was told to bridge; onto a leg that is gone it asks again."""
        phone = self.phones.get(leg)
        if phone is None or not phone.up:
            customer.bridge_result = "NONEXISTENT"
            self._ask(customer)
            return
        self._bridges += 1
        customer.where, customer.bridge_result = Where.BRIDGED, ""
        customer.bridge, customer.leg, customer.talked = f"bridge-{self._bridges}", leg, True
        # Asterisk bridges onto a talking agent without a word, and drops the first customer.
        for other in self.customers.values():
            if other is not customer and other.where is Where.BRIDGED and other.leg == leg:
                other.leg = None
                self.end(other, "16")
        self.say(leg, "BridgeLeave", {"BridgeUniqueid": phone.bridge})
        phone.bridge = customer.bridge
        self.say(customer.id, "BridgeEnter", {"BridgeUniqueid": customer.bridge})
        self.say(leg, "BridgeEnter", {"BridgeUniqueid": customer.bridge})

    def _ask(self, customer: Customer) -> None:
        customer.where = Where.ASKS
        self.asking.append(customer)

    def _part(self, customer: Customer) -> None:
        if customer.where is not Where.BRIDGED:
            return
        self.say(customer.id, "BridgeLeave", {"BridgeUniqueid": customer.bridge})
        phone = self.phones.get(customer.leg) if customer.leg else None
        if phone is not None:
            self.say(phone.id, "BridgeLeave", {"BridgeUniqueid": customer.bridge})
            self._wait(phone)
        customer.bridge, customer.leg = "", None

    # -- agents' legs --------------------------------------------------------------------------------------

    def call_phone(self, leg: UUID, *, answers: bool) -> None:
        """An agent's phone is called."""
        self.say(leg, "Newchannel", {"ChannelStateDesc": "Down"})
        if not answers:
            for name, fields in _end("", 19, 480, 3):
                self.say(leg, name, {**fields, "ActionID": f"phone-{leg}"})
            return
        phone = self.phones[leg] = Phone(leg, up=True)
        for name, fields in _UP:
            self.say(leg, name, {**fields, "ActionID": f"phone-{leg}"})
        self._wait(phone)

    def _wait(self, phone: Phone) -> None:
        phone.bridge = f"waits-{phone.id}"
        self.say(phone.id, "BridgeEnter", {"BridgeUniqueid": phone.bridge})

    def lose(self, phone: Phone) -> None:
        """The phone is gone; a customer in the bridge asks for somebody else."""
        del self.phones[phone.id]
        for customer in self.customers.values():
            if customer.where is Where.BRIDGED and customer.leg == phone.id:
                self.say(phone.id, "BridgeLeave", {"BridgeUniqueid": customer.bridge})
                self.say(phone.id, "Hangup", {"Cause": "16"})
                self.say(customer.id, "BridgeLeave", {"BridgeUniqueid": customer.bridge})
                customer.bridge, customer.leg, customer.bridge_result = "", None, "SUCCESS"
                self._ask(customer)
                return
        self.say(phone.id, "Hangup", {"Cause": "16"})

    def registration(self, endpoint: str, *, there: bool) -> None:
        """A phone's registration came or went."""
        status = "Created" if there else "Removed"
        self.wire.append(
            AmiEvent("ContactStatus", {"ContactStatus": status, "EndpointName": endpoint}, time.monotonic())
        )
