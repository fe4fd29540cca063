"""Which names the flows use that callers are led by: hosts, hours, places of offers, destinations, queues,
recordings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.errors import BadFlow
from dialer.inbound import store
from dialer.inbound.model import Version
from ivr_flows import loader
from ivr_flows.naming import Named, Naming, compared, namings


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


async def flows_that_play(conn: AsyncConnection, tenant_id: int, name: str) -> Sequence[str]:
    """The flows that play the recording of this name."""
    return await flows_that_name(conn, tenant_id, Named.SOUND, name)


def _namings(version: Version) -> Iterator[Naming]:
    try:
        flow = loader.from_document(version.document, checked=False)
    except BadFlow:
        return  # of an earlier release; it says nothing any more
    yield from namings(flow)
