"""The API of why-not."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from aiohttp import web
from pydantic import Field

from dialer.clock import utc_now
from dialer.donotcall.http import EntryOut
from dialer.errors import BadNumber
from dialer.httpkit.access import Actor, Right
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import In, Out
from dialer.whynot.model import Answer, Finding, Funnel, Report
from dialer.whynot.service import WhyNotService
from dialer.whynot.words import Words

WHY_NOT = web.AppKey("why_not", WhyNotService)
routes = Routes("why-not")


class NumberQuery(In):
    """Which number."""

    number: str = Field(min_length=1, max_length=50, description="written in any way")
    campaign_id: int | None = Field(
        default=None, ge=1, le=2**63 - 1, description="this one alone, also if it has no lead of the number"
    )


class AnswerOut(Out):
    """What one step says."""

    step: str = Field(description="stable name: campaign, do_not_call, hours, ...")
    title: str
    stops: bool = Field(description="it keeps the number from being dialled now")
    reason: str = Field(description="stable name of why, or of how it passes")
    until: datetime | None = Field(description="where it stops: when it may pass; else until when it will")
    place: str | None = Field(description="the time zone by whose clock that is meant")
    text: str = Field(description="the answer, in the language of the reply")

    @classmethod
    def of(cls, one: Answer, words: Words) -> Self:
        """In the reader's language."""
        return cls(
            step=one.step,
            title=words.title(one.step),
            stops=one.stops,
            reason=one.reason,
            until=one.until,
            place=one.place or None,
            text=words.text(one),
        )


class FindingOut(Out):
    """Why a campaign does not dial a number now, or that it does."""

    campaign_id: int
    campaign: str
    e164: str
    lead_id: int | None = Field(description="null: the campaign has none of it")
    contact_id: int | None
    timezones: list[str]
    dialled: bool = Field(description="nothing stops it: it is dialled in its turn")
    stopped_by: str | None = Field(description="the first step that stops it")
    not_before: datetime | None = Field(description="when all that passes by itself has passed, if all does")
    text: str = Field(description="the first that stops it, and until when, in the language of the reply")
    answers: list[AnswerOut] = Field(description="every step, in the order in which they are asked")

    @classmethod
    def of(cls, one: Finding, words: Words) -> Self:
        """In the reader's language."""
        stopped = one.stopped
        return cls(
            campaign_id=one.campaign.id,
            campaign=one.campaign.name,
            e164=one.e164,
            lead_id=one.lead_id,
            contact_id=one.contact_id,
            timezones=list(one.zones),
            dialled=stopped is None,
            stopped_by=stopped.step if stopped else None,
            not_before=one.not_before,
            text=words.headline(one),
            answers=[AnswerOut.of(each, words) for each in one.answers],
        )


class KnownOut(Out):
    """A contact that has the number."""

    contact_id: int
    name: str
    dead: bool = Field(description="the number leads to nobody")
    lists: list[str] = Field(description="names of its lists")


class ReportOut(Out):
    """All that is said of a number, or of a contact."""

    e164: str | None = Field(description="null: a contact was asked about")
    dialled: bool = Field(description="some campaign dials it in its turn")
    do_not_call: bool = Field(description="no campaign at all may call the number")
    forbidden_by: list[EntryOut] = Field(description="what is on the do-not-call list for it now")
    erased: bool = Field(description="its owner was erased and had asked not to be called")
    forbidden_texts: list[str] = Field(description="both as sentences, in the language of the reply")
    text: str = Field(description="whose number it is, in the language of the reply")
    contacts: list[KnownOut]
    campaigns: list[FindingOut] = Field(description="those that have a lead, running ones first")
    more: bool = Field(description="there are more leads than were answered for")

    @classmethod
    def of(cls, one: Report, words: Words) -> Self:
        """In the reader's language."""
        return cls(
            e164=one.e164,
            dialled=one.dialled,
            do_not_call=one.unwanted,
            forbidden_by=[EntryOut.model_validate(each) for each in one.entries],
            erased=one.erased,
            forbidden_texts=words.bans(one),
            text=words.known(one),
            contacts=[KnownOut.model_validate(each) for each in one.contacts],
            campaigns=[FindingOut.of(each, words) for each in one.findings],
            more=one.more,
        )


class CountOut(Out):
    """Leads that one step stops."""

    step: str = Field(description="stable name, as in the answers for a lead")
    reason: str = Field(description="stable name; empty: the step has one reason")
    leads: int
    opens_at: datetime | None = Field(description="when the first of them may be dialled, if that is known")
    opens_in: str | None = Field(description="the time zone by whose clock that is meant")
    text: str = Field(description="what they are, in the language of the reply")


class FunnelOut(Out):
    """A campaign's leads by what stops them."""

    campaign_id: int
    leads: int = Field(description="all leads; the counts and `ready` together are as many")
    ready: int = Field(description="leads that nothing written on them and no list stops")
    asked: int = Field(description="of them the next ones, of whom every rule was asked and said yes")
    exact: bool = Field(description="every rule was asked of each that is ready")
    dials: bool = Field(description="there is somebody to be dialled now")
    text: str = Field(description="the counts as a sentence, in the language of the reply")
    counts: list[CountOut]
    answers: list[AnswerOut] = Field(description="what is about the whole campaign")

    @classmethod
    def of(cls, one: Funnel, words: Words) -> Self:
        """In the reader's language."""
        return cls(
            campaign_id=one.campaign.id,
            leads=one.leads,
            ready=one.ready,
            asked=one.asked,
            exact=one.exact,
            dials=one.dials,
            text=words.sentence(one),
            counts=[
                CountOut(
                    step=each.step,
                    reason=each.reason,
                    leads=each.leads,
                    opens_at=each.opens,
                    opens_in=each.place or None,
                    text=words.label(each.step, each.reason),
                )
                for each in one.counts
            ],
            answers=[AnswerOut.of(each, words) for each in one.answers],
        )


@routes.get("/why-not", right=Right.CONTACTS_READ, errors=(BadNumber,))
async def number(call: Call, query: NumberQuery) -> ReportOut:
    """Why a number is not dialled: each campaign's answer, step by step."""
    service = call.app[WHY_NOT]
    found = await service.number(call.actor, query.number, query.campaign_id)
    return ReportOut.of(found, await _words(call))


@routes.get("/contacts/{contact_id}/why-not", right=Right.CONTACTS_READ)
async def contact(call: Call, contact_id: int) -> ReportOut:
    """Why a contact is not dialled."""
    return ReportOut.of(await call.app[WHY_NOT].contact(call.actor, contact_id), await _words(call))


@routes.get("/campaigns/{campaign_id}/leads/{lead_id}/why-not", right=Right.CONTACTS_READ)
async def lead(call: Call, campaign_id: int, lead_id: int) -> FindingOut:
    """Why a campaign does not dial one of its leads."""
    return FindingOut.of(await call.app[WHY_NOT].lead(call.actor, campaign_id, lead_id), await _words(call))


@routes.get("/campaigns/{campaign_id}/why-not", right=Right.CAMPAIGNS_READ)
async def campaign(call: Call, campaign_id: int) -> FunnelOut:
    """A campaign's leads by what stops them."""
    return FunnelOut.of(await call.app[WHY_NOT].campaign(call.actor, campaign_id), await _words(call))


async def _words(call: Call) -> Words:
    return await words_for(call.app[WHY_NOT], call.actor, call.locale)


async def words_for(service: WhyNotService, actor: Actor, locale: str) -> Words:
    """Words in a language, with times by the clock of the tenant's place too."""
    return Words(locale, await service.timezone(actor), utc_now())
