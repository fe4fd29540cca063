"""The checks of IVR flows: each has a flow that breaks it and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from support.flows import NOON, document

from ivr_flows import checks, shipped
from ivr_flows.checks import MOST, problems
from ivr_flows.hosts import allowed, check_template, fill, taken
from ivr_flows.loader import from_document
from ivr_flows.model import LANGUAGES, Flow
from ivr_flows.naming import Named


def flow(*states: Mapping[str, Any], on_error: str = "", initial: str = "a") -> Flow:
    """A flow of these states and an end."""
    about = {"name": "test", "language": "en", "initial_state": initial, "on_error": on_error}
    return from_document({**about, "states": [*states, {"name": "end", "type": "hangup"}]}, checked=False)


def state(name: str, kind: str, ways: Mapping[str, str], **properties: Any) -> dict[str, Any]:
    """One state."""
    return {"name": name, "type": kind, "properties": properties, "transitions": dict(ways)}


def say(name: str, to: str, prompt: str = "Hi") -> dict[str, Any]:
    """A state that says something."""
    return state(name, "say", {"done": to}, prompt=prompt)


MENU = state("a", "menu", {"1": "end"}, prompt="?")
GOTO = state("a", "goto_flow", {"failed": "end"}, flow="other")
PLAY = state("a", "play", {"done": "end"}, sound={"ru": "hello", "en": "hello"})
ASKS = state("a", "http_request", {"done": "end"}, url="https://a.example:8443/x")

#: what is wrong -> the flow, what is known, the paths where it is said
BROKEN: dict[str, list[tuple[Flow, dict[Named, Any], list[str]]]] = {
    "no_state": [
        (
            flow(state("a", "say", {"done": "end", "failed": "gone"}, prompt="Hi")),
            {},
            ["states.a.transitions.failed"],
        ),
        (flow(say("a", "end"), on_error="gone"), {}, ["on_error"]),
        (flow(say("a", "end"), initial="gone"), {}, ["initial_state"]),
    ],
    "no_branch": [
        (flow(state("a", "lookup", {"found": "end"})), {}, ["states.a.transitions"]),
        (
            flow(state("a", "condition", {"yes": "end"}, all=[{"variable": "caller", "known": True}])),
            {},
            ["states.a.transitions"],
        ),
    ],
    "no_key": [
        (flow(state("a", "menu", {"nothing": "end"}, prompt="?")), {}, ["states.a.transitions"]),
        (
            flow(state("a", "menu", {"1": "end"}, prompt="?", into="x", values={"2": "b"})),
            {},
            ["states.a.properties.values.2"],
        ),
    ],
    "unreachable": [(flow(say("a", "end"), say("b", "end")), {}, ["states.b"])],
    "dead_end": [
        (
            flow(
                state("a", "menu", {"1": "end", "2": "b"}, prompt="?"),
                state("b", "menu", {"1": "b"}, prompt="?"),
            ),
            {},
            ["states.b"],
        )
    ],
    "loop": [
        (
            flow(say("a", "b"), state("b", "menu", {"1": "end", "nothing": "a"}, prompt="?")),
            {},
            ["states.b.transitions.nothing"],
        ),
        (flow(state("a", "lookup", {"found": "end", "default": "a"})), {}, ["states.a.transitions"]),
        (
            flow(say("a", "q"), state("q", "enqueue", {"full": "a", "timeout": "end"}, queue="q")),
            {},
            ["states.q.transitions.full"],
        ),
        (
            flow(say("a", "b"), state("b", "goto_flow", {"failed": "end"}, flow="test")),
            {},
            ["states.b.properties.flow"],
        ),
    ],
    "no_variable": [(flow(say("a", "end", "Hi {nobody}")), {}, ["states.a.properties"])],
    "no_flow": [(flow(GOTO), {Named.FLOW: {"one"}}, ["states.a.properties.flow"])],
    "no_sound": [(flow(PLAY), {Named.SOUND: {"en/hello"}}, ["states.a.properties.sound"])],
    "host": [(flow(ASKS), {Named.HOST: {"a.example"}}, ["states.a.properties.url"])],
}
for verb, kind, told, named in (
    ("schedule", Named.HOURS, {"hours": "Salon"}, "hours"),
    ("offer", Named.PLACE, {"place": "after", "prompt": "?"}, "place"),
    ("enqueue", Named.QUEUE, {"queue": "sales"}, "queue"),
    ("request_callback", Named.QUEUE, {"queue": "sales"}, "queue"),
    ("transfer", Named.DESTINATION, {"target": "Head office"}, "target"),
    ("dial", Named.DESTINATION, {"targets": ["Anna", "{who}"]}, "targets"),
):
    one = flow(
        state("s", "set", {"done": "a"}, values={"who": "x"}),
        state("a", verb, {"default": "end"}, **told),
        initial="s",
    )
    BROKEN.setdefault(f"no_{kind}", []).append((one, {kind: {"other"}}, [f"states.a.properties.{named}"]))
CASES = [(code, *case) for code, cases in BROKEN.items() for case in cases]


@pytest.mark.parametrize(("code", "broken", "known", "paths"), CASES, ids=[case[0] for case in CASES])
def test_each_check_finds_its_own(code: str, broken: Flow, known: dict[Named, Any], paths: list[str]) -> None:
    """A flow with one mistake has that one problem, at its path."""
    if paths == ["initial_state"]:
        assert [(one.path, one.code) for one in problems(broken, known)] == [("initial_state", code)]
        return
    assert [(one.path, one.code) for one in problems(broken, known)] == [(path, code) for path in paths]


#: Flows that look like a mistake and are none.
FINE: list[tuple[Flow, dict[Named, Any]]] = [
    (flow(MENU), {}),
    (
        flow(say("a", "q"), state("q", "enqueue", {"timeout": "a"}, queue="q")),
        {},
    ),  # they wait, and hear of it
    (flow(state("a", "menu", {"1": "end", "*": "a"}, prompt="?")), {}),  # a key each round
    (flow(say("a", "q"), state("q", "enqueue", {}, queue="q"), say("sorry", "q"), on_error="sorry"), {}),
    (flow(GOTO), {Named.FLOW: {"other"}}),
    (flow(PLAY), {Named.SOUND: {"hello"}}),
    (flow(PLAY), {Named.SOUND: {"en/hello", "ru/hello"}}),
    (flow(ASKS), {Named.HOST: {"a.example:8443"}}),
    (flow(say("a", "end", "{contact.name} {now|time} {campaign}")), {}),
]


@pytest.mark.parametrize(("good", "known"), FINE)
def test_what_only_looks_wrong_is_taken(good: Flow, known: dict[Named, Any]) -> None:
    """Waiting is no loop, keys may lead back, what is known is known."""
    assert [one.code for one in problems(good, known) if one.path != "states.end"] == []


def test_shipped_flows_are_good() -> None:
    """What comes along has no problem."""
    for name in shipped.NAMES:
        for language in LANGUAGES:
            assert (
                problems(shipped.flow(name, language), {Named.SOUND: (), Named.FLOW: (), Named.HOST: ()})
                == ()
            )


def test_a_long_flow_is_checked_without_a_fall() -> None:
    """A thousand states in a row, and in a round, are walked through without recursion."""
    names = [f"s{n}" for n in range(900)]
    row = [say(name, after) for name, after in zip(names, [*names[1:], "end"], strict=True)]
    assert problems(flow(*row, initial="s0")) == ()
    row[-1] = say("s899", "s0")
    assert {one.code for one in problems(flow(*row, initial="s0"))} == {"dead_end", "loop", "unreachable"}


def test_of_a_flow_in_which_all_is_wrong_enough_is_told() -> None:
    """Not a problem for each of eight thousand branches; each check has its say."""
    ways = [{key: f"x{n}x{key}" for key in ("1", "2", "3", "4", "5", "default")} for n in range(900)]
    found = problems(flow(*(state(f"s{n}", "menu", way, prompt="Hi") for n, way in enumerate(ways))))
    assert {one.code for one in found} == {"no_state", "dead_end"}
    assert [one.code for one in found].count("no_state") <= MOST + 1


def test_each_state_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the states of a flow set is gathered once, not for each state anew: a thousand would take seconds,
    in which the server answers nobody."""
    gathered = []
    known: Any = checks._Look.__dict__["known"]
    real = known.func

    def counted(look: object) -> Any:
        gathered.append(look)
        return real(look)

    monkeypatch.setattr(known, "func", counted)
    names = [f"s{n}" for n in range(20)]
    assert problems(flow(*map(say, names, [*names[1:], "end"]), initial="s0")) == ()
    assert len(gathered) == 1


# -- hosts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://{host}/x",
        "https://a.example{x}/",
        "https://a.example",
        "https://{x}@a.example/",
        "//a.example/",
        "https://u:p@a.example/",
        "ftp://a.example/",
        "https://a.example\\@b/",
        "https://a.example:{port}/",
        "https://a.example/../x",
        "https://a.example/ x",
        "https://A.example/",
        "https://a.example/#x",
        "javascript:1",
    ],
)
def test_a_url_writes_its_host_out(url: str) -> None:
    """A template that could name another host, or names it oddly, is not taken."""
    if url == "https://a.example":
        assert check_template(url) == url
        return
    with pytest.raises(ValueError, match=r"."):
        check_template(url)


@pytest.mark.parametrize(
    "value",
    ["b.example", "@b.example/", "/../..", "//b.example", "?x#y", "\\b", "a b", "é", "%2e", "\r\nHost: b"],
)
def test_no_variable_leads_a_request_elsewhere(value: str) -> None:
    """Whatever a caller or a server put into a variable: the host stays, the request stays one."""
    for template in ("https://a.example/{x}", "https://a.example/c?q={x}", "https://a.example:8443/{x}/d"):
        url = fill(template, {"x": value}, NOON, "en")
        assert allowed(url, {"a.example", "a.example:8443"})
        assert not allowed(url, {"b.example"})
        assert url.isascii()
        assert url.count("/") == template.count("/")


def test_a_variable_does_not_walk_up() -> None:
    """Two dots as a part of the path are refused: a server would go up."""
    for value in (".", ".."):
        with pytest.raises(ValueError, match="walk up"):
            fill("https://a.example/{x}/d", {"x": value}, NOON, "en")


def test_what_a_reply_holds_is_taken_by_its_path() -> None:
    """Names and positions; what is not there, or is no value, is None."""
    reply = {"a": {"b": [1, {"c": "x"}]}, "d": True}
    wanted = {"one": "a.b.0", "two": "a.b.1.c", "three": "d", "four": "a.b", "five": "a.b.7", "six": "d.x"}
    assert taken(wanted, reply) == {
        "one": 1,
        "two": "x",
        "three": True,
        "four": None,
        "five": None,
        "six": None,
    }


def test_the_helper_makes_good_flows() -> None:
    """The small flows of other tests are good ones."""
    assert problems(from_document(document("say", {"prompt": "x"}, {"done": "end"}))) == ()
