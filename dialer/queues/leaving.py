"""Who may enter a queue, how long they may stay, and where they go then. Pure.

A caller who moves to another queue keeps the beginning of the wait, so nobody there who came later is served
before them; the time that the new queue allows is counted anew. A queue that the caller has been in is not
entered a second time: whoever has come round goes back to the flow.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from dialer.queues.model import End, Overflow, Queue


class Cause(StrEnum):
    """Why a caller does not stay: also the event that the flow goes on from."""

    FULL = "full"  # so many wait already
    EMPTY = "empty"  # nobody is at work
    TIMEOUT = "timeout"  # the maximum wait is over


@dataclass(frozen=True, slots=True)
class Goes:
    """Where a caller goes."""

    to: Overflow
    cause: Cause
    #: with Overflow.QUEUE
    queue_id: int | None = None


def entry(
    queue: Queue,
    *,
    waiting: int,
    at_work: int,
    queues: Mapping[int, Queue],
    been_in: Collection[int] = (),
) -> Goes | None:
    """Where somebody goes whom the queue does not take; None: they are let in.

    `waiting`: who is in the queue now; `at_work`: agents logged in who could serve it; `been_in`: the queues
    that the caller was in before.
    """
    full = queue.max_waiting is not None and waiting >= queue.max_waiting
    if full:
        return _goes(queue, Cause.FULL, queues, been_in)
    if queue.needs_agents and at_work == 0:
        return _goes(queue, Cause.EMPTY, queues, been_in)
    return None


def over(
    queue: Queue,
    entered_at: datetime,
    now: datetime,
    *,
    queues: Mapping[int, Queue],
    been_in: Collection[int] = (),
) -> Goes | None:
    """Where somebody goes who has waited in this queue for as long as it allows; None: they stay."""
    until = stays_until(queue, entered_at)
    if until is None or now < until:
        return None
    return _goes(queue, Cause.TIMEOUT, queues, been_in)


def stays_until(queue: Queue, entered_at: datetime) -> datetime | None:
    """When the maximum wait is over; None: never."""
    return None if queue.max_wait_s is None else entered_at + timedelta(seconds=queue.max_wait_s)


def end_of(goes: Goes) -> End:
    """How the stay ends of somebody who goes there."""
    match goes.to:
        case Overflow.QUEUE:
            return End.OVERFLOW
        case Overflow.VOICEMAIL:
            return End.VOICEMAIL
        case Overflow.FLOW:
            return End(goes.cause)


def _goes(queue: Queue, cause: Cause, queues: Mapping[int, Queue], been_in: Collection[int]) -> Goes:
    if queue.overflow is not Overflow.QUEUE:
        return Goes(queue.overflow, cause)
    wanted = queue.overflow_queue_id
    if wanted is None or wanted not in queues or wanted == queue.id or wanted in been_in:
        return Goes(Overflow.FLOW, cause)
    return Goes(Overflow.QUEUE, cause, wanted)
