"""Calls back in turn: the caller hangs up, the place in the queue is kept, and they are called when it comes.
Pure.

A place keeps the beginning of the wait and its priority, so it moves up like anybody else's, and an agent is
given to it as to a caller on the line. That agent is reserved first and the person called then: who was
called has waited once, and is not called in order to wait. It costs the agent the time of ringing.

Who does not answer is tried again a little later, with the same place; after the queue's number of tries the
place is given up, and it becomes a task: a promised call like any other. So it does when the queue closes. A
call of which nobody knows what became is not made again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from uuid import UUID

from dialer.queues.model import USUAL_PRIORITY, Waiting

#: Times that a caller is called, and seconds from one try to the next, where the queue does not say.
MOST_TRIES: Final = 2
AGAIN_AFTER_S: Final = 300


class Stage(StrEnum):
    """Where a kept place is."""

    KEPT = "kept"
    CALLING = "calling"
    #: the caller has talked with the agent
    BACK = "back"
    #: given up: somebody has to call, at another time
    TASK = "task"
    #: nobody calls any more
    DROPPED = "dropped"


class Why(StrEnum):
    """How a place ended, where the stage does not say."""

    #: the caller came by themselves, or was served meanwhile
    CAME_BACK = "came_back"
    #: nobody knows what became of a call to them
    UNKNOWN = "unknown"
    #: somebody took it away
    CANCELED = "canceled"
    #: a rule forbids the call for good
    FORBIDDEN = "forbidden"
    #: was asked to forget the person
    ERASED = "erased"


class Outcome(StrEnum):
    """What became of a call to the caller."""

    ANSWERED = "answered"
    NOT_REACHED = "not_reached"  # no answer, busy, declined, a number that leads to nobody
    NOT_PLACED = "not_placed"  # our side: no line, the carrier; uses no try up
    UNKNOWN = "unknown"


#: What results of calls say; whatever is not here: not reached.
OUTCOMES: Final[Mapping[str, Outcome]] = MappingProxyType(
    {
        "answered": Outcome.ANSWERED,
        "congestion": Outcome.NOT_PLACED,
        "failed": Outcome.NOT_PLACED,
        "canceled": Outcome.NOT_PLACED,
        "unknown": Outcome.UNKNOWN,
    }
)


@dataclass(frozen=True, slots=True)
class Again:
    """How often, and how long after one another, a queue has its callers called."""

    most_tries: int = MOST_TRIES
    after_s: int = AGAIN_AFTER_S


@dataclass(frozen=True, slots=True)
class Place:
    """A place that is kept."""

    #: of the call in which it was asked for
    call_id: UUID
    queue_id: int
    #: the beginning of the wait
    since: datetime
    priority: int = USUAL_PRIORITY
    stage: Stage = Stage.KEPT
    tries: int = 0
    #: not called before; None: at any time
    not_before: datetime | None = None
    why: Why | None = None


def keep(waiting: Waiting) -> Place:
    """The place of a caller who asks to be called back. Raises ValueError outside a queue."""
    if waiting.queue_id is None:
        raise ValueError("who waits in no queue has no place in it")
    return Place(waiting.call_id, waiting.queue_id, waiting.since, waiting.priority)


def due(place: Place, now: datetime) -> bool:
    """Whether the place stands in the queue now, to be called when an agent is free for it."""
    return place.stage is Stage.KEPT and (place.not_before is None or now >= place.not_before)


def called(place: Place) -> Place:
    """The place whose caller is being called."""
    return _moved(place, Stage.CALLING, tries=place.tries + 1)


def settled(place: Place, outcome: Outcome, now: datetime, again: Again = Again()) -> Place:
    """What becomes of the place by what became of the call. Raises ValueError where none is under way."""
    if place.stage is not Stage.CALLING:
        raise ValueError(f"a place that is {place.stage} has no call")
    later = now + timedelta(seconds=again.after_s)
    match outcome:
        case Outcome.ANSWERED:
            return _moved(place, Stage.BACK)
        case Outcome.UNKNOWN:
            return _moved(place, Stage.DROPPED, why=Why.UNKNOWN)
        case Outcome.NOT_PLACED:
            return _moved(place, Stage.KEPT, tries=place.tries - 1, not_before=later)
        case Outcome.NOT_REACHED:
            if place.tries >= again.most_tries:
                return _moved(place, Stage.TASK)
            return _moved(place, Stage.KEPT, not_before=later)


def dropped(place: Place, why: Why = Why.CAME_BACK) -> Place:
    """The caller came by themselves, or wants no call any more."""
    open_ = place.stage in (Stage.KEPT, Stage.CALLING)
    return _moved(place, Stage.DROPPED, why=why) if open_ else place


def closed(place: Place) -> Place:
    """The queue closes: whoever was not called yet becomes a task."""
    return _moved(place, Stage.TASK) if place.stage is Stage.KEPT else place


def _moved(
    place: Place,
    stage: Stage,
    *,
    tries: int | None = None,
    not_before: datetime | None = None,
    why: Why | None = None,
) -> Place:
    tries = place.tries if tries is None else tries
    return replace(place, stage=stage, tries=tries, not_before=not_before, why=why)
