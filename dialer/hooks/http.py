"""Hooks over HTTP: what the programs in agi_scripts/ speak."""

from __future__ import annotations

from datetime import datetime

from aiohttp import web

from dialer.errors import (
    BadNumber,
    Invalid,
    NeedsCallToken,
    NotAllowed,
    NotFound,
    TooManyRequests,
    WrongState,
)
from dialer.hooks.asking import ask
from dialer.hooks.fields import (
    AnswerOut,
    CallbackIn,
    ConsentIn,
    HookIn,
    LookupIn,
    OptOutIn,
    OutcomeIn,
    OutcomeOut,
    OutcomeQuery,
    RouteIn,
    SurveyAnswerIn,
    SurveyAnswerOut,
    SurveyAnswerQuery,
)
from dialer.hooks.model import Hook
from dialer.hooks.service import HookService
from dialer.httpkit.access import Right
from dialer.httpkit.paging import Page, cut, decode
from dialer.httpkit.routes import Call, Routes

HOOKS = web.AppKey("hooks", HookService)
routes = Routes("hooks")

#: Bytes of a body: a hook says little.
LIMIT = 4096
_ASKS = (BadNumber, TooManyRequests)
_TELLS = (*_ASKS, NeedsCallToken, Invalid)


async def _ask(call: Call, hook: Hook, body: HookIn) -> AnswerOut:
    return AnswerOut.model_validate(await ask(call.app[HOOKS], call.actor, hook, body))


@routes.post("/hooks/lookup", right=Right.HOOKS_CALL, errors=_ASKS, body_limit=LIMIT, idempotent=False)
async def lookup(call: Call, body: LookupIn) -> AnswerOut:
    """Who has the number.

    It tells the dialplan, not the caller: a caller id proves nothing.
    """
    return await _ask(call, Hook.LOOKUP, body)


@routes.post(
    "/hooks/route", right=Right.HOOKS_CALL, errors=(*_ASKS, NotFound), body_limit=LIMIT, idempotent=False
)
async def route(call: Call, body: RouteIn) -> AnswerOut:
    """Where the call had best go: to the agent of the last talk, or as one who is known, or new.

    With `dialled` or `queue` also where a number of ours leads now, and who is at work there.
    """
    return await _ask(call, Hook.ROUTE, body)


@routes.post("/hooks/opt-out", right=Right.HOOKS_CALL, errors=_TELLS, body_limit=LIMIT, idempotent=False)
async def opt_out(call: Call, body: OptOutIn) -> AnswerOut:
    """Have nobody call the number again."""
    return await _ask(call, Hook.OPT_OUT, body)


@routes.post(
    "/hooks/callback",
    right=Right.HOOKS_CALL,
    errors=(*_TELLS, NotFound, NotAllowed, WrongState),
    body_limit=LIMIT,
    idempotent=False,
)
async def callback(call: Call, body: CallbackIn) -> AnswerOut:
    """Promise the number a call by a campaign.

    Whoever is not known becomes a contact, on a list of the campaign.
    """
    return await _ask(call, Hook.CALLBACK, body)


@routes.post("/hooks/outcome", right=Right.HOOKS_CALL, errors=_TELLS, body_limit=LIMIT, idempotent=False)
async def outcome(call: Call, body: OutcomeIn) -> AnswerOut:
    """Write down what became of the call; the last word counts."""
    return await _ask(call, Hook.OUTCOME, body)


@routes.post("/hooks/consent", right=Right.HOOKS_CALL, errors=_TELLS, body_limit=LIMIT, idempotent=False)
async def consent(call: Call, body: ConsentIn) -> AnswerOut:
    """Write down that the person agrees to be called for a purpose."""
    return await _ask(call, Hook.CONSENT, body)


@routes.post(
    "/hooks/survey-answer", right=Right.HOOKS_CALL, errors=_TELLS, body_limit=LIMIT, idempotent=False
)
async def survey_answer(call: Call, body: SurveyAnswerIn) -> AnswerOut:
    """Write down an answer to a question of a survey; the last one of a call counts."""
    return await _ask(call, Hook.SURVEY_ANSWER, body)


@routes.get("/hooks/outcomes", right=Right.CALLS_READ)
async def outcomes(call: Call, query: OutcomeQuery) -> Page[OutcomeOut]:
    """Outcomes that dialplans have written down, the newest first."""
    found = await call.app[HOOKS].outcomes(
        call.actor,
        outcome=query.outcome,
        contact_id=query.contact_id,
        before=_before(query.cursor),
        limit=query.limit + 1,
    )
    page, following = cut(found, query.limit, lambda one: (one.at, one.id))
    return Page[OutcomeOut](items=[OutcomeOut.model_validate(one) for one in page], next=following)


@routes.get("/hooks/survey-answers", right=Right.CALLS_READ)
async def survey_answers(call: Call, query: SurveyAnswerQuery) -> Page[SurveyAnswerOut]:
    """Answers to surveys that dialplans have written down, the newest first."""
    found = await call.app[HOOKS].answers(
        call.actor,
        survey=query.survey,
        question=query.question,
        contact_id=query.contact_id,
        before=_before(query.cursor),
        limit=query.limit + 1,
    )
    page, following = cut(found, query.limit, lambda one: (one.at, one.id))
    return Page[SurveyAnswerOut](items=[SurveyAnswerOut.model_validate(one) for one in page], next=following)


def _before(cursor: str | None) -> tuple[datetime, int] | None:
    key = decode(cursor, datetime, int)
    return (key[0], key[1]) if key else None
