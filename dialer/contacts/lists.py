"""What can be done with lists; a part of the service of contacts."""

from __future__ import annotations

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.contacts import funnelstore, leadstore, store
from dialer.contacts.model import ContactList, Funnel
from dialer.db.events import wake
from dialer.db.session import Database
from dialer.errors import Conflict, NotFound
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right
from dialer.said import Said
from dialer.settings import Settings


class Lists:
    """Lists of a tenant."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    async def add_list(self, actor: Actor, name: str) -> ContactList:
        """Make an empty list. Raises Conflict when the name is taken."""
        actor.require(Right.CONTACTS_EDIT)
        async with self._database.tenant(actor.tenant_id) as conn:
            list_id = await store.add_list(conn, actor.tenant_id, name)
            if list_id is None:
                raise _name_taken(name)
            await audit.record(conn, actor, "list.create", f"list:{list_id}", name=name)
            return await get_list(conn, actor, list_id)

    async def rename_list(self, actor: Actor, list_id: int, name: str) -> ContactList:
        """Give a list another name. Raises NotFound, Conflict."""
        actor.require(Right.CONTACTS_EDIT)
        try:
            async with self._database.tenant(actor.tenant_id) as conn:
                await lock_list(conn, actor, list_id)
                if not await store.rename_list(conn, actor.tenant_id, list_id, name):
                    raise _name_taken(name)
                await audit.record(conn, actor, "list.rename", f"list:{list_id}", name=name)
                return await get_list(conn, actor, list_id)
        except IntegrityError:  # two lists took the name at the same moment
            raise _name_taken(name) from None

    async def remove_list(self, actor: Actor, list_id: int) -> None:
        """Remove an empty list. Raises NotFound, Conflict when it holds contacts: calls refer to them."""
        actor.require(Right.CONTACTS_EDIT)
        async with self._database.tenant(actor.tenant_id) as conn:
            await lock_list(conn, actor, list_id)
            if not await store.remove_list(conn, actor.tenant_id, list_id):
                raise Conflict(reason="the list has contacts or an import under way, and cannot be removed")
            await audit.record(conn, actor, "list.remove", f"list:{list_id}")

    async def get_list(self, actor: Actor, list_id: int) -> ContactList:
        """A list. Raises NotFound."""
        actor.require(Right.CONTACTS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await get_list(conn, actor, list_id)

    async def lists(
        self, actor: Actor, *, name: str = "", before: int | None = None, limit: int = 50
    ) -> list[ContactList]:
        """Lists, the newest first; those whose name has `name` in it."""
        actor.require(Right.CONTACTS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await store.page_of_lists(conn, actor.tenant_id, name=name, before=before, limit=limit)

    async def funnel(self, actor: Actor, list_id: int) -> Funnel:
        """A list from its contacts to what campaigns made of them. Raises NotFound."""
        actor.require(Right.CONTACTS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            await get_list(conn, actor, list_id)
            return await funnelstore.funnel(conn, actor.tenant_id, list_id)

    async def add_list_to_campaign(self, actor: Actor, list_id: int, campaign_id: int) -> int:
        """Make leads for a campaign of a list's contacts that it does not have; how many. Raises NotFound."""
        actor.require(Right.CAMPAIGNS_EDIT)
        async with self._database.tenant(actor.tenant_id) as conn:
            await get_list(conn, actor, list_id)
            await check_campaign(conn, actor, campaign_id)
            added = await leadstore.add_leads_of_list(conn, actor.tenant_id, campaign_id, list_id)
            await audit.record(
                conn, actor, "campaign.add_list", f"campaign:{campaign_id}", list_id=list_id, leads=added
            )
            if added:
                await wake(conn, "campaigns", tenant_id=actor.tenant_id)
        return added


async def get_list(conn: AsyncConnection, actor: Actor, list_id: int) -> ContactList:
    """A list of the actor's tenant. Raises NotFound."""
    found = await store.get_list(conn, actor.tenant_id, list_id)
    if found is None:
        raise NotFound(what="list", key=list_id)
    return found


async def lock_list(conn: AsyncConnection, actor: Actor, list_id: int) -> None:
    """As `store.lock_list`. Raises NotFound."""
    if not await store.lock_list(conn, actor.tenant_id, list_id):
        raise NotFound(what="list", key=list_id)


async def check_campaign(conn: AsyncConnection, actor: Actor, campaign_id: int | None) -> None:
    """Whether there is such a campaign, if one is named. Raises NotFound."""
    if campaign_id is not None and not await store.campaign_exists(conn, actor.tenant_id, campaign_id):
        raise NotFound(what="campaign", key=campaign_id)


def _name_taken(name: str) -> Conflict:
    return Conflict(reason=Said("there is a list {name} already", name=name))
