"""A carrier on its bad days: away, refusing, late, flooding, changing the talk, forgetting it, silent.

One living centre dials over a carrier of our own (`dialer.bench.odd_carrier`), which misbehaves for some
seconds and is good again. After each run dialling is paused until nothing is on the lines: then every
channel, every line of the trunk and every attempt must be gone, and nobody may have been called more often
than there are attempts.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, insert, select

from dialer.agents.model import AgentState
from dialer.bench.model import Run, Say, case_of
from dialer.bench.odd_carrier import HOST, Manner, OddCarrier
from dialer.bench.site import TENANT, Mark, NotInTime, Site, patience
from dialer.bench.site_parts import until
from dialer.db import tables as t
from dialer.managed import RELOAD, generated_files
from dialer.trunks.health import FAULTS_IN_A_ROW

ENDPOINT = "odd"
AGENTS = 3
RING_TIMEOUT_S = 6
#: What asterisk_conf/pjsip.conf says of a trunk: a talk without voice is ended after so long.
RTP_TIMEOUT_S = 30
#: A person's patience: a talk that only the network can end.
ENDLESS_S = 3600.0
TALK_S = 1.5
#: A bad trunk is tried after 5 s, then after 10 more: a carrier that is back is found out by then.
PROBED_S = 20.0
#: When all calls should be over, so much longer may channels and rows take.
DRAIN_S = 10.0


@dataclass(slots=True)
class Row:
    """The row."""

    name: str = "carrier"
    title: str = (
        "carrier away, all calls 503, answers after 30 s, floods of 183, re-INVITE, BYE lost, RTP silent"
    )
    must_hold: str = "channels never leak; the trunk is marked bad; pacing is not fooled, no lead is used up"
    cases: tuple[str, ...] = (
        "answers_after_30s",
        "all_503",
        "flood_183",
        "reinvite",
        "carrier_away",
        "bye_lost",
        "rtp_silent",
    )
    long_runs: int = 140
    short_runs: int = 2

    async def runs(self, seeds: Sequence[int], say: Say) -> AsyncIterator[Run]:
        """One centre, one bad day a seed."""
        async with (
            OddCarrier() as odd,
            Site.open(agents=AGENTS, seed=seeds[0], talk_s=TALK_S, say=say) as site,
        ):
            line = await _line(site, odd)
            for seed in seeds:
                case = case_of(self.cases, seed)
                began = asyncio.get_running_loop().time()
                run = await Day(site, odd, line, seed, case).run()
                say(f"carrier {seed} {case}: {asyncio.get_running_loop().time() - began:.0f} s {run.broken}")
                yield run


@dataclass(frozen=True, slots=True)
class Line:
    """The way to the odd carrier."""

    trunk_id: int
    campaign_id: int


async def _line(site: Site, odd: OddCarrier) -> Line:
    """A trunk to it, which Asterisk knows, and a campaign that dials over nothing else."""
    async with site.database.tenant(TENANT) as conn:
        trunk_id = await conn.scalar(
            insert(t.trunk)
            .values(
                tenant_id=TENANT,
                name="Чудной оператор связи",
                endpoint=ENDPOINT,
                caller_id="+74951234567",
                max_channels=50,
                max_cps=20.0,
                allowed_prefixes=["+7"],
                sip_host=HOST,
                sip_port=odd.port,
            )
            .returning(t.trunk.c.id)
        )
    assert isinstance(trunk_id, int)
    site.asterisk.write_generated(await generated_files(site.settings, site.database))
    await site.asterisk.cli(RELOAD)
    # By the product's own rules of retry: whom the carrier failed is dialled again.
    campaign_id = await site.keep_dialling(trunks=[trunk_id], ring_timeout_s=RING_TIMEOUT_S, retries={})
    await site.until_dialling(patience(30))
    return Line(trunk_id, campaign_id)


@dataclass(slots=True)
class Day:
    """One run."""

    site: Site
    odd: OddCarrier
    line: Line
    seed: int
    case: str
    broken: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    #: when it was over; the calls made after that are the next one's
    until: Mark | None = None

    async def run(self) -> Run:
        """A good moment, the bad time, and what is left of it."""
        rng = random.Random(f"{self.seed} carrier")  # noqa: S311
        site = self.site
        await self._good_again(site.mark(), patience(30))
        await asyncio.sleep(rng.uniform(0, 1.5))
        since, dials = site.mark(), len(self.odd.times)
        recover_s: float | None = None
        try:
            await getattr(self, f"_{self.case}")(rng)
            self.figures["dials"] = len(self.odd.times) - dials
            self._be(Manner.GOOD)
            back = site.mark()
            recover_s = await self._good_again(back, patience(PROBED_S))
            await self._all_over(since)
        except NotInTime as error:
            self.broken.append(str(error))
        tally = await site.tally(since, self.until)
        double = await self._double_dials()
        if tally.without_row:
            self.broken.append(f"{tally.without_row} numbers without an attempt")
        self.figures["load_max"] = os.getloadavg()[0]
        self.odd.forget()
        for robot in site.robots.robots:
            robot.talk_s = TALK_S
        return Run(
            "carrier",
            self.seed,
            self.case,
            calls=tally.calls,
            double_dials=double,
            unfinished_attempts=tally.unfinished_attempts,
            lost_dispositions=tally.lost_dispositions,
            unknown=tally.unknown,
            recover_s=recover_s,
            figures=self.figures,
            broken="; ".join(self.broken),
        )

    # -- the bad days ------------------------------------------------------------------------------------

    async def _carrier_away(self, rng: random.Random) -> None:
        # A call into silence is known to fail when its ringing would be over: each agent waits for three.
        await self._fails(Manner.AWAY, RING_TIMEOUT_S * 3 + rng.uniform(1, 4))

    async def _all_503(self, rng: random.Random) -> None:
        await self._fails(Manner.REFUSES, rng.uniform(4, 9))

    async def _fails(self, manner: Manner, seconds: float) -> None:
        """Every call fails: the trunk is found bad, and hardly dialled through; leads and agents are kept."""
        before, since = len(self.odd.times), self.site.mark()
        self._be(manner)
        await asyncio.sleep(seconds)
        dialled = len(self.odd.times) - before
        # Those that make it bad, those that were under way by then, and a probe every five seconds at most.
        most = FAULTS_IN_A_ROW + 2 * AGENTS + 1 + seconds / 5
        if dialled > most:
            self.broken.append(f"{dialled} calls into a carrier that fails all; {most:.0f} are allowed")
        health = await self._first(
            select(t.trunk_load.c.health).where(t.trunk_load.c.trunk_id == self.line.trunk_id)
        )
        if health != "bad":
            self.broken.append(f"the trunk is {health} after {seconds:.0f} s of nothing but faults")
        shown = await self._shown()
        if shown != "bad":
            self.broken.append(f"the API shows the trunk as {shown}")
        await self._agents_ready()
        burnt = await self._burnt(since)
        if burnt:
            self.broken.append(f"{burnt} leads were used up by the carrier's faults")

    async def _flood_183(self, rng: random.Random) -> None:
        self.odd.ring_s = 1.5
        dials = len(self.odd.times)
        self._be(Manner.FLOODS)
        since = self.site.mark()
        await asyncio.sleep(rng.uniform(4, 6))
        # A 183 is no answer: nobody is answered before the carrier's 200.
        ring = (t.attempt.c.answered_at - t.attempt.c.created_at).label("rang")
        quick = await self._first(
            select(func.count()).where(
                t.attempt.c.created_at >= since.at, func.extract("epoch", ring) < self.odd.ring_s
            )
        )
        if len(self.odd.times) == dials:
            self.broken.append("nobody was dialled in the flood of 183")
        if quick:
            self.broken.append(f"{quick} calls were taken for answered by a 183")
        self.odd.ring_s = 0.3

    async def _answers_after_30s(self, rng: random.Random) -> None:
        """The carrier does not hear our CANCEL, and answers when nobody waits any more."""
        self._be(Manner.LATE)
        await asyncio.sleep(RING_TIMEOUT_S + rng.uniform(2, 5))
        await self._agents_ready()

    async def _reinvite(self, rng: random.Random) -> None:
        """Talks are held and taken back by the carrier; a long hold, without voice, is not cut."""
        long = self.seed // 7 % 4 == 0
        self.odd.hold_s = RTP_TIMEOUT_S + 5 if long else 0.5
        self._talk(self.odd.hold_s * 2.5 + 4)
        since, changed = self.site.mark(), self.odd.changed
        self._be(Manner.CHANGES)
        try:
            await until(
                "talks are held and taken back",
                lambda: self._changed_by(changed + 4),
                patience(4 * self.odd.hold_s + 20),
            )
        finally:
            self._be(Manner.GOOD)
            self._talk(TALK_S)
            self.odd.leave()
        self.figures["changed"] = self.odd.changed - changed
        if self.odd.change_refused:
            self.broken.append(f"{self.odd.change_refused} changes of a talk were refused")
            self.odd.change_refused = 0
        cut = await self._first(
            select(func.count()).where(
                t.attempt.c.created_at >= since.at,
                t.attempt.c.cause == 44,
                t.attempt.c.connected_at.is_not(None),
            )
        )
        if cut:
            self.broken.append(f"{cut} talks were cut in a hold")

    async def _changed_by(self, count: int) -> bool:
        return self.odd.changed >= count

    async def _bye_lost(self, rng: random.Random) -> None:
        """The carrier knows nothing of a talk any more: it must end by itself, or by our BYE that nobody
        answers."""
        by_us = self.seed // 7 % 2 == 0
        self.odd.remembers_s = 0.5
        await self._dead(Manner.FORGETS, TALK_S if by_us else ENDLESS_S)

    async def _rtp_silent(self, rng: random.Random) -> None:
        await self._dead(Manner.SILENT, ENDLESS_S)

    async def _dead(self, manner: Manner, talk_s: float) -> None:
        """Talks in which nothing is heard: each comes to its end."""
        self._talk(talk_s)
        since = self.site.mark()
        self._be(manner)
        talks = select(func.count()).where(
            t.attempt.c.created_at >= since.at, t.attempt.c.connected_at.is_not(None)
        )
        await until("agents talk to nobody", lambda: self._count(talks, AGENTS), patience(30))
        self._be(Manner.GOOD)
        dead = self.site.mark()
        over = select(func.count()).where(
            t.attempt.c.created_at >= since.at,
            t.attempt.c.created_at < dead.at,
            t.attempt.c.hung_up_at.is_(None),
        )
        began = asyncio.get_running_loop().time()
        await until("dead talks end", lambda: self._none(over), patience(RTP_TIMEOUT_S + 15))
        self.figures["dead_talk_s"] = asyncio.get_running_loop().time() - began
        self._talk(TALK_S)
        self.odd.leave()  # who came meanwhile found agents of endless patience

    # -- what must hold ------------------------------------------------------------------------------------

    async def _good_again(self, since: Mark, within_s: float) -> float:
        """Wait until a call made since then is a talk; the seconds it took."""
        began = asyncio.get_running_loop().time()
        talk = select(func.count()).where(
            t.attempt.c.created_at >= since.at, t.attempt.c.connected_at.is_not(None)
        )
        await until("agents talk again", lambda: self._count(talk, 1), within_s)
        return asyncio.get_running_loop().time() - began

    async def _all_over(self, since: Mark) -> None:
        """Nothing more is dialled, and nothing is left on any line."""
        await self._campaign("pause")
        try:
            late_s = self.odd.late_s if self.case == "answers_after_30s" else 0.0
            within_s = patience(RING_TIMEOUT_S + 5 * TALK_S + DRAIN_S + late_s)
            began = asyncio.get_running_loop().time()
            await self.site.until_ended(since, within_s)
            carried = select(t.trunk_load.c.channels).where(t.trunk_load.c.trunk_id == self.line.trunk_id)
            await until("the trunk carries nothing", lambda: self._none(carried), within_s)
            await until("Asterisk has no channel but the agents'", self._no_channels, within_s)
            await until("the carrier has no call of ours", self._carrier_idle, within_s)
            self.figures["drain_s"] = asyncio.get_running_loop().time() - began
        finally:
            self.until = self.site.mark()
            await self._campaign("resume")

    async def _no_channels(self) -> bool:
        return await self.site.channels() == AGENTS

    async def _carrier_idle(self) -> bool:
        return self.odd.open == 0

    async def _agents_ready(self) -> None:
        """While every call fails, agents are shown as what they are: free."""
        busy = select(func.count()).where(
            t.agent_session.c.logged_out_at.is_(None), t.agent_session.c.state != AgentState.READY
        )
        try:
            await until("agents are free while all calls fail", lambda: self._none(busy), patience(5))
        except NotInTime as error:
            self.broken.append(str(error))

    async def _burnt(self, since: Mark) -> int:
        """Leads that may not be dialled any more although the carrier alone has failed them."""
        failed = t.attempt.c.result.in_(("failed", "congestion"))
        found = await self._first(
            select(func.count(func.distinct(t.lead.c.id)))
            .select_from(t.lead)
            .join(
                t.attempt,
                (t.attempt.c.tenant_id == t.lead.c.tenant_id) & (t.attempt.c.lead_id == t.lead.c.id),
            )
            .where(
                t.attempt.c.created_at >= since.at,
                failed,
                t.lead.c.status.not_in(("new", "waiting", "dialling")),
            )
        )
        return int(found or 0)

    async def _double_dials(self) -> int:
        """INVITEs for which there is no attempt: a lead that the carrier failed is dialled again, once an
        attempt."""
        # The calls first: a row is committed before its INVITE.
        invites = {number: dict(ids) for number, ids in self.odd.invites.items()}
        async with self.site.database.tenant(TENANT) as conn:
            rows = await conn.execute(
                select(t.attempt.c.e164, func.count().label("made")).group_by(t.attempt.c.e164)
            )
            made: dict[str, int] = {row.e164: row.made for row in rows}
        found = 0
        for number, ids in invites.items():
            if (more := len(ids) - made.get(number, 0)) > 0:
                found += more
                apart_s = max(ids.values()) - min(ids.values())
                self.broken.append(
                    f"{number}: {len(ids)} calls, {apart_s:.1f} s apart, by {made.get(number, 0)}"
                )
        return found

    async def _shown(self) -> str:
        """The health that the API shows of the trunk."""
        async with self.site.api() as api:
            await api.log_in(*self.site.supervisor)
            trunk = await api.call("GET", f"/trunks/{self.line.trunk_id}")
        return str(trunk["health"]["state"])

    # -- small things ----------------------------------------------------------------------------------------

    def _be(self, manner: Manner) -> None:
        self.odd.manner = manner

    def _talk(self, seconds: float) -> None:
        for robot in self.site.robots.robots:
            robot.talk_s = seconds

    async def _campaign(self, what: str) -> None:
        async with self.site.api() as api:
            await api.log_in(*self.site.supervisor)
            await api.call("POST", f"/campaigns/{self.line.campaign_id}/{what}")

    async def _first(self, query: Any) -> Any:
        async with self.site.database.tenant(TENANT) as conn:
            return await conn.scalar(query)

    async def _count(self, query: Any, least: int) -> bool:
        found: int = await self._first(query) or 0
        return found >= least

    async def _none(self, query: Any) -> bool:
        return not await self._first(query)


ROW = Row()
