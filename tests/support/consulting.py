"""What channels of a test's Asterisk do while agents ask others besides the customer."""

from __future__ import annotations

from sqlalchemy import insert

from dialer.db.tables import destination
from support.centre import TENANT, Centre

#: An agent's phone that waits; a customer on hold; a customer in a talk.
WAITS = ("dozvon-agent", "BridgeWait")
MUSIC = ("dozvon-held", "MusicOnHold")
TALKS = ("dozvon-customer", "Bridge")
ASKED = ("dozvon-agent", "Bridge")
SHOP = ("dozvon-third", "Bridge")


async def list_destination(centre: Centre, name: str, kind: str, value: str) -> None:
    """One in the tenant's list."""
    async with centre.database.tenant(TENANT) as conn:
        listed = {"tenant_id": TENANT, "name": name, "kind": kind, "value": value}
        await conn.execute(insert(destination).values(listed))


async def channels(centre: Centre) -> list[tuple[str, str]]:
    """Of each channel of Asterisk that is a phone's: the context and what it runs."""
    said = await centre.floor.asterisk.cli("core show channels concise")
    lines = [line.split("!") for line in said.splitlines() if line.startswith("PJSIP/")]
    return sorted((line[1], line[5]) for line in lines)


async def until_channels(centre: Centre, *wanted: tuple[str, str]) -> None:
    """Wait until Asterisk has these channels and no other: context and application."""

    async def there() -> bool:
        return await channels(centre) == sorted(wanted)

    try:
        await centre.until_seen(f"{wanted}", there)
    except AssertionError:
        found = await channels(centre)
        raise AssertionError(f"{found} != {sorted(wanted)}") from None


async def application_of(centre: Centre, context: str, wanted: str) -> None:
    """Wait until a channel in this context of the dialplan runs this application."""

    async def there() -> bool:
        return (context, wanted) in await channels(centre)

    await centre.until_seen(f"{wanted} in {context}", there)
