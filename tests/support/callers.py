"""People who call the dialer: the loopback carrier's Asterisk makes their calls, with keys by RFC 4733."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, select

from dialer.db import tables as t
from support.centre import TENANT, Centre

#: Ours, which people call.
NUMBER = "74957770101"

#: States that flows of tests end with.
GOODBYE: Mapping[str, Any] = {
    "name": "goodbye",
    "type": "play",
    "properties": {"sound": "vm-goodbye"},
    "transitions": {"default": "end"},
}
END: Mapping[str, Any] = {"name": "end", "type": "hangup"}


def document(states: Sequence[Mapping[str, Any]], name: str = "reception") -> dict[str, Any]:
    """A flow of these states; the first is where it begins."""
    return {"name": name, "language": "en", "initial_state": states[0]["name"], "states": list(states)}


async def publish(centre: Centre, states: Sequence[Mapping[str, Any]], name: str) -> int:
    """A flow of these states, live; its id."""
    async with centre.database.tenant(TENANT) as conn:
        flow_id = await conn.scalar(
            insert(t.flow).values(tenant_id=TENANT, name=name, live_version=1).returning(t.flow.c.id)
        )
        await conn.execute(
            insert(t.flow_version).values(
                tenant_id=TENANT, flow_id=flow_id, version=1, document=document(states, name), state="live"
            )
        )
    assert isinstance(flow_id, int)
    return flow_id


async def add_number(
    centre: Centre,
    states: Sequence[Mapping[str, Any]],
    *,
    number: str = NUMBER,
    campaign_id: int | None = None,
    queue: str = "",
) -> int:
    """A number that leads through a flow of these states, published; its campaign, in which nobody is dialled
    by itself."""
    campaign_id = campaign_id or await centre.campaign([], mode="manual")
    flow_id = await publish(centre, states, f"reception {number}")
    async with centre.database.tenant(TENANT) as conn:
        await conn.execute(
            insert(t.inbound_number).values(
                tenant_id=TENANT, number=number, flow_id=flow_id, campaign_id=campaign_id, queue=queue
            )
        )
    await centre.until_owned(campaign_id)
    return campaign_id


async def add_queue(centre: Centre, name: str, **fields: Any) -> int:
    """A queue; `fields` are its columns. Nothing is announced in it unless they say so."""
    values = {"skill": name, "announce_first_s": None, "announce_every_s": None} | fields
    async with centre.database.tenant(TENANT) as conn:
        return int(
            await conn.scalar(
                insert(t.queue).values(tenant_id=TENANT, name=name, **values).returning(t.queue.c.id)
            )
        )


async def stays(centre: Centre, call_id: UUID) -> list[tuple[str, str | None]]:
    """The queues that the caller was in, each with how it ended."""
    async with centre.database.tenant(TENANT) as conn:
        rows = await conn.execute(
            select(t.queue_stay.c.queue, t.queue_stay.c.ended)
            .where(t.queue_stay.c.call_id == call_id)
            .order_by(t.queue_stay.c.n)
        )
        return [(row.queue, row.ended) for row in rows]


async def call_in(
    centre: Centre,
    caller: str = "79161112233",
    keys: str = "",
    number: str = NUMBER,
    speech: str = "talk",
    inband: bool = False,
    sip_port: int = 0,
) -> None:
    """Call the number, press keys after the answer (`w`: half a second), and talk; `speech` is an extension
    of the carrier's callers: `talk`, `message` or `silence`. `inband`: keys are tones in the voice.
    `sip_port`: of another Asterisk than the floor's."""
    whom = f"{caller}T{number}T{sip_port or centre.floor.settings.sip_port}T{keys}"
    if inband:
        whom += "Tinband"
    await centre.floor.carrier.cli(f"channel originate Local/{whom}@callers extension {speech}@callers")


async def leave(centre: Centre) -> None:
    """All callers hang up."""
    said = await centre.floor.carrier.cli("core show channels concise")
    for line in said.splitlines():
        if line.startswith("PJSIP/dialer-"):
            await centre.floor.carrier.cli(f"channel request hangup {line.split('!')[0]}")


@asynccontextmanager
async def gone_afterwards(centre: Centre) -> AsyncIterator[None]:
    """Nobody is on the line after the test."""
    try:
        yield
    finally:
        await leave(centre)


async def calls(centre: Centre) -> list[Row[Any]]:
    """The calls that came in, oldest first."""
    async with centre.database.tenant(TENANT) as conn:
        return list(await conn.execute(select(t.inbound_call).order_by(t.inbound_call.c.created_at)))


async def until_call(centre: Centre, *states: str, n: int = 0, within_s: float = 30.0) -> Row[Any]:
    """Wait until the n-th call that came in is in one of the states."""

    async def there() -> Row[Any] | None:
        found = await calls(centre)
        return found[n] if len(found) > n and found[n].state in states else None

    found: Row[Any] = await centre.until(f"an inbound call {states}", there, within_s=within_s)
    return found


async def path(centre: Centre, call_id: UUID) -> list[tuple[str, str | None]]:
    """The states that the caller has been in, each with the event by which it was left."""
    async with centre.database.tenant(TENANT) as conn:
        rows = await conn.execute(
            select(t.flow_step.c.state, t.flow_step.c.event)
            .where(t.flow_step.c.call_id == call_id)
            .order_by(t.flow_step.c.n)
        )
        return [(row.state, row.event) for row in rows]


async def until_at(centre: Centre, state: str, within_s: float = 30.0) -> Row[Any]:
    """Wait until the only caller is in this state of the flow."""

    async def there() -> Row[Any] | None:
        found = await calls(centre)
        way = await path(centre, found[0].id) if found else []
        return found[0] if way and way[-1] == (state, None) else None

    found: Row[Any] = await centre.until_seen(f"a caller at {state}", there, within_s=within_s)
    return found


async def channel_of_customer(centre: Centre) -> str:
    """The only customer's phone, as the carrier's Asterisk calls its channel."""
    said = await centre.floor.carrier.cli("core show channels concise")
    (channel,) = [line.split("!")[0] for line in said.splitlines() if line.startswith("PJSIP/")]
    return channel


async def press(centre: Centre, keys: str) -> None:
    """The only customer presses these keys now."""
    what = f"application SendDTMF {keys},250,160,{await channel_of_customer(centre)}"
    await centre.floor.carrier.cli(f"channel originate Local/silence@callers {what}")
