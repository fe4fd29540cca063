"""Calls that people were promised: when each is due, to whom, and what becomes of it. Pure.

    waiting   nobody has dialled it yet, or nobody was reached and it is tried again
    dialling  there is an attempt at it
    done      the person was talked with
    missed    it was tried as often as the campaign says, or the number is dead: the lead is dialled like any
              other again, and a person may promise anew
    canceled  somebody took it back, the person asked not to be called, or was erased

A callback that waits never ends by itself: however late it is, it is dialled as soon as it may be. It is
*due* from `due_at` on, which is when it was promised, or later where the hours, a limit or the last try put
it off; and *late* when that has passed by `LATE` with nobody talking.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from scheduler.holds import Hold
from scheduler.retry import Again, Close

#: Who says "at three" is not let down by a few minutes.
LATE: Final = timedelta(minutes=5)
#: One that an agent passes on comes again after this.
PASSED_ON: Final = timedelta(minutes=5)
#: A callback later than this is a slip of the pen.
WITHIN: Final = timedelta(days=366)


class State(StrEnum):
    """See above; words of `callback.state`."""

    WAITING = "waiting"
    DIALLING = "dialling"
    DONE = "done"
    MISSED = "missed"
    CANCELED = "canceled"

    @property
    def open(self) -> bool:
        """Whether a call is still owed."""
        return self in (State.WAITING, State.DIALLING)


class Stage(StrEnum):
    """What people are shown: the state, and of one that waits how it stands with its time."""

    WAITING = "waiting"
    DUE = "due"
    LATE = "late"
    DIALLING = "dialling"
    DONE = "done"
    MISSED = "missed"
    CANCELED = "canceled"


class Away(StrEnum):
    """What happens when the agent who has promised a call is not there for it."""

    #: after the campaign's wait any agent gets it
    ANYONE = "anyone"
    #: it stays with its agent, however late
    WAIT = "wait"
    #: it stays with its agent, and after the wait the supervisors are told
    SUPERVISOR = "supervisor"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a campaign lays down for its callbacks."""

    #: of those that do not say it themselves
    away: Away = Away.ANYONE
    #: how long an agent is waited for, seconds
    wait_s: int = 600
    #: how often one is tried
    tries: int = 3
    #: between two tries, seconds
    retry_s: int = 600


@dataclass(frozen=True, slots=True)
class Promise:
    """A callback as its rules need it."""

    id: int
    #: None: any agent
    agent_id: int | None
    from_at: datetime
    #: end of the window; None: it was promised for that moment
    until_at: datetime | None
    due_at: datetime
    away: Away
    #: tries before this one
    tries: int
    terms: Terms


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of a callback after an attempt."""

    state: State
    due_at: datetime
    open_at: datetime | None
    tries: int
    #: of the end
    reason: str | None = None


def open_at(agent_id: int | None, due_at: datetime, away: Away, wait_s: int) -> datetime | None:
    """From when on any agent may have it; None: its own agent alone."""
    if agent_id is None:
        return due_at
    return due_at + timedelta(seconds=wait_s) if away is Away.ANYONE else None


def late_at(until_at: datetime | None, due_at: datetime) -> datetime:
    """From when on one that waits is late."""
    return max(until_at, due_at) if until_at is not None else due_at + LATE


def stage(state: State, until_at: datetime | None, due_at: datetime, now: datetime) -> Stage:
    """What people are shown."""
    if state is not State.WAITING or now < due_at:
        return Stage(state)
    return Stage.LATE if now >= late_at(until_at, due_at) else Stage.DUE


def after_try(
    promise: Promise, result: str, fate: Again | Close, made_at: datetime, ended_at: datetime
) -> tuple[Outcome, Again | Close]:
    """What becomes of a callback whose attempt came to `result`, and of its lead, for which the retry rule
    has said `fate`.

    Not reached, it is tried again after the campaign's time, as often as the campaign says and within the
    window that was promised; then the lead goes by the retry rule. An attempt that does not count for the
    rule (taken back, failed by the carrier), or that was made before the promised time, counts here neither.
    """
    if result == "answered":
        return _end(promise, State.DONE, result), fate
    if isinstance(fate, Close) and fate.reason == "do_not_call":
        return _end(promise, State.CANCELED, fate.reason), fate
    if result in ("invalid", "unknown"):  # nobody is there; nobody knows whether somebody was called
        return _end(promise, State.MISSED, result), fate
    spared = isinstance(fate, Again) and fate.spared
    tries = promise.tries + (0 if spared or made_at < promise.due_at else 1)
    wait = fate.at - ended_at if spared and isinstance(fate, Again) else _seconds(promise.terms.retry_s)
    at = max(promise.due_at, ended_at + wait)
    in_window = promise.until_at is None or at <= promise.until_at or tries == promise.tries
    if tries >= promise.terms.tries or not in_window:
        return _end(promise, State.MISSED, result, tries), fate
    opens = open_at(promise.agent_id, at, promise.away, promise.terms.wait_s)
    again = Again(at, spared=spared, hold=Hold.CALLBACK)
    return Outcome(State.WAITING, at, opens, tries), again


def _seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def _end(promise: Promise, state: State, reason: str, tries: int | None = None) -> Outcome:
    count = promise.tries + 1 if tries is None else tries
    return Outcome(state, promise.due_at, None, count, reason)


def cautious(zones: Sequence[str], at: datetime) -> str:
    """Of the zones where a person may be, the one by which "at three" is latest: whoever is called then is
    not called before the time that was promised, wherever they are. UTC where none is known."""
    known = [name for name in zones if name]
    if not known:
        return "UTC"

    def offset(name: str) -> timedelta:
        return at.astimezone(ZoneInfo(name)).utcoffset() or timedelta()

    return min(sorted(known), key=offset)


def local(at: datetime, zone: str) -> datetime:
    """The moment of a clock's reading in a zone. A reading that comes twice or never is the later one: the
    call is not before what was promised."""
    place = ZoneInfo(zone)
    readings = (at.replace(tzinfo=place, fold=fold).astimezone(UTC) for fold in (0, 1))
    return max(readings)


def skipped(at: datetime, zone: str) -> bool:
    """Whether no clock of the zone ever shows that reading: they are put forward over it."""
    return local(at, zone).astimezone(ZoneInfo(zone)).replace(tzinfo=None) != at
