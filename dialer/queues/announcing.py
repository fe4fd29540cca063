"""What a waiting caller is told, and when. Pure.

A position that has grown is not told (somebody with a higher priority came): nobody likes to move backwards.
A wait that is not known is not told either. Minutes are whole ones: the interval downwards at its beginning
and upwards at its end, so that what was said holds as often as the interval does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from dialer.queues.model import Announce
from dialer.queues.waits import Expected, Untold


@dataclass(frozen=True, slots=True)
class Told:
    """What a caller has heard so far."""

    #: None: nothing yet
    at: datetime | None = None
    #: the lowest position that was told
    position: int | None = None
    callback_offered: bool = False
    #: when it was looked whether a call back is to be offered, and it was not: the wait is too short
    looked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Minutes:
    """A wait as it is spoken: from so many minutes to so many; from 0 is "up to"."""

    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Announcement:
    """What is to be said now. All of it empty: only that the call is kept in its turn."""

    position: int | None
    minutes: Minutes | None
    offer_callback: bool


#: A call back that was not offered, for the expected wait is too short, is thought of again after this.
LOOK_AGAIN: Final = timedelta(seconds=15)


def due_at(announce: Announce, since: datetime, told: Told) -> datetime | None:
    """When something may be to be said next; None: never."""
    moments = [_said_at(announce, since, told), _offered_at(announce, since, told)]
    return min((moment for moment in moments if moment is not None), default=None)


def _said_at(announce: Announce, since: datetime, told: Told) -> datetime | None:
    """When the place and the wait are told next."""
    if told.at is None:
        return None if announce.first_after_s is None else since + timedelta(seconds=announce.first_after_s)
    return None if announce.every_s is None else told.at + timedelta(seconds=announce.every_s)


def _offered_at(announce: Announce, since: datetime, told: Told) -> datetime | None:
    """When it is looked whether a call back is offered."""
    if announce.offer_callback_after_s is None or told.callback_offered:
        return None
    first = since + timedelta(seconds=announce.offer_callback_after_s)
    return first if told.looked_at is None else max(first, told.looked_at + LOOK_AGAIN)


def announcement(
    announce: Announce,
    since: datetime,
    told: Told,
    *,
    position: int,
    wait: Expected | Untold,
    now: datetime,
) -> Announcement | None:
    """What to say at `now`; None: nothing yet. `position`: 1 is next."""
    said_at, offered_at = _said_at(announce, since, told), _offered_at(announce, since, told)
    offers = offered_at is not None and now >= offered_at and _long_enough(announce, wait)
    if not offers and (said_at is None or now < said_at):
        return None
    says_position = (
        announce.position
        and position <= announce.most_position
        and (told.position is None or position <= told.position)
    )
    return Announcement(
        position=position if says_position else None,
        minutes=spoken(wait) if announce.wait and isinstance(wait, Expected) else None,
        offer_callback=offers,
    )


def _long_enough(announce: Announce, wait: Expected | Untold) -> bool:
    """Whether the wait is one for which a call back is offered; one that is not known may be long."""
    least_s = announce.offer_callback_wait_s
    return least_s is None or not isinstance(wait, Expected) or wait.mean_s >= least_s


def after_silence(told: Told, announce: Announce, since: datetime, now: datetime) -> Told:
    """What the caller has heard when there was nothing to say, or it could not be said: not at once again."""
    said_at = _said_at(announce, since, told)
    missed = said_at is not None and now >= said_at
    return replace(told, at=now if missed else told.at, looked_at=now)


def after(told: Told, said: Announcement, now: datetime) -> Told:
    """What the caller has heard when that was said."""
    return Told(
        at=now,
        position=told.position if said.position is None else said.position,
        callback_offered=told.callback_offered or said.offer_callback,
        looked_at=now,
    )


def spoken(wait: Expected) -> Minutes:
    """The interval in whole minutes; the shortest is "up to one minute"."""
    return Minutes(int(wait.low_s // 60), max(1, math.ceil(wait.high_s / 60)))
