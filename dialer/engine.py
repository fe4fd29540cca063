"""The engine: the one process of a server that speaks to Asterisk.

It consumes what each Asterisk server (node) says, one event after another, and what the other processes tell
it through PostgreSQL; everything it does hangs on one of the two, or on a timer with a name. See
docs/architecture.md for the way of a call through it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.dialects.postgresql import insert as upsert

from dialer.agents import store as agents
from dialer.agents.model import Shift
from dialer.agents.phones import COMMAND as BROWSER_PHONE
from dialer.agents.roster import Roster
from dialer.asterisk.ami import AmiLink
from dialer.asterisk.fastagi import FastAgiServer
from dialer.asterisk.nodes import Nodes
from dialer.calls.browser_phones import BrowserSecrets
from dialer.calls.commands import CommandRunner
from dialer.calls.consumer import Books
from dialer.calls.controls import Controls
from dialer.calls.driving import Driving
from dialer.calls.in_turn import InTurn
from dialer.calls.journal import DatabaseJournal
from dialer.calls.listening import Listening
from dialer.calls.model import Call, HungUpBy, Result
from dialer.calls.phones import Phones
from dialer.calls.placing import Placer
from dialer.calls.recovery import Recovery
from dialer.calls.switchboard import Switchboard
from dialer.calls.table import CallTable, Change, Line
from dialer.calls.targets import ByHand, Target
from dialer.calls.tracking import Tracker, leg_of
from dialer.calls.unwanted import Unwanted
from dialer.calls.voices import Voices
from dialer.calls.wrapups import WrapUpLimits
from dialer.campaigns.runner import Runner
from dialer.campaigns.terms import DatabaseTermsBook
from dialer.clock import utc_now
from dialer.db.listen import ENGINE, Listener
from dialer.db.lock import Alone
from dialer.db.pulse import Pulse
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
from dialer.inbound.outgoing import Outgoing
from dialer.inbound.reception import Reception
from dialer.inbound.surveying import Surveying
from dialer.recordings.recorder import Recorder
from dialer.servers import store as servers
from dialer.servers.model import LeaseKey, LeaseKind
from dialer.servers.ownership import Gained, Ownership
from dialer.servers.store import NodeRow
from scheduler import hopper

log = structlog.get_logger(__name__)

HOUSEKEEPING_S = 1.0
#: What of a tenant is looked at when notes may have been missed; agents come with shifts.
LOOKED_AT = ("trunks", "shifts", "campaigns", "callbacks", "places", "commands", "do_not_call")
#: Between two tries to take calls over while the database or Asterisk is away.
AGAIN_S = 0.5


@dataclass(slots=True)
class Engine:
    """All parts of the engine; `run` until cancelled."""

    database: Database
    pulse: Pulse
    alone: Alone
    listener: Listener
    #: the Asterisk server of our settings
    own_node: NodeRow
    #: a link to another
    link_to: Callable[[NodeRow], AmiLink]
    nodes: Nodes
    ownership: Ownership
    agi: FastAgiServer
    journal: DatabaseJournal
    calls: CallTable
    tracker: Tracker
    switchboard: Switchboard
    in_turn: InTurn
    reception: Reception
    outgoing: Outgoing
    surveying: Surveying
    placer: Placer
    phones: Phones
    voices: Voices
    recorder: Recorder
    controls: Controls
    listening: Listening
    wrap_ups: WrapUpLimits
    recovery: Recovery
    terms: DatabaseTermsBook
    roster: Roster
    runner: Runner
    #: renders a managed Asterisk's phones and trunks anew; None: Asterisk is somebody else's
    render: Callable[[], Awaitable[None]] | None = None
    commands: CommandRunner = field(init=False)
    driving: Driving = field(init=False)
    unwanted: Unwanted = field(init=False)
    browsers: BrowserSecrets = field(init=False)
    _books: Books = field(init=False)
    _gains: asyncio.Queue[Gained] = field(default_factory=asyncio.Queue)
    _notes: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    #: (what, tenant) of notes whose following takes time; tenants with commands
    _errands: asyncio.Queue[tuple[str, int]] = field(default_factory=asyncio.Queue)
    _commanded: asyncio.Queue[int] = field(default_factory=asyncio.Queue)
    #: another server has died, whose callers are ours to ask for
    _died: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.browsers = BrowserSecrets(self.database, self.nodes, lambda: self._books.tenants)
        self.commands = CommandRunner(
            self.database,
            self.ownership.name,
            self.ownership.paced,
            {
                "hang_up": self._hang_up,
                "control": self.controls.command,
                "listen": self.listening.command,
                "dial_lead": self._dial_lead,
                "dial_number": self._dial_number,
                BROWSER_PHONE: self.browsers.open,
            },
            asks_asterisk=("hang_up", "control", "listen", BROWSER_PHONE),
        )
        self._books = Books(
            self.database,
            self.nodes,
            self.ownership,
            self.calls,
            self.tracker,
            self.placer,
            self.recovery,
        )
        self.driving = Driving(self._books, self.link_to, self._nodes_changed)
        self.unwanted = Unwanted(self.database, self.calls, self.placer)
        self.calls.watchers.append(self._record)
        self.recovery.held_alone = self.controls.ask_again
        self.runner.shifts_read = self._know_phones
        self.ownership.gained = self._gains.put_nowait
        self.ownership.lost = self._lost
        self.ownership.died = self._died.set

    @property
    def resynced(self) -> asyncio.Event:
        """Set while what one Asterisk server at least has is known."""
        return self.nodes.some_ready

    async def run(self) -> None:
        """Work until cancelled; the lines stay as they are, the next engine takes them over.

        While another engine works under our server's name it stands by.
        """
        try:
            await self.alone.wait()
            await self._work()
        finally:
            self.alone.end()

    async def _work(self) -> None:
        self._books.tenants = await self.database.tenants()
        await self.ownership.begin()
        while (
            not self._gains.empty()
        ):  # before anything is heard of them; each node's resync accounts for them
            gained = self._gains.get_nowait()
            await self._adopt(gained)
            self.ownership.settle(gained)
        async with self.database.system() as conn:
            await servers.put_node(conn, self.own_node.name, self.own_node.ami_host, self.own_node.ami_port)
        self.listener.subscribe(ENGINE, self._notes.put_nowait)
        self.agi.route("customer", self.outgoing.answer)
        self.agi.route("inbound", self.reception.answer)
        self.agi.route("survey", self.surveying.answer)
        await self.agi.start()
        self.placer.agi_address = self.placer.agi_address or self.agi.address
        await self.ownership.say_address(self.placer.agi_address)
        try:
            async with asyncio.TaskGroup() as tasks:
                for name, work in {
                    "pulse": self.pulse.run,
                    "alone": self.alone.keep,
                    "listener": self.listener.run,
                    "journal": self.journal.run,
                    "beat": self.ownership.keep_beat,
                    "ownership": self.ownership.run,
                    "taking-over": self._take_over,
                    "standing-in": self._stand_in,
                    "notes": self._take_notes,
                    "errands": self._run_errands,
                    "commands": self._run_commands,
                    "switchboard": self.switchboard.run,
                    "ways": self.reception.leader.ways.run,
                    "unwanted": self.unwanted.run,
                    "phones": self.phones.run,
                    "browsers": self.browsers.run,
                    "voices": self.voices.run,
                    "pacing": self.runner.run,
                    "paces": self.runner.paces.run,
                    "housekeeping": self._keep_house,
                    "overdue": self.driving.ask_after_overdue,
                    "nodes": self.driving.run,
                }.items():
                    tasks.create_task(work(), name=name)
        finally:
            await self.agi.close()
            await self.journal.finish()
            await self.recorder.close()
            await self.ownership.end()

    # -- the nodes -------------------------------------------------------------------------------------------

    def _nodes_changed(self) -> None:
        """A node's books are in order, or there are others now."""
        self.browsers.look()
        for tenant_id in self._books.tenants:
            self._look_at("shifts", tenant_id)
            self._look_at("campaigns", tenant_id)

    def _know_phones(self, shifts: Sequence[Shift]) -> None:
        """Hear of the phones that another server has called: most legs are known."""
        for shift in shifts:
            if shift.leg in self.tracker.legs or shift.leg in self.tracker.lost:
                continue
            if shift.phone_up:
                self.tracker.know(leg_of(shift, up=True))

    # -- what is ours ----------------------------------------------------------------------------------------

    async def _take_over(self) -> None:
        """Account for the calls and phones of what has come to us; then it may be dialled."""
        while True:
            gained = await self._gains.get()
            while True:
                try:
                    await self._account_for(gained)
                except (DatabaseUnavailable, AsteriskUnavailable, ActionFailed) as error:
                    log.warning("takeover_again", reason=str(error))
                    await asyncio.sleep(AGAIN_S)  # nothing tells when a database is back
                else:
                    break

    async def _stand_in(self) -> None:
        """Have the callers come to us whom a server that has died would have taken."""
        while True:
            await self._died.wait()
            self._died.clear()
            await self.driving.say_where_we_are()

    async def _account_for(self, gained: Gained) -> None:
        # First: what a frozen owner has written and not sent must never arrive.
        await self.driving.end_sessions(gained.former_users | self.ownership.dead_users)
        adopted = await self._adopt(gained)
        of_phones = {of.tenant_id for of in gained.leases if of.kind is LeaseKind.PHONES}
        left = []
        for tenant_id in of_phones:
            async with self.database.tenant(tenant_id) as conn:
                shifts = await agents.open_shifts(conn, tenant_id)
            # Those that we have heard of already are followed by what Asterisk says of them.
            left += [s.leg for s in shifts if s.leg is not None and s.leg not in self.tracker.legs]
            self.recovery.expect(shifts)
        # Those of a node that is not ready are held against it by its resync.
        phones = [leg for leg in self.tracker.legs.values() if leg.id in left]
        await self.driving.reconcile(adopted, phones)
        self.ownership.settle(gained)
        for tenant_id in {of.tenant_id for of in gained.leases}:
            self.runner.taken_over(tenant_id)
            self._look_at("shifts", tenant_id)
            self.unwanted.look(tenant_id)
            self.in_turn.changed(tenant_id)
            self._commanded.put_nowait(tenant_id)

    async def _adopt(self, gained: Gained) -> list[Line]:
        adopted = []
        for tenant_id, campaign_ids in gained.campaigns().items():
            lines = await self.recovery.adopt(tenant_id, campaign_ids)
            live = set(self.calls.lines)
            await self.recorder.settle_left(tenant_id, campaign_ids, live, utc_now())
            log.info("adopted", tenant=tenant_id, campaigns=sorted(campaign_ids), calls=len(lines))
            adopted += lines
        return adopted

    def _lost(self, lost: frozenset[LeaseKey]) -> None:
        """Another server answers for these now."""
        for line in list(self.calls):
            if LeaseKey(line.terms.tenant_id, LeaseKind.CAMPAIGN, line.terms.campaign_id) in lost:
                self.calls.forget(line.call.attempt_id)
        for of in lost:
            if of.kind is LeaseKind.CAMPAIGN:
                self.runner.paces.drop(of.tenant_id, of.key)

    # -- what the other processes say --------------------------------------------------------------------

    async def _take_notes(self) -> None:
        """Follow what can be followed at once, and put the rest into the queue of errands: a customer who
        waits hears of a free agent at once, whatever else was asked for."""
        while True:
            note = await self._notes.get()
            try:
                if note:
                    told = json.loads(note)
                    self._told(told["what"], told["tenant"], told.get("shift"))
                else:
                    # Notes may have been missed: look at everything.
                    self.driving.look()
                    self._books.tenants = await self.database.tenants()
                    for tenant_id in self._books.tenants:
                        for what in LOOKED_AT:
                            self._told(what, tenant_id)
            except DatabaseUnavailable as error:
                log.warning("note_waits", note=note, reason=str(error))
                asyncio.get_running_loop().call_later(AGAIN_S, self._notes.put_nowait, note)

    def _told(self, what: str, tenant_id: int, shift: str | None = None) -> None:
        if what == "nodes":
            self.driving.look()
            return
        if tenant_id not in self._books.tenants:
            self._books.tenants.append(tenant_id)
        if what == "commands":
            self._commanded.put_nowait(tenant_id)
        elif what == "do_not_call":
            self.unwanted.look(tenant_id)
        elif what in ("trunks", "phones"):
            self._errands.put_nowait((what, tenant_id))
        else:
            self._look_at(what, tenant_id, UUID(shift) if shift else None)

    async def _run_errands(self) -> None:
        """Do what takes time, one after another."""
        while True:
            what, tenant_id = await self._errands.get()
            try:
                if self.render is not None:
                    await self.render()
            except DozvonError as error:  # Asterisk is away, or a file cannot be rendered
                log.error("errand_not_done", what=what, reason=str(error))  # noqa: TRY400
            self._look_at("shifts", tenant_id)
            self._look_at("campaigns", tenant_id)

    async def _run_commands(self) -> None:
        """Do what people ask for; they wait for it, and for no errand."""
        while True:
            tenant_id = await self._commanded.get()
            try:
                await self.commands.run_all(tenant_id)
            except DatabaseUnavailable as error:
                log.error("commands_wait", reason=str(error))  # noqa: TRY400

    def _look_at(self, what: str, tenant_id: int, shift_id: UUID | None = None) -> None:
        match what:
            case "campaigns":
                self.ownership.look_soon()  # one that was started may be nobody's yet
                self.reception.terms.changed(tenant_id)
                self.runner.campaigns_changed(tenant_id)
            case "callbacks":
                self.runner.callbacks_changed(tenant_id)
            case "places":
                self.in_turn.changed(tenant_id)
            case "shifts":  # one has begun or ended, or its phone is to be called
                if not self.ownership.owns_phones(tenant_id):
                    self.ownership.look_soon()  # the tenant's first shift has begun, perhaps
                self.phones.look(tenant_id)
            case "agents" if any(node.draining for node in self.nodes):
                self.phones.look(tenant_id)  # one that is free now is called by another node
        if what in ("shifts", "agents", "busy"):
            self.roster.changed(tenant_id, shift_id)
            self.runner.agents_changed(tenant_id)
            if what != "busy":
                self.switchboard.agents_changed()

    # -- commands ----------------------------------------------------------------------------------------

    async def _hang_up(self, tenant_id: int, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        attempt_id = UUID(payload["attempt_id"])
        line = self.calls.get(attempt_id)
        if line is None or line.call.tenant_id != tenant_id:
            raise NotFound(what="call on the line", key=attempt_id)
        by = HungUpBy(payload["by"])
        if by is not HungUpBy.AGENT or not await self.controls.ask_customer(attempt_id):
            await self.switchboard.hang_up(attempt_id, by)
        return {}

    async def _dial_lead(self, tenant_id: int, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        return await self._dial(tenant_id, payload, await self._target_of_lead(tenant_id, payload))

    async def _dial_number(self, tenant_id: int, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        return await self._dial(tenant_id, payload, Target(payload["e164"], tuple(payload["timezones"])))

    async def _dial(self, tenant_id: int, payload: Mapping[str, Any], target: Target) -> Mapping[str, Any]:
        if not self.resynced.is_set():
            raise AsteriskUnavailable(reason=self.nodes.trouble())
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
        began_at = _talk_began(before, after)
        # One recording goes on through all talks of a call; of an earlier owner's it is not known.
        if began_at and line.terms.record and (line.adopted or not line.recorded):
            line.recorded = True
            self.recorder.begin(after.tenant_id, after.attempt_id, began_at, line.node, after.channel)
        # Whoever was recording a message of an adopted call has gone.
        talked = line.recorded and (after.connected_at or after.outcome is Result.TRANSFERRED)
        if after.hung_up_at and not before.hung_up_at and (talked or (after.led and line.adopted)):
            self.recorder.ended(after.tenant_id, after.attempt_id, after.hung_up_at)

    async def _keep_house(self) -> None:
        """Once a second: end wrap-ups over their limit, take up what was left behind, give up nodes that are
        gone, say that we live."""
        started = utc_now()
        while True:
            await asyncio.sleep(HOUSEKEEPING_S)
            self.driving.give_up_lost()
            try:
                for tenant_id in self._books.tenants:
                    ours, phones = self.ownership.campaigns(tenant_id), self.ownership.owns_phones(tenant_id)
                    await self.wrap_ups.end_overdue(tenant_id, ours)
                    settled = self.ownership.paced(tenant_id)
                    if (settled or phones) and not self.journal.behind:
                        await self.recovery.left_behind(tenant_id, settled, phones=phones)
                await self._say(started)
            except DatabaseUnavailable as error:
                log.warning("housekeeping_waits", reason=str(error))

    async def _say(self, started: object) -> None:
        status = {
            "asterisk": self.resynced.is_set(),
            "trouble": None if self.resynced.is_set() else self.nodes.trouble(),
            "disk_full": self.database.is_full,
            "calls": len(self.calls.lines),
            "phones": sum(leg.up for leg in self.tracker.legs.values()),
            "journal_behind": self.journal.behind,
            "events": self.driving.events,
            "tasks": len(asyncio.all_tasks()),
            "nodes": {
                node.name: {
                    "ready": node.ready,
                    "draining": node.draining,
                    "trouble": None if node.ready else node.link.trouble,
                    "calls": sum(line.node == node.name for line in self.calls),
                    "phones": sum(leg.node == node.name and leg.up for leg in self.tracker.legs.values()),
                    "silent_carriers": self.placer.lines.silent_carriers(node.name),
                }
                for node in self.nodes
            },
            "campaigns": sorted(of.key for of in self.ownership.settled if of.kind is LeaseKind.CAMPAIGN),
        }
        key = {"server": self.ownership.name, "name": "engine"}
        values = {"started_at": started, "seen_at": utc_now(), "status": status}
        async with self.database.system() as conn:
            await conn.execute(
                upsert(process_status)
                .values(**key, **values)
                .on_conflict_do_update(index_elements=["server", "name"], set_=values)
            )


def _talk_began(before: Call, after: Call) -> datetime | None:
    """When the person was joined with an agent of ours, or with whom their flow has put them through; None:
    not in this change."""
    if after.connected_at and not before.connected_at:
        return after.connected_at
    put_through = after.outcome is Result.TRANSFERRED is not before.outcome
    return utc_now() if put_through else None
