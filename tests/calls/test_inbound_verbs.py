"""Verbs of flows on a real Asterisk that ask somebody: the tenant's people, the tenant's servers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import insert
from support.callers import END, add_number, call_in, path, until_call
from support.centre import TENANT, Centre
from support.http_server import Server, server

from dialer.db.tables import allowed_host, contact, offer, offer_answer, opening_hours

__all__ = ["server"]


def state(name: str, verb: str, transitions: Mapping[str, str], **properties: Any) -> dict[str, Any]:
    """A state of a flow."""
    return {"name": name, "type": verb, "properties": properties, "transitions": dict(transitions)}


def asks(**properties: Any) -> dict[str, Any]:
    """A caller keys an order in."""
    prompt = {"prompt": {"sound": "vm-options"}, "first_s": 4, "retries": 0, **properties}
    return state("ask", "gather", {"done": "next", "default": "end"}, **prompt)


async def test_who_is_meant_is_found_by_keys(centre: Centre) -> None:
    """A caller with another's phone keys an id in; their fields are known to the flow."""
    async with centre.database.tenant(TENANT) as conn:
        await conn.execute(
            insert(contact).values(tenant_id=TENANT, external_id="4711", first_name="Anna", last_name="B")
        )
    flow = [
        asks(into="account", digits=4),
        state("next", "lookup", {"found": "is", "default": "end"}, by="external_id", value="{account}"),
        state(
            "is",
            "condition",
            {"yes": "hello", "no": "end"},
            all=[{"variable": "contact.name", "equals": "Anna"}],
        ),
        state("hello", "play", {"default": "end"}, sound="vm-goodbye"),
        END,
    ]
    await add_number(centre, flow)
    await call_in(centre, keys="ww4711")
    call = await until_call(centre, "ended")
    states = [("ask", "done"), ("next", "found"), ("is", "yes"), ("hello", "done"), ("end", "done")]
    assert await path(centre, call.id) == states


async def test_a_server_of_the_tenant_is_asked_in_a_call(centre: Centre, server: Server) -> None:
    """With what was keyed in; its answer decides. A host that is not in the list is not asked."""
    async with centre.database.tenant(TENANT) as conn:
        await conn.execute(
            insert(allowed_host).values(
                tenant_id=TENANT, host=f"127.0.0.1:{server.port}", inside=True, header="X-Key", secret="k"
            )
        )
    flow = [
        asks(into="order", digits=3),
        state(
            "next",
            "http_request",
            {"done": "owes", "default": "end"},
            url=f"{server.url}/orders?id={{order}}",
            into={"balance": "balance"},
        ),
        state("owes", "condition", {"yes": "other", "no": "end"}, all=[{"variable": "balance", "above": 12}]),
        state(
            "other",
            "http_request",
            {"done": "end", "refused": "end", "failed": "sorry"},
            url="http://localhost/x",
        ),
        state("sorry", "play", {"default": "end"}, sound="vm-goodbye"),
        END,
    ]
    await add_number(centre, flow)
    await call_in(centre, keys="ww777")
    call = await until_call(centre, "ended")
    states = [("ask", "done"), ("next", "done"), ("owes", "yes"), ("other", "failed"), ("sorry", "done")]
    assert await path(centre, call.id) == [*states, ("end", "done")]
    ((method, url, _, headers),) = server.asked
    assert (method, url, headers["X-Key"]) == ("GET", "/orders?id=777", "k")


async def test_hours_that_are_kept_by_name_decide(centre: Centre) -> None:
    """The same for all flows; hours that are not there are `failed`."""
    async with centre.database.tenant(TENANT) as conn:
        await conn.execute(
            insert(opening_hours).values(tenant_id=TENANT, name="Salon", week={"mon-sun": "24h"})
        )
    flow = [
        state("first", "schedule", {"open": "then", "closed": "end"}, hours="Salon"),
        state("then", "schedule", {"open": "end", "closed": "end", "failed": "sorry"}, hours="Service"),
        state("sorry", "play", {"default": "end"}, sound="vm-goodbye"),
        END,
    ]
    await add_number(centre, flow)
    await call_in(centre)
    call = await until_call(centre, "ended")
    states = [("first", "open"), ("then", "failed"), ("sorry", "done"), ("end", "done")]
    assert await path(centre, call.id) == states


async def test_an_offer_is_spoken_and_taken_by_a_key(centre: Centre) -> None:
    """The answer is kept; who calls again is offered nothing more."""
    async with centre.database.tenant(TENANT) as conn:
        await conn.execute(
            insert(offer).values(tenant_id=TENANT, place="after", name="Tyres", text_en="Cheap tyres today.")
        )
    question = {"prompt": {"sound": "vm-options"}, "first_s": 5, "retries": 0}
    flow = [
        state(
            "offer",
            "offer",
            {"accepted": "thanks", "declined": "end", "none": "end", "failed": "end"},
            place="after",
            **question,
        ),
        state("thanks", "play", {"default": "end"}, sound="vm-goodbye"),
        END,
    ]
    await add_number(centre, flow)
    await call_in(centre, keys="wwww1")
    first = await until_call(centre, "ended")
    assert await path(centre, first.id) == [("offer", "accepted"), ("thanks", "done"), ("end", "done")]
    (said,) = await centre.rows(offer_answer)
    assert (said.answer, said.call_id, said.contact_id) == ("accepted", first.id, first.contact_id)
    await call_in(centre)
    second = await until_call(centre, "ended", n=1)
    assert await path(centre, second.id) == [("offer", "none"), ("end", "done")]
