"""People and programs: the door, roles on every route, tokens, the first administrator."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import text
from support.web import PASSWORD, Caller, Web, cheap_passwords, second_tenant

from dialer.db.session import Database
from dialer.errors import Conflict, Invalid, TooManyRequests, WrongPassword
from dialer.httpkit.access import Actor, Role
from dialer.users import http as users_http
from dialer.users import service as service_module
from dialer.users.model import hash_token
from dialer.users.passwords import Passwords
from dialer.users.service import UserService, ensure_administrator

SERVER = Actor.server(1)
NEW = {"login": "anna", "name": "Анна", "role": "operator", "password": PASSWORD}


async def scalar(database: Database, query: str, **values: object) -> Any:
    """One value of tenant 1."""
    async with database.tenant(1) as conn:
        return await conn.scalar(text(query), values)


# -- the door ------------------------------------------------------------------------------------------


async def test_a_session_begins_and_ends(site: Web) -> None:
    """Log in, be known, log out, be unknown; the cookie is out of reach for scripts and other sites."""
    user = await site.user(Role.OPERATOR)
    stranger = await site.stranger()
    assert (await stranger.call("GET", "~/me")).status == 401
    entered = await stranger.call(
        "POST", "~/session", {"login": f" {user.login.upper()} ", "password": PASSWORD}
    )
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(entered.headers["Set-Cookie"].split("; "))
    me = (await stranger.call("GET", "~/me")).json
    assert (me["id"], me["role"], me["rights"]) == (user.id, "operator", ["calls_place", "work"])
    assert me["csrf_token"] == entered.json["csrf_token"]
    left = await stranger.call("DELETE", "~/session", headers={"X-CSRF-Token": me["csrf_token"]})
    assert left.status == 204
    assert (await stranger.call("GET", "~/me")).status == 401


async def test_a_cookie_that_was_kept_is_dead_after_the_log_out(site: Web) -> None:
    """The session ends at the server, not only in the browser."""
    browser = await site.browser(Role.OPERATOR)
    kept = {cookie.key: cookie.value for cookie in browser.http.cookie_jar}
    await browser.call("DELETE", "~/session")
    browser.http.cookie_jar.update_cookies(kept)
    assert (await browser.call("GET", "~/me")).status == 401


async def test_the_database_holds_no_token_and_no_password(site: Web, database: Database) -> None:
    """Only hashes: of the session, of the API token, of the password (argon2id)."""
    browser = await site.browser(Role.SUPERVISOR)
    shown = (await browser.call("POST", "~/tokens", {"name": "crm"})).json["token"]
    cookie = next(iter(browser.http.cookie_jar)).value
    assert await scalar(database, "SELECT token_hash FROM user_session") == hash_token(cookie)
    assert await scalar(database, "SELECT token_hash FROM api_token") == hash_token(shown)
    assert (await scalar(database, "SELECT password_hash FROM app_user")).startswith("$argon2id$")


WRONG_LOG_INS = [
    ("nobody", PASSWORD),
    ("{login}", "wrong"),
    ("{login}", PASSWORD + "x"),
    ("{login}\0", PASSWORD),
    ("", "x"),
]


async def test_a_wrong_log_in_says_nothing_more(site: Web) -> None:
    """Unknown login and wrong password are one answer."""
    for login, password in WRONG_LOG_INS:
        user = await site.user(Role.OPERATOR)
        with pytest.raises(WrongPassword):
            await site.users.log_in(login.format(login=user.login), password, "10.0.0.1")


async def test_an_unknown_login_costs_a_hash_too(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that time does not tell which logins exist; asserted on the work, as clocks of CI lie."""
    checked: list[str] = []
    verify = PasswordHasher.verify

    def counted(self: PasswordHasher, kept: str, password: str) -> bool:
        checked.append(kept.rsplit("$", 2)[0])
        return verify(self, kept, password)

    monkeypatch.setattr(PasswordHasher, "verify", counted)
    users = UserService(database, session_hours=1, passwords=cheap_passwords())
    await users.add(SERVER, login="anna", name="Анна", role=Role.OPERATOR, locale="ru", password=PASSWORD)
    for login in ("anna", "nobody"):
        with pytest.raises(WrongPassword):
            await users.log_in(login, "wrong password", "10.0.0.1")
    users.close()
    assert len(checked) == 2
    assert checked[0] == checked[1]  # the same algorithm at the same cost


async def test_hashing_leaves_the_event_loop_free() -> None:
    """While a real password is hashed, the loop turns."""
    passwords = Passwords()
    hashing = asyncio.ensure_future(passwords.hash(PASSWORD))
    turns = 0
    while not hashing.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 20
    assert await passwords.check(hashing.result(), PASSWORD)
    assert not await passwords.check(hashing.result(), PASSWORD + "x")
    passwords.close()


async def test_old_parameters_are_renewed_at_log_in(database: Database) -> None:
    """A hash of cheaper days becomes one of today's when its password is at hand."""
    cheap = UserService(database, session_hours=1, passwords=cheap_passwords())
    user = await cheap.add(
        SERVER, login="anna", name="Анна", role=Role.OPERATOR, locale="ru", password=PASSWORD
    )
    dearer = Passwords(PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    users = UserService(database, session_hours=1, passwords=dearer)
    await users.log_in("anna", PASSWORD, "10.0.0.1")
    kept = await scalar(database, "SELECT password_hash FROM app_user WHERE id = :id", id=user.id)
    assert not dearer.is_old(kept)
    await users.log_in("anna", PASSWORD, "10.0.0.1")
    cheap.close()
    users.close()


async def test_guessing_a_password_is_slowed_down(site: Web) -> None:
    """After ten wrong tries even the right password waits; 429 says how long. Other logins go on."""
    user, other = await site.user(Role.OPERATOR), await site.user(Role.OPERATOR)
    stranger = await site.stranger()
    body = {"login": user.login, "password": "wrong"}
    statuses = [(await stranger.call("POST", "~/session", body)).status for _ in range(10)]
    assert statuses == [401] * 10
    refused = await stranger.call("POST", "~/session", body | {"password": PASSWORD})
    assert refused.status == 429
    assert 290 <= int(refused.headers["Retry-After"]) <= 300
    assert (
        await stranger.call("POST", "~/session", {"login": other.login, "password": PASSWORD})
    ).status == 201


async def test_tries_at_once_are_all_counted(site: Web) -> None:
    """Parallel guesses do not slip through while the first ones are being hashed."""
    user = await site.user(Role.OPERATOR)
    tries = [site.users.log_in(user.login, "wrong", "10.0.0.1") for _ in range(20)]
    kinds = [type(error) for error in await asyncio.gather(*tries, return_exceptions=True)]
    assert (kinds.count(WrongPassword), kinds.count(TooManyRequests)) == (10, 10)


async def test_one_address_cannot_try_many_logins(site: Web) -> None:
    """Fifty wrong tries over any logins; success with a login of one's own does not clear them."""
    user = await site.user(Role.OPERATOR)
    for number in range(49):
        with pytest.raises(WrongPassword):
            await site.users.log_in(f"guess{number}", "wrong", "10.0.0.1")
    await site.users.log_in(user.login, PASSWORD, "10.0.0.1")
    with pytest.raises(WrongPassword):
        await site.users.log_in("guess50", "wrong", "10.0.0.1")
    with pytest.raises(TooManyRequests):
        await site.users.log_in(user.login, PASSWORD, "10.0.0.1")
    await site.users.log_in(user.login, PASSWORD, "10.0.0.2")


async def test_a_session_ends_with_its_time(site: Web, database: Database) -> None:
    """After session_hours one logs in again, and the old session is swept away."""
    browser = await site.browser(Role.OPERATOR)
    hours = "SELECT extract(epoch FROM expires_at - created_at) / 3600 FROM user_session"
    assert await scalar(database, hours) == site.settings.session_hours
    async with database.tenant(1) as conn:
        await conn.execute(text("UPDATE user_session SET expires_at = now()"))
    assert (await browser.call("GET", "~/me")).status == 401
    await site.browser(Role.OPERATOR, user=browser.user)
    assert await scalar(database, "SELECT count(*) FROM user_session") == 1


# -- every route, every role ---------------------------------------------------------------------------

#: What each role gets from each route with an empty or harmless request: who is not let in gets 403; 422 and
#: 404 are answers of a route that was reached.
#: In the order of `Role`: operator, quality, analyst, supervisor, administrator.
ROUTES: list[tuple[str, str, Any, tuple[int, int, int, int, int]]] = [
    ("GET", "/me", None, (200, 200, 200, 200, 200)),
    ("PATCH", "/me", {}, (200, 200, 200, 200, 200)),
    ("GET", "/me/shortcuts", None, (200, 200, 200, 200, 200)),
    ("PATCH", "/me/shortcuts", {}, (422, 422, 422, 422, 422)),
    ("GET", "/users", None, (403, 403, 403, 403, 200)),
    ("POST", "/users", {}, (403, 403, 403, 403, 422)),
    ("GET", "/users/999", None, (403, 403, 403, 403, 404)),
    ("PATCH", "/users/999", {}, (403, 403, 403, 403, 404)),
    ("GET", "/tokens", None, (403, 403, 403, 200, 200)),
    ("POST", "/tokens", {}, (403, 403, 403, 422, 422)),
    ("DELETE", "/tokens/999", None, (403, 403, 403, 404, 404)),
    ("DELETE", "/session", None, (204, 204, 204, 204, 204)),
]


@pytest.mark.parametrize("role", list(Role))
async def test_each_role_gets_what_it_may(site: Web, role: Role) -> None:
    """Every route of users for every role; the same with a session and with an API token."""
    browser, program = await site.browser(role), await site.program(role)
    for method, path, body, statuses in ROUTES:
        status = statuses[list(Role).index(role)]
        reply = await browser.call(method, f"~{path}", body)
        assert reply.status == status, f"{method} {path}: {reply.text}"
        if path != "/session":
            assert (await program.call(method, f"~{path}", body)).status == status


async def test_a_stranger_gets_nothing(site: Web) -> None:
    """Every route of users without a log-in; the list of routes is complete."""
    stranger = await site.stranger()
    for method, path, body, _ in ROUTES:
        assert (await stranger.call(method, f"~{path}", body)).status == 401, path
    listed = {(method, path.replace("999", "{}")) for method, path, _, _ in ROUTES}
    declared = {
        (route.method, route.path.replace("{user_id}", "{}").replace("{token_id}", "{}"))
        for route in users_http.routes
    }
    assert declared - listed == {("POST", "/session")}


async def test_every_change_needs_the_csrf_token(site: Web) -> None:
    """Each unsafe route of users, with a valid session and no token."""
    browser = await site.browser(Role.ADMINISTRATOR)
    del browser.headers["X-CSRF-Token"]
    unsafe = [(method, path, body) for method, path, body, _ in ROUTES if method != "GET"]
    assert len(unsafe) >= 6
    for method, path, body in unsafe:
        reply = await browser.call(method, f"~{path}", body)
        assert (reply.status, reply.json["type"]) == (403, "/problems/bad-csrf-token"), path


# -- the keeping of users ------------------------------------------------------------------------------


@pytest.fixture
async def admin(site: Web) -> Caller:
    """An administrator's browser."""
    return await site.browser(Role.ADMINISTRATOR)


async def test_a_user_is_made_found_and_changed(site: Web, admin: Caller) -> None:
    """From the first form to the new name; the person can log in."""
    made = await admin.call("POST", "~/users", NEW)
    assert (made.status, made.headers["Location"]) == (201, f"/api/v1/users/{made.json['id']}")
    assert "password" not in made.text
    path = f"~/users/{made.json['id']}"
    assert (await admin.call("GET", path)).json == made.json
    changed = await admin.call("PATCH", path, {"name": "Анна Б.", "locale": "en"})
    assert (changed.json["name"], changed.json["locale"], changed.json["role"]) == (
        "Анна Б.",
        "en",
        "operator",
    )
    await site.users.log_in("anna", PASSWORD, "10.0.0.1")


WRONG_USERS: list[tuple[dict[str, object], str]] = [
    ({"password": "short"}, "password"),
    ({"password": "x" * 201}, "password"),
    ({"password": "aaaaaaaaaaaa"}, "password"),
    ({"password": "my-anna-2026"}, "password"),
    ({"login": "анна"}, "login"),
    ({"login": "a"}, "login"),
    ({"role": "owner"}, "role"),
    ({"locale": "de"}, "locale"),
    ({"name": "  "}, "name"),
    ({"tenant_id": 2}, "tenant_id"),
]


async def test_a_user_that_will_not_do_is_refused(admin: Caller) -> None:
    """With the field that is wrong."""
    for change, field in WRONG_USERS:
        reply = await admin.call("POST", "~/users", NEW | change)
        assert (reply.status, reply.json["errors"][0]["field"]) == (422, field)


async def test_a_login_is_taken_once_over_all_tenants(site: Web, admin: Caller, owner_url: str) -> None:
    """One log-in page serves all; another company's user is a conflict like one's own."""
    tenant = await second_tenant(owner_url)
    stranger = await site.user(Role.OPERATOR, tenant_id=tenant)
    assert (await admin.call("POST", "~/users", NEW)).status == 201
    for login in ("ANNA", stranger.login):
        reply = await admin.call("POST", "~/users", NEW | {"login": login})
        assert (reply.status, reply.json["type"]) == (409, "/problems/conflict")


async def test_another_tenants_users_are_not_there(site: Web, admin: Caller, owner_url: str) -> None:
    """Not in the list, not by id, not to be changed, nor their tokens."""
    tenant = await second_tenant(owner_url)
    foreign = await site.program(Role.OPERATOR, tenant_id=tenant)
    assert foreign.user is not None
    path = f"~/users/{foreign.user.id}"
    listed = (await admin.call("GET", "~/users")).json["items"]
    assert [user["id"] for user in listed] == [admin.user.id if admin.user else None]
    assert (await admin.call("GET", path)).status == 404
    assert (await admin.call("PATCH", path, {"disabled": True})).status == 404
    assert (await admin.call("GET", "~/tokens")).json["items"] == []
    assert (await admin.call("POST", "~/tokens", {"name": "x", "user_id": foreign.user.id})).status == 404
    assert (await foreign.call("GET", "~/me")).status == 200


async def test_users_come_in_pages_by_name(site: Web, admin: Caller) -> None:
    """Namesakes too are shown once each."""
    for number in range(4):
        await admin.call("POST", "~/users", NEW | {"login": f"anna{number}", "name": "Анна"})
    seen: list[int] = []
    cursor = ""
    for _ in range(3):
        page = (await admin.call("GET", f"~/users?limit=2{cursor}")).json
        seen += [user["id"] for user in page["items"]]
        cursor = f"&cursor={page['next']}"
    assert page["next"] is None
    assert len(seen) == len(set(seen)) == 5


@pytest.mark.parametrize(
    "change", [{"disabled": True}, {"password": "another-horse-1"}, {"role": "supervisor"}]
)
async def test_a_change_of_the_key_ends_the_sessions(
    site: Web, admin: Caller, change: dict[str, object]
) -> None:
    """Disabled, given a new password or another role: every browser must log in again."""
    browser = await site.browser(Role.OPERATOR)
    assert browser.user is not None
    assert (await admin.call("PATCH", f"~/users/{browser.user.id}", change)).status == 200
    assert (await browser.call("GET", "~/me")).status == 401


async def test_who_is_disabled_is_out_until_enabled(site: Web, admin: Caller) -> None:
    """No log-in and no API token while it lasts; both come back."""
    program = await site.program(Role.OPERATOR)
    assert program.user is not None
    path, login = f"~/users/{program.user.id}", program.user.login
    await admin.call("PATCH", path, {"disabled": True})
    assert (await program.call("GET", "~/me")).status == 401
    with pytest.raises(WrongPassword):
        await site.users.log_in(login, PASSWORD, "10.0.0.1")
    await admin.call("PATCH", path, {"disabled": False})
    assert (await program.call("GET", "~/me")).status == 200
    await site.users.log_in(login, PASSWORD, "10.0.0.1")


async def test_a_password_changed_during_a_log_in_wins(site: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who knew the old password and was being checked does not get in after the change."""
    user = await site.user(Role.OPERATOR)
    check = site.users._passwords.check

    async def slow(kept: str | None, password: str) -> bool:
        right = await check(kept, password)
        await site.users.change(SERVER, user.id, password="another-horse-1")
        return right

    monkeypatch.setattr(site.users._passwords, "check", slow)
    with pytest.raises(WrongPassword):
        await site.users.log_in(user.login, PASSWORD, "10.0.0.1")


async def test_the_last_administrator_stays(site: Web, admin: Caller) -> None:
    """Neither disabled nor given another role; with a second one both can go, but not both at once."""
    assert admin.user is not None
    for change in ({"disabled": True}, {"role": "operator"}):
        assert (await admin.call("PATCH", f"~/users/{admin.user.id}", change)).status == 409
    second = await site.user(Role.ADMINISTRATOR)
    tries = [site.users.change(SERVER, user_id, disabled=True) for user_id in (admin.user.id, second.id)]
    kinds = [type(outcome) for outcome in await asyncio.gather(*tries, return_exceptions=True)]
    assert kinds.count(Conflict) == 1


async def test_a_change_is_in_the_log_of_changes(site: Web, admin: Caller, database: Database) -> None:
    """Who, what, whom; never the password."""
    made = (await admin.call("POST", "~/users", NEW)).json
    await admin.call("PATCH", f"~/users/{made['id']}", {"password": "another-horse-1", "name": "Б"})
    async with database.tenant(1) as conn:
        query = "SELECT user_id, action, details FROM audit WHERE subject = :subject ORDER BY id"
        rows = [tuple(row) for row in await conn.execute(text(query), {"subject": f"user:{made['id']}"})]
    assert admin.user is not None
    assert rows == [
        (admin.user.id, "user.create", {"login": "anna", "role": "operator"}),
        (admin.user.id, "user.change", {"fields": ["name", "password_hash"]}),
    ]


# -- oneself -------------------------------------------------------------------------------------------


async def test_ones_own_password_needs_the_old_one(site: Web) -> None:
    """Wrong old one: refused. Right: other browsers are out, this one stays, only the new one opens."""
    here = await site.browser(Role.OPERATOR)
    there = await site.browser(Role.OPERATOR, user=here.user)
    new = {"password": "another-horse-1"}
    for old in ({}, {"old_password": "wrong"}):
        reply = await here.call("PATCH", "~/me", new | old)
        assert (reply.status, reply.json["errors"][0]["field"]) == (422, "old_password")
    assert (await here.call("PATCH", "~/me", new | {"old_password": PASSWORD})).status == 200
    assert (await here.call("GET", "~/me")).status == 200
    assert (await there.call("GET", "~/me")).status == 401
    assert here.user is not None
    with pytest.raises(WrongPassword):
        await site.users.log_in(here.user.login, PASSWORD, "10.0.0.1")


async def test_the_language_is_ones_own(site: Web) -> None:
    """Problems come in the chosen language, whatever the browser says."""
    browser = await site.browser(Role.OPERATOR)
    assert (await browser.call("PATCH", "~/me", {"locale": "ru"})).json["locale"] == "ru"
    reply = await browser.call("GET", "~/users", headers={"Accept-Language": "en"})
    assert reply.json["title"] == "Нет прав"


async def test_nobody_gives_themselves_a_role(site: Web) -> None:
    """A field that is not one's own to change is not known."""
    browser = await site.browser(Role.OPERATOR)
    assert (await browser.call("PATCH", "~/me", {"role": "administrator"})).status == 422


# -- API tokens ----------------------------------------------------------------------------------------


async def test_a_token_is_shown_once_used_and_revoked(site: Web, database: Database) -> None:
    """It opens what its user may, its use is noted, and after the revocation it opens nothing."""
    browser = await site.browser(Role.SUPERVISOR)
    made = (await browser.call("POST", "~/tokens", {"name": "crm"})).json
    listed = (await browser.call("GET", "~/tokens")).json["items"]
    assert listed == [{name: value for name, value in made.items() if name != "token"}]
    program = await site.stranger()
    program.headers["Authorization"] = f"Bearer {made['token']}"
    me = (await program.call("GET", "~/me")).json
    assert browser.user is not None
    assert (me["id"], me["csrf_token"]) == (browser.user.id, None)
    assert (await program.call("DELETE", "~/session")).status == 400
    assert (await browser.call("GET", "~/tokens")).json["items"][0]["last_used_at"] is not None
    for _ in range(2):
        assert (await browser.call("DELETE", f"~/tokens/{made['id']}")).status == 204
    assert (await program.call("GET", "~/me")).status == 401


async def test_tokens_of_others_are_the_administrators(site: Web, admin: Caller) -> None:
    """A supervisor sees, makes and revokes only their own; the administrator everybody's."""
    one, other = await site.browser(Role.SUPERVISOR), await site.browser(Role.SUPERVISOR)
    assert other.user is not None
    theirs = (await other.call("POST", "~/tokens", {"name": "theirs"})).json
    assert (await one.call("GET", "~/tokens")).json["items"] == []
    assert (await one.call("DELETE", f"~/tokens/{theirs['id']}")).status == 404
    assert (await one.call("POST", "~/tokens", {"name": "x", "user_id": other.user.id})).status == 403
    assert (await admin.call("POST", "~/tokens", {"name": "x", "user_id": other.user.id})).status == 201
    assert len((await admin.call("GET", "~/tokens")).json["items"]) == 2
    assert (await admin.call("DELETE", f"~/tokens/{theirs['id']}")).status == 204


async def test_each_token_is_shown_with_its_own_user(site: Web, admin: Caller) -> None:
    """However many there are, of however many people."""
    people = [await site.user(Role.SUPERVISOR) for _ in range(3)]
    for person in people * 2:
        body = {"name": f"of {person.id}", "user_id": person.id}
        assert (await admin.call("POST", "~/tokens", body)).status == 201
    found, _ = await site.users.fetch_tokens(SERVER, None, 10)
    assert [token.user_name for token in found] == [person.name for person in people * 2]


async def test_a_reply_with_a_secret_is_not_kept(site: Web, database: Database) -> None:
    """An Idempotency-Key would keep the token in the database: it is refused."""
    browser = await site.browser(Role.SUPERVISOR)
    reply = await browser.call("POST", "~/tokens", {"name": "crm"}, headers={"Idempotency-Key": "k"})
    assert reply.status == 400
    assert await scalar(database, "SELECT count(*) FROM idempotency") == 0


# -- the first start -----------------------------------------------------------------------------------


async def test_the_first_start_makes_one_administrator(database: Database) -> None:
    """Two servers at once make one, with a random password that opens; later starts make none."""
    passwords = await asyncio.gather(ensure_administrator(database), ensure_administrator(database))
    (password,) = [password for password in passwords if password is not None]
    assert await ensure_administrator(database) is None
    users = UserService(database, session_hours=1)
    session = await users.log_in(service_module.FIRST_LOGIN, password, "10.0.0.1")
    users.close()
    assert session.actor.role is Role.ADMINISTRATOR


async def test_a_weak_password_is_refused_for_oneself_too(site: Web) -> None:
    """The rule is the service's, not the form's."""
    user = await site.user(Role.OPERATOR)
    actor = Actor(1, user.id, user.role, user.name, user.locale)
    with pytest.raises(Invalid):
        await site.users.change_me(actor, password="short", old_password=PASSWORD)
