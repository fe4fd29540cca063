"""Each verb of IVR flows: the action it asks for, and what it makes of each event."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from support.flows import NOON, one, run, start

from ivr_flows.model import (
    Action,
    Ask,
    Began,
    Came,
    CheckHours,
    Date,
    DateTime,
    Dial,
    Digits,
    Ended,
    Enqueue,
    Event,
    Failed,
    GoTo,
    HangUp,
    HungUp,
    Lookup,
    Money,
    Nothing,
    Number,
    Offer,
    OfferAnswer,
    OptOut,
    Played,
    Pressed,
    RecordConsent,
    Request,
    RequestCallback,
    Say,
    Sound,
    Text,
    Time,
    Transfer,
    Voicemail,
)

ASK = {"prompt": "Well?"}
WELL = Text("Well?", "en")

#: verb, properties, events it needs -> the first action
FIRST: list[tuple[str, dict[str, Any], tuple[str, ...], Action]] = [
    ("play", {"sound": "hello"}, ("done",), Say((Sound("hello", "en"),))),
    (
        "play",
        {"sound": {"ru": ["a", "b"]}, "stop_on": "#"},
        ("done",),
        Say((Sound("a", "ru"), Sound("b", "ru")), "#"),
    ),
    ("say", {"prompt": {"ru": "Да", "en": "Yes"}}, ("done",), Say((Text("Yes", "en"),))),
    (
        "gather",
        {"prompt": "Well?", "into": "pin", "digits": 4, "secret": True},
        ("done",),
        Ask((WELL,), 4, "#", 6.0, 3.0, secret=True),
    ),
    ("menu", {**ASK, "barge_in": False}, ("1", "*"), Ask((WELL,), 1, "", 6.0, 3.0, barge_in=False)),
    ("menu", ASK, ("1", "12"), Ask((WELL,), 2, "#", 6.0, 3.0)),
    ("lookup", {"fields": ["name"]}, ("found", "unknown"), Lookup("phone", "+79161234567", ("name",))),
    ("schedule", {"hours": "office"}, ("open", "closed"), CheckHours("office")),
    (
        "enqueue",
        {
            "queue": "sales",
            "priority": 5,
            "skills": {"en": 2},
            "max_wait_s": 60,
            "leave_on": "*",
            "reason": "{caller}",
        },
        (),
        Enqueue("sales", 5, {"en": 2}, 60.0, "*", "+79161234567"),
    ),
    ("dial", {"targets": [101, "{caller}"]}, (), Dial(("101", "+79161234567"), 25.0)),
    ("offer", {**ASK, "place": "ivr"}, ("accepted", "declined", "none"), Offer("ivr")),
    (
        "request_callback",
        {"queue": "q", "keep_place": True},
        ("done",),
        RequestCallback("+79161234567", "", "q", True),
    ),
    ("voicemail", {"box": "b", "most_s": 30}, ("done",), Voicemail("b", 30.0, True)),
    ("voicemail", {"box": "b", "prompt": "Well?"}, ("done",), Say((WELL,))),
    ("record_consent", {"purpose": "p", **ASK}, ("given", "refused"), Ask((WELL,), 1, "", 6.0, 6.0)),
    (
        "record_consent",
        {"purpose": "p", "valid_days": 10},
        ("given", "refused"),
        RecordConsent("p", True, date(2026, 12, 3)),
    ),
    ("opt_out", {"scope": "campaign"}, ("done",), OptOut("campaign", "+79161234567")),
    (
        "http_request",
        {
            "url": "https://a.example/x?n={caller}",
            "method": "POST",
            "body": {"n": "{caller}", "k": 1},
            "into": {"x": "y"},
        },
        ("done",),
        Request(
            "https://a.example/x?n=%2B79161234567", "POST", {"n": "+79161234567", "k": 1}, 3.0, {"x": "y"}
        ),
    ),
    ("transfer", {"target": "101", "kind": "attended"}, (), Transfer("101", "attended")),
    ("goto_flow", {"flow": "other"}, (), GoTo("other")),
    ("hangup", {"cause": "busy"}, (), HangUp("busy")),
    ("hangup", {"prompt": "Well?"}, (), Say((WELL,))),
]


@pytest.mark.parametrize(("verb", "properties", "events", "action"), FIRST)
def test_a_state_begins_with_its_action(
    verb: str, properties: dict[str, Any], events: tuple[str, ...], action: Action
) -> None:
    """Each verb asks for what its properties say, with the variables filled in."""
    assert start(one(verb, properties, *events)).action == action


OFFERED = Came("offered", {"id": "o7", "text": "Tyres"})
OFFER = {**ASK, "place": "ivr", "retries": 0}
CONSENT = {**ASK, "purpose": "p", "retries": 0}
#: verb, properties, what happens -> how the state ended
ENDS: list[tuple[str, dict[str, Any], tuple[Event, ...], str]] = [
    ("play", {"sound": "x"}, (Played(),), "done"),
    ("play", {"sound": "x"}, (Pressed("#"),), "done"),
    ("say", ASK, (Failed("no such file"),), "failed"),
    ("gather", {**ASK, "into": "n"}, (Pressed("12"),), "done"),
    ("gather", {**ASK, "into": "n"}, (Pressed("12#"),), "done"),
    ("gather", {**ASK, "into": "n"}, (Nothing(), Nothing(), Pressed("1")), "done"),
    ("gather", {**ASK, "into": "n"}, (Nothing(), Nothing(), Nothing()), "nothing"),
    ("gather", {**ASK, "into": "n", "least": 3}, (Pressed("12"), Pressed("1"), Pressed("1*3")), "invalid"),
    ("gather", {**ASK, "into": "n", "retries": 0}, (Failed(),), "failed"),
    ("menu", ASK, (Pressed("1"),), "1"),
    ("menu", ASK, (Pressed("7"), Pressed("1")), "1"),
    ("menu", {**ASK, "retries": 0}, (Pressed("7"),), "invalid"),
    ("menu", {**ASK, "retries": 1}, (Nothing(), Nothing()), "nothing"),
    ("menu", ASK, (Failed(),), "failed"),
    ("lookup", {}, (Came("found", {"name": "Anna"}),), "found"),
    ("lookup", {}, (Came("unknown"),), "unknown"),
    ("lookup", {}, (Came("something else"),), "failed"),
    ("schedule", {"hours": "office"}, (Came("holiday"),), "holiday"),
    ("enqueue", {"queue": "q"}, (Came("answered"),), "answered"),
    ("enqueue", {"queue": "q"}, (Came("left_by_key"),), "left_by_key"),
    ("enqueue", {"queue": "q"}, (Failed(),), "failed"),
    ("dial", {"targets": ["1"]}, (Came("busy"),), "busy"),
    ("offer", OFFER, (OFFERED, Pressed("1"), Came("done")), "accepted"),
    ("offer", OFFER, (OFFERED, Pressed("2"), Failed()), "declined"),
    ("offer", OFFER, (OFFERED, Pressed("5"), Came("done")), "nothing"),
    ("offer", OFFER, (Came("none"),), "none"),
    ("offer", OFFER, (Came("offered", {}),), "none"),
    ("offer", OFFER, (Failed(),), "failed"),
    ("offer", {**OFFER, "instead": "Ours"}, (Failed(), Pressed("1")), "accepted"),
    ("request_callback", {}, (Came("refused"),), "refused"),
    ("voicemail", {"box": "b", **ASK}, (Played(), Came("empty")), "empty"),
    ("record_consent", CONSENT, (Pressed("1"), Came("done")), "given"),
    ("record_consent", CONSENT, (Pressed("2"), Came("done")), "refused"),
    ("record_consent", CONSENT, (Pressed("5"),), "nothing"),
    ("record_consent", CONSENT, (Pressed("1"), Failed()), "failed"),
    ("opt_out", {}, (Came("done"),), "done"),
    ("http_request", {"url": "https://a.example/"}, (Came("done"),), "done"),
    ("http_request", {"url": "https://a.example/"}, (Came("refused"),), "refused"),
    ("transfer", {"target": "1"}, (Came("no_answer"),), "no_answer"),
    ("goto_flow", {"flow": "f"}, (Failed(),), "failed"),
]
ALL_EVENTS = {
    "play": ("done", "failed"),
    "say": ("done", "failed"),
    "gather": ("done", "nothing", "invalid", "failed"),
    "menu": ("1", "nothing", "invalid", "failed"),
    "lookup": ("found", "unknown", "failed"),
    "schedule": ("open", "closed", "holiday", "failed"),
    "enqueue": ("answered", "full", "empty", "timeout", "left_by_key", "failed"),
    "dial": ("answered", "busy", "no_answer", "failed"),
    "offer": ("accepted", "declined", "none", "nothing", "failed"),
    "request_callback": ("done", "refused", "failed"),
    "voicemail": ("done", "empty", "failed"),
    "record_consent": ("given", "refused", "nothing", "failed"),
    "opt_out": ("done", "failed"),
    "http_request": ("done", "refused", "failed"),
    "transfer": ("done", "busy", "no_answer", "failed"),
    "goto_flow": ("failed",),
}


@pytest.mark.parametrize(("verb", "properties", "events", "ended"), ENDS)
def test_a_state_ends_with_what_became_of_it(
    verb: str, properties: dict[str, Any], events: tuple[Event, ...], ended: str
) -> None:
    """The branch that is taken is that of what happened."""
    last = run(one(verb, properties, *ALL_EVENTS[verb]), *events)
    assert (last.position.state, last.passed[0].event) == (f"end {ended}", ended)
    assert last.position.ended == Ended.FINISHED


def test_an_answer_to_an_offer_is_written_down() -> None:
    """What was said to an offer, or that it was heard only, is told to the decision service."""
    flow = one("offer", OFFER, "accepted", "declined", "none")
    asked = run(flow, OFFERED)
    assert isinstance(asked.action, Ask)
    assert asked.action.prompts == (Text("Tyres", "en"), WELL)
    answers = {key: run(flow, OFFERED, Pressed(key)).action for key in "125"}
    assert answers == {
        "1": OfferAnswer("ivr", "o7", "accepted"),
        "2": OfferAnswer("ivr", "o7", "declined"),
        "5": OfferAnswer("ivr", "o7", "shown"),
    }


def test_a_question_is_asked_again_with_what_was_wrong() -> None:
    """After silence and after a wrong key other words come before the question."""
    about = {**ASK, "nothing_prompt": "Hello?", "invalid_prompt": "No."}
    flow = one("menu", about, "1")
    for event, words in ((Nothing(), "Hello?"), (Pressed("9"), "No.")):
        again = run(flow, event)
        assert isinstance(again.action, Ask)
        assert (again.action.prompts, again.position.tries) == ((Text(words, "en"), WELL), 1)


def test_a_menu_keeps_what_its_key_stands_for() -> None:
    """`into` gets the word of the key, and it is told as collected; a secret is not told."""
    menu = run(one("menu", {**ASK, "into": "reason", "values": {"1": "sales"}}, "1", "2"), Pressed("1"))
    assert (menu.position.variables["reason"], menu.passed[0].collected) == ("sales", {"reason": "sales"})
    pin = run(one("gather", {**ASK, "into": "pin", "secret": True}, "done"), Pressed("4711"))
    assert (pin.position.variables["pin"], pin.passed[0].collected) == ("4711", {})


def test_what_a_look_up_and_a_server_say_become_variables() -> None:
    """Fields of a customer get a prefix; of a reply only what was asked for is taken."""
    odd: Any = [1]
    came = Came("found", {"name": "Anna", "odd": odd})
    found = run(one("lookup", {"into": "who"}, "found", "unknown"), came)
    assert {key: value for key, value in found.position.variables.items() if key.startswith("who")} == {
        "who.name": "Anna", "who.known": True,
    }  # fmt: skip
    flow = one("http_request", {"url": "https://a.example/", "into": {"price": "a.b"}}, "done")
    got = run(flow, Came("done", {"price": 5, "caller": "forged"}))
    assert (got.position.variables["price"], got.position.variables["caller"]) == (5, "+79161234567")


def test_a_set_language_is_that_of_all_that_follows() -> None:
    """`set` fills texts and changes the language of prompts."""
    flow = one("set", {"values": {"greeting": "Hi {caller}", "n": 3}, "language": "ru"}, "done")
    at = start(flow).position
    assert (at.language, at.variables["greeting"], at.variables["n"]) == ("ru", "Hi +79161234567", 3)


@pytest.mark.parametrize(
    ("test", "value", "holds"),
    [
        ({"equals": 5}, "5", True),
        ({"equals": 5}, 5.0, True),
        ({"equals": "a"}, "b", False),
        ({"differs": "a"}, "b", True),
        ({"above": 2}, "10", True),
        ({"above": 2}, "2", False),
        ({"above": 2}, "much", False),
        ({"below": 2}, 1.5, True),
        ({"below": 2}, None, False),
        ({"one_of": ["a", 1]}, "1", True),
        ({"one_of": ["a"]}, "A", False),
        ({"begins": "+7"}, "+7916", True),
        ({"known": True}, "", False),
        ({"known": False}, None, True),
        ({"known": True}, 0, True),
        ({"equals": True}, True, True),
        ({"equals": None}, None, True),
    ],
)
def test_a_condition_looks_at_a_variable(test: dict[str, Any], value: Any, holds: bool) -> None:
    """Each operator, on texts as keys give them and on numbers as servers do."""
    flow = one("condition", {"all": [{"variable": "contact.x", **test}]}, "yes", "no")
    known = {} if value is None else {"contact.x": value}
    assert start(flow, **known).position.state == ("end yes" if holds else "end no")


def test_tests_can_be_joined() -> None:
    """All of `all` must hold, and one of `any`."""
    one_, two = {"variable": "contact.a", "equals": 1}, {"variable": "contact.b", "equals": 1}
    wanted = {(1, 1): (True, True), (1, 0): (False, True), (0, 1): (False, True), (0, 0): (False, False)}
    for (a, b), expected in wanted.items():
        known: dict[str, Any] = {"contact.a": a, "contact.b": b}
        said = tuple(
            start(one("condition", {how: [one_, two]}, "yes", "no"), **known).position.state == "end yes"
            for how in ("all", "any")
        )
        assert said == expected


@pytest.mark.parametrize(
    ("local", "state"),
    [
        ("2026-11-23T09:00", "open"),
        ("2026-11-23T08:59", "closed"),
        ("2026-11-23T18:00", "closed"),
        ("2026-11-23T13:30", "closed"),
        ("2026-11-28T02:00", "open"),
        ("2026-11-29T05:59", "open"),
        ("2026-11-29T06:00", "closed"),
        ("2027-01-01T12:00", "holiday"),
        ("2026-12-31T12:00", "open"),
        ("2026-12-31T16:00", "closed"),
        ("2027-05-09T12:00", "open"),
    ],
)
def test_a_schedule_knows_weekdays_nights_holidays_and_dates(local: str, state: str) -> None:
    """By the clock of its zone: a pause at noon, a night shift, a public holiday, dates of their own."""
    about = {
        "week": {"mon-fri": "09:00-13:00, 14:00-18:00", "sat": "00:00-03:00, 22:00-06:00"},
        "holidays": "RU",
        "exceptions": {"2026-12-31": "09:00-15:00", "2027-05-09": "24h"},
        "zone": "Asia/Vladivostok",
    }
    now = datetime.fromisoformat(f"{local}+10:00")
    assert start(one("schedule", about, "open", "closed", "holiday"), now).position.state == f"end {state}"
    if state == "holiday":
        assert start(one("schedule", about, "open", "closed"), now).position.state == "end closed"


@pytest.mark.parametrize(
    ("part", "value", "prompt"),
    [
        ({"digits": "{contact.x}"}, "+7 916#", Digits("7916#", "en")),
        (
            {"number": "{contact.x}", "gender": "f", "case": "genitive"},
            "21",
            Number(21, "en", "f", "genitive"),
        ),
        ({"money": "{contact.x}", "currency": "EUR"}, 12.5, Money(Decimal("12.50"), "EUR", "en")),
        ({"money": "{contact.x}"}, "1e99", Text("1e99", "en")),
        ({"date": "{contact.x}"}, "2026-12-01T10:00", Date(date(2026, 12, 1), "en")),
        ({"time": "{contact.x}"}, "2026-12-01T10:30+00:00", Time(datetime(2026, 12, 1, 13, 30).time(), "en")),  # noqa: DTZ001
        (
            {"datetime": "{contact.x}"},
            "2026-12-01T10:30+00:00",
            DateTime(datetime(2026, 12, 1, 13, 30), "en"),  # noqa: DTZ001
        ),
        ({"number": "{contact.x}"}, "many", Text("many", "en")),
        ({"date": "{contact.x}"}, "", None),
    ],
)
def test_values_are_said_as_what_they_are(part: dict[str, str], value: Any, prompt: Any) -> None:
    """Numbers, money, dates and times by the local clock; else as it stands, or not at all."""
    heard = start(one("say", {"prompt": part}, "done"), **{"contact.x": value}).action
    assert isinstance(heard, Say)
    assert heard.prompts == (() if prompt is None else (prompt,))


def test_whoever_hangs_up_has_left() -> None:
    """At any action a hang-up ends the flow, and after the end nothing happens any more."""
    for verb, properties, events, _ in FIRST:
        flow = one(verb, properties, *events)
        at = start(flow)
        if at.position.ended:
            continue
        gone = run(flow, HungUp())
        assert (gone.position.ended, gone.action) == (Ended.LEFT, None), verb
        assert run(flow, HungUp(), Played(), Began()).action is None


def test_a_flow_ends_by_itself_after_a_talk() -> None:
    """A talk that is over, or a transfer, needs no branch; nothing is said to the caller."""
    for verb, about, event, ended in (
        ("enqueue", {"queue": "q"}, "answered", Ended.ANSWERED),
        ("dial", {"targets": ["1"]}, "answered", Ended.ANSWERED),
        ("transfer", {"target": "1"}, "done", Ended.TRANSFERRED),
    ):
        last = run(one(verb, about), Came(event))
        assert (last.position.ended, last.action) == (ended, None)


def test_now_is_local() -> None:
    """The variable `now` is the clock of the flow's zone."""
    heard = start(one("say", {"prompt": "{now|time}"}, "done"), NOON).action
    assert isinstance(heard, Say)
    assert heard.prompts == (Time(datetime(2026, 11, 23, 12, 0).time(), "en"),)  # noqa: DTZ001
