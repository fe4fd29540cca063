"""What each step says of one lead or number: the facts as they stand, put to the rules as the placer does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.agents.model import AgentState, Shift
from dialer.calls.terms import CallTerms
from dialer.compliance.calendar import FOREVER, Denied, Window, place_of, places_of
from dialer.compliance.filters import Answer as Said
from dialer.compliance.filters import Filter, Rules, Subject, answers
from dialer.compliance.model import counted
from dialer.compliance.refusals import near
from dialer.pacing.model import DialMode
from dialer.reports.live import Trouble
from dialer.trunks import loads
from dialer.trunks import store as trunks
from dialer.trunks.caps import Rate
from dialer.trunks.model import Ask, Book, Choice, Refused, Trunk, choose, nearest
from dialer.whynot import model as m
from dialer.whynot.model import Answer, CampaignRef
from dialer.whynot.store import LeadFacts

#: Agents in these states are there, or will be within a talk.
_AT_WORK = (AgentState.READY, AgentState.RESERVED, AgentState.TALKING, AgentState.WRAP_UP)


@dataclass(frozen=True, slots=True)
class Lines:
    """The trunks of a campaign at this moment, and the tariffs of some numbers."""

    trunks: Sequence[Trunk]
    book: Book
    #: number -> trunk -> tariff
    rates: Mapping[str, Mapping[int, Rate | None]]

    def choice(self, e164: str) -> Choice | Refused:
        """The trunk that takes a call to the number, or why none does."""
        return choose(self.trunks, self.book, Ask(e164), self.rates.get(e164))

    def never_take(self, e164: str) -> bool:
        """Whether it is the number that they refuse."""
        answer = self.choice(e164)
        return isinstance(answer, Refused) and answer.reason.of_number


async def lines_of(conn: AsyncConnection, terms: CallTerms, numbers: Sequence[str]) -> Lines:
    """Look at them. A carrier that answers no Asterisk takes no call."""
    set_now, book = await loads.read(conn, terms.tenant_id, terms.trunks)
    silent = await trunks.silent(conn)
    reach = {
        trunk.id: replace(book.loads[trunk.id], reachable=trunk.endpoint not in silent) for trunk in set_now
    }
    rates = await loads.rates(conn, terms.tenant_id, set_now, numbers)
    return Lines(set_now, replace(book, loads=reach), rates)


# -- the lead ---------------------------------------------------------------------------------------------


def of_lead(one: LeadFacts, subject: Subject, rules: Rules, now: datetime) -> Iterator[Answer]:
    """The steps from the lead to its calendar, in their order."""
    closed = one.status == "closed"
    yield Answer(m.LEAD, closed, (one.closed_reason or "other") if closed else "open")
    yield Answer(m.CALL, *_call(one.status, busy=one.busy))
    said = list(answers(subject, rules, now))
    denied = {each.filter.value: each.denied for each in said}
    for step in m.STEPS[m.STEPS.index(m.CALL) + 1 : m.STEPS.index(m.WINDOW) + 1]:
        if step == m.WAIT:
            yield _wait(one, now)
        elif step == m.WINDOW:
            yield _window(one, denied, now)
        else:
            yield of_filter(next(each for each in said if each.filter.value == step), subject, rules, now)


def _call(status: str, *, busy: bool) -> tuple[bool, str]:
    if status in ("dialling", "offered"):
        return True, "in_call" if status == "dialling" else status
    return busy, "number_busy" if busy else ""


def _wait(one: LeadFacts, now: datetime) -> Answer:
    values = {"result": one.lead.last_result or "", "attempts": one.lead.attempts}
    if one.status == "closed":
        return Answer(m.WAIT, values=values)
    zones, promised = one.lead.timezones, one.promised
    if promised is not None and promised.for_anybody(now):
        return Answer(m.WAIT, reason="promised", values=values)
    if one.hold == "callback" and promised is not None:
        own = promised.due_at <= now  # it is its agent's alone
        until = promised.open_at if own else promised.due_at
        place = place_of(zones, until) if until else ""
        reason = "callback_own" if own else "callback"
        return Answer(m.WAIT, True, reason, until, place, values | {"agent": promised.agent})
    if (one.hold is None or one.hold in m.OWN_WAITS) and one.open_from > now:
        place = place_of(zones, one.open_from)
        return Answer(m.WAIT, True, one.hold or "later", near(one.open_from, now), place, values)
    return Answer(m.WAIT, values=values)


def _window(one: LeadFacts, denied: Mapping[str, Denied | None], now: datetime) -> Answer:
    """What is written on the lead, where no rule says the same."""
    if one.status not in ("new", "waiting") or one.campaign.status != "running":
        return Answer(m.WINDOW)
    if one.promised is not None and one.promised.for_anybody(now):
        return Answer(m.WINDOW)  # its time is the callback's
    if one.hold == "callback":
        # Of a callback that is no more: it goes back to its list.
        lost = one.promised is None and one.open_from <= now
        return Answer(m.WINDOW, lost, "being_written" if lost else "")
    if one.hold is not None and one.hold not in m.OWN_WAITS and one.open_from > now:
        if denied.get(one.hold) is not None:
            return Answer(m.WINDOW)
        place = place_of(one.lead.timezones, one.open_from)
        return Answer(m.WINDOW, True, "rests", near(one.open_from, now), place, {"hold": one.hold})
    if one.open_until <= now and one.open_from <= now and denied.get(Filter.HOURS.value) is None:
        return Answer(m.WINDOW, True, "being_written")
    return Answer(m.WINDOW)


def of_filter(said: Said, subject: Subject, rules: Rules, now: datetime) -> Answer:
    """A filter's answer, with what it went by."""
    step, no = said.filter.value, said.denied
    if no is not None:
        place = place_of(subject.zones, no.until) if no.until else ""
        values: dict[str, Any] = {"detail": no.detail, "policy": rules.policy.code}
        values |= {"purpose": rules.purpose.value, "mode": rules.mode}
        return Answer(step, True, no.reason.value, near(no.until, now), place, values)
    if said.filter is Filter.CONSENT:
        return Answer(step, reason="given" if rules.asks_consent else "not_asked")
    if said.filter is Filter.ZONE:
        places = places_of(subject.zones)
        known = places if isinstance(places, list) else []
        return Answer(step, reason="known", values={"zones": [place.key for place in known]})
    if said.filter is Filter.HOURS:
        found = rules.calendar.window(subject.zones, now, subject.good)
        closes = found.closes if isinstance(found, Window) and found.closes < FOREVER else None
        last = _last_place(subject.zones, closes) if closes else ""
        return Answer(step, reason="open" if closes else "always", until=closes, place=last)
    if said.filter is Filter.LIMITS:
        times = counted([each.made_at for each in subject.tried], now)
        return Answer(step, reason="counted", values={"today": times["per_day"]})
    return Answer(step)


def _last_place(zones: Sequence[str], at: datetime) -> str:
    """Where it is latest by the clock: there the hours end first."""
    places = places_of(zones)
    if not isinstance(places, list):
        return ""
    return max(places, key=lambda place: (str(at.astimezone(place).replace(tzinfo=None)), place.key)).key


def not_before(
    found: Sequence[Answer], subject: Subject, rules: Rules, now: datetime, *, closed: bool
) -> datetime | None:
    """When all that is known of the lead and the number lets it pass; None: now, or nobody knows."""
    stops = [one for one in found if one.stops and one.step in m.OF_LEAD]
    if not stops or closed:
        return None
    passing = m.latest(stops)
    if passing is None:
        return None
    window = rules.calendar.window(subject.zones, max(passing, now), subject.good)
    return max(window.opens, passing) if isinstance(window, Window) else None


# -- the campaign -----------------------------------------------------------------------------------------


def of_campaign(campaign: CampaignRef) -> Answer:
    """Whether it runs."""
    return Answer(m.CAMPAIGN, campaign.status != "running", campaign.status)


def of_policy(terms: CallTerms | None) -> Answer:
    """Whether its rules are known to this server."""
    if terms is None:
        return Answer(m.POLICY, True, "unknown")
    return Answer(m.POLICY, reason="known", values={"policy": terms.policy.stamp})


def of_lines(lines: Lines, e164: str | None) -> Answer:
    """Whether a trunk takes a call to the number, or (None) any call at all."""
    found = nearest(lines.trunks, lines.book) if e164 is None else lines.choice(e164)
    if found is None:
        return Answer(m.LINES)
    if isinstance(found, Choice):
        return Answer(m.LINES, reason="takes", values={"trunk": found.trunk.name})
    refused = found
    name = next((trunk.name for trunk in lines.trunks if trunk.id == refused.trunk_id), "")
    return Answer(m.LINES, True, refused.reason.value, refused.retry_at, values={"trunk": name})


def of_server(troubles: Sequence[Trouble]) -> Answer:
    """Whether the engine is there and has its Asterisk."""
    return Answer(m.SERVER, bool(troubles), troubles[0].code if troubles else "")


def of_agents(terms: CallTerms, shifts: Sequence[Shift]) -> Answer:
    """Whether there is anybody to talk with who is called."""
    if terms.mode is DialMode.FLOW:
        return Answer(m.AGENTS, reason="by_flow", values={"flow": terms.flow})
    able = [one for one in shifts if terms.skill is None or terms.skill in one.skills]
    ready = sum(one.state is AgentState.READY for one in able)
    working = sum(one.state in _AT_WORK for one in able)
    values: dict[str, Any] = {"logged_in": len(able), "ready": ready, "busy": working - ready}
    values |= {"skill": terms.skill or "", "others": len(shifts)}
    if not able:
        return Answer(m.AGENTS, True, "none_with_skill" if terms.skill and shifts else "none", values=values)
    if terms.mode is DialMode.MANUAL:
        return Answer(m.AGENTS, True, "by_hand", values=values)
    ahead = terms.mode is DialMode.PREDICTIVE  # dials for agents who are not free yet
    if not (working if ahead else ready):
        return Answer(m.AGENTS, True, "all_busy" if working else "none_ready", values=values)
    return Answer(m.AGENTS, reason="there", values=values)
