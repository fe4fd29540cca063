"""An agent's session that was stolen, and whoever has none: what they ask of a whole site's API.

The site is real: web, engine, Asterisk and a carrier, whose own log says what was dialled. The thief has the
cookie and the CSRF token of an agent who is at work, of one who is not, of one who has logged out, of one
whose session is over, and of another company's agent.
"""

from __future__ import annotations

import contextlib
import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

from aiohttp import ClientSession, CookieJar
from sqlalchemy import insert, select, update

from dialer.bench.faults.fraud import numbers
from dialer.bench.faults.fraud.tries import Outcome
from dialer.bench.model import Say
from dialer.bench.site import TENANT, Site
from dialer.bench.site_parts import until
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.session import connect
from dialer.demo.numbers import Behaviour, encode
from dialer.errors import ProcessFell
from dialer.users.passwords import Passwords

#: A company beside the site's own, whose things its agents must not touch.
OTHER = 2
#: The other agent's talk goes on for as long as it is tried to end it.
ENDLESS_S = 7200.0
#: Refused tries of a user slow the user down; the record of them is emptied so often, so that tries go on.
FORGET_EVERY = 20


@dataclass(slots=True)
class Person:
    """A browser with what it has of a session."""

    http: ClientSession
    url: str
    headers: dict[str, str] = field(default_factory=dict)

    async def ask(
        self, method: str, path: str, body: object = None, *, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """A request; its status, and the body of one that was granted."""
        sent = self.headers if headers is None else dict(headers)
        async with self.http.request(
            method, f"{self.url}/api/v1{path}", json=body, headers=sent, allow_redirects=False
        ) as reply:
            good = reply.status < 400 and reply.content_type == "application/json"
            return reply.status, await reply.json() if good else None

    async def log_in(self, login: str, password: str) -> None:
        """Begin a session."""
        status, reply = await self.ask("POST", "/session", {"login": login, "password": password})
        assert status == 201, status
        self.headers["X-CSRF-Token"] = reply["csrf_token"]


Try = Callable[[random.Random], Awaitable[tuple[str, int]]]


@dataclass(slots=True)
class Thief:
    """The site with those whose sessions were stolen. Use `Thief.open`."""

    site: Site
    #: at work, with a phone that is up
    at_work: Person
    #: an agent who has not begun a shift
    at_home: Person
    #: logged out, and one whose session is over
    gone: Person
    over: Person
    #: another company's agent
    stranger: Person
    #: knows nothing
    nobody: Person
    manual: int
    progressive: int
    trunk_id: int
    #: the other company's campaign and lead
    foreign_campaign: int
    foreign_lead: int
    #: an agent and a call that are somebody else's
    other_agent: int
    other_call: str
    other: Person

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, say: Say) -> AsyncIterator[Thief]:
        """A site in which nothing dials by itself, and its people."""
        async with AsyncExitStack() as stack:
            site = await stack.enter_async_context(Site.open(agents=2, say=say))
            made = await _Stage(site, stack).set()
            yield cls(site, **made)

    async def tries(self, rng: random.Random, many: int) -> Outcome:
        """So many requests that must be refused."""
        outcome = Outcome()
        known, since = set(self.site.carrier.invites()), self.site.mark()
        ways: list[Try] = [
            self._without_token, self._with_wrong_token, self._from_elsewhere, self._without_session,
            self._after_log_out, self._when_over, self._forbidden_number, self._forbidden_number,
            self._forbidden_number, self._out_of_shift, self._others_campaign, self._others_lead,
            self._other_mode, self._others_agent, self._others_call, self._lines, self._own_role,
        ]  # fmt: skip
        for n in range(many):
            if n % FORGET_EVERY == 0:
                await self._forget()
            what, status = await rng.choice(ways)(rng)
            outcome.requests += 1
            if 400 <= status < 500:
                outcome.tries += 1
            elif status >= 500:
                outcome.tries += 1
                outcome.broken.append(f"{what}: {status}")
            elif what == "number":
                await self._until_free()  # it was one that may be dialled, in another spelling
            else:
                outcome.tries += 1
                outcome.through(f"{what}: {status}")
        if not await self._goes_on():
            outcome.through("the other agent's call has ended")
        for number in self.site.carrier.invites().keys() - known:
            outcome.calls += 1
            if not numbers.may_be_dialled(number):
                outcome.through(f"the carrier was asked for {number!r}")
        tally = await self.site.tally(since)
        for number in tally.doubles:
            outcome.through(f"the carrier was asked for {number} more than once")
        if tally.without_row:
            outcome.broken.append(f"{tally.without_row} numbers were dialled without an attempt")
        return outcome

    # -- without a right session ---------------------------------------------------------------------------

    def _good(self, rng: random.Random) -> dict[str, Any]:
        return {"campaign_id": self.manual, "number": f"+7916{rng.randint(0, 9_999_999):07}"}

    async def _without_token(self, rng: random.Random) -> tuple[str, int]:
        status, _ = await self.at_work.ask("POST", "/calls", self._good(rng), headers={})
        return "without the CSRF token", status

    async def _with_wrong_token(self, rng: random.Random) -> tuple[str, int]:
        token = rng.choice((secrets.token_urlsafe(24), "", self.at_home.headers["X-CSRF-Token"]))
        asked = {"X-CSRF-Token": token}
        status, _ = await self.at_work.ask("POST", "/calls", self._good(rng), headers=asked)
        return "with another's CSRF token", status

    async def _from_elsewhere(self, rng: random.Random) -> tuple[str, int]:
        said = rng.choice(
            ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"},
             {"Host": "evil.example"}, {"Origin": "http://127.0.0.1:1"})
        )  # fmt: skip
        asked = self.at_work.headers | said
        status, _ = await self.at_work.ask("POST", "/calls", self._good(rng), headers=asked)
        return f"from {said}", status

    async def _without_session(self, rng: random.Random) -> tuple[str, int]:
        asked = rng.choice(
            ({}, {"Cookie": f"dozvon_session={secrets.token_urlsafe(32)}"}, {"Cookie": "dozvon_session="},
             {"Authorization": f"Bearer {secrets.token_urlsafe(32)}"}, {"Authorization": "Bearer "},
             {"X-CSRF-Token": self.at_work.headers["X-CSRF-Token"]})
        )  # fmt: skip
        status, _ = await self.nobody.ask("POST", "/calls", self._good(rng), headers=asked)
        return "without a session", status

    async def _after_log_out(self, rng: random.Random) -> tuple[str, int]:
        status, _ = await self.gone.ask("POST", "/calls", self._good(rng))
        return "after the log-out", status

    async def _when_over(self, rng: random.Random) -> tuple[str, int]:
        status, _ = await self.over.ask("POST", "/calls", self._good(rng))
        return "with a session that is over", status

    # -- with one that was stolen ----------------------------------------------------------------------------

    async def _forbidden_number(self, rng: random.Random) -> tuple[str, int]:
        number = (numbers.forbidden(rng) or "0")[:50]
        status, _ = await self.at_work.ask("POST", "/calls", {"campaign_id": self.manual, "number": number})
        return "number", status

    async def _out_of_shift(self, rng: random.Random) -> tuple[str, int]:
        status, _ = await self.at_home.ask("POST", "/calls", self._good(rng))
        return "out of a shift", status

    async def _others_campaign(self, rng: random.Random) -> tuple[str, int]:
        thief, campaign = rng.choice(
            ((self.at_work, self.foreign_campaign), (self.stranger, self.manual), (self.at_work, 10**12))
        )
        status, _ = await thief.ask("POST", "/calls", self._good(rng) | {"campaign_id": campaign})
        return "another company's campaign", status

    async def _others_lead(self, rng: random.Random) -> tuple[str, int]:
        lead = rng.choice((self.foreign_lead, rng.randint(10**6, 10**9)))
        status, _ = await self.at_work.ask("POST", f"/leads/{lead}/dial")
        return "another's lead", status

    async def _other_mode(self, rng: random.Random) -> tuple[str, int]:
        asked = self._good(rng) | {"campaign_id": self.progressive}
        status, _ = await self.at_work.ask("POST", "/calls", asked)
        return "a campaign that is not dialled by hand", status

    async def _others_agent(self, rng: random.Random) -> tuple[str, int]:
        action = rng.choice(("login", "logout", "ready", "pause"))
        body = {"code": "break"} if action == "pause" else None
        thief = rng.choice((self.at_work, self.stranger))
        status, _ = await thief.ask("POST", f"/agents/{self.other_agent}/{action}", body)
        return f"another agent's {action}", status

    async def _others_call(self, rng: random.Random) -> tuple[str, int]:
        call = rng.choice((self.other_call, str(uuid4())))
        thief = rng.choice((self.at_work, self.stranger))
        method, path, body = rng.choice((("POST", "hangup", None), ("PUT", "disposition", {"code": "sale"})))
        status, _ = await thief.ask(method, f"/calls/{call}/{path}", body)
        return "another's call", status

    async def _lines(self, rng: random.Random) -> tuple[str, int]:
        """To open the lines first."""
        method, path, body = rng.choice(
            (
                ("PATCH", f"/trunks/{self.trunk_id}", {"allowed_prefixes": ["+7", "+88"]}),
                ("PATCH", "/caps", {"max_typed_per_hour": None, "max_spend_per_day": None}),
                (
                    "POST",
                    "/trunks",
                    {
                        "name": "x",
                        "caller_id": "+74950000000",
                        "allowed_prefixes": ["+88"],
                        "sip_host": "127.0.0.1",
                    },
                ),
                ("PATCH", f"/campaigns/{self.manual}", {"policy": "demo"}),
                ("POST", f"/campaigns/{self.progressive}/start", None),
                ("POST", "/campaigns", {"name": "x", "policy": "demo", "trunks": [self.trunk_id]}),
            )
        )
        status, _ = await rng.choice((self.at_work, self.at_home, self.stranger)).ask(method, path, body)
        return f"{method} {path}", status

    async def _own_role(self, rng: random.Random) -> tuple[str, int]:
        """To become more, or somebody else."""
        method, path, body = rng.choice(
            (
                ("POST", "/users", {"login": "x", "name": "x", "role": "operator", "password": _PASSWORD}),
                ("PATCH", "/me", {"role": "administrator"}),
                ("POST", "/tokens", {"name": "x"}),
                ("POST", "/agents", {"user_id": 1, "name": "x", "endpoint": "x"}),
                ("GET", "/users", None),
            )
        )  # fmt: skip
        status, _ = await self.at_work.ask(method, path, body)
        return f"{method} {path}", status

    async def _goes_on(self) -> bool:
        """Whether the other agent still talks with the same customer."""
        _, agent = await self.other.ask("GET", "/agents/me")
        shift = agent["shift"]
        return bool(shift and shift["state"] == "talking" and shift["attempt_id"] == self.other_call)

    # -- helpers ---------------------------------------------------------------------------------------------

    async def _until_free(self) -> None:
        """End the call that was placed, and wait until its agent is free again."""

        async def free() -> bool:
            _, agent = await self.at_work.ask("GET", "/agents/me")
            shift = agent["shift"]
            if shift["attempt_id"] and shift["state"] != "wrap_up":
                await self.at_work.ask("POST", f"/calls/{shift['attempt_id']}/hangup")
            elif shift["attempt_id"]:
                await self.at_work.ask("PUT", f"/calls/{shift['attempt_id']}/disposition", {"code": "other"})
            return shift["state"] in ("ready", "paused") and not shift["attempt_id"]

        await until("the agent is free again", free, 60, look_s=0.1)

    async def _forget(self) -> None:
        owner = await connect(self.site.urls.owner)
        try:
            await owner.execute("DELETE FROM audit WHERE action = 'call.refused'")
        finally:
            await owner.close()


@dataclass(slots=True)
class _Stage:
    """Puts the people, the campaigns and the other company into the site."""

    site: Site
    stack: AsyncExitStack

    async def set(self) -> dict[str, Any]:
        """Everything that a Thief needs."""
        site = self.site
        async with site.database.tenant(TENANT) as conn:
            await conn.execute(update(t.trunk).values(allowed_prefixes=list(numbers.ALLOWED)))
            trunk_id = (await conn.execute(select(t.trunk.c.id))).scalar_one()
        campaigns = await self._campaigns(trunk_id)
        first, second = site.robots.robots[:2]
        at_work = await self._person(first.login, first.password)
        other_agent = await self._agent_of(second.login)
        second.talk_s = ENDLESS_S
        other = await self._person(second.login, second.password)
        other_call = await self._talk_of(other, campaigns["manual"])
        await self._users()
        people = {
            name: await self._person(name, _PASSWORD) for name in ("at_home", "gone", "over", "stranger")
        }
        # The session that the thief keeps is the one that is ended.
        await people["gone"].ask("DELETE", "/session")
        async with site.database.tenant(TENANT) as conn:
            over = select(t.app_user.c.id).where(t.app_user.c.login == "over").scalar_subquery()
            await conn.execute(
                update(t.user_session)
                .where(t.user_session.c.user_id == over)
                .values(expires_at=utc_now() - timedelta(seconds=1))
            )
        foreign = await self._other_company()
        return {
            **people,
            **campaigns,
            **foreign,
            "at_work": at_work,
            "nobody": await self._browser(),
            "trunk_id": trunk_id,
            "other_agent": other_agent,
            "other_call": other_call,
            "other": other,
        }

    async def _talk_of(self, person: Person, campaign_id: int) -> str:
        """A talk that the agent has dialled by hand, and that goes on; its attempt's id."""
        number = encode(Behaviour.HUMAN, ring_s=0.5, detail=7, prefix=16).e164
        status, _ = await person.ask("POST", "/calls", {"campaign_id": campaign_id, "number": number})
        assert status < 300, status

        async def talks() -> str | None:
            _, agent = await person.ask("GET", "/agents/me")
            shift = agent["shift"]
            return shift["attempt_id"] if shift and shift["state"] == "talking" else None

        call: str = await until("the other agent talks", talks, 60, look_s=0.1)
        return call

    async def _browser(self) -> Person:
        # What a logged-out browser forgets a thief keeps: cookies are kept by hand where that matters.
        http = ClientSession(cookie_jar=CookieJar(unsafe=True))
        await self.stack.enter_async_context(http)
        return Person(http, self.site.url)

    async def _person(self, login: str, password: str) -> Person:
        person = await self._browser()
        await person.log_in(login, password)
        stolen = "; ".join(f"{cookie.key}={cookie.value}" for cookie in person.http.cookie_jar)
        thief = ClientSession(cookie_jar=CookieJar(unsafe=True), headers={"Cookie": stolen})
        await self.stack.enter_async_context(thief)
        return Person(thief, self.site.url, dict(person.headers))

    async def _campaigns(self, trunk_id: int) -> dict[str, int]:
        """One that is dialled by hand and runs, and one that is not."""
        made = {}
        async with self.site.api() as api:
            await api.log_in(*self.site.supervisor)
            for name in ("manual", "progressive"):
                body = {
                    "name": name,
                    "mode": name,
                    "policy": "demo",
                    "caller_name": "автосалон «Северный»",
                    "abandon_message": "Вам звонил автосалон «Северный».",
                    "call_from": "00:00",
                    "call_until": "24:00",
                    "trunks": [trunk_id],
                }
                made[name] = (await api.call("POST", "/campaigns", body))["id"]
            await api.call("POST", f"/campaigns/{made['manual']}/start")
        return made

    async def _agent_of(self, login: str) -> int:
        query = select(t.agent.c.id).join(
            t.app_user,
            (t.app_user.c.tenant_id == t.agent.c.tenant_id) & (t.app_user.c.id == t.agent.c.user_id),
        )
        async with self.site.database.tenant(TENANT) as conn:
            return int((await conn.execute(query.where(t.app_user.c.login == login))).scalar_one())

    async def _users(self) -> None:
        """Agents without a shift, of this company and of the other."""
        owner = await connect(self.site.urls.owner)
        try:
            await owner.execute("INSERT INTO tenant (id, name) VALUES ($1, 'Other')", OTHER)
        finally:
            await owner.close()
        passwords = Passwords()
        try:
            hashed = await passwords.hash(_PASSWORD)
        finally:
            passwords.close()
        for login in ("at_home", "gone", "over", "stranger"):
            tenant_id = OTHER if login == "stranger" else TENANT
            key = {"tenant_id": tenant_id}
            async with self.site.database.tenant(tenant_id) as conn:
                row = {"login": login, "name": login, "role": "operator", "password_hash": hashed}
                user_id = await conn.scalar(
                    insert(t.app_user).values(**key, **row).returning(t.app_user.c.id)
                )
                row = {"user_id": user_id, "name": login, "endpoint": f"phone-{login}"}
                await conn.execute(insert(t.agent).values(**key, **row))

    async def _other_company(self) -> dict[str, int]:
        """Its campaign, which is dialled by hand and runs, and a lead of it."""
        key = {"tenant_id": OTHER}
        async with self.site.database.tenant(OTHER) as conn:
            campaign_id = await conn.scalar(
                insert(t.campaign)
                .values(**key, name="Other", status="running", mode="manual", policy="demo")
                .returning(t.campaign.c.id)
            )
            list_id = await conn.scalar(
                insert(t.contact_list).values(**key, name="Other").returning(t.contact_list.c.id)
            )
            contact_id = await conn.scalar(insert(t.contact).values(**key).returning(t.contact.c.id))
            lead_id = await conn.scalar(
                insert(t.lead)
                .values(
                    **key,
                    campaign_id=campaign_id,
                    list_id=list_id,
                    contact_id=contact_id,
                    e164="+79160000001",
                    timezones=["Europe/Moscow"],
                    open_from=utc_now(),
                    open_until=utc_now() + timedelta(days=1),
                )
                .returning(t.lead.c.id)
            )
        if campaign_id is None or lead_id is None:
            raise ProcessFell(name="database", code="no rows")
        return {"foreign_campaign": campaign_id, "foreign_lead": lead_id}


_PASSWORD = "correct-horse-9"  # noqa: S105 - of a site that lives for minutes
