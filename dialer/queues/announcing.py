"""What a waiting caller is told, and when. Pure.

A position that has grown is not told (somebody with a higher priority came): nobody likes to move backwards.
A wait that is not known is not told either. Minutes are whole ones: the interval downwards at its beginning
and upwards at its end, so that what was said holds as often as the interval does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

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


def due_at(announce: Announce, since: datetime, told: Told) -> datetime | None:
    """When the next announcement is to be made; None: never."""
    moments = []
    if told.at is None:
        if announce.first_after_s is not None:
            moments.append(since + timedelta(seconds=announce.first_after_s))
    elif announce.every_s is not None:
        moments.append(told.at + timedelta(seconds=announce.every_s))
    if announce.offer_callback_after_s is not None and not told.callback_offered:
        moments.append(since + timedelta(seconds=announce.offer_callback_after_s))
    return min(moments, default=None)


def announcement(
    announce: Announce,
    since: datetime,
    told: Told,
    *,
    position: int,
    wait: Expected | Untold,
    now: datetime,
) -> Announcement | None:
    """What to say at `now`; None: it is not time yet. `position`: 1 is next."""
    due = due_at(announce, since, told)
    if due is None or now < due:
        return None
    offer_at = announce.offer_callback_after_s
    offers = offer_at is not None and not told.callback_offered and now >= since + timedelta(seconds=offer_at)
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


def after(told: Told, said: Announcement, now: datetime) -> Told:
    """What the caller has heard when that was said."""
    return Told(
        at=now,
        position=told.position if said.position is None else said.position,
        callback_offered=told.callback_offered or said.offer_callback,
    )


def spoken(wait: Expected) -> Minutes:
    """The interval in whole minutes; the shortest is "up to one minute"."""
    return Minutes(int(wait.low_s // 60), max(1, math.ceil(wait.high_s / 60)))
