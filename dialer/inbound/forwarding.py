"""Puts callers through to somewhere else: the verbs `dial` and `transfer`.

Whom a flow may ring is the tenant's list (`destinations`) and its agents: nothing that a caller keys in is
dialled as it is. An agent at work gets the caller as from a queue; other phones are rung by Asterisk's Dial,
outside numbers over the trunks of the called number's campaign, within their prefixes and caps, one by one.

Asterisk rings and joins by itself: a server that dies meanwhile ends no talk. That somebody has answered is
told by the context dozvon-answered, from the answering phone's side.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import structlog

from dialer.agents import people
from dialer.agents import store as agents
from dialer.agents.model import Agent
from dialer.asterisk.fastagi import AgiCall
from dialer.calls.model import Result, Served
from dialer.calls.outside import TALK_S, Outside, heard
from dialer.calls.switchboard import Switchboard
from dialer.calls.table import CallTable, Line, channel_uuid
from dialer.clock import utc_now
from dialer.db.session import Database
from dialer.destinations import store as destinations
from dialer.destinations.model import Kind, find
from dialer.inbound.leading import Bridged, Visit, tell
from dialer.inbound.patience import patiently
from dialer.trunks.model import Trunk, dial_string
from ivr_flows.model import Came, Dial, Event, Failed, Transfer

log = structlog.get_logger(__name__)

#: How long a transfer rings, seconds.
RING_S: Final = 30.0
#: Of what Asterisk says the words of flows; all else is `failed`.
_STATUS: Final = {"ANSWER": "answered", "BUSY": "busy", "NOANSWER": "no_answer", "CANCEL": "no_answer"}
_ADDRESS: Final = re.compile(r"[0-9A-Za-z.:\[\]-]{1,100}")


@dataclass(frozen=True, slots=True)
class Targets:
    """Whom to ring, as the list says."""

    #: agents of ours
    agents: list[Agent] = field(default_factory=list)
    #: channels of phones
    phones: list[str] = field(default_factory=list)
    #: outside numbers, E.164
    numbers: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Forwarding:
    """Puts the callers of one engine through."""

    database: Database
    calls: CallTable
    switchboard: Switchboard
    outside: Outside

    async def dial(self, agi: AgiCall, visit: Visit, action: Dial) -> Event:
        """Ring, and connect who answers. Raises Bridged, AgiHangup."""
        return await self._ring(
            agi, visit, action.targets, action.timeout_s, together=action.together, music=False
        )

    async def transfer(self, agi: AgiCall, visit: Visit, action: Transfer) -> Event:
        """Hand the caller over, who hears it ring, or music until it is answered. Raises Bridged,
        AgiHangup."""
        attended = action.kind == "attended"
        came = await self._ring(agi, visit, [action.target], RING_S, together=True, music=attended)
        return Came("done") if came == Came("answered") else came

    async def answered(self, agi: AgiCall) -> None:
        """Answer `AGI(agi://.../answered,CALL)`: somebody has picked up, the caller is being joined."""
        call_id = channel_uuid(agi.args[0]) if agi.args else None
        line = self.calls.get(call_id) if call_id is not None else None
        if line is None or call_id is None:
            return
        self.calls.apply(call_id, Served(utc_now(), outcome=Result.TRANSFERRED))
        await self.outside.answered(line)

    # -- one after another -------------------------------------------------------------------------------

    async def _ring(
        self,
        agi: AgiCall,
        visit: Visit,
        names: Sequence[str],
        ring_s: float,
        *,
        together: bool,
        music: bool,
    ) -> Event:
        line = visit.line
        targets = await patiently(agi, lambda: self._targets(line.call.tenant_id, names))
        came: list[str] = []
        for agent in targets.agents:
            found = await self._agent(agi, line, agent)
            if found is None:
                came.append("busy")
            else:
                targets.phones.append(found)
        groups = ["&".join(targets.phones)] if together and targets.phones else targets.phones
        for channels in groups:
            came.append(await self._dial(agi, line, channels, ring_s, music=music))
            if came[-1] == "answered":
                return Came("answered")
        for e164 in targets.numbers:
            came.append(await self._outside(agi, line, e164, ring_s, music=music))
            if came[-1] == "answered":
                return Came("answered")
        for said in ("no_answer", "busy"):
            if said in came:
                return Came(said)
        return Failed("nobody could be rung")

    async def _targets(self, tenant_id: int, names: Sequence[str]) -> Targets:
        """Whom these names mean; a name that is in no list is left out."""
        async with self.database.tenant(tenant_id) as conn:
            listed = await destinations.destinations(conn, tenant_id)
            at_work = {one.name.casefold(): one for one in await people.at_work(conn, tenant_id)}
        found = Targets()
        for name in names:
            destination, agent = find(listed, name), at_work.get(name.strip().casefold())
            if destination is not None and destination.kind is Kind.NUMBER:
                found.numbers.append(destination.value)
            elif destination is not None:
                found.phones.append(f"PJSIP/{destination.value}")
            elif agent is not None:
                found.agents.append(agent)
            else:
                log.warning("flow_target_unknown", tenant=tenant_id)  # its name may be what a caller keyed in
        return found

    async def _agent(self, agi: AgiCall, line: Line, agent: Agent) -> str | None:
        """The channel of an agent's phone who is not logged in; None: they are, and not free. Raises Bridged
        where they take the caller."""
        async with self.database.tenant(line.call.tenant_id) as conn:
            shift = await agents.shift_of_agent(conn, line.call.tenant_id, agent.id)
        if shift is None:
            return f"PJSIP/{agent.endpoint}"
        assignee = await self.switchboard.put_through(line, shift)
        if assignee is None:
            return None
        await tell(agi, line, assignee)
        raise Bridged

    async def _outside(self, agi: AgiCall, line: Line, e164: str, ring_s: float, *, music: bool) -> str:
        """Ring a number over a trunk, whose line is held meanwhile."""
        trunk = await self.outside.take(line, e164)
        if not isinstance(trunk, Trunk):
            return "failed"
        try:
            return await self._dial(agi, line, dial_string(trunk, e164), ring_s, music=music, trunk=trunk)
        finally:
            await self.outside.over(line, trunk)

    async def _dial(
        self,
        agi: AgiCall,
        line: Line,
        channels: str,
        ring_s: float,
        *,
        music: bool,
        trunk: Trunk | None = None,
    ) -> str:
        """Asterisk's Dial: what came of it, in words of flows. Raises AgiHangup.

        g: the caller is ours again when the other side has hung up.
        """
        options = "g" + heard(line.call.attempt_id, _address(agi), music=music, trunk=trunk)
        await agi.command(
            "EXEC", "Dial", f"{channels},{ring_s:.0f},{options}", timeout_s=ring_s + TALK_S + 60.0
        )
        status = await agi.get_variable("DIALSTATUS") or ""
        log.info("forwarded", call=str(line.call.attempt_id), status=status)
        if status == "ANSWER":  # the dialplan has set it for a server that is lost in the talk
            await agi.set_variable("DOZVON_NEXT", "")
        if status == "CHANUNAVAIL" and trunk is None:
            return "no_answer"  # the phone is not there
        return _STATUS.get(status, "failed")


def _address(agi: AgiCall) -> str:
    """Where the dialplan has reached us: host:port."""
    address = urlsplit(agi.env.get("request", "")).netloc
    return address if _ADDRESS.fullmatch(address) else ""
