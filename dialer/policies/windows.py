"""When the leads of a campaign may be dialled, as the calendar writes it on them.

open    `open_from` is not in the future, `hold` is null: the claim may take it until `open_until`
closed  `hold` is `hours` until `open_from`, the next opening; `open_until` is its end
never   nobody knows the zone, or no hour suits all that must be open: looked at again in a day
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.compliance.calendar import Calendar, Denied, Reason
from dialer.compliance.filters import Filter
from dialer.compliance.policy import ALL_DAY, Day
from dialer.policies import store

#: What is not known now is looked at again after this.
ASK_AGAIN = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Opening:
    """The times of a lead, see above."""

    open_from: datetime
    open_until: datetime
    #: None: it may be dialled from `open_from` on, which is what was asked about
    hold: Filter | None


def opening(calendar: Calendar, zones: Sequence[str], since: datetime, good: Day = ALL_DAY) -> Opening:
    """The times of a lead in these zones that may be dialled from `since` on as far as anything else goes."""
    found = calendar.window(zones, since, good)
    if isinstance(found, Denied):
        # Both the same: when it wakes it is not open, and the calendar's writer is to look at it.
        again = since + ASK_AGAIN
        unknown = found.reason in (Reason.NO_ZONE, Reason.UNKNOWN_ZONE)
        return Opening(again, again, Filter.ZONE if unknown else Filter.HOURS)
    if found.opens <= since:
        return Opening(since, found.closes, None)
    return Opening(found.opens, found.closes, Filter.HOURS)


async def openings(
    conn: AsyncConnection,
    tenant_id: int,
    campaign_id: int,
    zone_sets: Iterable[tuple[str, ...]],
    now: datetime,
) -> dict[tuple[str, ...], Opening]:
    """For new leads of a campaign: the times of each set of zones, once. Empty where the campaign's policy is
    not known: what is not in it is looked at by the writer."""
    rules = (await store.rules(conn, tenant_id, [campaign_id])).get(campaign_id)
    if rules is None:
        return {}
    return {zones: opening(rules.calendar, zones, now) for zones in set(zone_sets)}
