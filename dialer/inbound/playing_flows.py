"""Which flows play a recording: it cannot be removed while one does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.errors import BadFlow
from dialer.inbound import store
from dialer.inbound.model import Version
from ivr_flows import loader
from ivr_flows.model import Sound
from ivr_flows.spoken import spoken


async def flows_that_play(conn: AsyncConnection, tenant_id: int, name: str) -> Sequence[str]:
    """Names of the flows of which a version in use, live or tried out, plays the recording."""
    used = await store.in_use(conn, tenant_id)
    return list(dict.fromkeys(one.flow for one in used if name in set(_sounds(one))))


def _sounds(version: Version) -> Iterator[str]:
    try:
        flow = loader.from_document(version.document, checked=False)
    except BadFlow:
        return  # of an earlier release; it plays nothing any more
    for prompt in spoken(flow):
        if isinstance(prompt, Sound):
            yield prompt.name
