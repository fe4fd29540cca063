"""Names in flows: those that there are, and those that the flows use that callers are led by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.agents import people
from dialer.destinations import store as destinations
from dialer.destinations.model import Kind
from dialer.errors import BadFlow
from dialer.hosts import store as hosts
from dialer.hours import store as hours
from dialer.inbound import numbers_store, store
from dialer.inbound.model import Version
from dialer.offers import store as offers
from dialer.queues import store as queues
from dialer.queues.uses import LedTo
from ivr_flows import loader
from ivr_flows.naming import Named, Naming, compared, namings


async def names(conn: AsyncConnection, tenant_id: int) -> dict[Named, set[str]]:
    """All names that flows may use now, by their kinds; recordings are not among them."""
    flows = await store.flows(conn, tenant_id)
    agents = [one for one in await people.agents(conn, tenant_id) if one.enabled]
    listed = await destinations.destinations(conn, tenant_id)
    numbers = {one.value for one in listed if one.kind is Kind.NUMBER}
    return {
        Named.FLOW: {one.name for one in flows if one.live_version is not None},
        Named.HOST: {one.host for one in await hosts.hosts(conn, tenant_id)},
        Named.HOURS: {one.name for one in await hours.openings(conn, tenant_id)},
        Named.PLACE: {one.place for one in await offers.offers(conn, tenant_id)},
        Named.DESTINATION: {one.name for one in listed} | {one.name for one in agents} | numbers,
        # Where there is no queue of a name, the skill of that name serves.
        Named.QUEUE: {one.name for one in (await queues.queues(conn, tenant_id)).values()}
        | {skill for one in agents for skill in one.skills},
    }


async def uses(conn: AsyncConnection, tenant_id: int, kind: Named) -> Mapping[str, Sequence[str]]:
    """Names of a kind, as they are compared -> the flows of which a version in use, live or tried out, has
    them."""
    found: dict[str, dict[str, None]] = {}
    for version in await store.in_use(conn, tenant_id):
        for one in _namings(version):
            if one.kind is kind:
                for name in filter(None, (one.compared, one.also)):
                    found.setdefault(name, {})[version.flow] = None
    return {name: list(flows) for name, flows in found.items()}


async def flows_that_name(conn: AsyncConnection, tenant_id: int, kind: Named, name: str) -> Sequence[str]:
    """The flows of which a version in use has this name; see `db.uses.Uses`."""
    return (await uses(conn, tenant_id, kind)).get(compared(kind, name), ())


async def led_to_queue(conn: AsyncConnection, tenant_id: int, name: str) -> LedTo:
    """The flows and the numbers that name a queue."""
    numbers = await numbers_store.numbers(conn, tenant_id)
    return LedTo(
        await flows_that_name(conn, tenant_id, Named.QUEUE, name),
        [one.number for one in numbers if one.queue == name],
    )


def _namings(version: Version) -> Iterator[Naming]:
    try:
        flow = loader.from_document(version.document, checked=False)
    except BadFlow:
        return  # of an earlier release; it says nothing any more
    yield from namings(flow)
