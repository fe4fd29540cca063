"""Hostile values through the real API and past it, and what the real Asterisk's manager was then asked.

By the API: trunks, agents, campaigns, numbers to be dialled, hang-ups. Past it, as if another fault had
let them in: numbers of leads and names of trunks written into the database of a campaign that runs.
Asterisk tells each action that it read; every one must be of the engine's few kinds, with the headers of
that kind and no others, and must dial a plain number over a plain endpoint.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

from aiohttp import ClientError, ClientSession, ClientTimeout
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from dialer.bench.faults.hostile import texts
from dialer.bench.faults.hostile.block import Block
from dialer.bench.faults.hostile.floor import Floor
from dialer.bench.site import TENANT, NotInTime, patience
from dialer.bench.site_parts import until
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.httpkit.access import Role

#: The headers of each kind of action that the engine sends, beside ActionID.
KINDS: Final[Mapping[str, frozenset[str]]] = {
    "Originate": frozenset(
        {
            "Channel",
            "ChannelId",
            "Context",
            "Exten",
            "Priority",
            "Timeout",
            "CallerID",
            "Async",
            "Variable",
            "Account",
        }
    ),
    "Hangup": frozenset({"Channel", "Cause"}),
    "MixMonitor": frozenset({"Channel", "File"}),
    "CoreShowChannels": frozenset(),
    "PJSIPShowEndpoint": frozenset({"Endpoint"}),
    "Getvar": frozenset({"Channel", "Variable"}),
    "PJSIPShowContacts": frozenset(),
    "CoreStatus": frozenset(),
    "Command": frozenset({"Command"}),
    "Ping": frozenset(),
    "Login": frozenset({"Username", "Secret", "Events"}),
    "Logoff": frozenset(),
}
DIALS: Final = re.compile(r"PJSIP/(\+?[0-9]{3,23}@[A-Za-z0-9][A-Za-z0-9_-]*|[A-Za-z0-9][A-Za-z0-9_.-]*)")
VARIABLE: Final = re.compile(r"DOZVON_[A-Z_]+=.*")


def strange(action: Mapping[str, Sequence[str]]) -> str:
    """What is wrong with an action that Asterisk read; empty for one of the engine's."""
    (name, *more) = action.get("Action", ["?"])
    headers = KINDS.get(name)
    if more or headers is None or not action.keys() <= headers | {"Action", "ActionID"}:
        return f"an action of nobody's: {dict(action)}"[:300]
    if name == "Originate" and not DIALS.fullmatch(action["Channel"][0]):
        return f"dials {action['Channel'][0]!r}"
    if name == "Originate" and not all(VARIABLE.fullmatch(each) for each in action.get("Variable", ())):
        return f"sets {action['Variable']}"[:300]
    if any(len(values) != 1 for key, values in action.items() if key != "Variable"):
        return f"a header twice: {dict(action)}"[:300]
    if name == "Hangup":
        try:
            UUID(action["Channel"][0])
        except ValueError:
            return f"hangs up {action['Channel'][0]!r}"
    return ""


async def run(block: Block, floor: Floor) -> None:
    """A block of both."""
    since = floor.site.mark()
    async with floor.overheard() as actions:
        await _by_the_api(block, floor)
        await _past_the_api(block, floor)
        await floor.site.until_dialling(patience(20))
    for action in actions:
        if wrong := strange(action):
            block.harm(wrong)
    if not actions:
        block.harm("nothing was heard of what Asterisk's manager was asked")
    block.figures["manager_actions"] = len(actions)
    await floor.holds(block, since)


async def _by_the_api(block: Block, floor: Floor) -> None:
    """Requests as an administrator of the hostile tenant and as one of its operators."""
    dice = block.dice
    tokens = [await floor.token(Role.ADMINISTRATOR), await floor.token(Role.OPERATOR)]
    async with ClientSession(timeout=ClientTimeout(total=patience(20))) as http:

        async def ask(method: str, path: str, body: Any = None, token: int = 0) -> Any:
            block.took("manager_api")
            headers = {"Authorization": f"Bearer {tokens[token]}"}
            url = f"{floor.site.url}/api/v1{path}"
            try:
                async with http.request(method, url, json=body, headers=headers) as reply:
                    if reply.status >= 500:
                        block.harm(
                            f"{method} {path} {str(body)[:80]}: {reply.status} {(await reply.text())[:150]}"
                        )
                    return await reply.json(content_type=None)
            except (ClientError, TimeoutError) as error:
                block.harm(f"{method} {path}: {error!r}")
            except ValueError:
                return None

        for n in range(block.size(15, 4)):
            bad = texts.sendable(texts.hostile(dice, "carrier"))
            number = texts.sendable(
                texts.hostile(dice, "+79161234567", texts.NUMBERS, texts.DIALPLAN, texts.ACTIONS)
            )
            name = f"{block.seed}-{n}-{dice.getrandbits(32)}"
            trunk = {
                "name": name,
                "caller_id": "+74951234567",
                "allowed_prefixes": ["+7"],
                "endpoint": "nobodys",
            }
            field = dice.choice(
                ("name", "caller_id", "endpoint", "dial_format", "sip_host", "sip_user", "sip_secret")
            )
            await ask("POST", "/trunks", trunk | {field: bad})
            made = await ask("POST", "/trunks", trunk)
            if isinstance(made, dict) and "id" in made:
                await ask("PATCH", f"/trunks/{made['id']}", {field: bad})
            await ask("POST", "/agents", {"user_id": 1, "name": "x", "endpoint": bad, "skills": [bad[:50]]})
            campaign = {"name": name, "mode": "manual", "policy": "demo", "skill": None}
            await ask(
                "POST", "/campaigns", campaign | {dice.choice(("name", "skill", "caller_name")): bad[:90]}
            )
            await ask("POST", "/calls", {"campaign_id": 1, "number": number[:50]}, token=1)
            await ask("POST", f"/calls/{quote(bad, safe='')}/hangup", {})
            await ask("GET", f"/calls?number={quote(number[:50])}")


async def _past_the_api(block: Block, floor: Floor) -> None:
    """Numbers and a trunk written behind the server's back, in the campaign that dials and in one more."""
    dice = block.dice
    count = block.size(8, 3)
    bad = [texts.sendable(texts.hostile(dice, "+79161234567")).replace("\0", "\r\n") for _ in range(count)]
    endpoint = texts.sendable(texts.hostile(dice, "carrier", texts.DIALPLAN, texts.ACTIONS)).replace(
        "\0", "\n"
    )
    site = floor.site
    now = utc_now()
    async with site.database.tenant(TENANT) as conn:
        list_id = await conn.scalar(
            insert(t.contact_list)
            .values(tenant_id=TENANT, name=f"hostile {now}")
            .returning(t.contact_list.c.id)
        )
        leads = []
        for number in dict.fromkeys(bad):
            contact = await conn.scalar(
                insert(t.contact).values(tenant_id=TENANT, last_name="x").returning(t.contact.c.id)
            )
            leads.append(
                {
                    "tenant_id": TENANT, "campaign_id": site.campaign_id, "list_id": list_id,
                    "contact_id": contact,
                    "e164": number, "timezones": ["Europe/Moscow"], "open_from": now, "sort_key": -1,
                    "open_until": now + timedelta(days=365),
                }
            )  # fmt: skip
        # A number that an earlier block has drawn is there already.
        ids = list(await conn.scalars(insert(t.lead).on_conflict_do_nothing().returning(t.lead.c.id), leads))
        trunk = await conn.scalar(
            insert(t.trunk)
            .values(
                tenant_id=TENANT, name=f"hostile {now}", endpoint=endpoint, caller_id=texts.sendable(bad[0]),
                allowed_prefixes=["+7"], max_channels=5, max_cps=5.0,
            )
            .returning(t.trunk.c.id)
        )  # fmt: skip
        # Before the good trunk, so that it is tried first.
        await conn.execute(
            insert(t.campaign_trunk).values(
                tenant_id=TENANT, campaign_id=site.campaign_id, position=0, trunk_id=trunk
            )
        )
        await conn.execute(
            text("SELECT pg_notify('dozvon_engine', :note)"),
            {"note": f'{{"tenant": {TENANT}, "what": "campaigns"}}'},
        )
    block.took("manager_past_api", len(ids) + 2)
    left = select(func.count()).where(t.lead.c.id.in_(ids), t.lead.c.status == "new", t.lead.c.attempts == 0)

    async def taken() -> bool:
        async with site.database.tenant(TENANT) as conn:
            return not await conn.scalar(left)

    with contextlib.suppress(NotInTime):
        # One that no rule lets through stays on the list for ever.
        await until("hostile leads are taken", taken, patience(3))
    async with site.database.tenant(TENANT) as conn:
        block.figures["manager_past_api_taken"] = len(ids) - (await conn.scalar(left) or 0)
        await conn.execute(delete(t.campaign_trunk).where(t.campaign_trunk.c.trunk_id == trunk))
        await conn.execute(update(t.lead).where(t.lead.c.id.in_(ids)).values(status="closed"))
