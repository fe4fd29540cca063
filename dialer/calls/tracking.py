"""From what Asterisk says to what it means: AMI events become signals of calls and news of agents' phones.

Two kinds of channels are ours, told apart by their ids, which are ours: a customer's channel bears the
attempt's id, an agent's leg the id that the shift's row names. Everything else that Asterisk carries is
passed over.

Which event says what, and what it says in each case, was measured on Asterisk 22 (docs/architecture.md has
the table). Order is not promised: a call's end is told by `Hangup`; only a call that never had a channel ends
with its OriginateResponse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from dialer.agents.model import Shift
from dialer.asterisk.ami import AmiEvent
from dialer.calls import causes
from dialer.calls.model import (
    Answered,
    Assignee,
    Connected,
    HungUp,
    HungUpBy,
    NotPlaced,
    Rang,
    Result,
    Resumed,
    Stage,
    ThirdGone,
    ThirdMet,
    Unassigned,
)
from dialer.calls.table import CallTable, Line
from dialer.clock import utc_now, wall

log = structlog.get_logger(__name__)

#: What Asterisk says of a contact that cannot, and that can be called.
REMOVED, UNREACHABLE = "Removed", "Unreachable"
GONE = frozenset({REMOVED, UNREACHABLE})
PRESENT = frozenset({"Created", "Reachable", "NonQualified", "Updated"})
#: BRIDGERESULT of a customer who is still there: the two have met, and the phone is gone since; it was gone.
MET, NOBODY = "SUCCESS", "NONEXISTENT"
#: Q.850 causes of a phone that was rung and not answered; all else failed.
_NOT_REACHED = {17: "busy", 21: "busy", 16: "no_answer", 18: "no_answer", 19: "no_answer"}
#: How many answers to Originates are kept until their id is known, and how many lost legs are remembered; the
#: oldest go first.
MAX_KEPT = 1000
#: The events that the tracker understands: the link drops the others before parsing them.
EVENTS = frozenset(
    {
        "Newchannel",
        "Newstate",
        "DialBegin",
        "DialState",
        "DialEnd",
        "OriginateResponse",
        "BridgeEnter",
        "BridgeLeave",
        "HangupRequest",
        "SoftHangupRequest",
        "Hangup",
        "ContactStatus",
        "FullyBooted",  # for the engine
    }
)


@dataclass(slots=True)
class Leg:
    """An agent's phone as a channel."""

    id: UUID
    tenant_id: int
    session_id: UUID
    agent_id: int
    #: the PJSIP endpoint that is called
    endpoint: str
    #: the Asterisk server that has it
    node: str
    #: picked up and waiting for customers
    up: bool = False
    #: it sends no voice: nobody is dialled for it, see `voices`
    silent: bool = False


def leg_of(shift: Shift, *, up: bool = False) -> Leg:
    """The leg that the shift's row names. The row must name one."""
    assert shift.leg is not None
    return Leg(shift.leg, shift.tenant_id, shift.id, shift.agent_id, shift.endpoint, shift.node or "", up=up)


#: Told with the leg: it is up; it is gone.
LegWatcher = Callable[[Leg], None]


@dataclass(slots=True)
class Tracker:
    """Reads events, in order, for the call table and the agents' phones."""

    calls: CallTable
    legs: dict[UUID, Leg] = field(default_factory=dict)
    leg_up: LegWatcher = lambda leg: None
    leg_gone: LegWatcher = lambda leg: None
    #: told with a node and an endpoint's name: it has another address than before
    registered: Callable[[str, str], None] = lambda node, endpoint: None
    #: told with a node, an endpoint's name and whether the endpoint can be reached from there
    contacts: list[Callable[[str, str, bool], None]] = field(default_factory=list)
    #: the addresses of a node's endpoint, each with whether it answers: a phone that was started again has a
    #: new one, and that its old one is gone is told after it
    _addresses: dict[tuple[str, str], dict[str, bool]] = field(default_factory=dict)
    #: where a node's endpoint was when its Asterisk died, which has forgotten it: registrations are on the
    #: disk a second late, and a phone believes in its own until it renews it, up to an hour later
    _former: dict[tuple[str, str], str] = field(default_factory=dict)
    #: legs that were lost, the latest of them: who finds one in a row knows that the row is behind
    lost: dict[UUID, None] = field(default_factory=dict)
    #: ActionIDs of Originates whose channel we have not seen, and answers that came before we knew the id,
    #: each with its node
    _asked: dict[str, tuple[str, UUID]] = field(default_factory=dict)
    _early: dict[str, tuple[str, AmiEvent]] = field(default_factory=dict)
    #: channels of third parties that Asterisk has shown us
    _seen: set[UUID] = field(default_factory=set)

    def handle(self, event: AmiEvent, node: str) -> None:
        """Take one event of a node. Never waits; raises nothing for an event that it does not understand."""
        match event.name:
            case "ContactStatus":
                self._contact_status(event, node)
                return
            case "OriginateResponse":
                self._originate_response(event, node)
                return
            case "DialBegin" | "DialState" | "DialEnd":
                name = event.get("DestUniqueid")
            case _:
                name = event.get("Uniqueid")
        channel = self.calls.named(node, name)
        if channel is None:
            return
        line = self.calls.get(channel)
        if line is None and event.name == "Hangup":
            self.calls.unname(node, name)  # an inbound call that is being committed, and has gone meanwhile
        if line is not None:
            line.seen = True
            self._customer(line, event)
        elif channel in self.legs:
            self._agent(self.legs[channel], event)
        elif (asking := self.calls.of_third(channel)) is not None:
            self._third(asking, channel, event)

    def asked(self, attempt_id: UUID, action_id: str, node: str) -> None:
        """The node has accepted the Originate of this attempt under this ActionID."""
        early = self._early.pop(action_id, None)
        if early is not None:
            self._not_placed(attempt_id, early[1])
        else:
            self._asked[action_id] = node, attempt_id

    def hears(self, leg_id: UUID | None) -> bool:
        """Whether this phone is there and not silent. A row may name one that is gone already."""
        leg = self.legs.get(leg_id) if leg_id is not None else None
        return leg is not None and not leg.silent

    def link_lost(self, node: str) -> None:
        """Nothing that the node has half said will be finished."""
        self._asked = {action: asked for action, asked in self._asked.items() if asked[0] != node}
        self._early = {action: early for action, early in self._early.items() if early[0] != node}

    def know(self, leg: Leg) -> Leg:
        """Hear from now on what Asterisk says of a leg; the one that is known already, where there is one."""
        return self.legs.setdefault(leg.id, leg)

    # -- the customer's channel ------------------------------------------------------------------------

    def _customer(self, line: Line, event: AmiEvent) -> None:
        attempt_id, now = line.call.attempt_id, wall(event.received_at)
        match event.name:
            case "Newstate" if event.get("ChannelStateDesc") == "Ringing":
                self.calls.apply(attempt_id, Rang(now))
            case "DialState":
                self.calls.apply(attempt_id, Rang(now))
            case "Newstate" if event.get("ChannelStateDesc") == "Up":
                self.calls.apply(attempt_id, Answered(now), seen_s=event.received_at)
            case "DialEnd" if event.get("DialStatus") == "ANSWER":
                self.calls.apply(attempt_id, Answered(now), seen_s=event.received_at)
            case "DialEnd":
                line.refused = True
            case "BridgeEnter":
                self.stands(attempt_id, event.get("BridgeUniqueid"))
                self._joined(line, event)
            case "BridgeLeave" if event.get("BridgeUniqueid") == self.calls.bridges.group(attempt_id):
                self.stands(attempt_id, None)
                self.meet(line)
            case "HangupRequest":
                line.ended_by = line.ended_by or HungUpBy.CUSTOMER
            case "SoftHangupRequest":
                line.ended_by = line.ended_by or HungUpBy.SERVER
            case "Hangup":
                self._hung_up(line, event)

    def _hung_up(self, line: Line, event: AmiEvent) -> None:
        cause = int(event.get("Cause") or 0) or None
        code = causes.sip_code(event.get("TechCause"))
        result = causes.unanswered(code, cause, rang=line.call.ringing_at is not None, refused=line.refused)
        detail = "no_response" if result is Result.FAILED and code in (408, 480) else None
        # The far end's leaving is a HangupRequest; who had answered and is gone without one came to the end
        # of our dialplan, told so by us or, with nobody to tell it, by itself.
        ours = line.dismissed or line.call.answered_at is not None
        by = line.ended_by or (HungUpBy.SERVER if ours else None)
        self.calls.apply(
            line.call.attempt_id,
            HungUp(wall(event.received_at), result=result, cause=cause, sip_code=code, by=by, detail=detail),
        )

    def _originate_response(self, event: AmiEvent, node: str) -> None:
        _, attempt_id = self._asked.pop(event.get("ActionID"), (node, None))
        if event.get("Response") == "Success":
            return
        if attempt_id is not None:
            self._not_placed(attempt_id, event)
            return
        channel = self.calls.named(node, event.get("Uniqueid"))
        if channel is not None and self.calls.get(channel) is not None:
            self._not_placed(channel, event)
        elif channel is not None and channel in self.legs and not self.legs[channel].up:
            self.lose(self.legs[channel])
        else:
            self._early[event.get("ActionID")] = node, event  # of somebody else, most likely
            while len(self._early) > MAX_KEPT:
                del self._early[next(iter(self._early))]

    def _not_placed(self, attempt_id: UUID, event: AmiEvent) -> None:
        if attempt_id in self.legs:
            self.lose(self.legs[attempt_id])
            return
        if (asking := self.calls.of_third(attempt_id)) is not None:
            if attempt_id not in self._seen:  # else its Hangup knows more
                self.calls.apply(asking.call.attempt_id, ThirdGone(utc_now(), came="failed"))
            return
        line = self.calls.get(attempt_id)
        # A channel that was seen ends with its Hangup, which knows more.
        if line is not None and not line.seen:
            reason = f"originate_refused_{event.get('Reason') or '0'}"
            self.calls.apply(attempt_id, NotPlaced(utc_now(), result=Result.FAILED, detail=reason))

    # -- the agent's leg -------------------------------------------------------------------------------

    def _agent(self, leg: Leg, event: AmiEvent) -> None:
        match event.name:
            case "Newstate" if event.get("ChannelStateDesc") == "Up":
                self.raise_leg(leg)
            case "BridgeEnter":
                self.raise_leg(leg)
                self.stands(leg.id, event.get("BridgeUniqueid"))
                inside = map(self.calls.get, self.calls.bridges.members(event.get("BridgeUniqueid")))
                if (line := next(filter(None, inside), None)) is not None:
                    self._joined(line, event)
                self._meets(leg)
            case "BridgeLeave" if event.get("BridgeUniqueid") == self.calls.bridges.group(leg.id):
                self.stands(leg.id, None)
                self._meets(leg)
            case "Hangup":
                self.lose(leg)

    def raise_leg(self, leg: Leg) -> None:
        """The phone was picked up."""
        if not leg.up:
            leg.up = True
            self.leg_up(leg)

    def lose(self, leg: Leg) -> None:
        """The leg is gone, or as good as gone: its agent takes no customer and has none."""
        if self.legs.pop(leg.id, None) is None:
            return
        self.calls.bridges.put(leg.id, None)
        self.lost[leg.id] = None
        while len(self.lost) > MAX_KEPT:
            del self.lost[next(iter(self.lost))]
        self.leg_gone(leg)
        line = self.calls.of_agent(leg.session_id)
        if line is not None:
            self.calls.apply(line.call.attempt_id, Unassigned(utc_now()))
        if (asking := self.calls.of_third(leg.id)) is not None:
            self.calls.apply(asking.call.attempt_id, ThirdGone(utc_now()))

    def forget(self, leg: Leg) -> None:
        """Nothing is known of the leg any more: neither that it is there, nor that it is gone."""
        self.legs.pop(leg.id, None)
        self.calls.bridges.put(leg.id, None)

    def _contact_status(self, event: AmiEvent, node: str) -> None:
        """A phone's registration came or went, or a trunk's carrier answers or no longer does; the endpoint's
        name is that of its AOR."""
        status, endpoint = event.get("ContactStatus"), event.get("EndpointName") or event.get("AOR")
        if status not in (*GONE, *PRESENT):
            return
        self._former.pop((node, endpoint), None)
        known, address = self._addresses.setdefault((node, endpoint), {}), event.get("URI")
        is_new = address not in known
        known[address] = status in PRESENT
        if status == REMOVED:
            del known[address]
        if is_new and known:
            self.registered(node, endpoint)
        self.contact(node, endpoint, any(known.values()))

    def reached(self, node: str, found: Mapping[str, Mapping[str, bool]], *, died: bool = False) -> None:
        """What a node says when it is asked: its endpoints, with their addresses and whether each answers.
        One without an address is not asked, and taken for reachable. `died`: its Asterisk was started again
        since it was asked last."""
        for key in [key for key in self._addresses if key[0] == node]:
            answering = [address for address, there in self._addresses.pop(key).items() if there]
            if died and answering:
                self._former[key] = answering[-1]
        for endpoint, known in found.items():
            self._former.pop((node, endpoint), None)
            self._addresses[node, endpoint] = dict(known)
            self.contact(node, endpoint, any(known.values()) or not known)

    def former_address(self, node: str, endpoint: str) -> str | None:
        """Where a phone is that its Asterisk has forgotten, as a SIP URI; None: it is not forgotten, or was
        nowhere."""
        return self._former.get((node, endpoint))

    def contact(self, node: str, endpoint: str, reachable: bool) -> None:
        """Tell everyone whether the endpoint can be reached from the node."""
        for watcher in self.contacts:
            watcher(node, endpoint, reachable)

    def stands(self, channel: UUID, bridge: str | None) -> None:
        """A channel is in this bridge now (None: in none). Of one that is gone nothing is kept."""
        if channel in self.legs or self.calls.get(channel) or self.calls.of_third(channel):
            self.calls.bridges.put(channel, bridge)

    def leg_in(self, bridge: str | None, chosen: Assignee | None = None) -> Leg | None:
        """The phone that is in this bridge: of several that of who is `chosen`."""
        inside = list(filter(None, map(self.legs.get, self.calls.bridges.members(bridge))))
        mine = (leg for leg in inside if chosen is not None and leg.id == chosen.leg)
        return next(mine, inside[0] if inside else None)

    # -- whom an agent asks besides --------------------------------------------------------------------

    def _third(self, line: Line, channel: UUID, event: AmiEvent) -> None:
        """The phone of a destination."""
        self._seen.add(channel)
        match event.name:
            case "BridgeEnter":
                self.stands(channel, event.get("BridgeUniqueid"))
                self.meet(line)
            case "BridgeLeave" if event.get("BridgeUniqueid") == self.calls.bridges.group(channel):
                self.stands(channel, None)
            case "Hangup":
                self._seen.discard(channel)
                third = line.call.third
                rang = third is not None and third.stage is Stage.CALLING
                cause = int(event.get("Cause") or 0)
                came = _NOT_REACHED.get(cause, "failed") if rang else "left"
                self.calls.apply(line.call.attempt_id, ThirdGone(wall(event.received_at), came=came))

    def _meets(self, leg: Leg) -> None:
        for line in (self.calls.of_agent(leg.session_id), self.calls.of_third(leg.id)):
            if line is not None:
                self.meet(line)

    def meet(self, line: Line) -> None:
        """Whether the agent and whom they ask besides are together, and the customer with them."""
        call, bridges = line.call, self.calls.bridges
        if call.third is None or call.agent is None or not call.third.there:
            return
        bridge = bridges.group(call.third.channel)
        if bridge is None or bridge != bridges.group(call.agent.leg):
            return
        stage = Stage.JOINED if bridge == bridges.group(call.attempt_id) else Stage.TALKING
        self.calls.apply(call.attempt_id, ThirdMet(utc_now(), stage=stage))

    # -- both ------------------------------------------------------------------------------------------

    def bridge_ended(self, line: Line, bridge_result: str, seen_s: float) -> None:
        """The customer's dialplan asks again: the bridge with the chosen agent is over, or never began.

        The question comes by FastAGI, and may be sooner here than the events that tell the same by AMI.
        """
        attempt_id, agent, now = line.call.attempt_id, line.call.agent, wall(seen_s)
        if agent is None:
            return
        self.calls.apply(attempt_id, Resumed(now))  # out of a hold that nobody is there to end
        if bridge_result == MET:
            self.calls.apply(attempt_id, Connected(now, agent=agent))
        if bridge_result in (MET, NOBODY) and (leg := self.legs.get(agent.leg)) is not None:
            self.lose(leg)  # what is still to be heard of it is of the past
        self.calls.apply(attempt_id, Unassigned(now), seen_s=seen_s)

    def _joined(self, line: Line, event: AmiEvent) -> None:
        """The customer and an agent are in one bridge."""
        chosen = line.call.agent
        leg = self.leg_in(self.calls.bridges.group(line.call.attempt_id), chosen)
        if leg is None or (chosen is not None and chosen.leg != leg.id):
            return  # or it is said late of one whose phone was lost: the dialplan has asked for another since
        if line.call.held_at is not None:
            self.calls.apply(line.call.attempt_id, Resumed(wall(event.received_at)))
        self.calls.apply(
            line.call.attempt_id,
            Connected(wall(event.received_at), agent=Assignee(leg.session_id, leg.agent_id, leg.id)),
            seen_s=event.received_at,
        )
        self.meet(line)
