"""Supervisors who listen to an agent, speak to the agent alone, or speak with both: ChanSpy on the agent's
leg.

The supervisor's own phone is called and spies as long as the agent is logged in, from talk to talk. Who
listens is a variable of that phone's channel: nothing is kept here, so a listening outlives the server, and
whoever asks for another mode is held against Asterisk itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from dialer.agents import store as agents
from dialer.asterisk.nodes import Nodes
from dialer.calls.channels import hang_up_channel
from dialer.db.session import Database
from dialer.errors import ActionFailed, NotFound, WrongState
from dialer.ids import new_id

#: The dialplan of their phones, see extensions_dozvon.conf; its extensions are the modes.
CONTEXT: Final = "dozvon-listen"
#: Who listens: `user tenant agent`.
LISTENER: Final = "DOZVON_LISTENER"
RING_S = 20


@dataclass(slots=True)
class Listening:
    """The listeners of one engine's nodes."""

    database: Database
    nodes: Nodes

    async def command(self, tenant_id: int, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        """Do what `payload` says: `agent_id` and `user_id`; `mode` (listen, whisper, barge; without one: end
        it), and `phone`, an endpoint to begin with, or the `id` of a listening. Raises NotFound, WrongState,
        AsteriskUnavailable."""
        agent_id, mode = payload["agent_id"], payload.get("mode")
        whose = f"{payload['user_id']} {tenant_id} {agent_id}"
        async with self.database.tenant(tenant_id) as conn:
            shift = await agents.shift_of_agent(conn, tenant_id, agent_id)
        if shift is None or not shift.phone_up:
            raise WrongState(what="The agent's phone", state="not connected", allowed="connected")
        link = self.nodes.link(shift.node or "")
        if "phone" in payload:
            listening = new_id()
            await link.send(
                {
                    "Action": "Originate",
                    "Channel": f"PJSIP/{payload['phone']}",
                    "ChannelId": str(listening),
                    "Context": CONTEXT,
                    "Exten": str(mode),
                    "Priority": "1",
                    "Timeout": str(RING_S * 1000),
                    "CallerID": '"Dozvon" <0>',
                    "Variable": [f"{LISTENER}={whose}", f"DOZVON_LEG={shift.leg}"],
                    "Async": "true",
                }
            )
            return {"id": str(listening)}
        channel = str(UUID(payload["id"]))
        try:
            said = await link.send({"Action": "Getvar", "Channel": channel, "Variable": LISTENER})
            if said.get("Value") != whose:  # somebody else's channel
                raise NotFound(what="listening", key=channel)
            if mode is None:
                await hang_up_channel(link, channel)
            else:
                redirect = {"Action": "Redirect", "Channel": channel, "Context": CONTEXT}
                await link.send({**redirect, "Exten": mode, "Priority": "1"})
        except ActionFailed:
            raise NotFound(what="listening", key=channel) from None
        return {"id": channel}
