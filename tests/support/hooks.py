"""Hooks in tests: the routes over a real database, a token of their scope, people who can be asked after."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dialer.callbacks.service import CallbackService
from dialer.contacts.people import PersonService
from dialer.db.session import Database
from dialer.donotcall.service import DoNotCallService
from dialer.hooks import http
from dialer.hooks.fastagi import LIMIT_S, HookAgi
from dialer.hooks.service import HookService
from dialer.httpkit.access import Actor, Role, Scope
from dialer.queues.service import QueueService
from dialer.settings import load
from support import people as make
from support.people import Ground
from support.web import Caller, Reply, Web, serving

TENANT = 1
ANNA, NOBODY, OTHER = "+79161230001", "+79169990000", "+79165550000"
CHANNEL = "1790000000.17"


@dataclass(slots=True)
class Hooked:
    """A web process with hooks, over HTTP and FastAGI."""

    web: Web
    service: HookService
    agi: HookAgi
    place: Ground
    #: the contact who has ANNA's number
    anna: int
    token: str
    program: Caller
    sent: dict[str, Any] = field(default_factory=lambda: {"channel": CHANNEL, "caller": ANNA})

    @property
    def database(self) -> Database:
        """As the server has it."""
        return self.web.database

    async def ask(self, hook: str, **fields: Any) -> Reply:
        """A hook of Anna's call, unless the fields say of which."""
        return await self.program.call("POST", f"~/hooks/{hook}", self.sent | fields)

    async def first(self, **fields: Any) -> str:
        """The call token that a first look-up gives."""
        reply = await self.ask("lookup", **fields)
        assert reply.status == 200, reply.text
        return str(reply.json["call_token"])


@asynccontextmanager
async def hooked(
    database: Database, database_url: str, folder: Path, *, limit_s: float = LIMIT_S, **settings: Any
) -> AsyncIterator[Hooked]:
    """Serve hooks; Anna is known, with a campaign of her list."""
    said = load(data_dir=folder, **settings)
    service = HookService(
        database,
        said,
        do_not_call=DoNotCallService(database, said),
        callbacks=CallbackService(database),
        people=PersonService(database, said),
        queues=QueueService(database),
    )
    async with database.tenant(TENANT) as conn:
        place = await make.ground(conn)
        anna = await make.person(
            conn,
            place,
            [ANNA],
            "Вишневская",
            first_name='Анна "Аня", (д\'Арк) $',
            custom={"car": "Lada; Vesta"},
        )
        await make.lead(conn, place, anna, ANNA)
    async with serving(
        database, database_url, tables=[http.routes], services={http.HOOKS: service}, settings=said
    ) as web:
        agi = HookAgi("127.0.0.1", 0, service, web.users, limit_s=limit_s)
        running = asyncio.create_task(agi.run())
        await agi.listening.wait()
        caller = await web.stranger()
        user = await web.user(Role.SUPERVISOR)
        _, token = await web.users.add_token(Actor.server(TENANT), "dialplan", user.id, Scope.HOOKS)
        caller.headers["Authorization"] = f"Bearer {token}"
        try:
            yield Hooked(web, service, agi, place, anna, token, caller)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
