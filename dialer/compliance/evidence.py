"""What showed that a call might be made, as it is kept with the attempt: short names, for there are many.

at       when the rules were asked
places   zone -> local time there
consent  id of the consent that was asked for, and until when it holds
open     from when to when the hours were open, UTC
tried    attempts counted of a day, a week, a month, at the person over all numbers
dnc      the last entry of do-not-call by then: none of them was for this number
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from dialer.compliance.calendar import FOREVER, Window, places_of
from dialer.compliance.consent import Given, consent_for
from dialer.compliance.filters import Rules, Subject
from dialer.compliance.model import counted


def evidence(subject: Subject, rules: Rules, now: datetime) -> dict[str, Any]:
    """Of a number that every filter lets pass at `now`: what they went by, as it can be written as JSON."""
    places, window = places_of(subject.zones), rules.calendar.window(subject.zones, now, subject.good)
    times = counted([each.made_at for each in subject.tried], now)
    found: dict[str, Any] = {
        "at": now.isoformat(timespec="milliseconds"),
        "purpose": rules.purpose.value,
        "tried": times,
        "dnc": subject.version,
    }
    if isinstance(places, list):
        found["places"] = {place.key: now.astimezone(place).isoformat(timespec="minutes") for place in places}
    if isinstance(window, Window):
        closes = None if window.closes == FOREVER else window.closes.isoformat(timespec="minutes")
        found["open"] = [window.opens.isoformat(timespec="minutes"), closes]
    if rules.asks_consent:
        agreed = consent_for(subject.consents, rules.purpose, now)
        if isinstance(agreed, Given):
            found["consent"] = {"id": agreed.consent.id, "until": agreed.until and agreed.until.isoformat()}
    return found
