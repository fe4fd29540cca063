"""Writes down what happens to calls, in order, many at a time.

The engine never waits for the database to follow a call: a change goes into a queue, and one writer puts all
that is waiting into one transaction a tenant, at most every `EVERY_S`: what happens to many calls in such a
time is written in a few statements. While the database is away the queue grows and nothing is lost
(no new call can be placed meanwhile, since placing needs the database: the queue is bounded by the calls on
the lines). A change that the database refuses for its content is logged and left out, so that one bad row
cannot hold up the rest.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.agents import store as agents
from dialer.agents.model import AgentState
from dialer.calls import missed, retries, store, verdicts
from dialer.calls.consequences import (
    Confers,
    Consequence,
    IsFree,
    LetsGo,
    LineIsFree,
    Talks,
    WaitIsOver,
    WrapsUp,
)
from dialer.calls.model import DO_NOT_CALL, Call, CallState, Third
from dialer.calls.table import Change
from dialer.clock import utc_now
from dialer.db import events
from dialer.db.session import Database
from dialer.errors import DatabaseUnavailable
from dialer.queues import places, stays
from dialer.queues.model import End
from dialer.queues.turns import OUTCOMES, Outcome
from dialer.servers.ownership import Leases, Sole
from dialer.trunks import forwards, loads
from scheduler import callbacks, hopper, promised, retry
from scheduler.holds import Hold

log = structlog.get_logger(__name__)

#: Classes of SQLSTATE that say "not this value": wrong data, broken constraint, no such column. All others
#: (a deadlock, a full disk, a server that stops) pass.
CONTENT = ("22", "23", "42")
#: Changes in one transaction; keeps a transaction short after the database was away.
BATCH = 500
#: Between the beginnings of two transactions; the first change after a silence waits for nothing.
EVERY_S = 0.1
RETRY_S = 0.5


class DatabaseJournal:
    """The journal over PostgreSQL. `run` until cancelled; `drain` to see everything written."""

    def __init__(self, database: Database, leases: Leases | None = None) -> None:
        self._database = database
        self._leases = leases or Sole()
        self._waiting: list[Change] = []
        self._work = asyncio.Event()
        self._written = asyncio.Condition()
        self._busy = False

    def put(self, change: Change) -> None:
        """Take a change to be written."""
        self._waiting.append(change)
        self._work.set()

    @property
    def behind(self) -> int:
        """Changes not yet written."""
        return len(self._waiting)

    async def drain(self) -> None:
        """Wait until all that was put before is written."""
        async with self._written:
            await self._written.wait_for(lambda: not self._waiting and not self._busy)

    async def finish(self) -> None:
        """At the end, when nothing is put any more: write what is left, once."""
        if self._waiting:
            try:
                await self._write(self._waiting)
            except DatabaseUnavailable as error:
                # The next engine finds these calls open and asks Asterisk about them.
                log.error("journal_unwritten", behind=len(self._waiting), reason=str(error))  # noqa: TRY400

    async def run(self) -> None:
        """Write until cancelled."""
        loop = asyncio.get_running_loop()
        not_before = 0.0
        while True:
            await self._work.wait()
            await asyncio.sleep(max(0.0, not_before - loop.time()))
            not_before = loop.time() + EVERY_S
            self._work.clear()
            self._busy = True
            while self._waiting:
                batch = self._waiting[:BATCH]
                try:
                    await self._write(batch)
                except DatabaseUnavailable as error:
                    log.warning("journal_waits", behind=len(self._waiting), reason=str(error))
                    await asyncio.sleep(RETRY_S)  # nothing tells when a database is back
                    continue
                del self._waiting[: len(batch)]
            self._busy = False
            async with self._written:
                self._written.notify_all()

    async def _write(self, batch: Sequence[Change]) -> None:
        of_tenant: dict[int, list[Change]] = defaultdict(list)
        for change in batch:
            of_tenant[change.after.tenant_id].append(change)
        for tenant_id, changes in of_tenant.items():
            try:
                async with self._database.tenant(tenant_id) as conn:
                    ours = await self._ours(conn, tenant_id, changes)
                    await _write_all(conn, tenant_id, ours)
            except DBAPIError:
                # One of them cannot be written: find it, keep the others.
                await self._one_by_one(tenant_id, changes)

    async def _ours(
        self, conn: AsyncConnection, tenant_id: int, changes: Sequence[Change]
    ) -> Sequence[Change]:
        """Those of campaigns that are ours still, under the number of the lease under which we saw them:
        another server that has taken one over, be it for a moment, knows better what became of its calls."""
        fences = await self._leases.held(conn, tenant_id, {change.after.campaign_id for change in changes})
        ours = [change for change in changes if fences.get(change.after.campaign_id) == change.fence]
        if len(ours) < len(changes):
            left = [str(change.after.attempt_id) for change in changes if change not in ours]
            log.warning("journal_not_ours", changes=len(left), attempts=left)
        return ours

    async def _one_by_one(self, tenant_id: int, changes: Sequence[Change]) -> None:
        for change in changes:
            try:
                async with self._database.tenant(tenant_id) as conn:
                    await _write_all(conn, tenant_id, await self._ours(conn, tenant_id, [change]))
            except DBAPIError as error:
                if not _refused_for_content(error):
                    raise DatabaseUnavailable(reason=str(error.orig)) from error
                log.exception("journal_refused", attempt=str(change.after.attempt_id), change=repr(change))


def _refused_for_content(error: DBAPIError) -> bool:
    state = str(getattr(error.orig, "sqlstate", None) or "")
    return state.startswith(CONTENT) or isinstance(error, DataError)


async def _write_all(conn: AsyncConnection, tenant_id: int, changes: Sequence[Change]) -> None:
    """Write changes and what follows from them. Rows are locked in the order that everybody keeps: calls,
    numbers, leads, shifts."""
    last = {change.after.attempt_id: change for change in changes}
    open_rows = await store.save_all(conn, tenant_id, [_standing(changes, id_) for id_ in last])
    freed = [
        (change.after, follows.result)
        for change in changes
        for follows in change.consequences
        if isinstance(follows, LineIsFree)
    ]
    if freed:
        await _settle(conn, tenant_id, freed)
    waits = [
        _over(change.after, follows)
        for change in changes
        for follows in change.consequences
        if isinstance(follows, WaitIsOver)
    ]
    if waits:
        await stays.settle(conn, tenant_id, waits)
    if called := _called(changes):
        await places.settle(conn, tenant_id, called, utc_now())
    facts = []
    for change in changes:
        call = change.after
        # A row that had ended before, or that its disposition has ended in this last step.
        is_open = open_rows.get(call.attempt_id)
        ended = is_open is None or (change is last[call.attempt_id] and not is_open)
        for consequence in change.consequences:
            await _follow(conn, call, consequence, ended=ended)
        told = change.before.state is not call.state or change.before.result is not call.result
        # Of a row that had ended nothing is news: it was told with the end, be it in a commit of ours that
        # was in doubt and is made again. One that is still open is told again then: with the same state, and
        # whoever reads it (a page, which reads its data anew; docs/reference/api.md) takes it for the same.
        if told and is_open is not None:
            facts.append(_fact(call, CallState.ENDED if ended else call.state))
        elif _steered(change.before) != _steered(call):
            facts.append(_of_talk(call))
        if (third := call.third or change.before.third) is not None and third.agent is not None:
            facts += [_of_talk(call, third.agent.agent_id)] if third != change.before.third else []
    await events.emit_all(conn, facts, tenant_id=tenant_id)
    await _free_lines(conn, tenant_id, changes)


def _standing(changes: Sequence[Change], attempt_id: UUID) -> store.Standing:
    """A call as it stands after its last change, with all that the earlier ones have told."""
    its_own = [change for change in changes if change.after.attempt_id == attempt_id]
    return store.Standing(
        its_own[-1].after,
        # A lost agent stays on the row: the talk was theirs.
        next((change.after.agent for change in reversed(its_own) if change.after.agent), None),
        next((change.join_ms for change in reversed(its_own) if change.join_ms is not None), None),
        next(
            (each.answer_to_agent_ms for each in reversed(its_own) if each.answer_to_agent_ms is not None),
            None,
        ),
    )


def _called(changes: Sequence[Change]) -> dict[UUID, Outcome]:
    """What calls of ours have come to that may have been made for kept places: who has met the agent is back,
    whatever comes after."""
    found: dict[UUID, Outcome] = {}
    for change in changes:
        call = change.after
        if call.inbound or call.led:
            continue
        if call.connected_at is not None and change.before.connected_at is None:
            found[call.attempt_id] = Outcome.ANSWERED
        elif call.hung_up_at is not None and change.before.hung_up_at is None:
            found.setdefault(call.attempt_id, OUTCOMES.get(str(call.result), Outcome.NOT_REACHED))
    return found


def _over(call: Call, follows: WaitIsOver) -> stays.Over:
    answered = follows.ended is End.ANSWERED
    # Who was handed over has talked before.
    joined = max(filter(None, (call.connected_at, call.assigned_at)), default=None)
    at = joined if answered else call.hung_up_at
    agent_id = call.talked_by if answered else None
    return stays.Over(call.attempt_id, at or utc_now(), follows.ended, agent_id)


def _fact(call: Call, state: CallState) -> events.Fact:
    agent_id = call.agent.agent_id if call.agent else None
    about = {"attempt_id": str(call.attempt_id), "campaign_id": call.campaign_id, "agent_id": agent_id}
    payload = about | {"state": state, "result": call.result}
    if call.inbound:
        payload["direction"] = call.direction
    return events.Fact("call.state", payload, call.campaign_id, agent_id)


def _steered(call: Call) -> tuple[bool, bool, Third | None]:
    return call.held_at is not None, call.muted, call.third


def _of_talk(call: Call, to: int | None = None) -> events.Fact:
    """What the agent does with the customer."""
    agent_id, (held, muted, third) = call.agent.agent_id if call.agent else None, _steered(call)
    payload: dict[str, Any] = {"attempt_id": str(call.attempt_id), "held": held, "muted": muted}
    if third is not None:
        payload["third"] = {"name": third.name, "stage": third.stage, "came": third.came}
    return events.Fact("call.talk", payload, call.campaign_id, to or agent_id)


async def _settle(conn: AsyncConnection, tenant_id: int, freed: Sequence[tuple[Call, str]]) -> None:
    """The channels of these calls are gone: their numbers are free, their leads have a result."""
    ids = [call.attempt_id for call, _ in freed]
    await store.release_numbers(conn, tenant_id, ids)
    if came := [call.attempt_id for call, _ in freed if call.inbound]:
        await missed.note(conn, tenant_id, came)
    dialled = [call.attempt_id for call, _ in freed if not call.inbound]
    leads = await retries.leads_of(conn, tenant_id, dialled) if dialled else {}
    # In the order of leads: two transactions do not wait for each other.
    of_lead = [(leads[call.attempt_id], call, result) for call, result in freed if call.attempt_id in leads]
    for lead, call, result in sorted(of_lead, key=lambda each: each[0].lead_id):
        assert call.hung_up_at is not None
        fate = retry.after(
            result,
            lead.tries,
            lead.rules,
            call.hung_up_at,
            trunk_faults=lead.trunk_faults + 1 if verdicts.failed_by_trunk(call) else 0,
            unrung=verdicts.unrung(call),
            taken_back=verdicts.taken_back(call),
        )
        if lead.promised_at is not None:  # a flow has promised it in this call
            fate = retry.Again(lead.promised_at, hold=Hold.CALLBACK)
        if lead.unwanted:  # it was being dialled when that was said: nothing has closed it
            fate = retry.Close(DO_NOT_CALL)
        outcome = None
        if lead.promise is not None:
            outcome, fate = callbacks.after_try(lead.promise, result, fate, call.created_at, call.hung_up_at)
        await hopper.settle(conn, tenant_id, lead.lead_id, call.created_at, result, fate)
        if lead.promise is not None and outcome is not None:
            await promised.settle(conn, tenant_id, lead.promise.id, outcome, call.hung_up_at)


async def _free_lines(conn: AsyncConnection, tenant_id: int, changes: Sequence[Change]) -> None:
    """Give back the lines of the calls that have ended, and tell their trunks what the calls say of them.

    At the end of the transaction, all calls together: the rows of trunks are everybody's.
    """
    ended = []
    for change in changes:
        call = change.after
        if call.inbound or call.hung_up_at is None or change.before.hung_up_at is not None:
            continue
        answered_s = (call.hung_up_at - call.answered_at).total_seconds() if call.answered_at else None
        ended.append(loads.Ended(call.attempt_id, answered_s, verdicts.at_end(call)))
    answered = [
        change.after.attempt_id
        for change in changes
        if not change.after.inbound and verdicts.answered(change.before, change.after)
    ]
    if ended or answered:
        await loads.give_back(conn, tenant_id, ended, answered)
    callers = {
        change.after.attempt_id: change.after.hung_up_at
        for change in changes
        if (change.after.led or change.after.connected_at)
        and change.after.hung_up_at
        and change.before.hung_up_at is None
    }
    if callers:  # what was dialled for them, or by their agents, goes with them
        await forwards.end(conn, tenant_id, list(callers), max(callers.values()))


async def _follow(conn: AsyncConnection, call: Call, consequence: Consequence, *, ended: bool) -> None:
    tenant_id, attempt_id = call.tenant_id, call.attempt_id
    match consequence:
        case LineIsFree() | WaitIsOver():
            pass  # settled for all calls at once
        case Talks(session_id):
            assert call.connected_at is not None
            # A customer who was kept for the agent, or offered to another, is joined a second time.
            joined_at = max(call.connected_at, call.assigned_at or call.connected_at)
            await agents.move(
                conn,
                tenant_id,
                session_id,
                AgentState.TALKING,
                joined_at,
                attempt_id=attempt_id,
                only_attempt=attempt_id,
            )
        case WrapsUp(session_id):
            assert call.hung_up_at is not None
            if ended:
                await agents.release(conn, tenant_id, session_id, attempt_id, call.hung_up_at)
                return
            await agents.move(
                conn,
                tenant_id,
                session_id,
                AgentState.WRAP_UP,
                call.hung_up_at,
                leaving=(AgentState.RESERVED, AgentState.TALKING),
                attempt_id=attempt_id,
                only_attempt=attempt_id,
            )
        case LetsGo(session_id):
            assert call.let_go_at is not None
            if await agents.owes_disposition(conn, tenant_id, session_id) != attempt_id:
                await agents.release(conn, tenant_id, session_id, attempt_id, call.let_go_at)
                return
            await agents.move(
                conn,
                tenant_id,
                session_id,
                AgentState.WRAP_UP,
                call.let_go_at,
                leaving=(AgentState.RESERVED, AgentState.TALKING),
                attempt_id=attempt_id,
                only_attempt=attempt_id,
            )
        case Confers(session_id, at):
            await agents.move(
                conn,
                tenant_id,
                session_id,
                AgentState.TALKING,
                at,
                leaving=(AgentState.RESERVED,),
                attempt_id=attempt_id,
                only_attempt=attempt_id,
            )
        case IsFree(session_id):
            at = call.hung_up_at or call.assigned_at or call.created_at
            await agents.release(conn, tenant_id, session_id, attempt_id, at)
