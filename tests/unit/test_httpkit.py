"""The HTTP floor's rules that need no server: rights, cursors, limits, hosts, declarations, languages."""

from __future__ import annotations

import ast
import importlib
import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from babel.messages.pofile import read_po
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

import dialer
from dialer import errors
from dialer.db import tables
from dialer.errors import BadRequest, Conflict, DozvonError, Forbidden, Invalid, NotFound, TooManyRequests
from dialer.httpkit import paging, problems
from dialer.httpkit.access import ROLE_RIGHTS, Actor, Right, Role, Scope
from dialer.httpkit.i18n import FOLDER, LOCALES, message, negotiate, translator
from dialer.httpkit.identity import safe_next
from dialer.httpkit.limits import TryLimit
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import FORMS, In, Out
from dialer.httpkit.security import allowed_host, policy
from dialer.reasons import REASONS
from dialer.said import Said
from dialer.settings import load

# -- rights --------------------------------------------------------------------------------------------


def test_roles_are_those_of_the_table() -> None:
    """A role that the code knows can be kept, and one that is kept is known."""
    assert {role.value for role in Role} == set(tables.ROLES)
    assert set(ROLE_RIGHTS) == set(Role)


def test_each_role_has_all_rights_of_the_role_below() -> None:
    """Who is promoted loses nothing."""
    rights = ROLE_RIGHTS
    assert rights[Role.OPERATOR] < rights[Role.SUPERVISOR] < rights[Role.ADMINISTRATOR]
    assert rights[Role.QUALITY] < rights[Role.ADMINISTRATOR] == set(Right) - {Right.HOOKS_CALL}


def test_a_token_of_a_scope_has_no_other_right() -> None:
    """Whoever's token it is: what a dialplan holds opens nothing but the hooks."""
    assert {scope.value for scope in Scope} == set(tables.TOKEN_SCOPES)
    for role in Role:
        hooks = Actor(1, 5, role, "Анна", "ru", Scope.HOOKS, 7)
        assert hooks.rights == {Right.HOOKS_CALL}
        assert Right.HOOKS_CALL not in replace(hooks, scope=Scope.ALL).rights


def test_a_missing_right_names_right_and_role() -> None:
    """Who is refused learns what is missing."""
    actor = Actor(1, 5, Role.OPERATOR, "Анна", "ru")
    with pytest.raises(Forbidden) as refused:
        actor.require(Right.USERS_EDIT)
    assert refused.value.details == {"right": "users_edit", "role": "operator"}


# -- cursors -------------------------------------------------------------------------------------------

KEYS = st.tuples(
    st.integers(-paging.MAX_ID, paging.MAX_ID),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30),
    st.datetimes(timezones=st.just(UTC)),
    st.uuids(),
    st.floats(allow_nan=False, allow_infinity=False),
)


@given(KEYS)
def test_a_cursor_gives_its_key_back(key: tuple[int, str, datetime, UUID, float]) -> None:
    """What was encoded is decoded, value and type."""
    assert paging.decode(paging.encode(*key), int, str, datetime, UUID, float) == key


@given(st.text(max_size=60))
def test_a_made_up_cursor_is_a_bad_request(text: str) -> None:
    """No text at all makes the decoder fail in another way."""
    try:
        decoded = paging.decode(text, int)
    except BadRequest:
        return
    assert decoded is not None
    assert isinstance(decoded[0], int)


@pytest.mark.parametrize(
    ("made_of", "read_as"),
    [
        ((True,), (int,)),
        ((2**63,), (int,)),
        ((math.inf,), (float,)),
        (("a\0b",), (str,)),
        ((1, 2), (int,)),
        (("2026-01-01T00:00:00",), (datetime,)),
        (("no uuid",), (UUID,)),
        ((None,), (int,)),
    ],
)
def test_a_cursor_of_another_shape_is_refused(made_of: tuple[Any, ...], read_as: tuple[type, ...]) -> None:
    """A cursor of another list, or a forged one, never reaches SQL."""
    with pytest.raises(BadRequest):
        paging.decode(paging.encode(*made_of), *read_as)


@pytest.mark.parametrize(
    ("rows", "shown", "more"), [(0, 0, False), (2, 2, False), (3, 3, False), (4, 3, True)]
)
def test_a_page_says_whether_there_is_more(rows: int, shown: int, more: bool) -> None:
    """The row too many is not shown, and only it makes a next page, which begins after the last one shown."""
    page, following = paging.cut(list(range(rows)), 3, lambda row: (row,))
    assert page == list(range(shown))
    assert paging.decode(following, int) == ((2,) if more else None)


# -- limits --------------------------------------------------------------------------------------------


def test_tries_come_back_as_the_window_slides() -> None:
    """Three tries in ten seconds: the fourth waits exactly until the first is ten seconds old."""
    moments = iter([0.0, 1.0, 2.0, 4.5, 4.5, 10.0])
    limit = TryLimit(3, 10.0, clock=lambda: next(moments))
    for _ in range(3):
        limit.take("anna")
    with pytest.raises(TooManyRequests) as refused:
        limit.take("anna")
    assert refused.value.details == {"seconds": 6}
    limit.take("boris")
    limit.take("anna")


def test_success_is_forgiven_or_given_back() -> None:
    """A login that succeeds begins anew; an address only gets the one try back."""
    limit = TryLimit(2, 10.0, clock=lambda: 0.0)
    limit.take("login")
    limit.take("login")
    limit.forgive("login")
    limit.take("login")
    limit.take("address")
    limit.take("address")
    limit.give_back("address")
    limit.take("address")
    with pytest.raises(TooManyRequests):
        limit.take("address")


def test_many_keys_do_not_fill_the_memory() -> None:
    """Random logins push the oldest keys out."""
    limit = TryLimit(1, 10.0, max_keys=100, clock=lambda: 0.0)
    for number in range(1000):
        limit.take(str(number))
    assert len(limit._seen) <= 100
    with pytest.raises(TooManyRequests):
        limit.take("999")


# -- hosts, headers, redirects -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "bound", "public", "answered"),
    [
        ("localhost:8080", "127.0.0.1", None, True),
        ("127.0.0.1:8080", "127.0.0.1", None, True),
        ("[::1]:8080", "::1", None, True),
        ("dozvon.localhost", "127.0.0.1", None, True),
        ("evil.example:8080", "127.0.0.1", None, False),
        ("127.0.0.1.evil.example", "127.0.0.1", None, False),
        ("192.168.1.5:8080", "127.0.0.1", None, False),
        ("", "127.0.0.1", None, False),
        ("[", "127.0.0.1", None, False),
        ("127.0.0.1:x", "127.0.0.1", None, False),
        ("127.0.0.1:65536", "127.0.0.1", None, False),
        ("dialer.example.org", "127.0.0.1", "https://dialer.example.org", True),
        ("evil.example", "127.0.0.1", "https://dialer.example.org", False),
        ("evil.example", "0.0.0.0", "https://dialer.example.org", False),
        ("192.168.1.5:8080", "0.0.0.0", None, True),
    ],
)
def test_only_our_own_names_are_answered(host: str, bound: str, public: str | None, answered: bool) -> None:
    """A name that another site made point here (DNS rebinding) is not ours."""
    assert allowed_host(host, load(http_host=bound, public_url=public)) is answered


def test_no_inline_script_is_allowed() -> None:
    """The policy names this server as the only source of scripts."""
    parts = dict(part.split(" ", 1) for part in policy(("wss://a:8089",)).split("; "))
    assert parts["script-src"] == parts["default-src"] == "'self'"
    assert parts["frame-ancestors"] == "'none'"
    assert parts["connect-src"] == "'self' wss://a:8089"


@pytest.mark.parametrize(
    ("target", "goes"),
    [
        ("/campaigns/1?tab=calls", "/campaigns/1?tab=calls"),
        (None, "/"),
        ("", "/"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example/", "/"),
        ("/\t/evil.example/", "/"),
        ("javascript:alert(1)", "/"),
    ],
)
def test_after_a_log_in_one_stays_on_this_server(target: str | None, goes: str) -> None:
    """`next` in a link from outside cannot lead away."""
    assert safe_next(target) == goes


# -- declarations of routes ----------------------------------------------------------------------------


class Loose(Out):
    name: str


class Holder(In):
    inner: Loose


async def two_names(call: Call, number: int) -> None:
    """Do it."""


async def no_words(call: Call) -> None: ...


async def loose(call: Call, body: Loose) -> None:
    """Do it."""


async def loose_inside(call: Call, body: Holder) -> None:
    """Do it."""


async def float_name(call: Call, number: float) -> None:
    """Do it."""


async def body_too(call: Call, body: In) -> None:
    """Do it."""


@pytest.mark.parametrize(
    ("method", "path", "handler"),
    [
        ("GET", "/a/{other}", two_names),
        ("GET", "/a", two_names),
        ("GET", "/a", no_words),
        ("POST", "/a", loose),
        ("POST", "/a", loose_inside),
        ("GET", "/a/{number}", float_name),
        ("GET", "/a", body_too),
    ],
)
def test_a_wrong_declaration_fails_when_it_is_read(method: str, path: str, handler: Any) -> None:
    """Not when the first caller comes."""
    with pytest.raises(TypeError):
        Routes("things").route(method, path)(handler)


# -- languages -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "best"),
    [
        (None, "ru"),
        ("", "ru"),
        ("en", "en"),
        ("en-GB,en;q=0.9", "en"),
        ("de,fr;q=0.9", "ru"),
        ("en;q=0.3, ru-RU;q=0.8", "ru"),
        ("en;q=x,ru;q=0.1", "ru"),
        ("*", "ru"),
        ("en;q=0", "ru"),
    ],
)
def test_the_best_language_of_the_browser_is_taken(header: str | None, best: str) -> None:
    """Weights count; what is no language of ours is the default."""
    assert negotiate(header, "ru") == best


def test_an_error_and_its_inner_text_are_translated_together() -> None:
    """What was said with names filled in is said again in the reader's language."""
    error = Conflict(reason=Said("the login {login} is taken", login="anna"))
    assert str(error) == message(error, "en") == "the login anna is taken."
    assert message(error, "ru") == "логин anna занят."


def test_the_name_of_what_is_not_found_stays_as_it_is() -> None:
    """A script may be called by a word that has a translation."""
    assert translator("ru").gettext("visit") != "visit"
    error = NotFound(what="script", key="visit")
    assert message(error, "ru").endswith(" visit.")
    assert problems.problem(error, "ru")["key"] == "visit"


def every_error(base: type[DozvonError] = DozvonError) -> set[type[DozvonError]]:
    """The whole tree of errors.py."""
    below = {error for error in base.__subclasses__() if error.__module__ == errors.__name__}
    return {base}.union(*(every_error(error) for error in below))


def spoken_reasons() -> set[str]:
    """The literal texts that the HTTP floor and users give as reasons, read from their source."""
    found: set[str] = set()
    for folder in ("httpkit", "users"):
        for file in (Path(dialer.__file__).parent / folder).glob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if not isinstance(node, ast.Call):
                    continue
                texts = [keyword.value for keyword in node.keywords if keyword.arg in {"reason", "what"}]
                if isinstance(node.func, ast.Name) and node.func.id == "Said":
                    texts += node.args[:1]
                found |= {str(text.value) for text in texts if isinstance(text, ast.Constant)}
    # `DatabaseUnavailable(reason=...)` and log lines carry no literal of a sentence.
    return found


def test_every_error_speaks_russian() -> None:
    """Messages, titles and reasons of the HTTP floor and of users have a translation."""
    russian = translator("ru")
    wanted = {error.template() for error in every_error()} | set(REASONS.values())
    wanted |= set(problems.TITLES.values()) | spoken_reasons()
    same_in_both = {"{field}: {reason}.", "{reason}.", "{setting}: {reason}."}
    assert {text for text in wanted - same_in_both if russian.gettext(text) == text} == set()
    assert len(spoken_reasons()) > 15


def test_every_status_has_a_title() -> None:
    """No error fails for want of a title while it is told."""
    assert {error.status for error in every_error()} <= set(problems.TITLES)


def test_translations_fill_the_same_names() -> None:
    """A translator cannot make a message fail by naming what is not there."""
    for locale in LOCALES:
        for file in (FOLDER / locale / "LC_MESSAGES").glob("*.po"):
            with file.open("rb") as source:
                catalog = read_po(source, locale=locale)
            for entry in catalog:
                assert not entry.id or not list(entry.check(catalog)), f"{file.name}: {entry.id}"
                assert not entry.fuzzy or not entry.id


def test_a_problem_keeps_its_own_members() -> None:
    """A detail of an error never overwrites what RFC 9457 defines; the rest is given as it is."""

    class Odd(NotFound):
        """Odd."""

    told = problems.problem(Odd(status="new", type="lead", what="lead", key=7), "en")
    assert told == {
        "type": "/problems/not-found",
        "title": "Not found",
        "status": 404,
        "detail": "Odd.",
        "what": "lead",
        "key": 7,
    }


def test_an_invalid_field_is_always_listed() -> None:
    """Programs find wrong fields in `errors`, whoever found them wrong."""
    told = problems.problem(Invalid(field="name", reason="is missing"), "ru")
    assert told["errors"] == [{"field": "name", "reason": "не указано"}]


# -- wrong fields --------------------------------------------------------------------------------------


class Sent(In):
    """A request of every kind of field that is told in words of its own."""

    limit: int = 1
    how: Literal["idle", "busy", "away"] = "idle"
    columns: dict[Annotated[str, Field(min_length=1)], str] = Field({})
    days: dict[date, str] = Field({})


@pytest.mark.parametrize(
    ("sent", "field", "reason"),
    [
        ({"limit": "x"}, "limit", "должно быть целым числом"),
        ({"how": "x"}, "how", "должно быть одним из: 'idle', 'busy', 'away'"),
        ({"columns": {"": "phone"}}, "columns", "имя: нужно не меньше 1 символов"),
        ({"days": {"2026-13-45": "x"}}, "days.2026-13-45", "имя: должно быть датой вида 2026-01-31"),
    ],
)
def test_a_field_goes_by_the_name_that_was_sent(sent: dict[str, Any], field: str, reason: str) -> None:
    """Programs look at it in any language, though the catalogue has the word; the reason is translated whole,
    also for names inside a mapping."""
    assert translator("ru").gettext("limit") != "limit"
    with pytest.raises(ValidationError) as refused:
        Sent.model_validate(sent)
    told = problems.problem(problems.invalid(refused.value), "ru")
    assert told["errors"] == [{"field": field, "reason": reason}]
    assert told["field"] == field


def bodies(model: type[In]) -> Iterator[type[In]]:
    """Every model of what comes in."""
    for each in model.__subclasses__():
        yield each
        yield from bodies(each)


def patterns(schema: object) -> Iterator[str]:
    """Every pattern in a JSON Schema."""
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        schema = list(schema.values())
    if isinstance(schema, list):
        for each in schema:
            yield from patterns(each)


def test_every_pattern_says_what_fits_it() -> None:
    """In both languages, wherever the API asks for a form."""
    importlib.import_module("dialer.app.web")
    asked = {one for model in bodies(In) for one in patterns(model.model_json_schema())}
    assert len(asked) > 8
    assert asked - FORMS.keys() == set()
    russian = translator("ru")
    assert [words for words in FORMS.values() if russian.gettext(words) == words] == []


def test_what_there_is_not_has_russian_words() -> None:
    """`NotFound(what="segment")` is a Russian sentence whole."""
    russian = translator("ru")
    silent = {
        each.value.value
        for file in Path(dialer.__file__).parent.rglob("*.py")
        if "node_modules" not in file.parts
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "NotFound"
        for each in node.keywords
        if each.arg == "what" and isinstance(each.value, ast.Constant)
        if isinstance(each.value.value, str) and russian.gettext(each.value.value) == each.value.value
    }
    assert silent == set()
