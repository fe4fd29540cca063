"""What can be done about the quality of talks: score, look, calibrate.

Who scores has every call but the own ones. Who reads has every score, and what was written to it where the
calls may be read, too; an agent has the scores of the own talks. Those of a calibration count for nobody, and
are seen by nobody but their scorer until it is closed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.agents.own import agent_of
from dialer.clock import utc_now
from dialer.db.session import Database
from dialer.errors import Invalid, NotFound, WrongState
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right
from dialer.reviews import store
from dialer.reviews.forms import form_of
from dialer.reviews.model import (
    AgentFigure,
    Calibration,
    Form,
    Review,
    Scores,
    Spread,
    Talk,
    Task,
    spread,
    total,
)
from dialer.said import told

#: Tasks and calibrations that are shown at once.
MOST = 500
#: Who has not scored a call so long will not.
TASKS_FOR = timedelta(days=92)


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What a calibration has come to, as far as the reader may see."""

    calibration: Calibration
    form: Form
    #: of all scorers once it is closed; before, the reader's own
    reviews: Sequence[Review]
    #: once it is closed and somebody has scored: of the whole, 0 to 100
    total: Spread | None
    #: by criterion: of points
    criteria: Mapping[str, Spread]


class ReviewService:
    """The scores of a tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- scoring -----------------------------------------------------------------------------------------

    async def score(
        self, actor: Actor, call_id: UUID, form_id: int, scores: Scores, comment: str = ""
    ) -> Review:
        """Score a call by the present version of a form, in place of one's own earlier scores.

        Raises NotFound, Forbidden, Invalid, WrongState where no agent had the call, the scorer had it, or the
        form is put aside.
        """
        user_id = _scorer(actor)
        async with self._database.tenant(actor.tenant_id) as conn:
            talk = await _to_score(conn, actor, call_id)
            form = await form_of(conn, actor, form_id)
            if not form.active:
                raise WrongState(what="The form", state="put aside", allowed="in use")
            worth = _checked(form, scores)
            made = await store.keep(conn, actor.tenant_id, talk, form, user_id, scores, worth, comment)
            await audit.record(
                conn, actor, "review.score", f"review:{made}", call=str(call_id), form=form_id, total=worth
            )
            (found,) = [one for one in await store.of_call(conn, actor.tenant_id, call_id) if one.id == made]
        return found

    async def may_score(self, actor: Actor, call_id: UUID) -> bool:
        """Whether the actor may score the call: one that an agent had who is somebody else."""
        if not actor.may(Right.REVIEWS_SCORE):
            return False
        async with self._database.tenant(actor.tenant_id) as conn:
            talk = await store.talk(conn, actor.tenant_id, call_id)
        return talk is not None and talk.agent_id is not None and not talk.had_by(actor.user_id)

    # -- looking -----------------------------------------------------------------------------------------

    async def of_call(self, actor: Actor, call_id: UUID) -> list[Review]:
        """What a call was scored. Raises NotFound, Forbidden."""
        async with self._database.tenant(actor.tenant_id) as conn:
            talk = await store.talk(conn, actor.tenant_id, call_id)
            if talk is None or not talk.had_by(actor.user_id):
                actor.require(Right.REVIEWS_READ)
            if talk is None:
                raise NotFound(what="call", key=call_id)
            return _readable(actor, await store.of_call(conn, actor.tenant_id, call_id))

    async def reviews(
        self,
        actor: Actor,
        *,
        agent_id: int | None = None,
        form_id: int | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        after: tuple[datetime, int] | None = None,
        limit: int = 50,
    ) -> list[Review]:
        """Scores that count, newest first; without the right to read all, of the own talks."""
        async with self._database.tenant(actor.tenant_id) as conn:
            mine, agent_id = await _whose(conn, actor, agent_id)
            if not mine:
                return []
            found = await store.page(
                conn,
                actor.tenant_id,
                agent_id=agent_id,
                form_id=form_id,
                since=since,
                until=until,
                after=after,
                limit=limit,
            )
        return _readable(actor, found)

    async def figures(
        self,
        actor: Actor,
        *,
        agent_id: int | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[AgentFigure]:
        """What talks were scored on the average, by agent and form; without the right to read, the own."""
        async with self._database.tenant(actor.tenant_id) as conn:
            mine, agent_id = await _whose(conn, actor, agent_id)
            if not mine:
                return []
            return await store.figures(conn, actor.tenant_id, agent_id=agent_id, since=since, until=until)

    async def tasks(self, actor: Actor, *, open_: bool | None = None) -> list[Task]:
        """Calls that were drawn to be scored in the last three months, the newest 500."""
        actor.require(Right.REVIEWS_READ)
        since = (utc_now() - TASKS_FOR).date()
        async with self._database.tenant(actor.tenant_id) as conn:
            return await store.tasks(conn, actor.tenant_id, since, open_=open_, limit=MOST)

    # -- calibration -------------------------------------------------------------------------------------

    async def open_calibration(
        self, actor: Actor, call_id: UUID, form_id: int, reason: str = ""
    ) -> Calibration:
        """Have several people score a call. Raises NotFound, Forbidden, WrongState."""
        actor.require(Right.REVIEWS_EDIT)
        async with self._database.tenant(actor.tenant_id) as conn:
            talk, form = await _talk(conn, actor, call_id), await form_of(conn, actor, form_id)
            made = await store.open_calibration(conn, actor.tenant_id, talk, form, reason, actor.user_id)
            await audit.record(
                conn, actor, "calibration.open", f"calibration:{made}", call=str(call_id), form=form_id
            )
            return await _calibration(conn, actor, made)

    async def calibrations(self, actor: Actor) -> list[Calibration]:
        """Open ones first, the newest 500."""
        actor.require(Right.REVIEWS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            found = await store.calibrations(conn, actor.tenant_id, MOST)
        return [_named(actor, one) for one in found]

    async def open_of_call(self, actor: Actor, call_id: UUID) -> list[Calibration]:
        """Calibrations of a call that go on."""
        actor.require(Right.REVIEWS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await store.open_of_call(conn, actor.tenant_id, call_id)

    async def calibrated(self, actor: Actor, calibration_id: int) -> Calibrated:
        """What it has come to: all of it once it is closed, before only one's own scores."""
        actor.require(Right.REVIEWS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await _calibrated(conn, actor, calibration_id)

    async def score_blind(
        self, actor: Actor, calibration_id: int, scores: Scores, comment: str = ""
    ) -> Calibrated:
        """One's own scores in a calibration, in place of earlier ones. Raises NotFound, Forbidden, Invalid,
        WrongState once it is closed, or of the scorer's own talk."""
        user_id = _scorer(actor)
        async with self._database.tenant(actor.tenant_id) as conn:
            found = await _calibration(conn, actor, calibration_id, lock=True)
            if found.closed_at is not None:
                raise WrongState(what="The calibration", state="closed", allowed="open")
            talk = await _to_score(conn, actor, found.call_id)
            form = await form_of(conn, actor, found.form_id, found.version)
            worth = _checked(form, scores)
            await store.keep(
                conn,
                actor.tenant_id,
                talk,
                form,
                user_id,
                scores,
                worth,
                comment,
                calibration_id=calibration_id,
            )
            return await _calibrated(conn, actor, calibration_id)

    async def close(self, actor: Actor, calibration_id: int) -> Calibrated:
        """No more scores; all see all. Raises NotFound, Forbidden."""
        actor.require(Right.REVIEWS_EDIT)
        async with self._database.tenant(actor.tenant_id) as conn:
            await _calibration(conn, actor, calibration_id, lock=True)
            if await store.close(conn, actor.tenant_id, calibration_id, utc_now()):
                await audit.record(conn, actor, "calibration.close", f"calibration:{calibration_id}")
            return await _calibrated(conn, actor, calibration_id)


def _scorer(actor: Actor) -> int:
    actor.require(Right.REVIEWS_SCORE)
    if actor.user_id is None:
        raise WrongState(what="The scorer", state="the server itself", allowed="a user")
    return actor.user_id


def _reads_words(actor: Actor) -> bool:
    """Whether what was written of talks is for the actor: who may read the calls, or has only the own."""
    return actor.may(Right.CALLS_READ) or not actor.may(Right.REVIEWS_READ)


def _readable(actor: Actor, reviews: Sequence[Review]) -> list[Review]:
    return [one if _reads_words(actor) else replace(one, comment="") for one in reviews]


def _named(actor: Actor, calibration: Calibration) -> Calibration:
    return calibration if _reads_words(actor) else replace(calibration, reason="")


def _checked(form: Form, scores: Scores) -> float:
    """What the scores come to. Raises Invalid for one that the form does not have, and for none."""
    known = {one.key: one for one in form.criteria}
    for key, points in scores.items():
        if key not in known:
            raise Invalid(field=f"scores.{key}", reason="is no criterion of the form")
        if points is not None and not 0 <= points <= known[key].most:
            raise Invalid(field=f"scores.{key}", reason=told("must be 0 to {most}", most=known[key].most))
    worth = total(form.criteria, scores)
    if worth is None:
        raise Invalid(field="scores", reason="give points to one criterion at least")
    return worth


async def _whose(conn: AsyncConnection, actor: Actor, agent_id: int | None) -> tuple[bool, int | None]:
    """Whether the actor may see anything of this agent (None: of all), and whose they then see."""
    if actor.may(Right.REVIEWS_READ):
        return True, agent_id
    actor.require(Right.WORK)
    own = await agent_of(conn, actor)
    if own is None or agent_id not in (None, own.id):
        return False, None
    return True, own.id


async def _talk(conn: AsyncConnection, actor: Actor, call_id: UUID) -> Talk:
    found = await store.talk(conn, actor.tenant_id, call_id)
    if found is None:
        raise NotFound(what="call", key=call_id)
    if found.agent_id is None:
        raise WrongState(what="The call", state="without an agent", allowed="a talk of an agent")
    return found


async def _to_score(conn: AsyncConnection, actor: Actor, call_id: UUID) -> Talk:
    found = await _talk(conn, actor, call_id)
    if found.had_by(actor.user_id):
        raise WrongState(what="The call", state="a talk of one's own", allowed="a talk of somebody else")
    return found


async def _calibration(
    conn: AsyncConnection, actor: Actor, calibration_id: int, *, lock: bool = False
) -> Calibration:
    found = await store.calibration(conn, actor.tenant_id, calibration_id, lock=lock)
    if found is None:
        raise NotFound(what="calibration", key=calibration_id)
    return _named(actor, found)


async def _calibrated(conn: AsyncConnection, actor: Actor, calibration_id: int) -> Calibrated:
    found = await _calibration(conn, actor, calibration_id)
    form = await form_of(conn, actor, found.form_id, found.version)
    reviews = _readable(actor, await store.of_calibration(conn, actor.tenant_id, calibration_id))
    if found.closed_at is None:
        return Calibrated(found, form, [one for one in reviews if one.scorer_id == actor.user_id], None, {})
    criteria = {}
    for one in form.criteria:
        points = [value for each in reviews if (value := each.scores.get(one.key)) is not None]
        if (apart := spread(points)) is not None:
            criteria[one.key] = apart
    return Calibrated(found, form, reviews, spread([each.total for each in reviews]), criteria)
