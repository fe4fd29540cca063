"""What a request that changes something meets: the session's token, and the key of what is sent again."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text
from support.things import DONE, GOOD
from support.web import Caller, Web

from dialer.db.session import Database
from dialer.httpkit.access import Role


@pytest.fixture
async def program(web_things: Web) -> Caller:
    """A program with a supervisor's token."""
    return await web_things.program(Role.SUPERVISOR)


# -- CSRF ----------------------------------------------------------------------------------------------


async def test_a_session_changes_nothing_without_its_token(web_things: Web) -> None:
    """No token, a wrong one, another session's: refused. Its own, in the header or in a form: not."""
    browser = await web_things.browser(Role.SUPERVISOR)
    other = await web_things.browser(Role.SUPERVISOR)
    mine = browser.headers.pop("X-CSRF-Token")
    for headers in (
        {},
        {"X-CSRF-Token": "x"},
        {"X-CSRF-Token": other.headers["X-CSRF-Token"]},
        {"X-CSRF-Token": "я"},
    ):
        reply = await browser.call("POST", "~/things", GOOD, headers=headers)
        assert (reply.status, reply.json["type"]) == (403, "/problems/bad-csrf-token")
    assert (await browser.call("POST", "~/things", GOOD, headers={"X-CSRF-Token": mine})).status == 201
    # A form passes this door (and is then refused by the route, which takes JSON).
    assert (await browser.call("POST", "~/things", data={"csrf_token": "x"})).status == 403
    assert (await browser.call("POST", "~/things", data={"csrf_token": mine})).status == 415


FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]


async def test_another_site_cannot_even_log_somebody_in(web_things: Web) -> None:
    """Before there is a token the browser's own word on the origin counts."""
    for headers in FOREIGN:
        stranger = await web_things.stranger()
        body = {"login": "a", "password": "b"}
        assert (await stranger.call("POST", "~/session", body, headers=headers)).status == 403
        assert (
            await stranger.call("POST", "~/session", body, headers={"Origin": web_things.url})
        ).status == 401


# -- Idempotency-Key -----------------------------------------------------------------------------------


async def test_a_repeated_post_is_done_once(web_things: Web, program: Caller) -> None:
    """The same key and body: the same reply, marked, and no second thing."""
    key = {"Idempotency-Key": "k1"}
    first = await program.call("POST", "~/things", GOOD, headers=key)
    again = await program.call("POST", "~/things", GOOD, headers=key)
    assert (again.status, again.json) == (first.status, first.json) == (201, {"number": 1, "name": "thing"})
    assert ("Idempotent-Replayed" in first.headers, "Idempotent-Replayed" in again.headers) == (False, True)


async def test_a_key_is_good_for_one_request(program: Caller) -> None:
    """Another body, or another path, with the same key is refused."""
    key = {"Idempotency-Key": "k1"}
    await program.call("POST", "~/things", GOOD, headers=key)
    for path, body in (("~/things", GOOD | {"size": 2}), ("~/things/empty", None)):
        reply = await program.call("POST", path, body, headers=key)
        assert (reply.status, reply.json["type"]) == (422, "/problems/idempotency-key-reused")


async def test_a_refusal_is_repeated_and_a_failure_is_not(program: Caller) -> None:
    """409 stays the answer of its key; 503 frees the key, so that the repetition works."""
    done = 0
    for name, status, works in (("refused", 409, 1), ("broken", 503, 2), ("unforeseen", 500, 2)):
        body, key = GOOD | {"name": name}, {"Idempotency-Key": name}
        replies = [await program.call("POST", "~/things", body, headers=key) for _ in range(2)]
        assert [reply.status for reply in replies] == [status, status]
        done += works + 1
        assert (await program.call("POST", "~/things", GOOD)).json["number"] == done


async def test_what_the_database_may_have_taken_is_not_done_again(program: Caller, web_things: Web) -> None:
    """The database went away in the work, perhaps after its commit: the key stays taken."""
    body, key = GOOD | {"name": "in doubt"}, {"Idempotency-Key": "k1"}
    first, again = [await program.call("POST", "~/things", body, headers=key) for _ in range(2)]
    assert (first.status, first.headers["Retry-After"]) == (503, "2")
    assert (again.status, again.json["type"]) == (409, "/problems/still-at-work")
    assert web_things.app[DONE] == ["in doubt"]


async def test_of_two_at_once_one_works(program: Caller, web_things: Web) -> None:
    """The second is told that the first is still at work."""
    key = {"Idempotency-Key": "k1"}
    body = GOOD | {"name": "slow"}
    tasks = [asyncio.create_task(program.call("POST", "~/things", body, headers=key)) for _ in range(2)]
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED, timeout=10)
    (refused,) = [task.result() for task in done]
    assert (refused.status, refused.json["type"]) == (409, "/problems/still-at-work")


async def test_keys_are_ones_own(program: Caller, web_things: Web) -> None:
    """Two users may choose the same key."""
    other = await web_things.program(Role.SUPERVISOR)
    key = {"Idempotency-Key": "k1"}
    numbers = [
        (await one.call("POST", "~/things", GOOD, headers=key)).json["number"] for one in (program, other)
    ]
    assert numbers == [1, 2]


@pytest.mark.parametrize("key", ["", "x" * 201])
async def test_a_key_has_a_form(program: Caller, key: str) -> None:
    """An empty or endless key is refused."""
    assert (await program.call("POST", "~/things", GOOD, headers={"Idempotency-Key": key})).status == 400


async def test_old_keys_are_forgotten(program: Caller, database: Database) -> None:
    """A day later the key is free."""
    from dialer.httpkit.idempotency import forget_old

    key = {"Idempotency-Key": "k1"}
    await program.call("POST", "~/things", GOOD, headers=key)
    async with database.tenant(1) as conn:
        await forget_old(conn)
        assert await conn.scalar(text("SELECT count(*) FROM idempotency")) == 1
        await conn.execute(text("UPDATE idempotency SET created_at = now() - interval '25 hours'"))
        await forget_old(conn)
        assert await conn.scalar(text("SELECT count(*) FROM idempotency")) == 0
