"""What-if: a campaign's present setting and another one, side by side in the simulator, in bounded time."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.boards import store
from dialer.boards.service import read_now
from dialer.boards.what_if import (
    LEAST_ATTEMPTS,
    LEAST_TALKS,
    MOST_AGENTS,
    Around,
    Known,
    Outcome,
    RunFigures,
    Setting,
    changed,
    outcome,
)
from dialer.boards.what_if_worker import asked, told
from dialer.calls.terms import CallTerms
from dialer.campaigns.replay_log import own_setting
from dialer.campaigns.terms import DatabaseTermsBook
from dialer.clock import utc_now
from dialer.db.prepared import Prepared
from dialer.db.session import Database
from dialer.errors import Conflict, Invalid, NotFound
from dialer.httpkit.access import Actor, Right
from dialer.said import Said

#: Both settings are simulated for so long, at the same time, seconds.
BOUND_S: Final = 20.0
#: Latest attempts that tell of the people.
LATEST: Final = 3000
#: Modes that are paced.
MODES: Final = ("progressive", "power", "predictive")
_LINE: Final = 16 * 1024 * 1024

_KNOWN = Prepared(
    """
    WITH latest AS (
        SELECT result, created_at, answered_at, connected_at, coalesce(let_go_at, hung_up_at) AS hung_up_at,
               CASE WHEN let_go_at IS NULL THEN ended_at ELSE disposed_at END AS ended_at
          FROM attempt
         WHERE tenant_id = :tenant_id AND campaign_id = :campaign_id AND mode = ANY (CAST(:modes AS text[]))
           AND result IS NOT NULL AND result NOT IN ('canceled', 'failed', 'congestion', 'unknown')
         ORDER BY created_at DESC LIMIT :latest
    ), facts AS (
        SELECT result, answered_at IS NOT NULL AND result <> 'machine' AS live,
               CAST(extract(epoch FROM answered_at - created_at) AS double precision) AS ring_s,
               CAST(extract(epoch FROM hung_up_at - connected_at) AS double precision) AS talk_s,
               CASE WHEN connected_at IS NOT NULL
                    THEN CAST(extract(epoch FROM ended_at - hung_up_at) AS double precision) END AS wrap_s
          FROM latest
    )
    SELECT count(*) AS attempts, count(*) FILTER (WHERE live) AS live,
           count(*) FILTER (WHERE result = 'machine') AS machines,
           count(*) FILTER (WHERE result IN ('busy', 'invalid', 'declined')) AS busy,
           count(talk_s) AS talks,
           coalesce(avg(ring_s) FILTER (WHERE live), 12) AS ring_s,
           coalesce(stddev_pop(ring_s) FILTER (WHERE live), 6) AS ring_sd_s,
           coalesce(avg(talk_s), 0) AS talk_s, coalesce(stddev_pop(talk_s), 0) AS talk_sd_s,
           coalesce(avg(wrap_s), 0) AS wrap_s, coalesce(stddev_pop(wrap_s), 0) AS wrap_sd_s
      FROM facts
    """
)


@dataclass(frozen=True, slots=True)
class Change:
    """What is asked about; None: as it is."""

    agents_more: int = 0
    abandon_target: float | None = None
    ratio: float | None = None
    mode: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Both settings."""

    now: Outcome
    then: Outcome
    known: Known
    #: what the policy allows
    abandon_limit: float
    #: leads that may still be dialled, and how long they last now; None: not known
    left: int
    ends_in_s: float | None

    @property
    def then_ends_in_s(self) -> float | None:
        """How long the list would last: by the dials of both."""
        if self.ends_in_s is None or not self.then.dials_per_hour:
            return None
        return self.ends_in_s * self.now.dials_per_hour / self.then.dials_per_hour


#: Runs of a setting until the time is over.
Simulate = Callable[[Known, Around, Setting, float], Awaitable[list[RunFigures]]]


async def simulate(known: Known, around: Around, setting: Setting, bound_s: float) -> list[RunFigures]:
    """All runs that a process of its own has done in this time; it is ended then."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "dialer.boards.what_if_worker",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=_LINE,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    found = []
    try:
        process.stdin.write(asked(known, around, setting).encode() + b"\n")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(bound_s):
                await process.stdin.drain()
                while line := await process.stdout.readline():
                    found.append(told(line))
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    return found


class WhatIfService:
    """Answers what another setting of a campaign would give."""

    def __init__(
        self, database: Database, prompts_dir: Path, simulate: Simulate = simulate, bound_s: float = BOUND_S
    ) -> None:
        self._database = database
        self._terms = DatabaseTermsBook(database, prompts_dir)
        self._simulate = simulate
        self._bound_s = bound_s
        #: one at a time: each takes two processors
        self._turn = asyncio.Lock()

    async def ask(self, actor: Actor, campaign_id: int, change: Change) -> Answer:
        """Both settings, after `bound_s` seconds. Raises NotFound, Forbidden; Invalid for a change that makes
        no sense; Conflict where there is too little to go by, nobody at work, or somebody else asks now."""
        actor.require(Right.CAMPAIGNS_RUN)
        # Before anything is read: a list of a million leads is counted for one who asks, not for ten.
        if self._turn.locked():
            raise Conflict(reason="somebody asks already; try again in half a minute")
        async with self._turn:
            return await self._answer(actor, campaign_id, change)

    async def _answer(self, actor: Actor, campaign_id: int, change: Change) -> Answer:
        terms = await self._terms.terms(actor.tenant_id, campaign_id)
        own = own_setting(terms)
        if own is None or own.rule not in MODES:
            raise Conflict(reason="calls of this campaign are not paced for agents")
        async with self._database.tenant(actor.tenant_id) as conn:
            known = await _known(conn, terms)
            at_work = await _at_work(conn, actor.tenant_id, campaign_id)
            left, lasts_s = await store.list_left(conn, actor.tenant_id, campaign_id, utc_now())
        if not known.enough:
            least = Said(
                "{attempts} calls and {talks} talks are needed to tell",
                attempts=LEAST_ATTEMPTS,
                talks=LEAST_TALKS,
            )
            raise Conflict(reason=least)
        if not at_work:
            raise Conflict(reason="nobody is at work in this campaign")
        now = Setting(at_work, own.rule, own.terms.ratio or terms.ratio, own.terms.limits.share)
        then = _then(now, change, terms)
        around = _around(terms)
        runs = await asyncio.gather(
            *(self._simulate(known, around, each, self._bound_s) for each in (now, then))
        )
        found = [outcome(setting, done) for setting, done in zip((now, then), runs, strict=True)]
        if found[0] is None or found[1] is None:
            raise Conflict(reason="the machine has no time for it now; try again later")
        return Answer(found[0], found[1], known, terms.policy.abandon_cap, left, lasts_s)


def _then(now: Setting, change: Change, terms: CallTerms) -> Setting:
    """The setting that is asked about. Raises Invalid."""
    if change.mode is not None and change.mode not in MODES:
        raise Invalid(field="mode", reason="calls of this mode are not paced for agents")
    cap = terms.policy.abandon_cap
    if change.abandon_target is not None and not 0 < change.abandon_target <= cap:
        raise Invalid(field="abandon_target", reason=Said("must be 0 to {most}", most=f"{cap:g}"))
    then = changed(
        now,
        agents_more=change.agents_more,
        abandon_target=change.abandon_target,
        ratio=change.ratio,
        mode=change.mode,
    )
    if not 1 <= then.agents <= MOST_AGENTS:
        raise Invalid(
            field="agents_more", reason=Said("there must be 1 to {most} agents then", most=MOST_AGENTS)
        )
    if then == now:
        raise Invalid(field="agents_more", reason="nothing would be changed")
    return then


def _around(terms: CallTerms) -> Around:
    return Around(
        terms.policy.abandon_after_s,
        float(terms.ring_timeout_s),
        terms.screens,
        float(terms.policy.min_ring_s) if terms.take_back_ringing else None,
        sum(trunk.max_channels for trunk in terms.trunks) or None,
    )


async def _known(conn: AsyncConnection, terms: CallTerms) -> Known:
    row = await _KNOWN.row(
        conn,
        tenant_id=terms.tenant_id,
        campaign_id=terms.campaign_id,
        modes=list(MODES),
        latest=LATEST,
    )
    return Known(**row)


async def _at_work(conn: AsyncConnection, tenant_id: int, campaign_id: int) -> int:
    now = await read_now(conn, tenant_id, utc_now())
    found = next((one for one in now.campaigns if one.id == campaign_id), None)
    if found is None:
        raise NotFound(what="running campaign", key=campaign_id)
    return found.at_work
