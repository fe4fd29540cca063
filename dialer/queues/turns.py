"""Calls back in turn: the caller hangs up, the place in the queue is kept, and they are called when it comes.
Pure.

A place keeps the beginning of the wait and its priority, so it moves up like anybody else's. The caller is
called when an agent is likely to be free by the time they answer, not before: nobody is called in order to
wait. Who does not answer is tried once more a little later; after the second time the place is given up, and
it becomes a task: a promised call like any other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from dialer.queues import waits
from dialer.queues.model import USUAL_PRIORITY, Waiting
from dialer.queues.waits import Outlook

#: Seconds that a called phone rings, about; what is asked for is an agent after so long.
USUAL_RING_S: Final = 15.0
#: How likely an agent must be by then. Who answers too early waits, first in the queue.
LEAST_CHANCE: Final = 0.8
#: Times that a caller is called.
MOST_TRIES: Final = 2
#: Seconds from one try to the next.
AGAIN_AFTER_S: Final = 300


class Stage(StrEnum):
    """Where a kept place is."""

    KEPT = "kept"
    CALLING = "calling"
    #: the caller has answered: in the queue again, with the old place, or with an agent
    BACK = "back"
    #: given up: somebody has to call, at another time
    TASK = "task"
    #: the caller came by themselves, or wants no call any more
    DROPPED = "dropped"


class Outcome(StrEnum):
    """What became of a call to the caller."""

    ANSWERED = "answered"
    NOT_REACHED = "not_reached"  # no answer, busy, a machine
    REFUSED = "refused"  # declined
    NOT_PLACED = "not_placed"  # our side: no line, the carrier; uses no try up


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


def keep(waiting: Waiting) -> Place:
    """The place of a caller who asks to be called back. Raises ValueError outside a queue."""
    if waiting.queue_id is None:
        raise ValueError("who waits in no queue has no place in it")
    return Place(waiting.call_id, waiting.queue_id, waiting.since, waiting.priority)


def due(
    place: Place,
    outlook: Outlook,
    now: datetime,
    *,
    ring_s: float = USUAL_RING_S,
    least_chance: float = LEAST_CHANCE,
) -> bool:
    """Whether the caller is to be called now.

    `outlook`: with those before the place, whether they wait or are being called. Where nothing is known of
    the queue, the caller is called when an agent is free and it is their turn.
    """
    if place.stage is not Stage.KEPT or (place.not_before is not None and now < place.not_before):
        return False
    likely = waits.chance(outlook, ring_s)
    return not isinstance(likely, waits.Untold) and likely >= least_chance


def called(place: Place) -> Place:
    """The place whose caller is being called."""
    return _moved(place, Stage.CALLING, tries=place.tries + 1)


def settled(place: Place, outcome: Outcome, now: datetime) -> Place:
    """What becomes of the place by what became of the call. Raises ValueError where none is under way."""
    if place.stage is not Stage.CALLING:
        raise ValueError(f"a place that is {place.stage} has no call")
    match outcome:
        case Outcome.ANSWERED:
            return _moved(place, Stage.BACK)
        case Outcome.NOT_PLACED:
            again = now + timedelta(seconds=AGAIN_AFTER_S)
            return _moved(place, Stage.KEPT, tries=place.tries - 1, not_before=again)
        case Outcome.NOT_REACHED | Outcome.REFUSED:
            if place.tries >= MOST_TRIES:
                return _moved(place, Stage.TASK)
            return _moved(place, Stage.KEPT, not_before=now + timedelta(seconds=AGAIN_AFTER_S))


def dropped(place: Place) -> Place:
    """The caller came by themselves, or wants no call any more."""
    return place if place.stage in (Stage.BACK, Stage.TASK) else _moved(place, Stage.DROPPED)


def closed(place: Place) -> Place:
    """The queue closes: whoever was not called yet becomes a task."""
    return _moved(place, Stage.TASK) if place.stage is Stage.KEPT else place


def _moved(
    place: Place, stage: Stage, *, tries: int | None = None, not_before: datetime | None = None
) -> Place:
    return replace(place, stage=stage, tries=place.tries if tries is None else tries, not_before=not_before)
