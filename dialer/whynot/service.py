"""Why not: for a number, a contact, a lead and a campaign, as it stands now. Nothing is changed by asking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.agents import store as agents
from dialer.agents.model import Shift
from dialer.calls import admission
from dialer.calls.targets import Target
from dialer.calls.terms import CallTerms
from dialer.campaigns.terms import DatabaseTermsBook
from dialer.clock import utc_now
from dialer.compliance.calendar import place_of
from dialer.compliance.consent import NotGiven, consent_for
from dialer.compliance.filters import Answer as Said
from dialer.compliance.filters import Filter, Rules, Subject, answers, stopped
from dialer.compliance.model import STARTED_BY_PERSON
from dialer.compliance.refusals import near
from dialer.contacts import consents, people_store
from dialer.contacts.numbers import number_of
from dialer.db.session import Database
from dialer.donotcall import store as donotcall
from dialer.errors import NotFound
from dialer.httpkit.access import Actor, Right
from dialer.pacing.model import DialMode
from dialer.policies.windows import Opening, opening
from dialer.reports import live_store
from dialer.reports.live import LiveService, Trouble
from dialer.settings import Settings
from dialer.whynot import counting, judging, store
from dialer.whynot import model as m
from dialer.whynot.model import Answer, CampaignRef, Count, Finding, Funnel, Report
from dialer.whynot.store import HOUR, LeadFacts
from dialer.whynot.words import Words
from scheduler import hopper
from scheduler.calendar_writer import stamp_of

#: Leads of a number or a contact that are answered for; there are more only where somebody plays with it.
MOST_LEADS = 30
#: Of a campaign's leads that are open the next ones, to whom every rule is put one by one.
LOOKED_AT = 500
#: What passes at a time that is written on the lead; what else rests is looked at again, that is all.
_PASS_BY_THEMSELVES = frozenset(
    {
        (m.WAIT, "retry"),
        (m.WAIT, "callback"),
        (m.WAIT, "later"),
        (Filter.HOURS.value, ""),
        (Filter.LIMITS.value, ""),
        (Filter.REDIAL.value, ""),
    }
)


@dataclass(frozen=True, slots=True)
class _Now:
    """What is the same for all that is asked at one moment."""

    at: datetime
    shifts: Sequence[Shift]
    troubles: Sequence[Trouble]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the rules say to the next leads of a campaign."""

    #: they may be dialled
    passed: int
    #: what stops the others, without those that are counted by their rows
    counts: Sequence[Count] = ()
    #: it stops every lead, whichever is asked
    every: Filter | None = None


class WhyNotService:
    """Answers for a tenant's campaigns."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._region = settings.default_region
        # The sound of a message is of no interest here.
        self._book = DatabaseTermsBook(database, Path())
        self._live = LiveService(database)

    # -- one number ----------------------------------------------------------------------------------------

    async def number(self, actor: Actor, number: str, campaign_id: int | None = None) -> Report:
        """Why campaigns do not dial a number, however it is written; `campaign_id`: that one alone, also
        where it has no lead of it. Raises BadNumber, NotFound (of the campaign)."""
        actor.require(Right.CONTACTS_READ)
        read = number_of(number, self._region)
        now, tenant_id = await self._now(actor.tenant_id), actor.tenant_id
        async with self._database.tenant(tenant_id) as conn:
            known = await store.known(conn, tenant_id, e164=read.e164)
            # A campaign that there is not: what counts for all.
            unwanted = await donotcall.covering(conn, tenant_id, [read.e164], 0, now.at)
            said = await donotcall.entries_of(conn, tenant_id, [read.e164])
            rows = await store.leads(
                conn,
                tenant_id,
                contact_ids=[one.contact_id for one in known],
                e164=read.e164,
                campaign_id=campaign_id,
                most=MOST_LEADS + 1,
            )
            zones = await store.zones(conn, tenant_id, read.e164)
        found = await self._findings(tenant_id, rows[:MOST_LEADS], now)
        if campaign_id is not None and not rows:
            campaign = await self._campaign(tenant_id, campaign_id)
            contact = known[0].contact_id if known else None
            at = read.timezones if zones is None else zones
            found = [await self._without_lead(tenant_id, campaign, read.e164, at, contact, now)]
        ban = unwanted.get(read.e164)
        return Report(
            read.e164,
            tuple(known),
            ban is not None,
            tuple(found),
            more=len(rows) > MOST_LEADS,
            entries=tuple(
                one for one in said if one.in_force(now.at) and one.campaign_id in (None, campaign_id)
            ),
            erased=ban is not None and ban.source == donotcall.ERASED,
        )

    async def contact(self, actor: Actor, contact_id: int) -> Report:
        """Why campaigns do not dial a contact. Raises NotFound."""
        actor.require(Right.CONTACTS_READ)
        now, tenant_id = await self._now(actor.tenant_id), actor.tenant_id
        async with self._database.tenant(tenant_id) as conn:
            known = await store.known(conn, tenant_id, contact_id=contact_id)
            if not known:
                raise await people_store.missing(conn, tenant_id, contact_id)
            rows = await store.leads(conn, tenant_id, contact_ids=[contact_id], most=MOST_LEADS + 1)
        found = await self._findings(tenant_id, rows[:MOST_LEADS], now)
        return Report(None, tuple(known), unwanted=False, findings=tuple(found), more=len(rows) > MOST_LEADS)

    async def lead(self, actor: Actor, campaign_id: int, lead_id: int) -> Finding:
        """Why a campaign does not dial one of its leads. Raises NotFound."""
        actor.require(Right.CONTACTS_READ)
        now, tenant_id = await self._now(actor.tenant_id), actor.tenant_id
        async with self._database.tenant(tenant_id) as conn:
            rows = await store.leads(conn, tenant_id, lead_id=lead_id, campaign_id=campaign_id, most=1)
        if not rows:
            raise NotFound(what="lead", key=lead_id)
        (found,) = await self._findings(tenant_id, rows, now)
        return found

    async def _findings(self, tenant_id: int, rows: Sequence[LeadFacts], now: _Now) -> list[Finding]:
        terms: dict[int, CallTerms | None] = {}
        for campaign_id in {one.campaign.id for one in rows}:
            terms[campaign_id] = await self._terms(tenant_id, campaign_id)
        return [await self._finding(one, terms[one.campaign.id], now) for one in rows]

    async def _finding(self, one: LeadFacts, terms: CallTerms | None, now: _Now) -> Finding:
        lead = one.lead
        found = [judging.of_campaign(one.campaign), judging.of_policy(terms)]
        finding = Finding(one.campaign, lead.e164, lead.id, lead.contact_id, lead.timezones, tuple(found))
        if terms is None:
            return finding
        tenant_id, target = terms.tenant_id, Target(lead.e164, lead.timezones, lead)
        async with self._database.tenant(tenant_id) as conn:
            (subject,) = await admission.subjects(conn, terms, [target], now.at)
            lines = await judging.lines_of(conn, terms, [lead.e164])
            found += judging.of_lead(one, subject, terms.rules, now.at)
            found += self._powers(terms, now, judging.of_lines(lines, lead.e164))
            if not any(answer.stops for answer in found):
                found.append(await self._turn(conn, tenant_id, one, now.at))
        closed = one.status == "closed"
        opens = judging.not_before(found, subject, terms.rules, now.at, closed=closed)
        return replace(finding, answers=tuple(found), not_before=opens)

    async def _without_lead(
        self,
        tenant_id: int,
        campaign: CampaignRef,
        e164: str,
        zones: tuple[str, ...],
        contact_id: int | None,
        now: _Now,
    ) -> Finding:
        """What the rules would say to a number that the campaign has no lead of."""
        terms = await self._terms(tenant_id, campaign.id)
        found = [judging.of_campaign(campaign), judging.of_policy(terms), Answer(m.LEAD, True, "none")]
        if terms is not None:
            async with self._database.tenant(tenant_id) as conn:
                (subject,) = await admission.subjects(conn, terms, [Target(e164, zones)], now.at)
                lines = await judging.lines_of(conn, terms, [e164])
                busy = await store.busy(conn, tenant_id, e164)
            found.append(Answer(m.CALL, busy, "number_busy" if busy else ""))
            said = answers(subject, terms.rules, now.at)
            found += [judging.of_filter(each, subject, terms.rules, now.at) for each in said]
            found += self._powers(terms, now, judging.of_lines(lines, e164))
        found.sort(key=lambda one: m.STEPS.index(one.step))
        return Finding(campaign, e164, None, contact_id, zones, tuple(found))

    @staticmethod
    def _powers(terms: CallTerms, now: _Now, lines: Answer) -> list[Answer]:
        return [lines, judging.of_server(now.troubles), judging.of_agents(terms, now.shifts)]

    @staticmethod
    async def _turn(conn: AsyncConnection, tenant_id: int, one: LeadFacts, now: datetime) -> Answer:
        """What comes before a lead that may be dialled now."""
        many, shared = await store.ahead(conn, tenant_id, one, now)
        calls = await store.calls_since(conn, tenant_id, one.campaign.id, now - HOUR)
        pace = await live_store.last_pace(conn, tenant_id, one.campaign.id)
        values = {"ahead": many, "calls": calls, "pace": pace}
        if one.promised is not None and one.promised.for_anybody(now):
            return Answer(m.TURN, reason="promised", values=values)
        if many >= store.MOST_AHEAD:
            return Answer(m.TURN, reason="many", values=values)
        return Answer(m.TURN, reason="of_list" if shared else "ahead", values=values)

    # -- a campaign ----------------------------------------------------------------------------------------

    async def campaign(self, actor: Actor, campaign_id: int, *, list_id: int | None = None) -> Funnel:
        """A campaign's leads (of one list) by what stops them. Raises NotFound."""
        actor.require(Right.CAMPAIGNS_READ)
        now, tenant_id = await self._now(actor.tenant_id), actor.tenant_id
        terms = await self._terms(tenant_id, campaign_id)
        rules = terms.rules if terms else None
        async with self._database.tenant(tenant_id) as conn:
            row = await store.campaign(conn, tenant_id, campaign_id)
            if row is None:
                raise NotFound(what="campaign", key=campaign_id)
            campaign = CampaignRef(row.id, row.name, row.status, row.mode)
            asks = rules is not None and rules.asks_consent
            written = row.calendar_stamp, row.calendar_done
            rows = await counting.leads(
                conn,
                tenant_id,
                campaign_id,
                now.at,
                stale=rules is not None and written != (stamp_of(rules), None),
                dead=rules is not None and rules.mode not in STARTED_BY_PERSON,
                purpose=rules.purpose.value if rules and asks else None,
                list_id=list_id,
            )
            lacking = await _lacking(conn, tenant_id, rows, rules, now.at)
            found = [judging.of_campaign(campaign), judging.of_policy(terms)]
            asked = _Asked(0)
            if terms is not None:
                if list_id is None:
                    asked = await self._asked(conn, terms, now.at)
                lines = await judging.lines_of(conn, terms, ())
                found += self._powers(terms, now, judging.of_lines(lines, None))
        counts = _counted(rows, lacking, rules, now.at)
        ready = sum(each.leads for each in rows if each.step == "open" and each.whose not in lacking)
        if asked.every is not None:
            asked = _Asked(0, [Count(asked.every.value, "", ready)])
        stops = sum(one.leads for one in asked.counts)
        counts += asked.counts
        return Funnel(
            campaign,
            sum(each.leads for each in rows),
            m.in_order(_together(counts)),
            max(ready - stops, 0),
            asked.passed,
            tuple(found),
            unknown=not asked.passed + stops,
            policy=terms.policy.code if terms else "",
            purpose=rules.purpose.value if rules else "",
            by_hand=terms is not None and terms.mode is DialMode.MANUAL,
        )

    @staticmethod
    async def _asked(conn: AsyncConnection, terms: CallTerms, now: datetime) -> _Asked:
        """Put every rule to the next leads, as a claim would give them."""
        whose = (conn, terms.tenant_id, terms.campaign_id)
        leads = await hopper.peek(*whose, LOOKED_AT, now, mixed=terms.mixed)
        if len(leads) < LOOKED_AT:
            leads += await counting.due(*whose, now, LOOKED_AT - len(leads))
        targets = [Target(lead.e164, lead.timezones, lead) for lead in leads]
        lines = await judging.lines_of(conn, terms, [one.e164 for one in targets])
        passed, found = 0, []
        facts = await admission.subjects(conn, terms, targets, now)
        for target, subject in zip(targets, facts, strict=True):
            said = stopped(subject, terms.rules, now)
            if said is None and not lines.never_take(target.e164):
                passed += 1
            elif said is None:
                found.append(Count(m.WAIT, "trunk", 1))
            elif said.filter is Filter.MODE:
                return _Asked(0, every=Filter.MODE)
            elif not _counted_already(said, subject):
                found.append(_denied(said, subject, terms.rules, now))
        return _Asked(passed, _together(found))

    # -- when a campaign starts ----------------------------------------------------------------------------

    async def warnings(self, actor: Actor, campaign_id: int) -> list[tuple[str, str]]:
        """Why a campaign that has just been started dials nothing now, in the actor's language, each with its
        stable name; none: it dials. Raises NotFound."""
        funnel = await self.campaign(actor, campaign_id)
        return Words(actor.locale, await self.timezone(actor), utc_now()).warnings(funnel)

    # -- parts ---------------------------------------------------------------------------------------------

    async def timezone(self, actor: Actor) -> str:
        """The time zone of the tenant's place."""
        return await self._live.timezone(actor)

    async def _now(self, tenant_id: int) -> _Now:
        async with self._database.tenant(tenant_id) as conn:
            shifts = await agents.open_shifts(conn, tenant_id)
        return _Now(utc_now(), shifts, await self._live.troubles())

    async def _terms(self, tenant_id: int, campaign_id: int) -> CallTerms | None:
        """What the campaign lays down; None: its policy is not known, or there is no such campaign."""
        try:
            return await self._book.terms(tenant_id, campaign_id)
        except NotFound:
            return None

    async def _campaign(self, tenant_id: int, campaign_id: int) -> CampaignRef:
        async with self._database.tenant(tenant_id) as conn:
            row = await store.campaign(conn, tenant_id, campaign_id)
        if row is None:
            raise NotFound(what="campaign", key=campaign_id)
        return CampaignRef(row.id, row.name, row.status, row.mode)


async def _lacking(
    conn: AsyncConnection, tenant_id: int, rows: Sequence[Any], rules: Rules | None, now: datetime
) -> dict[int, NotGiven]:
    """Of the people by whom the rows tell kinds of consents those who have not agreed."""
    people = {row.whose for row in rows if row.whose is not None}
    if rules is None or not people:
        return {}
    known = await consents.consents_of(conn, tenant_id, people)
    found = {one: consent_for(known.get(one, ()), rules.purpose, now) for one in people}
    return {one: said for one, said in found.items() if isinstance(said, NotGiven)}


def _counted_already(said: Said, subject: Subject) -> bool:
    """Whether the count of all leads has this one under the filter: what rows say without a rule."""
    if said.filter is Filter.DO_NOT_CALL:
        return subject.do_not_call is not None and subject.do_not_call.source != donotcall.ERASED
    return said.filter in (Filter.NUMBER, Filter.CONSENT)


def _denied(said: Said, subject: Subject, rules: Rules, now: datetime) -> Count:
    """One lead that a filter stops, with the time from which it may be dialled."""
    count = Count(said.filter.value, "", 1)
    until = near(said.denied.until, now) if said.denied is not None else None
    if until is None:
        return count
    return _opens(count, subject.zones, opening(rules.calendar, subject.zones, max(until, now), subject.good))


def _counted(
    rows: Sequence[Any], lacking: Mapping[int, NotGiven], rules: Rules | None, now: datetime
) -> list[Count]:
    """The counts of the rows, without those that are open; a window that is over is looked up. `lacking`: of
    whom the rows tell, and who have not agreed."""
    found = []
    for row in rows:
        if rules is not None and row.whose in lacking:
            count, begins = Count(Filter.CONSENT.value, "", row.leads), lacking[row.whose].until
            if begins is not None and row.zones:
                count = _opens(count, row.zones, opening(rules.calendar, row.zones, max(begins, now)))
            found.append(count)
        elif row.step == "open":
            continue
        elif row.step != "calendar":
            found.append(_timed(row, rules, now))
        elif rules is None:
            found.append(Count(m.WINDOW, "being_written", row.leads))
        else:
            window = opening(rules.calendar, row.zones, now)
            if window.hold is None:
                found.append(Count(m.WINDOW, "being_written", row.leads))
            else:
                found.append(_opens(Count(window.hold.value, "", row.leads), row.zones, window))
    return found


def _timed(row: Any, rules: Rules | None, now: datetime) -> Count:
    """With the time from which the first may be dialled: what it waits for is over then, and it is open."""
    count = Count(row.step, row.reason, row.leads)
    if (row.step, row.reason) not in _PASS_BY_THEMSELVES or rules is None:
        return count
    passes = near(row.opens, now)
    if passes is None:
        return count
    return _opens(count, row.zones, opening(rules.calendar, row.zones, max(passes, now)))


def _opens(count: Count, zones: Sequence[str], window: Opening) -> Count:
    if window.open_until <= window.open_from:  # nobody knows
        return count
    return replace(count, opens=window.open_from, place=place_of(zones, window.open_from))


def _together(counts: Sequence[Count]) -> list[Count]:
    """One count for each step and reason, with the first of their times."""
    found: dict[tuple[str, str], Count] = {}
    for one in counts:
        other = found.get((one.step, one.reason))
        if other is None:
            found[one.step, one.reason] = one
            continue
        first = min((one, other), key=lambda each: each.opens or m.NEVER)
        found[one.step, one.reason] = replace(first, leads=one.leads + other.leads)
    return list(found.values())
