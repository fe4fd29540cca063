"""The engine: the one process that speaks to Asterisk.

It consumes what Asterisk says, one event after another, and what the other processes tell it through
PostgreSQL; everything it does hangs on one of the two, or on a timer with a name. See docs/architecture.md
for the way of a call through it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.dialects.postgresql import insert as upsert

from dialer.agents import store as agents
from dialer.agents.model import PAUSE_WRAP_UP_OVER, AgentState, Shift
from dialer.asterisk.ami import AmiEvent, AmiLink, Incoming, LinkDown, LinkUp
from dialer.asterisk.fastagi import FastAgiServer
from dialer.calls import store as calls_store
from dialer.calls.commands import CommandRunner
from dialer.calls.journal import DatabaseJournal
from dialer.calls.model import CallState, HungUpBy
from dialer.calls.phones import Phones
from dialer.calls.placing import ByHand, Placer, Target
from dialer.calls.recovery import Recovery, channels, reachable
from dialer.calls.switchboard import Switchboard
from dialer.calls.table import CallTable, Change, Line
from dialer.calls.tracking import Tracker
from dialer.calls.voices import Voices
from dialer.campaigns.runner import Runner
from dialer.campaigns.terms import DatabaseTermsBook
from dialer.clock import utc_now
from dialer.db.listen import ENGINE, Listener
from dialer.db.lock import Alone
from dialer.db.session import Database
from dialer.db.tables import process_status
from dialer.errors import (
    ActionFailed,
    AsteriskUnavailable,
    DatabaseUnavailable,
    DozvonError,
    NotFound,
    WrongState,
)
from dialer.recordings.recorder import Recorder
from dialer.trunks import store as trunks
from scheduler import hopper

log = structlog.get_logger(__name__)

HOUSEKEEPING_S = 1.0
#: A call that has not been answered so long after its ringing should have ended is asked after.
OVERDUE_S = 10.0


@dataclass(slots=True)
class Engine:
    """All parts of the engine; `run` until cancelled."""

    database: Database
    alone: Alone
    listener: Listener
    link: AmiLink
    agi: FastAgiServer
    journal: DatabaseJournal
    calls: CallTable
    tracker: Tracker
    switchboard: Switchboard
    placer: Placer
    phones: Phones
    voices: Voices
    recorder: Recorder
    recovery: Recovery
    terms: DatabaseTermsBook
    runner: Runner
    #: renders a managed Asterisk's phones and trunks anew; None: Asterisk is somebody else's
    render: Callable[[], Awaitable[None]] | None = None
    resynced: asyncio.Event = field(default_factory=asyncio.Event)
    commands: CommandRunner = field(init=False)
    _tenants: list[int] = field(default_factory=list)
    _notes: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    #: (what, tenant) of notes whose following takes time
    _errands: asyncio.Queue[tuple[str, int]] = field(default_factory=asyncio.Queue)
    _asterisk_started: str | None = None
    _events: int = 0
    #: taken from the inbox and not yet looked at
    _held: Incoming | None = None

    def __post_init__(self) -> None:
        self.commands = CommandRunner(
            self.database,
            {
                "hang_up": self._hang_up,
                "dial_lead": self._dial_lead,
                "dial_number": self._dial_number,
            },
        )
        self.calls.watchers.append(self._record)

    async def run(self) -> None:
        """Work until cancelled; the lines stay as they are, the next engine takes them over.

        While another engine works for this database it stands by.
        """
        try:
            await self.alone.wait()
            await self._work()
        finally:
            self.alone.end()

    async def _work(self) -> None:
        self._tenants = await self.database.tenants()
        for tenant_id in self._tenants:
            adopted = await self.recovery.adopt(tenant_id)
            log.info("adopted", tenant=tenant_id, calls=adopted)
        self.listener.subscribe(ENGINE, self._notes.put_nowait)
        self.agi.route("customer", self.switchboard.customer)
        await self.agi.start()
        self.placer.agi_address = self.placer.agi_address or self.agi.address
        try:
            async with asyncio.TaskGroup() as tasks:
                for name, work in {
                    "alone": self.alone.keep,
                    "listener": self.listener.run,
                    "journal": self.journal.run,
                    "ami": self.link.run,
                    "consumer": self._consume,
                    "notes": self._take_notes,
                    "errands": self._run_errands,
                    "switchboard": self.switchboard.run,
                    "phones": self.phones.run,
                    "voices": self.voices.run,
                    "pacing": self.runner.run,
                    "housekeeping": self._keep_house,
                }.items():
                    tasks.create_task(work(), name=name)
        finally:
            await self.agi.close()
            await self.link.close()
            await self.journal.finish()
            await self.recorder.close()

    # -- what Asterisk says ------------------------------------------------------------------------------

    async def _consume(self) -> None:
        while True:
            item = self._held if self._held is not None else await self.link.inbox.get()
            self._held = None
            match item:
                case AmiEvent(name="FullyBooted"):
                    # Said once a login, when modules are loaded: earlier nothing can be dialled.
                    await self._resync()
                case AmiEvent():
                    self._take(item)
                case LinkUp():
                    pass
                case LinkDown():
                    self.resynced.clear()
                    self.tracker.link_lost()

    def _take(self, event: AmiEvent) -> None:
        self._events += 1
        self.tracker.handle(event)

    def _catch_up(self) -> None:
        """Take the events that have come so far, up to the next login or loss of the link."""
        inbox = self.link.inbox
        while self._held is None and not inbox.empty():
            item = inbox.get_nowait()
            if isinstance(item, AmiEvent) and item.name != "FullyBooted":
                self._take(item)
            else:
                self._held = item

    async def _resync(self) -> None:
        """Put the books in order before anything new is dialled."""
        while self.link.up:
            try:
                await self._put_in_order()
            except (AsteriskUnavailable, ActionFailed, DatabaseUnavailable) as error:
                log.warning("resync_again", reason=str(error))
                await asyncio.sleep(0.5)  # the database is away: nothing tells when it is back
            else:
                return

    async def _put_in_order(self) -> None:
        suspects = list(self.calls)
        await self.placer.settled()
        status = await self.link.send({"Action": "CoreStatus"})
        started = f"{status.get('CoreStartupDate')} {status.get('CoreStartupTime')}"
        # Only of an Asterisk that we have seen ourselves is it certain that nobody answered since.
        died = self._asterisk_started not in (None, started)
        shifts: list[Shift] = []
        carriers: set[str] = set()
        for tenant_id in self._tenants:
            async with self.database.tenant(tenant_id) as conn:
                shifts += await agents.open_shifts(conn, tenant_id)
                carriers |= {trunk.endpoint for trunk in await trunks.trunks(conn, tenant_id)}
        for endpoint in carriers:
            self.placer.lines.contact(endpoint, await reachable(self.link, endpoint))
        legs = self.recovery.expect(shifts)
        present = await channels(self.link)
        self.recovery.found(suspects, legs, present)
        # What ended before Asterisk made its list was said before it, and waits in the inbox: who is not on
        # the list is gone unseen only if that did not say so.
        self._catch_up()
        self.recovery.missing(suspects, legs, present, asterisk_died=died)
        await self.recovery.end_ghosts(present)
        self._asterisk_started = started
        for tenant_id in self._tenants:
            await self.recorder.settle_left(tenant_id, set(self.calls.lines), utc_now())
        log.info("resynced", channels=len(present), calls=len(self.calls.lines), asterisk_died=died)
        self.resynced.set()
        for tenant_id in self._tenants:
            self._look_at("agents", tenant_id)
            self._look_at("campaigns", tenant_id)

    # -- what the other processes say --------------------------------------------------------------------

    async def _take_notes(self) -> None:
        """Follow what can be followed at once, and put the rest into the queue of errands: a customer who
        waits hears of a free agent at once, whatever else was asked for."""
        while True:
            note = await self._notes.get()
            try:
                if note:
                    told = json.loads(note)
                    self._told(told["what"], told["tenant"])
                else:
                    # Notes may have been missed: look at everything.
                    self._tenants = await self.database.tenants()
                    for tenant_id in self._tenants:
                        for what in ("trunks", "agents", "campaigns", "commands"):
                            self._told(what, tenant_id)
            except DatabaseUnavailable as error:
                log.error("note_not_followed", note=note, reason=str(error))  # noqa: TRY400

    def _told(self, what: str, tenant_id: int) -> None:
        if tenant_id not in self._tenants:
            self._tenants.append(tenant_id)
        if what in ("commands", "trunks", "phones"):
            self._errands.put_nowait((what, tenant_id))
        else:
            self._look_at(what, tenant_id)

    async def _run_errands(self) -> None:
        """Do what takes time, one after another."""
        while True:
            what, tenant_id = await self._errands.get()
            try:
                if what == "commands":
                    await self.commands.run_all(tenant_id)
                elif self.render is not None:
                    await self.render()
            except DozvonError as error:  # the database or Asterisk is away, or a file cannot be rendered
                log.error("errand_not_done", what=what, reason=str(error))  # noqa: TRY400
            if what != "commands":
                self._look_at("agents", tenant_id)
                self._look_at("campaigns", tenant_id)

    def _look_at(self, what: str, tenant_id: int) -> None:
        match what:
            case "campaigns":
                self.runner.campaigns_changed(tenant_id)
            case "agents":
                self.phones.look(tenant_id)
                self.runner.agents_changed(tenant_id)
                self.switchboard.agents_changed()

    # -- commands ----------------------------------------------------------------------------------------

    async def _hang_up(self, tenant_id: int, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        attempt_id = UUID(payload["attempt_id"])
        line = self.calls.get(attempt_id)
        if line is None or line.call.tenant_id != tenant_id:
            raise NotFound(what="call on the line", key=attempt_id)
        await self.switchboard.hang_up(attempt_id, HungUpBy(payload["by"]))
        return {}

    async def _dial_lead(self, tenant_id: int, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        return await self._dial(tenant_id, payload, await self._target_of_lead(tenant_id, payload))

    async def _dial_number(self, tenant_id: int, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        return await self._dial(tenant_id, payload, Target(payload["e164"], tuple(payload["timezones"])))

    async def _dial(self, tenant_id: int, payload: Mapping[str, Any], target: Target) -> Mapping[str, Any]:
        if not self.resynced.is_set():
            raise AsteriskUnavailable(reason=self.link.trouble or "the server is looking at what it has")
        terms = await self.terms.terms(tenant_id, payload["campaign_id"])
        async with self.database.tenant(tenant_id) as conn:
            shift = await agents.find_shift(conn, tenant_id, UUID(payload["session_id"]))
        if shift is None or shift.leg is None:
            raise WrongState(what="The agent's phone", state="not connected", allowed="connected")
        attempt_id = await self.placer.one(terms, target, ByHand(payload["user_id"], shift))
        return {"attempt_id": str(attempt_id)}

    async def _target_of_lead(self, tenant_id: int, payload: Mapping[str, Any]) -> Target:
        async with self.database.tenant(tenant_id) as conn:
            lead = await hopper.claim_one(conn, tenant_id, payload["campaign_id"], payload["lead_id"])
        if lead is None:
            raise NotFound(what="lead to dial", key=payload["lead_id"])
        return Target(lead.e164, lead.timezones, lead)

    # -- what goes with a call ---------------------------------------------------------------------------

    def _record(self, line: Line, change: Change) -> None:
        before, after = change.before, change.after
        if after.connected_at and not before.connected_at and line.terms.record:
            self.recorder.begin(after.tenant_id, after.attempt_id, after.connected_at)
        if after.hung_up_at and not before.hung_up_at and after.connected_at:
            self.recorder.ended(after.tenant_id, after.attempt_id, after.hung_up_at)

    async def _keep_house(self) -> None:
        """Once a second: end wrap-ups over their limit, take up what was left behind, ask after calls that
        should have ended, say that we live."""
        started = utc_now()
        while True:
            await asyncio.sleep(HOUSEKEEPING_S)
            try:
                for tenant_id in self._tenants:
                    await self._end_wrap_ups(tenant_id)
                    if not self.journal.behind:
                        await self.recovery.left_behind(tenant_id)
                await self._say(started)
                await self._ask_after_overdue()
            except (DatabaseUnavailable, AsteriskUnavailable) as error:
                log.warning("housekeeping_waits", reason=str(error))

    async def _end_wrap_ups(self, tenant_id: int) -> None:
        now = utc_now()
        async with self.database.tenant(tenant_id) as conn:
            await calls_store.end_overdue_wrap_ups(conn, tenant_id, now)
            for attempt_id, session_id in await calls_store.shifts_over_wrap_up(conn, tenant_id, now):
                log.info("wrap_up_over", attempt=str(attempt_id))
                await agents.move(
                    conn,
                    tenant_id,
                    session_id,
                    AgentState.PAUSED,
                    now,
                    leaving=(AgentState.WRAP_UP,),
                    only_attempt=attempt_id,
                    pause_code=PAUSE_WRAP_UP_OVER,
                )

    async def _ask_after_overdue(self) -> None:
        now = utc_now()
        overdue = [
            line
            for line in self.calls
            if line.call.state in (CallState.DIALLING, CallState.RINGING)
            and now - line.call.created_at > timedelta(seconds=line.terms.ring_timeout_s + OVERDUE_S)
        ]
        if overdue and self.resynced.is_set():
            self.recovery.missing(overdue, (), await channels(self.link))

    async def _say(self, started: object) -> None:
        status = {
            "asterisk": self.link.up,
            "trouble": self.link.trouble,
            "disk_full": self.database.is_full,
            "calls": len(self.calls.lines),
            "phones": sum(leg.up for leg in self.tracker.legs.values()),
            "journal_behind": self.journal.behind,
            "events": self._events,
            "tasks": len(asyncio.all_tasks()),
        }
        values = {"seen_at": utc_now(), "status": status}
        async with self.database.system() as conn:
            await conn.execute(
                upsert(process_status)
                .values(name="engine", started_at=started, **values)
                .on_conflict_do_update(index_elements=["name"], set_={"started_at": started, **values})
            )
