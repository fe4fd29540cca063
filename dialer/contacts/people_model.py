"""A person's card as values, and what a change of their numbers means for the leads that wait. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from dialer.compliance.policy import Hours

#: Longest name of a number ("work"), in characters.
MAX_LABEL = 50
#: Most columns of its own that a contact has.
MAX_CUSTOM_FIELDS = 200
#: Why a lead was closed whose number was taken off the card.
PHONE_REMOVED = "phone_removed"
#: What a lead may rest for that another zone may end.
OF_ZONES = frozenset({"zone", "hours"})


@dataclass(frozen=True, slots=True)
class Number:
    """A number of a person, as their card has it."""

    id: int
    #: 1 is dialled first
    position: int
    e164: str
    #: mobile, fixed_line, ...: phonenumbers' own words
    kind: str
    #: as people call it: "work"
    label: str
    #: all candidate zones of the number
    timezones: tuple[str, ...]
    #: the hours at which the person asked to be called on it, by their clock
    good: Hours | None
    #: it is in a call now
    busy: bool = False
    #: it leads to nobody, and is not dialled
    dead: bool = False


@dataclass(frozen=True, slots=True)
class Membership:
    """A list that has the person."""

    list_id: int
    name: str
    added_at: datetime


@dataclass(frozen=True, slots=True)
class LeadOf:
    """A number of the person that a campaign calls, or has called."""

    id: int
    campaign_id: int
    campaign: str
    #: of the campaign
    running: bool
    list_id: int
    e164: str
    status: str
    #: what it rests for; None: nothing
    hold: str | None
    open_from: datetime
    attempts: int
    last_result: str | None
    last_attempt_at: datetime | None
    closed_reason: str | None


@dataclass(frozen=True, slots=True)
class Card:
    """What is kept of a person."""

    id: int
    external_id: str | None
    last_name: str
    first_name: str
    middle_name: str
    email: str
    #: IANA name from the record; None: the numbers' candidates count
    timezone: str | None
    custom: Mapping[str, str]
    created_at: datetime
    #: nothing of the person is left since then
    erased_at: datetime | None
    numbers: Sequence[Number]

    @property
    def name(self) -> str:
        """Last, first and middle name, as far as they are known."""
        return " ".join(filter(None, (self.last_name, self.first_name, self.middle_name)))


@dataclass(frozen=True, slots=True)
class Waiting:
    """A lead of the person that is not closed."""

    id: int
    campaign_id: int
    e164: str
    timezones: tuple[str, ...]
    #: nobody has called it yet
    untouched: bool


@dataclass(frozen=True, slots=True)
class Refit:
    """What becomes of a lead."""

    lead_id: int
    #: None: it is closed, there is no number left for it
    e164: str | None
    timezones: tuple[str, ...] = ()


def refit(
    leads: Sequence[Waiting],
    numbers: Sequence[Number],
    timezone: str | None,
    *,
    renamed: Mapping[str, str],
    taken: Collection[tuple[int, str]],
    reordered: bool,
) -> list[Refit]:
    """How the waiting leads of a person must change after their numbers or zone did; only those that must.

    - A lead goes on with its number; where that was corrected (`renamed`, old to new), with the new one.
    - A number that is gone gives way to the first that the campaign does not have; without one it is closed.
    - After the numbers were put into another order, what nobody has called yet begins with the first.
    - The record's zone wins over the number's candidates.

    `numbers` in their order; `taken`: (campaign, number) of leads, also closed ones and other people's.
    """
    order = [number.e164 for number in numbers]
    zones = {number.e164: (timezone,) if timezone else number.timezones for number in numbers}
    used = set(taken)
    found: list[Refit] = []
    for lead in leads:
        wanted = [renamed.get(lead.e164, lead.e164)]
        if reordered and lead.untouched:
            wanted = [*order[:1], *wanted]
        target = next(
            (
                e164
                for e164 in (*wanted, *order)
                if e164 in zones and (e164 == lead.e164 or (lead.campaign_id, e164) not in used)
            ),
            None,
        )
        if target is None:
            found.append(Refit(lead.id, None))
            continue
        if target != lead.e164:
            used.discard((lead.campaign_id, lead.e164))
            used.add((lead.campaign_id, target))
        if target != lead.e164 or zones[target] != lead.timezones:
            found.append(Refit(lead.id, target, zones[target]))
    return found
