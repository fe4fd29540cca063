"""Tells each Asterisk the secrets by which people's browsers register, and takes back those that are over.

The database says which are good. A new one is told when its page asks for it; a look every few seconds takes
back what is over and brings an Asterisk up to date that was away, or has just come.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from dialer.agents import phones_store as store
from dialer.asterisk.ami import AmiLink
from dialer.asterisk.browsers import FAMILY, endpoint_of, secret_of
from dialer.asterisk.nodes import Node, Nodes
from dialer.db.session import Database
from dialer.errors import ActionFailed, AsteriskUnavailable, DatabaseUnavailable

log = structlog.get_logger(__name__)

#: Between two looks.
LOOK_S = 15.0


@dataclass(slots=True)
class BrowserSecrets:
    """The secrets of browsers at the nodes of one engine."""

    database: Database
    nodes: Nodes
    #: tenants whose agents there are
    tenants: Callable[[], Iterable[int]]
    #: what a start of a node's Asterisk has been told: HA1 by endpoint, by the node's name and that start
    _told: dict[tuple[str, str | None], dict[str, str]] = field(default_factory=dict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    #: one at a time, so that none tells what another has read before it
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def look(self) -> None:
        """A node may be ready that was not."""
        self._changed.set()

    async def run(self) -> None:
        """Keep all nodes up to date until cancelled."""
        while True:
            self._changed.clear()
            try:
                for tenant_id in list(self.tenants()):
                    async with self.database.tenant(tenant_id) as conn:
                        await store.forget_old(conn, tenant_id)
                await self.bring()
            except (DatabaseUnavailable, AsteriskUnavailable) as error:
                log.info("browser_secrets_wait", reason=str(error))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._changed.wait()

    async def open(self, _tenant_id: int, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        """A page has a new secret: tell it. Raises AsteriskUnavailable when no Asterisk has it."""
        await self.bring()
        return {}

    async def bring(self) -> None:
        """Have each node that is ready know what is good. Raises AsteriskUnavailable when none could be told,
        DatabaseUnavailable."""
        async with self._turn:
            good: dict[str, str] = {}
            for tenant_id in list(self.tenants()):
                async with self.database.tenant(tenant_id) as conn:
                    known = await store.good(conn, tenant_id)
                good |= {endpoint_of(user_id): ha1 for user_id, ha1 in known.items()}
            ready = [node for node in self.nodes if node.ready]
            told = await asyncio.gather(*(self._tell(node, good) for node in ready))
            if not any(told):
                raise AsteriskUnavailable(reason=self.nodes.trouble())

    async def _tell(self, node: Node, good: Mapping[str, str]) -> bool:
        """Whether the node knows just what is good."""
        at = (node.name, node.started)
        try:
            if at not in self._told:
                await _forget_all(node.link)
                for former in [one for one in self._told if one[0] == node.name]:
                    del self._told[former]
                self._told[at] = {}
            has = self._told[at]
            for endpoint in has.keys() - good.keys():
                await _drop(node.link, endpoint)
                del has[endpoint]
            for endpoint, ha1 in good.items():
                if has.get(endpoint) != ha1:
                    await _put(node.link, endpoint, ha1)
                    has[endpoint] = ha1
        except (AsteriskUnavailable, ActionFailed) as error:
            log.warning("browser_secrets_not_told", node=node.name, reason=str(error))
            return False
        return True


async def _put(link: AmiLink, endpoint: str, ha1: str) -> None:
    secret = secret_of(endpoint, ha1)
    await link.send({"Action": "DBPut", "Family": FAMILY, "Key": endpoint, "Val": secret})


async def _drop(link: AmiLink, endpoint: str) -> None:
    try:
        await link.send({"Action": "DBDel", "Family": FAMILY, "Key": endpoint})
    except ActionFailed:
        log.info("browser_secret_gone", endpoint=endpoint)  # it had none


async def _forget_all(link: AmiLink) -> None:
    try:
        await link.send({"Action": "DBDelTree", "Family": FAMILY})
    except ActionFailed:
        log.debug("no_browser_secrets")  # it had none
