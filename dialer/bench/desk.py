"""An engine's memory of its calls, without its loop: real tracker, call table and recovery over an exchange.

What the switchboard, the phones and the journal do to calls and to the agents' rows is done here in steps
that a schedule puts in any order, since in the engine they are tasks of their own. The rules of the rows are
those of `dialer.agents.store`: each change is conditional.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from dialer.agents.model import AgentState, before
from dialer.bench.books import Books
from dialer.bench.exchange import ENDINGS, Customer, Exchange, Where
from dialer.calls.consequences import IsFree, Talks, WrapsUp
from dialer.calls.model import (
    Assigned,
    Assignee,
    Call,
    CallState,
    CancelAsked,
    GaveUp,
    HungUpBy,
    Result,
    Screened,
    Sent,
)
from dialer.calls.recovery import Recovery, Seen
from dialer.calls.table import CallTable, Change, Line
from dialer.calls.tracking import Leg, Tracker
from dialer.servers.ownership import Sole

_BEFORE = {state: before(state) for state in AgentState}
_BUSY = (AgentState.RESERVED, AgentState.TALKING, AgentState.WRAP_UP)
START = datetime(2026, 3, 2, 12, tzinfo=UTC)
_NOTHING: Any = None
NODE = "main"


def _id(kind: int, number: int) -> UUID:
    return UUID(int=kind << 96 | number)


@dataclass(slots=True)
class ShiftRow:
    """An agent's shift as its row stands."""

    id: UUID
    agent_id: int
    endpoint: str
    state: AgentState = AgentState.CALLING
    attempt: UUID | None = None
    leg: UUID | None = None


@dataclass(slots=True)
class Desk:
    """One engine's calls and agents, from nothing."""

    agents: int
    #: takes a line about what happens, for people; None: nobody reads
    tell: Callable[[str], None] | None = None
    exchange: Exchange = field(default_factory=Exchange)
    books: Books = field(default_factory=Books)
    calls: CallTable = field(init=False)
    tracker: Tracker = field(init=False)
    recovery: Recovery = field(init=False)
    rows: dict[UUID, ShiftRow] = field(default_factory=dict)
    now: datetime = START
    #: customers who are held in their question
    waiting: list[Customer] = field(default_factory=list)
    #: reservations that are committed and not yet handed over
    reserved: list[tuple[UUID, UUID]] = field(default_factory=list)
    #: Originates without a reply, by their action
    asked: list[tuple[str, UUID]] = field(default_factory=list)
    disposed: set[UUID] = field(default_factory=set)
    #: calls that somebody of ours ended or took back
    taken_back: set[UUID] = field(default_factory=set)
    #: calls whose dialplan's question was heard
    answered_to: set[UUID] = field(default_factory=set)
    #: events that reached the tracker
    heard: int = 0
    phones_lost: bool = False
    #: calls as they are written
    written: dict[UUID, Call] = field(default_factory=dict)
    _unwritten: list[Change] = field(default_factory=list)
    _news: list[tuple[bool, Leg]] = field(default_factory=list)
    _legs: int = 0

    def __post_init__(self) -> None:
        self.calls = CallTable(self)
        self.tracker = Tracker(self.calls)
        self.tracker.leg_up = lambda leg: self._news.append((True, leg))
        self.tracker.leg_gone = self._leg_gone
        self.tracker.contacts.append(self._contact)
        self.recovery = Recovery(_NOTHING, Sole(), self.calls, self.tracker, _NOTHING)
        for number in range(self.agents):
            row = ShiftRow(_id(2, number + 1), number + 1, f"phone-{number + 1}")
            self.rows[row.id] = row

    def clock(self) -> datetime:
        """What the wall clock says: it is read in place of the machine's."""
        return self.now

    def say(self, text: str) -> None:
        """Tell a reader."""
        if self.tell is not None:
            self.tell(text)

    # -- the journal -----------------------------------------------------------------------------------------

    def put(self, change: Change) -> None:
        """The journal's side of the table."""
        self.books.heard(change.before, change.after, change.consequences)
        self._unwritten.append(change)
        if self.tell is not None:
            after = change.after
            follows = ", ".join(type(one).__name__ for one in change.consequences)
            self.say(
                f"    call {after.attempt_id.int & 255}: {change.before.state} -> {after.state} "
                f"{after.result or ''} {follows}"
            )

    def write(self, most: int) -> None:
        """Changes reach the rows, in order."""
        batch = self._unwritten[:most]
        del self._unwritten[:most]
        for change in batch:
            call = change.after
            ended = call.state is CallState.ENDED or call.attempt_id in self.disposed
            self.written[call.attempt_id] = call
            for one in change.consequences:
                match one:
                    case Talks(session_id):
                        self._move(session_id, AgentState.TALKING, call.attempt_id, only=call.attempt_id)
                    case WrapsUp(session_id) if not ended:
                        leaving = (AgentState.RESERVED, AgentState.TALKING)
                        self._move(
                            session_id, AgentState.WRAP_UP, call.attempt_id, leaving, only=call.attempt_id
                        )
                    case WrapsUp(session_id) | IsFree(session_id):
                        self._release(session_id, call.attempt_id)

    def _move(
        self,
        session_id: UUID,
        to: AgentState,
        attempt: UUID | None = None,
        leaving: tuple[AgentState, ...] | None = None,
        *,
        only: UUID | None = None,
    ) -> bool:
        row = self.rows[session_id]
        if row.state not in (leaving or _BEFORE[to]) or (only is not None and row.attempt != only):
            return False
        row.state, row.attempt = to, attempt
        return True

    def _release(self, session_id: UUID, attempt: UUID) -> None:
        if self.rows[session_id].attempt == attempt:
            self._move(session_id, AgentState.READY, leaving=_BUSY, only=attempt)

    # -- placing ---------------------------------------------------------------------------------------------

    def place(self, how: int) -> None:
        """An attempt is committed and its Originate written."""
        number = len(self.exchange.customers) + 1
        ending = ENDINGS[how % len(ENDINGS)]
        attempt_id, action = _id(1, number), f"action-{number}"
        call = Call(attempt_id, 1, 1, bool(ending.machine), 2.0, self.now)
        self.say(f"call {number} is placed ({ending.name})")
        self.books.begin(call)
        self.calls.add(Line(call=call, terms=_NOTHING, e164="", trunk_id=1, node=NODE))
        self.exchange.dial(attempt_id, ending, action)
        self.asked.append((action, attempt_id))

    def reply(self, which: int) -> None:
        """Asterisk accepts an Originate."""
        if self.asked:
            action, attempt_id = self.asked.pop(which % len(self.asked))
            self.say(f"the Originate of call {attempt_id.int & 255} is accepted")
            self.calls.apply(attempt_id, Sent(self.now))
            self.tracker.asked(attempt_id, action, NODE)

    # -- the switchboard -------------------------------------------------------------------------------------

    def hear_question(self) -> None:
        """A customer's dialplan asks what to do."""
        if not self.exchange.asking:
            return
        customer = self.exchange.asking.pop(0)
        if customer.where is not Where.ASKS:
            return
        line = self.calls.get(customer.id)
        self.say(f"call {customer.id.int & 255} asks, {customer.bridge_result or 'for the first time'}")
        if line is None:
            customer.where = Where.MESSAGE
            return
        self.answered_to.add(customer.id)
        if customer.bridge_result and line.call.agent is not None:
            self.tracker.bridge_ended(line, customer.bridge_result, 0.0)
        call = self.calls.apply(customer.id, Screened(self.now, status=customer.ending.machine))
        if call is None or call.result in (Result.MACHINE, Result.ABANDONED):
            line.dismissed = True
            self.exchange.end(customer, "0")
        elif call.agent is not None:
            self.exchange.bridge(customer, call.agent.leg)
        else:
            self.waiting.append(customer)

    def reserve(self) -> None:
        """The first who waits gets the agent that is ready longest, in the rows."""
        pending = {attempt for attempt, _ in self.reserved}
        self.waiting = [one for one in self.waiting if one.where is Where.ASKS]
        customer = next((one for one in self.waiting if one.id not in pending), None)
        if customer is None:
            return
        for row in self.rows.values():
            if row.state is not AgentState.READY or row.leg is None:
                continue
            leg = self.tracker.legs.get(row.leg)
            if leg is None or not leg.up:
                self._move(row.id, AgentState.LOST)
                continue
            self._move(row.id, AgentState.RESERVED, customer.id, (AgentState.READY,))
            self.reserved.append((customer.id, row.id))
            self.say(f"agent {row.agent_id} is reserved for call {customer.id.int & 255}")
            return

    def hand_over(self) -> None:
        """A reservation is committed: the agent goes to the customer, or back."""
        if not self.reserved:
            return
        attempt_id, session_id = self.reserved.pop(0)
        row = self.rows[session_id]
        customer = self.exchange.customers[attempt_id]
        if customer in self.waiting and customer.where is Where.ASKS and row.leg is not None:
            agent = Assignee(session_id, row.agent_id, row.leg)
            after = self.calls.apply(attempt_id, Assigned(self.now, agent=agent))
            if after is not None and after.agent == agent:
                self.waiting.remove(customer)
                self.exchange.bridge(customer, agent.leg)
                return
        self._release(session_id, attempt_id)

    def give_up(self, which: int) -> None:
        """The policy's time of one who waits is over."""
        if not self.waiting:
            return
        customer = self.waiting.pop(which % len(self.waiting))
        line = self.calls.get(customer.id)
        if customer.where is not Where.ASKS:
            return
        self.say(f"the time of call {customer.id.int & 255} is over")
        if line is not None:
            line.dismissed = True
            if line.call.connected_at is None:
                self.calls.apply(customer.id, GaveUp(self.now))
        customer.where = Where.MESSAGE

    def hang_up(self, which: int, by: HungUpBy) -> None:
        """Somebody of ours ends a call."""
        lines = list(self.calls)
        if not lines:
            return
        line = lines[which % len(lines)]
        attempt_id = line.call.attempt_id
        self.say(f"{by} ends call {attempt_id.int & 255}")
        self.taken_back.add(attempt_id)
        line.ended_by = line.ended_by or by
        self.calls.apply(attempt_id, CancelAsked(self.now, detail="hung_up"))
        self.exchange.hang_up(attempt_id)

    # -- agents ----------------------------------------------------------------------------------------------

    def work(self, which: int) -> None:
        """An agent does what is to be done: gets ready, saves a disposition."""
        rows = list(self.rows.values())
        row = rows[which % len(rows)]
        if row.state is AgentState.PAUSED:
            self._move(row.id, AgentState.READY)
        elif row.state is AgentState.WRAP_UP and row.attempt is not None:
            self.disposed.add(row.attempt)
            self._release(row.id, row.attempt)
        elif row.state is AgentState.TALKING and row.attempt is not None and which > 200:
            self.disposed.add(row.attempt)

    def call_phone(self, which: int, *, answers: bool) -> None:
        """A phone that is not up is called."""
        rows = [
            row
            for row in self.rows.values()
            if row.leg is None and row.state in (AgentState.CALLING, AgentState.LOST)
        ]
        if not rows:
            return
        row = rows[which % len(rows)]
        self._legs += 1
        leg = Leg(_id(3, self._legs), 1, row.id, row.agent_id, row.endpoint, NODE)
        self.say(f"the phone of agent {row.agent_id} is called (leg {self._legs})")
        self.tracker.legs[leg.id] = leg
        row.leg = leg.id
        self.tracker.asked(leg.id, f"phone-{leg.id}", NODE)
        self.exchange.call_phone(leg.id, answers=answers)

    def take_news(self) -> None:
        """What the phones' keeper makes of a phone that came or went."""
        if not self._news:
            return
        came, leg = self._news.pop(0)
        row = self.rows[leg.session_id]
        if row.leg != leg.id:
            return
        if not came:
            row.leg = None
            if row.state not in (AgentState.CALLING, AgentState.LOST):
                self._move(row.id, AgentState.LOST)
        elif row.state is AgentState.CALLING:
            self._move(row.id, AgentState.PAUSED)
        elif row.state is AgentState.LOST:
            owed = self._owed(row.id)
            self._move(row.id, AgentState.WRAP_UP if owed else AgentState.READY, owed)

    def _owed(self, session_id: UUID) -> UUID | None:
        for call in self.written.values():
            over = call.connected_at is not None and call.hung_up_at is not None
            theirs = call.agent is not None and call.agent.session_id == session_id
            if over and theirs and call.attempt_id not in self.disposed:
                return call.attempt_id
        return None

    def _leg_gone(self, leg: Leg) -> None:
        self.phones_lost = True
        self._news.append((False, leg))

    def _contact(self, _node: str, endpoint: str, reachable: bool) -> None:
        for leg in list(self.tracker.legs.values()):
            if leg.endpoint == endpoint and not reachable:
                self.tracker.lose(leg)
                self.exchange.hang_up(leg.id)

    # -- the link --------------------------------------------------------------------------------------------

    def deliver(self, place: int, *, keep: bool = False, lose: bool = False) -> None:
        """An event of the wire reaches the engine; `keep`: it will come again; `lose`: it never comes."""
        wire = self.exchange.wire
        if not wire:
            return
        place %= len(wire)
        event = wire[place] if keep else wire.pop(place)
        if self.tell is not None:
            about = event.get("Uniqueid") or event.get("DestUniqueid")
            kind = {1: "call", 3: "leg"}[UUID(about).int >> 96] if about else event.get("EndpointName")
            fields = {k: v for k, v in event.fields.items() if "niqueid" not in k or k.startswith("Bridge")}
            number = UUID(about).int & 255 if about else ""
            self.say(f"{'LOST: ' if lose else ''}{event.name} {kind} {number} {fields}")
        if not lose:
            self.heard += 1
            self.tracker.handle(event, NODE)

    def resync(self, *, died: bool = False) -> None:
        """The link was lost, and is back: what was on its way is gone, Asterisk is asked what it has."""
        self.say("the link was lost; Asterisk is asked what it has")
        exchange = self.exchange
        for customer in exchange.customers.values():
            if customer.where is Where.COMING and not customer.place:
                exchange.step(customer, 0)
        exchange.wire.clear()
        self.tracker.link_lost(NODE)
        suspects = list(self.calls)
        legs = [
            self.tracker.know(Leg(row.leg, 1, row.id, row.agent_id, row.endpoint, NODE))
            for row in self.rows.values()
            if row.leg is not None
        ]
        present = self._present()
        self.recovery.found(suspects, legs, present)
        self.recovery.missing(suspects, legs, present, asterisk_died=died)
        for channel in present:
            ghost = self.calls.get(channel) is None and channel not in self.tracker.legs
            if ghost:
                self.exchange.hang_up(channel)

    def _present(self) -> dict[UUID, Seen]:
        found: dict[UUID, Seen] = {}
        for one in self.exchange.customers.values():
            if one.where is Where.GONE:
                continue
            state = "Up" if one.where is not Where.COMING else "Ringing" if one.place > 1 else "Down"
            doing = "Playback" if one.where is Where.MESSAGE else "AGI"
            found[one.id] = Seen(one.id, state, one.bridge or None, "dozvon-customer", doing)
        for phone in self.exchange.phones.values():
            found[phone.id] = Seen(phone.id, "Up", phone.bridge, "dozvon-agent", "BridgeWait")
        return found

    def settle(self) -> None:
        """All that is on its way arrives, and everything is written."""
        while self.exchange.wire or self._unwritten or self._news:
            while self.exchange.wire:
                self.deliver(0)
            self.write(len(self._unwritten))
            self.take_news()
