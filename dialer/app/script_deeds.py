"""What carries out the actions of scripts, from features that scripts do not know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dialer.clock import utc_now
from dialer.db import events
from dialer.db.session import Database
from dialer.donotcall import store as donotcall
from dialer.donotcall.model import Refusal, Source
from dialer.errors import Conflict
from dialer.httpkit.access import Actor
from dialer.scripts.store import CallOf


@dataclass(frozen=True, slots=True)
class ScriptDeeds:
    """See `dialer.scripts.service.Deeds`.

    A callback is promised with the disposition of the talk, whose field the script has filled in; a visit and
    a letter are other systems', who hear of them by the event and read the talk's answers.
    """

    database: Database

    async def carry_out(self, actor: Actor, call: CallOf, action: str, values: Mapping[str, str]) -> None:
        """Do it, or tell those who do. Raises Conflict where the number is not known."""
        if action == "do_not_call" and not call.e164:
            raise Conflict(reason="the number is withheld, so it cannot be put on the list")
        about = {"attempt_id": str(call.id), "action": action, "campaign_id": call.campaign_id}
        async with self.database.tenant(actor.tenant_id) as conn:
            await events.emit(
                conn,
                "script.action",
                about,
                tenant_id=actor.tenant_id,
                campaign_id=call.campaign_id,
                agent_id=call.agent_id,
            )
            if action == "do_not_call":  # its lock comes last
                said = Refusal(
                    Source.DISPOSITION, reason=values.get("note", "") or call.script or "", attempt_id=call.id
                )
                await donotcall.add(conn, actor.tenant_id, [call.e164], said, by=actor.user_id, now=utc_now())
