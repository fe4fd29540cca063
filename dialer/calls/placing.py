"""From "dial now" to a ringing phone: claim, check, commit, originate.

In one transaction the leads are claimed, every rule is asked once more (whether somebody has said that a
number is not to be called under a lock that who says so takes too), the numbers are held and the attempt
rows written. Only after its commit is Asterisk asked, once; no other code dials a customer. An attempt that
could not be sent within `SEND_WITHIN_S` of its commit is taken back, never sent late: whoever froze in
between does not know what happened since.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import Protocol, TypeAlias
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.agents import store as agents
from dialer.agents.model import Shift
from dialer.asterisk.nodes import Nodes
from dialer.calls import admission, store
from dialer.calls.by_hand import check_typed, keep_agent
from dialer.calls.channels import hang_up_channel
from dialer.calls.lines import Look, TrunkLines
from dialer.calls.model import TAKEN_BACK, CancelAsked, NotPlaced, Result, Sent
from dialer.calls.originating import originate
from dialer.calls.store import NewAttempt
from dialer.calls.table import CallTable, Change, Line
from dialer.calls.targets import ByHand, Target, new_attempt, new_line
from dialer.calls.terms import CallTerms
from dialer.calls.tracking import Tracker
from dialer.clock import utc_now
from dialer.compliance.filters import Filter, mode_allowed
from dialer.compliance.model import Reason
from dialer.compliance.refusals import refusal
from dialer.contacts import dead_numbers_store
from dialer.db.session import Database
from dialer.errors import (
    ActionFailed,
    ActionTimeout,
    AsteriskUnavailable,
    DatabaseUnavailable,
    DozvonError,
    NotAllowed,
    NotFound,
    NumberBusy,
    WrongState,
)
from dialer.ids import new_id
from dialer.servers.ownership import Leases
from dialer.trunks import loads
from dialer.trunks.caps import Refusal
from dialer.trunks.model import Ask, Choice, Refused, Trunk
from scheduler import hopper, promised
from scheduler.holds import Hold
from scheduler.hopper import ClaimedLead
from scheduler.order import best_first, looked_at
from scheduler.refused import close_leads

log = structlog.get_logger(__name__)

SEND_WITHIN_S = 1.0
#: A decision that the database has held up for longer is given up before it is committed.
DECIDE_WITHIN_S = 5.0
#: When a rule has put off all leads that were looked at, so many more are looked at, so often.
SIFT, SIFTS = 100, 5
#: A lead whose zone nobody knows is not dialled; it is asked again after this, in case the record was mended.
ASK_AGAIN = timedelta(days=1)
#: Says of a target how likely a person answers a call of that moment over the trunk.
Teller: TypeAlias = Callable[[Target, Trunk, datetime], Target]


class Near(Protocol):
    """Says how near a lead's chance of an answer is to that of its best hour, 0 to 1."""

    def __call__(self, lead: ClaimedLead, now: datetime) -> float:
        """At this moment."""


@dataclass(frozen=True, slots=True)
class Placed:
    """What came of a wish to dial."""

    dialled: int
    #: where that is 0: `no_leads`, `no_lines`, `not_running`, `not_ours`, `mode_forbidden`, or the cap that
    #: was reached
    why_not: str = ""


@dataclass(slots=True)
class Placer:
    """Places the calls of one engine."""

    database: Database
    nodes: Nodes
    leases: Leases
    calls: CallTable
    tracker: Tracker
    lines: TrunkLines
    #: host:port by which Asterisk reaches this engine's FastAGI server; empty: what that has bound
    agi_address: str
    #: how often entries of do-not-call have come, and who is told of calls that were being decided meanwhile
    refusals_heard: int = 0
    refused_meanwhile: Callable[[int], None] = lambda tenant_id: None
    #: tasks that speak to Asterisk, with the node of each
    _sending: dict[asyncio.Task[None], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.calls.watchers.append(self._changed)

    def lines_left(self, terms: CallTerms, node: str) -> int:
        """Calls that the campaign's trunks can take from the node now."""
        return self.lines.left(terms.trunks, node)

    async def next_leads(
        self,
        terms: CallTerms,
        wanted: int,
        node: str,
        told: Teller | None = None,
        near: Near | None = None,
        *,
        callbacks: bool = False,
    ) -> Placed:
        """Dial up to `wanted` of the campaign's next leads from the node; `told` has their chances.
        `near`: of more leads than are wanted those are dialled whose best hour is nearest. `callbacks`: there
        are people who were promised a call by now.

        Raises DatabaseUnavailable (nothing was dialled) and AsteriskUnavailable while the node's link is
        down.
        """
        async with self._deciding(terms, node) as (conn, now, placed):
            if why := await self._why_not_at_all(conn, terms):
                return Placed(0, why)
            look = await self.lines.look(conn, terms.tenant_id, terms.trunks, node)
            shut = await self.lines.shut(conn, terms.tenant_id, look)
            if shut is not None:
                return Placed(0, _why_not(shut))
            ready: list[Target] = []
            ask = wanted
            for _ in range(SIFTS):  # leads that a rule puts off must not hide those behind them
                look_at = looked_at(ask) if near is not None else ask
                leads = await hopper.claim(
                    conn,
                    terms.tenant_id,
                    terms.campaign_id,
                    look_at,
                    now,
                    mixed=terms.mixed,
                    callbacks=callbacks,
                )
                if near is not None:
                    first = [lead for lead in leads if lead.callback_id is not None][:ask]
                    others = [lead for lead in leads if lead.callback_id is None]
                    leads = first + best_first(others, partial(near, now=now), ask - len(first))
                targets = [Target(lead.e164, lead.timezones, lead) for lead in leads]
                free = await admission.lock(conn, terms, targets)
                if targets and not free:  # entries for them are being committed
                    return Placed(0, "no_lines")
                ready = await self._sift(conn, terms, targets, free, now)
                if ready or not leads:
                    break
                ask = max(wanted, SIFT)
            del ready[wanted:]
            refused = await self._commit(
                conn, terms, ready, node, now, placed, by_hand=None, look=look, told=told
            )
        if placed:
            return Placed(len(placed))
        return Placed(0, (_why_not(refused) if refused else "no_lines") if ready else "no_leads")

    async def promised(self, terms: CallTerms, shift: Shift) -> Placed:
        """Dial who was promised a call by the shift's agent by now, for that agent, who must be ready.

        Raises WrongState where the agent is not (nothing was dialled), DatabaseUnavailable,
        AsteriskUnavailable.
        """
        node, by_hand = shift.node or "", ByHand(None, shift, promised=True)
        async with self._deciding(terms, node) as (conn, now, placed):
            if why := await self._why_not_at_all(conn, terms):
                return Placed(0, why)
            lead = await hopper.claim_promised(conn, terms.tenant_id, terms.campaign_id, shift.agent_id, now)
            if lead is None:
                return Placed(0, "no_leads")
            targets = [Target(lead.e164, lead.timezones, lead)]
            free = await admission.lock(conn, terms, targets)
            ready = await self._sift(conn, terms, targets, free, now)
            await self._commit(conn, terms, ready, node, now, placed, by_hand=by_hand)
            for line in placed:
                attempt_id = line.call.attempt_id
                if not await agents.reserve(conn, terms.tenant_id, shift.id, now, attempt_id=attempt_id):
                    raise WrongState(what="The agent", state="not free", allowed="ready")
        return Placed(len(placed), "" if placed else "no_lines")

    async def one(self, terms: CallTerms, target: Target, by_hand: ByHand) -> UUID:
        """Dial one number that a person asked for, for that person, or whose turn it is; its attempt's id.

        Raises NotAllowed, NumberBusy, WrongState, NotFound, DatabaseUnavailable, AsteriskUnavailable.
        """
        node = by_hand.shift.node or ""
        async with self._deciding(terms, node) as (conn, now, placed):
            if not await self.leases.still(conn, terms.tenant_id, (terms.campaign_id,)):
                raise AsteriskUnavailable(reason="another server has just taken the campaign over; ask again")
            if not await store.campaign_is_running(conn, terms.tenant_id, terms.campaign_id):
                raise WrongState(what="The campaign", state="not running", allowed="running")
            if target.lead is not None:
                lead = await hopper.claim_one(conn, terms.tenant_id, terms.campaign_id, target.lead.id)
                if lead is None:
                    raise NotFound(what="lead to dial", key=target.lead.id)
            if not await admission.lock(conn, terms, [target]):
                raise NumberBusy  # somebody is just about to say that it is not to be called
            (judged,) = await admission.judge(conn, terms, [target], now)
            if judged.answer is not None and judged.answer.denied is not None:
                raise refusal(judged.answer.denied, judged.subject, terms.rules, now)
            target = replace(target, evidence=judged.evidence)
            await self._commit(conn, terms, [target], node, now, placed, by_hand=by_hand)
            if not placed:
                raise NumberBusy
            line = placed[0]
            await keep_agent(conn, terms, target, by_hand, line.call.attempt_id, now)
        return line.call.attempt_id

    def take_back(self, attempt_ids: Sequence[UUID], why: str = TAKEN_BACK) -> None:
        """End these calls, as far as nobody has answered them. Waits for nothing: one that is answered before
        Asterisk has heard of it is lost, and counts as abandoned."""
        for attempt_id in attempt_ids:
            self.calls.apply(attempt_id, CancelAsked(utc_now(), detail=why))
            line = self.calls.get(attempt_id)
            if line is not None and line.call.canceled and line.call.answered_at is None:
                self._spawn(self._end(line), line.node, f"take-back-{attempt_id}")

    async def settled(self, node: str) -> None:
        """Wait until every Originate that was begun on the node has its answer."""
        if begun := [task for task, where in self._sending.items() if where == node]:
            await asyncio.wait(begun)

    async def _why_not_at_all(self, conn: AsyncConnection, terms: CallTerms) -> str:
        """Why the campaign may not dial by itself; empty: it may, and until this transaction ends nobody can
        take it over or pause it."""
        if mode_allowed(terms.rules) is not None:
            return "mode_forbidden"
        if not await self.leases.still(conn, terms.tenant_id, (terms.campaign_id,)):
            return "not_ours"
        running = await store.campaign_is_running(conn, terms.tenant_id, terms.campaign_id)
        return "" if running else "not_running"

    @contextlib.asynccontextmanager
    async def _deciding(
        self, terms: CallTerms, node: str
    ) -> AsyncIterator[tuple[AsyncConnection, datetime, list[Line]]]:
        """A transaction that puts calls into the list: they are dialled from the node after its commit.

        Raises AsteriskUnavailable, and DatabaseUnavailable where it took too long.
        """
        self._must_be_up(node)
        now, began_s, heard = utc_now(), time.monotonic(), self.refusals_heard
        placed: list[Line] = []
        async with self.database.tenant(terms.tenant_id) as conn:
            yield conn, now, placed
            commit_s = _in_time(began_s)
        self._send(terms, placed, commit_s, heard)

    def _must_be_up(self, node: str) -> None:
        link, known = self.nodes.link(node), self.nodes.get(node)
        # Up is not enough: after a login the leases are read and the books put in order first.
        if not link.up or known is None or not known.ready:
            raise AsteriskUnavailable(reason=link.trouble or "the server is looking at what it has")

    # -- before the commit -----------------------------------------------------------------------------

    async def _sift(
        self,
        conn: AsyncConnection,
        terms: CallTerms,
        targets: Sequence[Target],
        free: Collection[str],
        now: datetime,
    ) -> list[Target]:
        """The targets that every rule admits; the leads of the others are put off or closed. `free`: the
        numbers for which nobody commits an entry of do-not-call meanwhile."""
        ready, unwanted, dead = [], [], []
        judged = await admission.judge(conn, terms, targets, now)
        for target, said in zip(targets, judged, strict=True):
            answer = said.answer
            if answer is None and target.e164 in free:
                ready.append(replace(target, evidence=said.evidence))
            if answer is None or target.lead is None or (denied := answer.denied) is None:
                continue  # else an entry for it is being committed: the next claim sees it
            if denied.reason is Reason.DEAD_NUMBER:
                dead.append(target.lead.id)
                continue
            if denied.reason is Reason.DO_NOT_CALL and denied.until is None:
                unwanted.append(target.lead.id)
                continue
            mended = hopper.FOR_LONG if answer.filter is Filter.QUOTA else ASK_AGAIN
            until = denied.until or now + mended
            await self._put_off(conn, terms, target.lead, Hold(answer.filter), denied.reason, until)
        if unwanted:
            await close_leads(conn, terms.tenant_id, unwanted)
            log.info("leads_not_to_be_called", campaign=terms.campaign_id, leads=len(unwanted))
        if dead:  # their people's next numbers are among the next that are looked at
            opened = await dead_numbers_store.close_these(conn, terms.tenant_id, dead)
            log.info("leads_of_dead_numbers", campaign=terms.campaign_id, leads=len(dead), opened=opened)
        return ready

    @staticmethod
    async def _put_off(
        conn: AsyncConnection, terms: CallTerms, lead: ClaimedLead, hold: Hold, reason: str, until: datetime
    ) -> None:
        if lead.callback_id is not None:  # it rests for its callback, which waits as long
            await promised.put_off(conn, terms.tenant_id, lead.callback_id, until, hold)
        else:
            await hopper.postpone(conn, terms.tenant_id, lead.id, until, hold)
        log.info("lead_postponed", lead=lead.id, hold=hold, reason=reason, until=until.isoformat())

    async def _commit(
        self,
        conn: AsyncConnection,
        terms: CallTerms,
        targets: Sequence[Target],
        node: str,
        now: datetime,
        placed: list[Line],
        *,
        by_hand: ByHand | None,
        look: Look | None = None,
        told: Teller | None = None,
    ) -> Refusal | None:
        """Write holds and attempts, and take their trunks' lines; `placed` gets the calls as they will stand
        when the transaction commits. Why the last one that no trunk took was refused.

        `look` at the trunks, where this transaction has had one.
        """
        ids = {target.e164: new_id() for target in targets}
        if not ids:
            return None
        if by_hand is not None:
            # Before any trunk's row: the journal takes them in this order.
            await store.lock_shift(conn, terms.tenant_id, by_hand.shift.id)
            await check_typed(conn, terms, targets[0], by_hand, now)
        held = await store.hold_numbers(conn, terms.tenant_id, ids)
        free = [target for target in targets if target.e164 in held]
        if not free:
            return None
        look = look or await self.lines.look(conn, terms.tenant_id, terms.trunks, node)
        refused: Refusal | None = None
        new: list[NewAttempt] = []
        for target, answer in zip(free, await self._lines_for(conn, terms, free, look), strict=True):
            if isinstance(answer, Refused):
                refused = answer.reason
                await store.release_numbers(conn, terms.tenant_id, [ids[target.e164]])
                await self._refused(conn, terms, target, answer, now, by_hand)
                continue
            choice, today = answer
            # Not before: it may be another trunk than the campaign's first.
            known = told(target, choice.trunk, now) if told is not None else target
            line = new_line(terms, known, choice.trunk, node, ids[target.e164], now, by_hand)
            line.fence = self.leases.fence(terms.tenant_id, terms.campaign_id)
            placed.append(line)
            new.append(new_attempt(terms, known, choice, node, ids[target.e164], today, by_hand))
        if new:
            await store.add(conn, terms.tenant_id, new, now)
            leads = [each.lead_id for each in new if each.lead_id is not None]
            if leads:
                await hopper.dialling(conn, terms.tenant_id, leads, now)
                if by_hand is not None or any(one.lead and one.lead.callback_id for one in free):
                    made = [each.id for each in new if each.lead_id is not None]
                    await promised.take(conn, terms.tenant_id, leads, made)
                if terms.mixed:
                    dialled = [one.lead for one in free if one.lead is not None and one.lead.id in leads]
                    await hopper.count_dialled(conn, terms.tenant_id, terms.campaign_id, dialled)
        return refused

    async def _lines_for(
        self, conn: AsyncConnection, terms: CallTerms, targets: Sequence[Target], look: Look
    ) -> list[tuple[Choice, date] | Refused]:
        """A line of a trunk for each target, another trunk than the one that has just failed its lead."""
        several = len(look.trunks) > 1  # else there is no other
        leads = [target.lead.id for target in targets if target.lead and several]
        failed = await loads.faults_at(conn, terms.tenant_id, leads) if leads else {}
        asks = [Ask(target.e164, failed.get(target.lead.id) if target.lead else None) for target in targets]
        return await self.lines.take(conn, terms.tenant_id, look, asks)

    async def _refused(
        self,
        conn: AsyncConnection,
        terms: CallTerms,
        target: Target,
        refused: Refused,
        now: datetime,
        by_hand: ByHand | None,
    ) -> None:
        if by_hand is not None and not by_hand.promised:
            async with self.database.tenant(terms.tenant_id) as apart:  # this transaction is rolled back
                await self.lines.tell(apart, terms.tenant_id, refused)
            raise NotAllowed(reason=refused.reason.said)
        log.info("trunk_refused", campaign=terms.campaign_id, reason=refused.reason)
        await self.lines.tell(conn, terms.tenant_id, refused)
        if refused.reason.of_number and target.lead is not None:
            # No wait mends that: it must not stand before the leads that can be dialled.
            await self._put_off(
                conn, terms, target.lead, Hold.TRUNK, f"no_trunk_for_{refused.reason}", now + ASK_AGAIN
            )

    # -- after the commit ------------------------------------------------------------------------------

    def _send(self, terms: CallTerms, lines: Sequence[Line], committed_s: float, heard: int) -> None:
        """`committed_s`: just before the commit was asked for, as nobody knows when it happened. `heard`:
        the entries of do-not-call that were heard of when the decision began."""
        trunks = {trunk.id: trunk for trunk in terms.trunks}
        for line in lines:
            self.calls.add(line)
            work = self._originate(line, trunks[line.trunk_id], committed_s)
            self._spawn(work, line.node, f"originate-{line.call.attempt_id}")
        if heard != self.refusals_heard:
            self.refused_meanwhile(terms.tenant_id)

    def _spawn(self, work: Coroutine[None, None, None], node: str, name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._sending[task] = node
        task.add_done_callback(self._sending.pop)

    async def _end(self, line: Line) -> None:
        with contextlib.suppress(AsteriskUnavailable):  # logged; the resync sees what Asterisk has
            await hang_up_channel(self.nodes.link(line.node), line.call.channel_id)

    async def _originate(self, line: Line, trunk: Trunk, committed_s: float) -> None:
        attempt_id = line.call.attempt_id
        if time.monotonic() - committed_s > SEND_WITHIN_S:
            self._not_placed(line, Result.CANCELED, "sent_too_late")
            return
        if line.call.canceled:
            self._not_placed(line, Result.CANCELED, "canceled_before_it_was_sent")
            return
        try:
            reply = await self.nodes.link(line.node).send(originate(line, trunk, self.agi_address))
        except ActionFailed as error:
            self._not_placed(line, Result.FAILED, "originate_refused", error)
        except (ActionTimeout, AsteriskUnavailable) as error:
            if not error.sent:
                self._not_placed(line, Result.CANCELED, "link_was_down", error)
            # Else Asterisk may be dialling: the resync after the next login sees what it has.
        except DozvonError as error:  # a value that may not be sent
            self._not_placed(line, Result.FAILED, error.id, error)
        else:
            self.calls.apply(attempt_id, Sent(utc_now()))
            self.tracker.asked(attempt_id, reply.get("ActionID"), line.node)

    def _not_placed(self, line: Line, result: Result, detail: str, error: DozvonError | None = None) -> None:
        log.warning(
            "not_placed",
            attempt=str(line.call.attempt_id),
            detail=detail,
            reason=str(error) if error else None,
        )
        self.calls.apply(line.call.attempt_id, NotPlaced(utc_now(), result=result, detail=detail))

    def _changed(self, line: Line, change: Change) -> None:
        before, after = change.before, change.after
        if after.canceled and after.answered_at is None and before.ringing_at != after.ringing_at:
            # It was taken back before Asterisk had a channel that could be ended.
            self._spawn(self._end(line), line.node, f"end-{after.attempt_id}")
        if after.hung_up_at is not None and before.hung_up_at is None and not after.inbound:
            self.lines.freed(line.trunk_id)


def _in_time(began_s: float) -> float:
    """Now (monotonic). Raises DatabaseUnavailable, and so takes all back, where the decision is old: agents
    may have gone since, and hours ended."""
    now_s = time.monotonic()
    if now_s - began_s > DECIDE_WITHIN_S:
        raise DatabaseUnavailable(reason=f"it has held up a call for {now_s - began_s:.1f} s")
    return now_s


def _why_not(refusal: Refusal) -> str:
    """The word for pacing: what passes by itself is `no_lines`."""
    passing = (Refusal.NO_TRUNK, Refusal.UNREACHABLE, Refusal.PREFIX, Refusal.CHANNELS, Refusal.RATE)
    return "no_lines" if refusal in passing else refusal.value
