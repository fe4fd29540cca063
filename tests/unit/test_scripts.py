"""Scripts of talks: how a talk goes through one, which answers are taken, what is wrong with a text."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import cast

import pytest

from dialer.db.session import Database
from dialer.errors import BadScript, Invalid, NotFound, WrongState
from dialer.httpkit.access import Actor
from dialer.scripts import answers, showing
from dialer.scripts.loader import from_document, load
from dialer.scripts.model import Question, Script, Talk
from dialer.scripts.service import Deeds, ScriptService
from dialer.scripts.walking import Answered, Back, Done, Event, Left, Share, Went, begin, ended, share, step
from ivr_flows.values import Value

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
TEXT = """\
name: visit
title: Invitation
language: en
first: hello
steps:
  - {name: hello, type: text, text: "Hello, {contact.name|default:friend}!", next: convenient}
  - name: convenient
    type: question
    text: Is it convenient to talk?
    kind: yes_no
    required: true
    next: {"yes": car, "no": later}
  - name: car
    type: question
    text: New or used?
    kind: choice
    choices: {new: New, used: Used}
    required: true
    next: budget
  - {name: budget, type: question, text: "How much?", kind: number, least: 1, required: true, next: rich}
  - name: rich
    type: branch
    cases:
      - {answer: car, equals: new, next: visit_at}
      - {answer: budget, least: 100, next: visit_at}
    otherwise: bye
  - {name: visit_at, type: question, text: "When?", kind: datetime, required: true, next: book}
  - {name: book, type: action, text: Book it., action: book_visit, values: {at: "{visit_at}"}, next: bye}
  - {name: later, type: question, text: "When may I call?", kind: datetime, required: true, next: call_later}
  - name: call_later
    type: action
    text: Note it.
    action: schedule_callback
    values: {at: "{later}"}
    next: bye
  - {name: bye, type: end, text: Goodbye!}
  - {name: dear, type: text, text: It is worth it., next: return}
  - {name: angry, type: action, text: I am sorry., action: do_not_call, next: bye}
exits:
  - {name: dear, title: Too dear, to: dear}
  - {name: angry, title: Do not call me, kind: critical, to: angry}
"""


@pytest.fixture
def script() -> Script:
    """A script with every kind of step but a search."""
    return load(TEXT)


def walk(script: Script, *events: Event) -> Talk:
    """The talk after these events."""
    talk = begin(script)
    for event in events:
        talk = step(script, talk, event)
    return talk


def test_a_talk_goes_along_the_answers(script: Script) -> None:
    """Texts, answers that lead two ways, a branch over answers, an action, the end."""
    way = (Went(), Answered("yes"), Answered("used"), Answered("250"))
    assert walk(script, *way).step == "visit_at"
    assert walk(script, *way[:3], Answered("99")).step == "bye"
    assert walk(script, Went(), Answered("yes"), Answered("new"), Answered("1")).step == "visit_at"
    talk = walk(script, *way, Answered("2026-12-01T10:00"), Done())
    assert (talk.step, talk.done, ended(script, talk)) == ("bye", ("book",), True)
    assert talk.answers == {"convenient": "yes", "car": "used", "budget": 250, "visit_at": "2026-12-01T10:00"}


def test_a_step_is_shown_with_its_words_filled_in(script: Script) -> None:
    """Who is talked with, what was answered so far in words, and what an action is told."""
    begun = showing.show(script, walk(script), {"contact.name": "Anna"}, NOON)
    assert (begun.text, begun.type, begun.back, begun.collected) == ("Hello, Anna!", "text", False, 0)
    assert showing.show(script, walk(script), {}, NOON).text == "Hello, friend!"
    way = (Went(), Answered("yes"), Answered("new"), Answered("1"), Answered("2026-12-01T10:00"))
    asked = showing.show(script, walk(script, *way), {}, NOON)
    assert (asked.step, asked.action, asked.values) == ("book", "book_visit", {"at": "01/12/2026, 10:00"})
    assert [(one.name, one.answer) for one in asked.answers][:2] == [("convenient", "yes"), ("car", "New")]
    assert showing.told(script, walk(script, *way), {}, NOON) == {"at": "2026-12-01T10:00"}


def test_back_leads_to_the_step_before_with_answers_kept(script: Script) -> None:
    """Past a branch too; a changed answer leads another way."""
    talk = walk(script, Went(), Answered("yes"), Answered("used"), Answered("250"), Back())
    assert (talk.step, talk.answers["budget"]) == ("budget", 250)
    assert step(script, talk, Answered("5")).step == "bye"
    with pytest.raises(WrongState):
        walk(script, Back())


def test_an_exit_returns_to_where_it_was_taken(script: Script) -> None:
    """From any step, one exit inside of another, and back from an exit."""
    talk = walk(script, Went(), Answered("yes"), Left("dear"))
    assert talk.step == "dear"
    assert step(script, talk, Went()).step == "car"
    assert step(script, talk, Back()).step == "car"
    twice = walk(script, Went(), Left("dear"), Left("dear"), Went(), Went())
    assert (twice.step, twice.at.waits) == ("convenient", ())
    assert walk(script, Left("angry"), Done()).step == "bye"
    with pytest.raises(NotFound):
        walk(script, Left("nowhere"))


def test_what_a_step_does_not_have_is_refused(script: Script) -> None:
    """No question is passed over with a mere "on", no text answered; nothing comes after the end."""
    for way in ((Answered("x"),), (Done(),), (Went(), Went()), (Left("angry"), Done(), Went())):
        with pytest.raises(WrongState):
            walk(script, *way)


def test_the_share_counts_required_questions_that_the_answers_leave_open(script: Script) -> None:
    """What an answer has led past is not asked for; a branch rules out what it leads past."""
    given: dict[str, Value] = {}
    assert share(script, given) == Share(0, 5)  # both ways of the first question
    assert share(script, {"convenient": "no"}) == Share(1, 2)
    assert share(script, {"convenient": "yes", "car": "used"}) == Share(2, 4)
    assert share(script, {"convenient": "yes", "car": "used", "budget": 5}) == Share(3, 3)


def question(kind: str, **more: object) -> Question:
    """A question of a kind."""
    return Question.model_validate(
        {"name": "q", "type": "question", "text": "?", "kind": kind, "next": "q", **more}
    )


@pytest.mark.parametrize(
    ("kind", "more", "given", "kept"),
    [
        ("text", {}, "  so ", "so"),
        ("number", {}, "1 234,5", 1234.5),
        ("number", {}, "12", 12),
        ("date", {}, "2026-02-28", "2026-02-28"),
        ("datetime", {}, "2026-02-28T10:30", "2026-02-28T10:30"),
        ("choice", {"choices": {"a": "A"}}, "a", "a"),
        ("yes_no", {}, "no", "no"),
        ("phone", {}, "+7 (916) 123-45-67", "+79161234567"),
        ("text", {}, " ", None),
    ],
)
def test_answers_are_kept_by_their_kind(kind: str, more: dict[str, object], given: str, kept: Value) -> None:
    """What is typed becomes a value; nothing typed is no answer."""
    assert answers.read(question(kind, **more), given) == kept


@pytest.mark.parametrize(
    ("kind", "more", "given"),
    [
        ("text", {"required": True}, " "),
        ("text", {"most": 3}, "four"),
        ("text", {"least": 3}, "tw"),
        ("number", {}, "many"),
        ("number", {}, "NaN"),
        ("number", {"least": 5}, "4"),
        ("number", {"most": 5}, "6"),
        ("date", {}, "30.02.2026"),
        ("datetime", {}, "2026-02-28"),
        ("datetime", {}, "2026-02-28T10:30+03:00"),
        ("choice", {"choices": {"a": "A"}}, "b"),
        ("yes_no", {}, "true"),
        ("phone", {}, "call me"),
    ],
)
def test_wrong_answers_are_refused(kind: str, more: dict[str, object], given: str) -> None:
    """They do not fit the question's kind or bounds."""
    with pytest.raises(Invalid):
        answers.read(question(kind, **more), given)


def wrong(text: str) -> list[tuple[int, str, str]]:
    """Line, path and code of all that is wrong with a text."""
    with pytest.raises(BadScript) as caught:
        load(text)
    return [(one.line, one.path, one.code) for one in caught.value.problems]


@pytest.mark.parametrize(
    ("old", "new", "path", "code"),
    [
        ("first: hello", "first: hullo", "first", "no_step"),
        ("next: convenient}", "next: convenent}", "steps.hello.next", "no_step"),
        ('"no": later}', '"no": latr}', "steps.convenient.next.no", "no_step"),
        ('"no": later}', '"maybe": later}', "steps.convenient", "property"),
        ("otherwise: bye", "otherwise: by", "steps.rich.otherwise", "no_step"),
        ("to: dear}", "to: deer}", "exits.dear.to", "no_step"),
        ("{contact.name|", "{customer.name|", "steps.hello.text", "no_variable"),
        ("{visit_at}", "{visit_on}", "steps.book.values.at", "no_variable"),
        ("equals: new", "equals: old", "steps.rich.cases.0.equals", "never"),
        ("answer: budget,", "answer: car,", "steps.rich.cases.1", "never"),
        ("answer: budget,", "answer: money,", "steps.rich.cases.1.answer", "no_answer"),
        ("next: budget", "next: return", "steps.car.next", "no_return"),
        ("least: 1,", "colour: red,", "steps.budget.colour", "property"),
        ('values: {at: "{visit', 'values: {on: "{visit', "steps.book", "property"),
        ("kind: number", "kind: colour", "steps.budget.kind", "property"),
        ("type: end", "type: fin", "steps.bye.type", "unknown_type"),
        ("name: dear, type", "name: bye, type", "steps.bye.name", "name_twice"),
        ("{visit_at}", "{visit_at", "steps.book.values.at", "property"),
        ("language: en", "language: fr", "language", "language"),
        ("title: Invitation", "titel: Invitation", "titel", "unknown_name"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(old: str, new: str, path: str, code: str) -> None:
    """Each fault has its path, and the line on which it stands or what it stands in begins."""
    exact = path not in (
        "steps.convenient",
        "steps.rich.cases.1",
        "steps.rich.cases.0.equals",
        "steps.bye.name",
    )
    assert TEXT.count(old) == 1
    text = TEXT.replace(old, new)
    line = text[: text.index(new)].count("\n") + 1
    found = wrong(text)
    assert (path, code) in [(where, what) for _, where, what in found]
    if exact:
        assert (line, path) in [(at, where) for at, where, _ in found]


END = {"name": "bye", "type": "end", "text": "Bye"}


def text_step(name: str, target: str) -> dict[str, object]:
    """A step that says something."""
    return {"name": name, "type": "text", "text": "So", "next": target}


def codes(*steps: Mapping[str, object]) -> set[tuple[str, str]]:
    """What is wrong with a script of these steps."""
    with pytest.raises(BadScript) as caught:
        from_document({"name": "s", "first": steps[0]["name"], "steps": list(steps)})
    return {(one.path, one.code) for one in caught.value.problems}


def test_a_talk_that_goes_round_or_never_ends_is_refused() -> None:
    """A ring without a question, a step that nothing leads to, a step without an end behind it."""
    assert codes(text_step("a", "b"), text_step("b", "a"), END) == {
        ("steps.a", "loop"), ("steps.b", "loop"), ("steps.a", "dead_end"), ("steps.b", "dead_end"),
        ("steps.bye", "unreached"),
    }  # fmt: skip
    ask = {"name": "ask", "type": "question", "text": "Again?", "kind": "yes_no", "required": True}
    ring = {**ask, "next": {"yes": "a", "no": "bye"}}
    assert (
        from_document({"name": "s", "first": "a", "steps": [text_step("a", "ask"), ring, END]}).first == "a"
    )


def test_two_questions_of_one_answer_are_of_one_kind() -> None:
    """Else nobody knows what the answer is."""
    first = {"name": "a", "type": "question", "text": "?", "kind": "date", "into": "day", "next": "b"}
    second = {"name": "b", "type": "question", "text": "?", "kind": "text", "into": "day", "next": "bye"}
    assert codes(first, second, END) == {("steps.b", "two_kinds")}


def test_values_are_told_as_people_write_them() -> None:
    """A choice by its words, a day by its language."""
    assert answers.words(question("choice", choices={"a": "The A"}), "a", "en") == "The A"
    assert answers.words(question("datetime"), "2026-02-28T10:30", "ru") == "28.02.2026, 10:30"
    assert answers.words(question("yes_no"), "yes", "ru") == "да"


async def test_a_text_is_checked_beside_the_loop() -> None:
    """Nobody else's page waits for a large one."""
    service = ScriptService(cast(Database, None), cast(Deeds, None))
    checking = asyncio.create_task(service.check(Actor.server(1), TEXT))
    turns = 0
    while not checking.done():
        await asyncio.sleep(0)
        turns += 1
    assert checking.result().problems == ()
    assert turns > 2  # in the loop itself it would be done in one
