"""Calls through flows: missing branches, saved calls, any flow with any events."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.flows import NOON, document, one, run, start

from dialer.errors import BadFlow
from ivr_flows import shipped
from ivr_flows.interpreter import MOST_WALKED, begin, go_on, step
from ivr_flows.loader import from_document
from ivr_flows.model import (
    EVENTS,
    Began,
    Came,
    Ended,
    Event,
    Failed,
    Flow,
    GoTo,
    HangUp,
    HungUp,
    Nothing,
    Played,
    Position,
    Pressed,
    Say,
    Text,
    Value,
    Verb,
)
from ivr_flows.spoken import POLITE_END
from ivr_flows.values import clean_values

POLITE = Say((Text(POLITE_END["en"], "en"),))


def test_a_missing_branch_is_a_polite_end() -> None:
    """Without a branch, `default` or `on_error` the caller hears so, and the call is hung up."""
    flow = one("menu", {"prompt": "Well?", "retries": 0}, "1")
    lost = run(flow, Nothing())
    assert (lost.action, lost.position.ended) == (POLITE, "")
    for event in (Played(), Failed(), Pressed("1"), Came("odd")):
        last = run(flow, Nothing(), event)
        assert (last.action, last.position.ended) == (HangUp(), Ended.FAILED)


def test_default_stands_for_what_is_not_named() -> None:
    """`default` is taken before `on_error`, after the event's own branch."""
    flow = one("lookup", {}, "found", "default")
    assert run(flow, Came("unknown")).position.state == "end default"
    assert run(flow, Came("found")).position.state == "end found"


def test_on_error_saves_a_call_three_times() -> None:
    """The flow's `on_error` is where a failed state leads; a call that fails again and again ends."""
    about = document("enqueue", {"queue": "q"}) | {"on_error": "it"}
    flow = from_document(about)
    tries = [run(flow, *[Failed()] * n) for n in range(5)]
    assert [one.position.errors for one in tries] == [0, 1, 2, 3, 3]
    assert tries[4].action == POLITE


def test_a_sound_that_cannot_be_played_is_passed_over() -> None:
    """`failed` of play and say without a branch goes where `done` goes."""
    assert run(one("play", {"sound": "x"}, "done"), Failed()).position.state == "end done"


def test_taking_a_call_over_begins_its_state_anew() -> None:
    """`Began` in the midst gives the state's action again, with its tries forgotten."""
    flow = one("menu", {"prompt": "Well?"}, "1")
    at = run(flow, Nothing()).position
    again = step(flow, at, Began(), now=NOON)
    assert (again.action, again.position.tries) == (start(flow).action, 0)


def test_who_was_served_is_known() -> None:
    """A state that serves marks the call, whatever comes after."""
    about = document("say", {"prompt": "Hi"}, {"done": "next"})
    about["states"][1] = {"name": "next", "type": "menu", "serves": True, "properties": {"prompt": "?"}}
    about["states"][1]["transitions"] = {"1": "end", "nothing": "end"}
    about["states"].append({"name": "end", "type": "hangup"})
    flow = from_document(about)
    assert not run(flow, HungUp()).position.served
    assert run(flow, Played(), HungUp()).position.served


def test_a_state_that_is_gone_is_a_polite_end() -> None:
    """A position of another flow leads to the polite end, not to an exception."""
    flow = one("say", {"prompt": "Hi"}, "done")
    at = Position("test", "gone", {}, 0, "en")
    assert step(flow, at, Played(), now=NOON).action == POLITE


def test_flows_that_lead_into_one_another_come_to_an_end() -> None:
    """After so many states of all flows together the caller hears the polite end."""
    flow = one("goto_flow", {"flow": "other"})
    at, rounds = start(flow), 1
    while at.action == GoTo("other"):
        at, rounds = step(flow, go_on(flow, at.position), Began(), now=NOON), rounds + 1
    assert (at.action, rounds) == (POLITE, MOST_WALKED + 1)


def test_a_line_that_presses_keys_by_itself_is_let_go() -> None:
    """A menu whose key leads back to it does not hold a line for ever."""
    flow = from_document(document("menu", {"prompt": "?"}, {"1": "it", "nothing": "end"}))
    at = run(flow, *[Pressed("1")] * MOST_WALKED)
    assert at.action == POLITE
    assert at.position.variables == start(flow).position.variables


def test_what_was_known_goes_along_to_another_flow() -> None:
    """Variables, the language, that the caller was served, and how much of the call's patience is used up."""
    at = Position("one", "x", {"a": 1}, 2, "ru", phase="shown", served=True, errors=2, walked=7)
    flow = one("say", {"prompt": "Hi"}, "done")
    assert go_on(flow, at) == Position("test", "it", {"a": 1}, 0, "ru", served=True, errors=2, walked=7)


# -- any flow, any events ------------------------------------------------------------------------------------

NAMES = ("a", "b", "c", "d", "end")
TEXTS = st.sampled_from(
    ["Hello", "Hi {contact.name|default:you}", "{x|money:RUB} and {now|time}", "{x|plural:a,b}", "{{}}"]
)
SPOKEN = st.one_of(
    TEXTS,
    st.builds(
        lambda kind, text: {kind: text},
        st.sampled_from(["number", "money", "date", "time", "datetime", "digits"]),
        st.just("{x}"),
    ),
    st.builds(lambda ru, en: {"ru": ru, "en": en}, TEXTS, TEXTS),
)
ASKED = {"prompt": SPOKEN, "retries": st.integers(0, 3)}
PROPERTIES: dict[Verb, dict[str, st.SearchStrategy[Any]]] = {
    Verb.PLAY: {"sound": st.sampled_from(["hello", "a/b"])},
    Verb.SAY: {"prompt": SPOKEN},
    Verb.GATHER: {**ASKED, "into": st.just("x"), "least": st.integers(1, 3)},
    Verb.MENU: {**ASKED, "into": st.just("x")},
    Verb.SET: {"values": st.fixed_dictionaries({"x": st.sampled_from([1, 2.5, "{x}{x}", None, True])})},
    Verb.LOOKUP: {"value": st.sampled_from(["{x}", "{caller}"])},
    Verb.CONDITION: {"any": st.just([{"variable": "x", "above": 3}])},
    Verb.SCHEDULE: {
        "week": st.just({"mon-fri": "09:00-18:00", "sun": "22:00-04:00"}),
        "holidays": st.just("RU"),
    },
    Verb.ENQUEUE: {"queue": st.just("q"), "reason": TEXTS.filter(lambda text: "|m" not in text)},
    Verb.DIAL: {"targets": st.just(["{x}"])},
    Verb.OFFER: {**ASKED, "place": st.just("p"), "instead": SPOKEN},
    Verb.REQUEST_CALLBACK: {"number": st.just("{x}")},
    Verb.VOICEMAIL: {"box": st.just("b"), "prompt": SPOKEN},
    Verb.RECORD_CONSENT: {**ASKED, "purpose": st.just("p"), "valid_days": st.integers(1, 36500)},
    Verb.OPT_OUT: {},
    Verb.HTTP_REQUEST: {
        "url": st.sampled_from(["https://a.example/{x}", "https://a.example/?q={x}"]),
        "into": st.just({"x": "y"}),
    },
    Verb.TRANSFER: {"target": st.just("{x}")},
    Verb.GOTO_FLOW: {"flow": st.just("f")},
    Verb.HANGUP: {"prompt": SPOKEN},
}


@st.composite
def states(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """A state that could stand in a flow of these names."""
    verb = draw(st.sampled_from(list(Verb)))
    events = (*EVENTS[verb], "default", *(("1", "2", "*", "12") if verb is Verb.MENU else ()))
    ways = draw(st.dictionaries(st.sampled_from(events), st.sampled_from(NAMES))) if EVENTS[verb] else {}
    about = {key: draw(value) for key, value in PROPERTIES[verb].items()}
    return {
        "name": name,
        "type": verb.value,
        "properties": about,
        "transitions": ways,
        "serves": draw(st.booleans()),
    }


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A flow that can be read; it may be a bad one."""
    return {
        "name": "any", "language": draw(st.sampled_from(["ru", "en"])), "initial_state": "a",
        "on_error": draw(st.sampled_from(["", "b", "end"])),
        "zone": draw(st.sampled_from(["", "Europe/Moscow"])),
        "states": [*(draw(states(name)) for name in NAMES[:4]), {"name": "end", "type": "hangup"}],
    }  # fmt: skip


VALUES: st.SearchStrategy[Value] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        ["2026-12-01", "2026-12-01T25:00", "0001-01-01T00:00+14:00", "9999-12-31T23:59-12:00", "..", "1e9"]
    ),
)
HAPPENS: st.SearchStrategy[Event] = st.one_of(
    st.builds(Played),
    st.builds(Nothing),
    st.builds(Failed, st.text(max_size=5)),
    st.builds(Began),
    st.builds(HungUp),
    st.builds(Pressed, st.one_of(st.text("0123456789*#", max_size=5), st.text(max_size=5))),
    st.builds(
        Came,
        st.sampled_from(
            sorted({event for events in EVENTS.values() for event in events} | {"offered", "", "x"})
        ),
        st.dictionaries(st.sampled_from(["x", "name", "text", "id", "zone"]), VALUES, max_size=4),
    ),
)


def stepped(flow: Flow, variables: dict[str, Value], events: list[Event]) -> None:
    """Whatever happens: an action or the end, and the same from a position that went through JSON."""
    at = begin(flow, variables=variables)
    for event in (Began(), *events):
        here = step(flow, at, event, now=NOON)
        kept = Position.from_json(json.loads(json.dumps(at.to_json(), allow_nan=False)))
        assert kept == at
        assert step(flow, kept, event, now=NOON) == here
        if here.position.ended:
            assert here.action is None or (isinstance(here.action, HangUp) and not at.ended)
        else:
            assert here.action is not None
        at = here.position


@given(
    documents(),
    st.dictionaries(st.sampled_from(["x", "caller", "zone", "contact.name"]), VALUES),
    st.lists(HAPPENS, max_size=12),
)
@settings(max_examples=150, deadline=None)
def test_any_flow_takes_any_events(
    about: dict[str, Any], variables: dict[str, Value], events: list[Event]
) -> None:
    """No event and no value raises; each step asks for an action or ends; nothing is lost in JSON."""
    stepped(from_document(about, checked=False), variables, events)


@given(st.sampled_from(shipped.NAMES), st.sampled_from(["ru", "en"]), st.lists(HAPPENS, max_size=30))
@settings(max_examples=60, deadline=None)
def test_shipped_flows_take_any_events(name: str, language: str, events: list[Event]) -> None:
    """What comes along holds against anything too."""
    stepped(shipped.flow(name, language), {"caller": "+79161234567"}, events)


@given(documents(), st.sampled_from([Nothing(), Failed(), Played(), Came("done"), Came("failed")]))
@settings(max_examples=150, deadline=None)
def test_a_checked_flow_ends_when_nobody_does_anything(about: dict[str, Any], event: Event) -> None:
    """A flow that the checks take comes to its end, or to people, while the caller is silent."""
    try:
        flow = from_document(about)
    except BadFlow:
        return
    at = start(flow)
    for _ in range(400):
        if (
            at.action is None
            or at.position.ended
            or type(at.action).__name__ in ("Enqueue", "Dial", "Voicemail", "GoTo")
        ):
            return
        at = step(flow, at.position, event, now=NOON)
    pytest.fail(f"round for ever: {at.position}")


@given(st.dictionaries(st.text(max_size=5), st.one_of(VALUES, st.lists(st.integers())), max_size=6))
def test_variables_are_what_json_and_a_database_can_keep(values: dict[str, Any]) -> None:
    """Texts without NUL, finite numbers; what is none of them is not taken."""
    clean = clean_values(values)
    assert json.loads(json.dumps(clean, allow_nan=False)) == clean
    assert not any("\0" in value for value in clean.values() if isinstance(value, str))
