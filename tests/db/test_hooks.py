"""What a dialplan asks and tells over HTTP: answers, what is written, and what a token may."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select
from support import people as make
from support.hooks import ANNA, CHANNEL, NOBODY, OTHER, TENANT, Hooked, hooked

from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.hooks.model import MOST_CHANGES
from dialer.httpkit.access import Actor, Role, Scope
from dialer.ids import new_id


@pytest.fixture
async def hooks(database: Database, database_url: str, tmp_path: Path) -> AsyncIterator[Hooked]:
    """Hooks over HTTP."""
    async with hooked(database, database_url, tmp_path) as running:
        yield running


async def rows(hooks: Hooked, table: Any) -> list[Any]:
    """All rows of a table."""
    async with hooks.database.tenant(TENANT) as conn:
        return list(await conn.execute(select(table)))


async def refused(hooks: Hooked, number: str) -> list[str]:
    """Sources of the entries that keep the number from being called."""
    return [row.source for row in await rows(hooks, t.do_not_call) if row.mark == number]


# -- asking ------------------------------------------------------------------------------------------------


async def test_a_known_caller_is_told_of(hooks: Hooked) -> None:
    """A look-up tells who has the number, in words that no dialplan takes for its own."""
    said = (await hooks.ask("lookup", fields=["car", "colour"])).json
    assert said["status"] == "OK"
    told = said["variables"]
    assert (told["DOZVON_CONTACT"], told["DOZVON_LAST_NAME"]) == (str(hooks.anna), "Вишневская")
    assert (told["DOZVON_NUMBER"], told["DOZVON_PEOPLE"], told["DOZVON_DO_NOT_CALL"]) == (ANNA, "1", "0")
    assert told["DOZVON_FIRST_NAME"] == "Анна Аня д Арк"
    assert (told["DOZVON_FIELD_CAR"], told["DOZVON_FIELD_COLOUR"]) == ("Lada Vesta", "")


@pytest.mark.parametrize("caller", [NOBODY, "anonymous", "", "sip:anna@example.org", "+7916123000", "'; --"])
async def test_an_unknown_caller_is_not_found(hooks: Hooked, caller: str) -> None:
    """Whatever a caller id is, it is an answer, and no variable of an earlier one stays."""
    said = (await hooks.ask("lookup", caller=caller)).json
    assert (said["status"], said["variables"]["DOZVON_CONTACT"]) == ("NOT_FOUND", "")


async def test_several_people_of_one_number_are_counted(hooks: Hooked) -> None:
    """Who shares a number is told so: nobody knows who calls."""
    async with hooks.database.tenant(TENANT) as conn:
        await conn.execute(
            insert(t.contact_phone).values(
                tenant_id=TENANT,
                contact_id=await make.person(conn, hooks.place, [OTHER], "Второй"),
                position=2,
                e164=ANNA,
                kind="mobile",
                timezones=[],
            )
        )
    told = (await hooks.ask("lookup")).json["variables"]
    assert (told["DOZVON_PEOPLE"], told["DOZVON_CONTACT"]) == ("2", str(hooks.anna))
    wrong = await hooks.ask("consent", purpose="survey")
    assert (wrong.status, wrong.json["type"]) == (422, "/problems/invalid")
    right = await hooks.ask("consent", purpose="survey", contact=hooks.anna)
    assert right.json["status"] == "OK"


async def test_our_own_call_is_asked_of_by_what_was_dialled(hooks: Hooked) -> None:
    """In a call of the server's own the number is the one it dialled, whatever the caller id says."""
    async with hooks.database.tenant(TENANT) as conn:
        attempt_id = await make.attempt(conn, hooks.place, hooks.anna, ANNA)
    told = (await hooks.ask("lookup", channel=str(attempt_id), caller=NOBODY)).json["variables"]
    assert told["DOZVON_NUMBER"] == ANNA


async def test_a_call_goes_back_to_the_agent_of_the_last_talk(hooks: Hooked) -> None:
    """The route names the agent, and says whether they are free."""
    assert (await hooks.ask("route")).json["variables"]["DOZVON_ROUTE"] == "known"
    assert (await hooks.ask("route", caller=NOBODY)).json["variables"]["DOZVON_ROUTE"] == "new"
    now = utc_now()
    async with hooks.database.tenant(TENANT) as conn:
        user = {"login": "olga", "name": "Ольга", "role": "operator", "password_hash": "-"}
        user_id = await conn.scalar(
            insert(t.app_user).values(tenant_id=TENANT, **user).returning(t.app_user.c.id)
        )
        agent_id = await conn.scalar(
            insert(t.agent)
            .values(tenant_id=TENANT, user_id=user_id, name="Ольга", endpoint="olga-1")
            .returning(t.agent.c.id)
        )
        await make.attempt(
            conn, hooks.place, hooks.anna, ANNA, agent_id=agent_id, connected_at=now, result="answered"
        )
    away = (await hooks.ask("route")).json["variables"]
    assert (away["DOZVON_ROUTE"], away["DOZVON_AGENT"], away["DOZVON_AGENT_STATE"]) == (
        "known",
        "olga-1",
        "offline",
    )
    async with hooks.database.tenant(TENANT) as conn:
        shift = {
            "agent_id": agent_id,
            "state": "ready",
            "state_since": now,
            "idle_since": now,
            "logged_in_at": now,
        }
        await conn.execute(insert(t.agent_session).values(tenant_id=TENANT, id=new_id(), **shift))
    free = (await hooks.ask("route")).json["variables"]
    assert (free["DOZVON_ROUTE"], free["DOZVON_AGENT_STATE"]) == ("agent", "ready")


# -- telling -----------------------------------------------------------------------------------------------


async def test_a_caller_opts_out(hooks: Hooked) -> None:
    """The call's own number is called no more, as by a key that was pressed; twice is once."""
    assert (await hooks.ask("opt-out")).json["status"] == "OK"
    assert (await hooks.ask("opt-out")).json["status"] == "OK"
    assert await refused(hooks, ANNA) == ["key_press"]
    assert (await hooks.ask("lookup")).json["variables"]["DOZVON_DO_NOT_CALL"] == "1"


async def test_a_call_without_a_number_opts_nobody_out(hooks: Hooked) -> None:
    """Who hides the number has none that could be meant."""
    wrong = await hooks.ask("opt-out", caller="anonymous")
    assert wrong.status == 422
    assert await rows(hooks, t.do_not_call) == []


async def test_a_callback_is_promised(hooks: Hooked) -> None:
    """At the asked time or when it is open after that, by the campaign, of the person with the number."""
    said = (
        await hooks.ask("callback", campaign=hooks.place.campaigns[0], after_min=90, note="about the car")
    ).json
    assert said["status"] == "OK"
    (made,) = await rows(hooks, t.callback)
    assert (made.contact_id, made.note, said["variables"]["DOZVON_CALLBACK"]) == (
        hooks.anna,
        "about the car",
        str(made.id),
    )
    assert made.due_at >= utc_now() + timedelta(minutes=89)
    assert int(said["variables"]["DOZVON_CALLBACK_AT"]) == int(made.due_at.timestamp())


async def test_who_is_not_known_is_called_back_too(hooks: Hooked) -> None:
    """An unknown caller becomes a contact with that number, on a list of the campaign."""
    said = await hooks.ask("callback", caller=NOBODY, campaign=hooks.place.campaigns[0])
    assert said.json["status"] == "OK", said.text
    (made,) = await rows(hooks, t.callback)
    (phone,) = [row for row in await rows(hooks, t.contact_phone) if row.e164 == NOBODY]
    assert made.contact_id == phone.contact_id != hooks.anna


async def test_a_campaign_that_is_none_is_refused(hooks: Hooked) -> None:
    """And nobody is made a contact for it."""
    wrong = await hooks.ask("callback", caller=NOBODY, campaign=4711)
    assert wrong.status == 404
    assert [row.e164 for row in await rows(hooks, t.contact_phone)] == [ANNA]


async def test_the_last_outcome_of_a_call_counts(hooks: Hooked) -> None:
    """Each call has one, with whose it was."""
    for word in ("asked", "sold"):
        assert (await hooks.ask("outcome", outcome=word, note="two cars")).json["status"] == "OK"
    assert (await hooks.ask("outcome", outcome="lost", channel="x.2", caller="")).json["status"] == "OK"
    told = {row.channel: (row.outcome, row.e164, row.contact_id) for row in await rows(hooks, t.hook_outcome)}
    assert told == {CHANNEL: ("sold", ANNA, hooks.anna), "x.2": ("lost", None, None)}


async def test_the_last_answer_to_a_question_counts(hooks: Hooked) -> None:
    """A caller who goes back has said the second answer; other questions and calls keep theirs."""
    for question, answer, channel in (("1", "5", "a"), ("1", "4", "a"), ("2", "5", "a"), ("1", "1", "b")):
        reply = await hooks.ask(
            "survey-answer", survey="service", question=question, answer=answer, channel=channel
        )
        assert reply.json["status"] == "OK"
    said = sorted((row.channel, row.question, row.answer) for row in await rows(hooks, t.survey_answer))
    assert said == [("a", "1", "4"), ("a", "2", "5"), ("b", "1", "1")]


async def test_a_consent_is_on_record(hooks: Hooked) -> None:
    """With its purpose, its call as the source, and its end."""
    assert (await hooks.ask("consent", purpose="advertising", days=30, proof="pressed 1")).json[
        "status"
    ] == "OK"
    (made,) = await rows(hooks, t.consent)
    assert (made.contact_id, made.purpose, made.source, made.proof) == (
        hooks.anna, "advertising", f"call {CHANNEL}", "pressed 1",
    )  # fmt: skip
    assert made.valid_until - made.valid_from == timedelta(days=30)
    assert (await hooks.ask("consent", purpose="advertising", caller=NOBODY)).json["status"] == "NOT_FOUND"


@pytest.mark.parametrize(
    ("hook", "fields"),
    [
        ("opt-out", {}),
        ("callback", {"campaign": 1}),
        ("outcome", {"outcome": "sold"}),
        ("survey-answer", {"survey": "s", "question": "1", "answer": "5"}),
        ("consent", {"purpose": "any"}),
    ],
)
async def test_a_check_changes_nothing(hooks: Hooked, hook: str, fields: dict[str, Any]) -> None:
    """It goes all the way but the last step."""
    assert (await hooks.ask(hook, check=True, **fields)).json["status"] == "OK"
    for table in (t.do_not_call, t.callback, t.hook_outcome, t.survey_answer, t.consent, t.hook_token):
        assert await rows(hooks, table) == []


# -- whose number it is ------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", ["", "1.9999999999.AAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAA", "x"])
async def test_another_number_needs_the_calls_token(hooks: Hooked, wrong: str) -> None:
    """A number that was keyed in is changed only by a call that has asked before."""
    said = await hooks.ask("opt-out", number=OTHER, call_token=wrong)
    assert (said.status, said.json["type"]) == (403, "/problems/needs-call-token")
    assert await refused(hooks, OTHER) == []
    right = await hooks.ask("opt-out", number=OTHER, call_token=await hooks.first())
    assert right.json["status"] == "OK"
    assert await refused(hooks, OTHER) == ["key_press"]


async def test_a_call_token_is_its_calls_and_its_tokens(hooks: Hooked) -> None:
    """One of another call, or made for another API token, is none."""
    stolen = await hooks.first()
    assert (await hooks.ask("opt-out", channel="x.9", number=OTHER, call_token=stolen)).status == 403
    user = await hooks.web.user(Role.SUPERVISOR)
    _, token = await hooks.web.users.add_token(Actor.server(TENANT), "other", user.id, Scope.HOOKS)
    headers = {"Authorization": f"Bearer {token}"}
    body = {**hooks.sent, "number": OTHER, "call_token": stolen}
    assert (await hooks.program.call("POST", "~/hooks/opt-out", body, headers=headers)).status == 403
    assert await refused(hooks, OTHER) == []


async def test_a_call_token_is_good_once(hooks: Hooked) -> None:
    """The answer to a change has the next one; a call has so many changes of other numbers."""
    token = await hooks.first()
    for change in range(MOST_CHANGES):
        said = await hooks.ask("opt-out", number=f"+7916444{change:04}", call_token=token)
        assert said.status == 200, said.text
        again = await hooks.ask("opt-out", number=OTHER, call_token=token)
        assert again.status == 403
        token = said.json["call_token"]
    assert (await hooks.ask("opt-out", number=OTHER, call_token=token)).status == 403
    assert await refused(hooks, OTHER) == []


async def test_asking_in_between_gives_a_call_no_more_changes(hooks: Hooked) -> None:
    """Not with the token of before, and not without it."""
    token = await hooks.first()
    for change in range(MOST_CHANGES):
        await hooks.ask("opt-out", number=f"+7916444{change:04}", call_token=token)
        token = await hooks.first()
    assert (await hooks.ask("opt-out", number=OTHER, call_token=token)).status == 403


# -- what a token may --------------------------------------------------------------------------------------


OTHERS = "GET ~/me, PATCH ~/me, POST ~/tokens, DELETE ~/session, GET ~/events, GET /openapi.json, GET /"


async def test_a_token_of_hooks_opens_nothing_else(hooks: Hooked) -> None:
    """Neither what everybody who is logged in may, nor what its user may."""
    for asked in OTHERS.split(", "):
        method, path = asked.split()
        said = await hooks.program.call(method, path, {} if method in {"POST", "PATCH"} else None)
        assert (said.status, said.json["type"]) == (403, "/problems/wrong-scope"), path


async def test_other_tokens_ask_no_hooks(hooks: Hooked) -> None:
    """An administrator's token is no dialplan's: what a dialplan holds can be told apart and revoked."""
    program = await hooks.web.program(Role.ADMINISTRATOR)
    assert (await program.call("POST", "~/hooks/lookup", hooks.sent)).status == 403
    stranger = await hooks.web.stranger()
    assert (await stranger.call("POST", "~/hooks/lookup", hooks.sent)).status in {401, 403}


async def test_a_token_is_made_for_hooks_over_the_api(hooks: Hooked) -> None:
    """Its scope is shown, and a revoked one is refused."""
    program = await hooks.web.program(Role.ADMINISTRATOR)
    made = (await program.call("POST", "~/tokens", {"name": "pbx", "scope": "hooks"})).json
    assert made["scope"] == "hooks"
    headers = {"Authorization": f"Bearer {made['token']}"}
    assert (await hooks.program.call("POST", "~/hooks/lookup", hooks.sent, headers=headers)).status == 200
    await program.call("DELETE", f"~/tokens/{made['id']}")
    assert (await hooks.program.call("POST", "~/hooks/lookup", hooks.sent, headers=headers)).status == 401


@pytest.mark.parametrize(
    ("hook", "fields"),
    [
        ("lookup", {"number": "12ab"}),
        ("lookup", {"number": "1" * 21}),
        ("lookup", {"number": "8916\n1230001"}),
        ("lookup", {"channel": "a b"}),
        ("lookup", {"channel": ""}),
        ("lookup", {"caller": "x" * 101}),
        ("lookup", {"fields": ["x"] * 11}),
        ("lookup", {"colour": "red"}),
        ("outcome", {"outcome": "sold, twice"}),
        ("outcome", {"outcome": "x" * 65}),
        ("outcome", {"outcome": "sold", "note": "x" * 201}),
        ("outcome", {"outcome": "sold", "note": "a\nb"}),
        ("callback", {"campaign": "1"}),
        ("callback", {"campaign": 0}),
        ("callback", {"campaign": 1, "after_min": 0}),
        ("consent", {"purpose": "everything"}),
        ("survey-answer", {"survey": "s", "question": "1", "answer": ""}),
    ],
)
async def test_arguments_have_their_forms(hooks: Hooked, hook: str, fields: dict[str, Any]) -> None:
    """What is too long, no number, or not known is refused by its name."""
    said = await hooks.ask(hook, **fields)
    assert said.status == 422, said.text


async def test_a_token_is_answered_so_often_a_second(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    """Who asks more is told to wait, and nothing is looked up."""
    async with hooked(database, database_url, tmp_path, hooks_per_s=2) as hooks:
        said = [(await hooks.ask("lookup")).status for _ in range(12)]
    assert said == [200] * 10 + [429] * 2
