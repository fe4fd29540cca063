"""Lets a customer whom an agent has handed over wait in a queue: a flow of one state, with all that queues do
(their rules, music, what they announce, their figures), whoever had called whom.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dialer.asterisk.fastagi import AgiCall
from dialer.calls.table import Line
from dialer.db.session import Database
from dialer.inbound.leading import Leader, Visit, start
from ivr_flows import loader


def flow_to(queue: str) -> Mapping[str, Any]:
    """The document of that flow."""
    return {
        "name": "transfer",
        "language": "ru",
        "initial_state": "queue",
        "states": [
            {
                "name": "queue",
                "type": "enqueue",
                "properties": {"queue": queue, "reason": "transfer"},
                "transitions": {"default": "end"},
            },
            {"name": "end", "type": "hangup"},
        ],
    }


@dataclass(slots=True)
class HandingOver:
    """The customers of one engine who are handed over to queues."""

    database: Database
    leader: Leader

    async def to_queue(self, agi: AgiCall, line: Line) -> bool:
        """Lead the customer to the queue that `line.hand_to` names; False: it names none. Raises AgiHangup,
        DatabaseUnavailable."""
        queue, line.hand_to = line.hand_to, None
        if queue is None:
            return False
        flow = loader.from_document(flow_to(queue))
        position = await start(self.database, flow, line, {"caller": line.e164})
        been = self.leader.way(line.call.attempt_id)
        await self.leader.begin(agi, Visit(line, None, flow, position, been))
        return True
