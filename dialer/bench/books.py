"""What must hold of the call table, whatever Asterisk's events do to it.

`Books` stands in the journal's place, hears of every change, and holds it against these rules:

chain      a change begins where the one before it has ended
over       a call that has freed its line does not change any more
table      a call moves only as the transition table says
result     a result is decided once; "answered" means that a talk began, and nobody is live who did not answer
times      a time is set once (of an agent's choice: each time) and never before one that was known
line       the line becomes free exactly once a call, with the call's own result, in the change that ends it
own        what follows from a change concerns only agents who are of that call
talk       who wraps up had talked; who was chosen is freed or wraps up before or with the end, once
one call   an agent is in at most one call

Pure: values in, words out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from dialer.calls.consequences import Consequence, IsFree, LineIsFree, Talks, WrapsUp
from dialer.calls.model import LIVE, TRANSITIONS, Call, CallState, Result

_Times = tuple[datetime | None, ...]
#: Steps that the table allows: state -> the states that may follow it.
_NEXT: dict[CallState, set[CallState]] = {state: {state} for state in CallState}
for (_state, _signal), _next in TRANSITIONS.items():
    _NEXT[_state].add(_next)
# The two second answers: a machine detector listens, an agent owes a disposition.
for _state in (CallState.DIALLING, CallState.RINGING):
    _NEXT[_state].add(CallState.SCREENING)
_NEXT[CallState.CONNECTED].add(CallState.WRAP_UP)
_NEXT[CallState.WAITING].add(CallState.WRAP_UP)


def _times(call: Call) -> _Times:
    return (
        call.created_at, call.sent_at, call.ringing_at, call.answered_at, call.screened_at,
        call.connected_at, call.assigned_at, call.hung_up_at, call.ended_at,
    )  # fmt: skip


_ASSIGNED = 6


@dataclass(slots=True)
class _Page:
    """What is known of one call."""

    call: Call
    times: _Times
    #: agents who were chosen for it and not yet let go
    held: set[UUID] = field(default_factory=set)
    #: agents who have talked in it
    talked: set[UUID] = field(default_factory=set)
    lines_freed: int = 0


@dataclass(slots=True)
class Books:
    """Hears of each change; `broken` names the rules that did not hold."""

    broken: list[str] = field(default_factory=list)
    #: changes heard of
    changes: int = 0
    _pages: dict[UUID, _Page] = field(default_factory=dict)
    #: agent's shift -> the live call that it is chosen for
    _agent_in: dict[UUID, UUID] = field(default_factory=dict)

    def begin(self, call: Call) -> None:
        """A call whose attempt is committed."""
        page = self._pages[call.attempt_id] = _Page(call, _times(call))
        if call.agent is not None:
            self._chosen(page, call.agent.session_id)

    def last(self, attempt_id: UUID) -> Call:
        """The call as it was heard of last."""
        return self._pages[attempt_id].call

    def calls(self) -> list[Call]:
        """Every call, as it was heard of last."""
        return [page.call for page in self._pages.values()]

    def heard(self, before: Call, after: Call, follow: tuple[Consequence, ...]) -> None:
        """One step of a call."""
        self.changes += 1
        page = self._pages[after.attempt_id]
        if page.call is not before:
            self._breaks("chain: it begins elsewhere than the last one ended")
        if not before.live:
            self._breaks(f"over: {before.state} became {after.state}")
        if after.state not in _NEXT[before.state]:
            self._breaks(f"table: {before.state} became {after.state}")
        self._result(before, after)
        times = _times(after)
        if times != page.times:
            self._check_times(page.times, times)
            page.times = times
        page.call = after
        if after.agent is not None and after.agent != before.agent:
            self._chosen(page, after.agent.session_id)
        self._follow(page, before, after, follow)
        if not after.live:
            self._ended(page)

    def all_over(self) -> None:
        """After the last resync, when Asterisk has no channel left."""
        for page in self._pages.values():
            if page.call.live:
                self._breaks(f"line: a call stays {page.call.state} without a channel")
            elif page.lines_freed != 1:
                self._breaks(f"line: free {page.lines_freed} times")
        if self._agent_in:
            self._breaks("talk: an agent is still kept for a call that is over")

    # -- the rules ---------------------------------------------------------------------------------------

    def _breaks(self, rule: str) -> None:
        self.broken.append(rule)

    def _result(self, before: Call, after: Call) -> None:
        if before.result is not None and after.result is not before.result:
            self._breaks(f"result: {before.result} became {after.result}")
        if (after.connected_at is not None) != (after.result is Result.ANSWERED):
            self._breaks(f"result: {after.result} of a call that {_talked(after)}")
        if after.answered_at is None and (after.result in LIVE or after.result is Result.MACHINE):
            self._breaks(f"result: {after.result} of a call that nobody answered")
        if after.result is None and not after.live:
            self._breaks("result: none at the end")

    def _check_times(self, was: _Times, now: _Times) -> None:
        known = max(time for time in was if time is not None)
        for place, (old, new) in enumerate(zip(was, now, strict=True)):
            if new == old:
                continue
            if new is None or (old is not None and place != _ASSIGNED):
                self._breaks("times: one that was set is set anew")
            elif new < known:
                self._breaks("times: one runs back")

    def _chosen(self, page: _Page, session_id: UUID) -> None:
        page.held.add(session_id)
        other = self._agent_in.get(session_id)
        if other is not None and other != page.call.attempt_id:
            self._breaks("one call: an agent is chosen for two")
        self._agent_in[session_id] = page.call.attempt_id

    def _let_go(self, page: _Page, session_id: UUID) -> None:
        if session_id not in page.held:
            self._breaks("talk: an agent is let go who was not chosen, or twice")
        page.held.discard(session_id)
        if self._agent_in.get(session_id) == page.call.attempt_id:
            del self._agent_in[session_id]

    def _follow(self, page: _Page, before: Call, after: Call, follow: tuple[Consequence, ...]) -> None:
        own = {call.agent.session_id for call in (before, after) if call.agent is not None}
        for one in follow:
            match one:
                case LineIsFree(result):
                    page.lines_freed += 1
                    if page.lines_freed > 1 or result != after.result or after.live:
                        self._breaks(f"line: free as {result}, the call is {after.state}, {after.result}")
                    continue
                case Talks(session_id):
                    page.talked.add(session_id)
                case WrapsUp(session_id):
                    if session_id not in page.talked:
                        self._breaks("talk: an agent wraps up who has not talked")
                    self._let_go(page, session_id)
                case IsFree(session_id):
                    self._let_go(page, session_id)
            if session_id not in own:
                self._breaks(f"own: {type(one).__name__} of an agent who is not of the call")

    def _ended(self, page: _Page) -> None:
        if page.lines_freed != 1:
            self._breaks(f"line: at the end it was free {page.lines_freed} times")
        if page.held:
            self._breaks("talk: the call is over and an agent is kept for it")
            for session_id in page.held:
                self._agent_in.pop(session_id, None)


def _talked(call: Call) -> str:
    return "was no talk" if call.connected_at is None else "was a talk"
