"""Has a person agreed to be called for this purpose? A pure question about the consents on record.

The last word counts. A consent holds from `valid_from` until `valid_until`, unless it was withdrawn; and
whoever withdraws one consent to a purpose withdraws all that was agreed for that purpose until then, however
many forms they had signed. So:

- a consent to `any` purpose covers each of them, one to a single purpose covers that one alone;
- a policy whose purpose is `any` asks for a consent to any, and every withdrawal stands against it: nobody
  knows what its calls are for;
- withdrawing a consent ends all consents given before that cover its purpose, for that purpose; withdrawing
  one to `any` ends all of them. What is agreed later holds again.

No consent, one that is over and one that begins later are all "no". Parameters, not legal advice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from dialer.compliance.policy import Purpose


@dataclass(frozen=True, slots=True)
class Consent:
    """One agreement of a person, as it is on record."""

    id: int
    purpose: Purpose
    #: where it was given: "form on the site"
    source: str
    #: what shows it: an address, the number of a document, the words of a talk
    proof: str
    valid_from: datetime
    #: not at that moment any more; None: until it is withdrawn
    valid_until: datetime | None
    withdrawn_at: datetime | None = None

    def covers(self, purpose: Purpose) -> bool:
        """Whether calls for the purpose were agreed to."""
        return self.purpose in (purpose, Purpose.ANY)


class Lack(StrEnum):
    """Why there is no consent."""

    #: none was ever given for the purpose
    NONE = "none"
    #: it was withdrawn
    WITHDRAWN = "withdrawn"
    #: its time is over
    EXPIRED = "expired"
    #: its time is still to come
    NOT_YET = "not_yet"


@dataclass(frozen=True, slots=True)
class Given:
    """There is a consent."""

    #: the one that holds longest: what proves the call
    consent: Consent
    #: until when, if nothing else happens; None: no end is known
    until: datetime | None


@dataclass(frozen=True, slots=True)
class NotGiven:
    """There is no consent."""

    #: why
    reason: Lack
    #: when one begins, if nothing else happens; None: not before a person agrees
    until: datetime | None = None


def consent_for(consents: Iterable[Consent], purpose: Purpose, now: datetime) -> Given | NotGiven:
    """Whether these consents of one person allow calls for `purpose` at `now`."""
    known = list(consents)
    covering = [one for one in known if one.covers(purpose)]
    if not covering:
        return NotGiven(Lack.NONE)
    against = known if purpose is Purpose.ANY else covering
    last_no = max(
        (one.withdrawn_at for one in against if one.withdrawn_at is not None and one.withdrawn_at <= now),
        default=None,
    )
    standing = [
        one
        for one in covering
        if (one.withdrawn_at is None or one.withdrawn_at > now)
        and (last_no is None or one.valid_from > last_no)
    ]
    if not standing:
        return NotGiven(Lack.WITHDRAWN)
    holding = [
        one
        for one in standing
        if one.valid_from <= now and (one.valid_until is None or now < one.valid_until)
    ]
    if holding:
        best = max(holding, key=_lasts)
        return Given(best, best.valid_until)
    coming = [one.valid_from for one in standing if one.valid_from > now]
    return NotGiven(Lack.NOT_YET, min(coming)) if coming else NotGiven(Lack.EXPIRED)


def _lasts(consent: Consent) -> tuple[bool, float, int]:
    until = consent.valid_until
    return until is None, until.timestamp() if until else 0.0, -consent.id
