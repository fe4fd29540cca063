"""Flows from their text: YAML as people write it, what is wrong with line and path, garbage."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.flows import document

from dialer.errors import BadFlow
from ivr_flows import shipped, yamlfile
from ivr_flows.loader import from_document, load
from ivr_flows.model import LANGUAGES, Problem
from ivr_flows.properties import MenuProperties
from ivr_flows.yamlfile import read

GOOD = """\
name: small
language: en
initial_state: ask
states:
  - name: ask
    type: menu
    properties:
      prompt: Press one
    transitions:
      1: bye
      no: bye
  - name: bye
    type: hangup
"""


def wrong(text: str) -> tuple[Problem, ...]:
    """What is wrong with a text."""
    with pytest.raises(BadFlow) as caught:
        load(text)
    return tuple(caught.value.problems)


def test_json_is_the_same_flow() -> None:
    """A flow as JSON, with tabs too, and as values of the API is the flow of its YAML."""
    for name in shipped.NAMES:
        flow = shipped.flow(name, "ru")
        assert load(json.dumps(flow.document, indent="\t")) == flow
        assert from_document(flow.document) == flow
        assert not from_document(flow.document).lines


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("true", True),
        ("False", False),
        ("010", "010"),
        ("01", "01"),
        ("0", 0),
        ("-7", -7),
        ("12:30", "12:30"),
        ("2026-12-31", "2026-12-31"),
        ("1.5", 1.5),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("~", None),
        ("", None),
        ("'1'", "1"),
        (".inf", ".inf"),
        ("9" * 5000, "9" * 5000),
        (r'"\ud83d\ude00"', "😀"),
        (r'"\ud83d"', "�"),
    ],
    ids=str,
)
def test_a_value_is_what_it_looks_like(text: str, value: Any) -> None:
    """No is a word, a leading zero makes a word, only plain decimal numbers are numbers."""
    assert read(f"a: {text}", "x").value == {"a": value}


def test_names_are_words_as_written() -> None:
    """Keys of a phone need no quotes but `*` and `#`; `01` stays `01`; `no` is no."""
    assert list(read("{1: a, 01: b, no: c, '*': d, ~: e}", "x").value) == ["1", "01", "no", "*", "~"]
    (problem,) = wrong(GOOD)
    assert (problem.line, problem.path, problem.code) == (11, "states.ask.transitions.no", "unknown_event")
    flow = load(GOOD.replace("      no: bye\n", ""))
    assert isinstance(flow.states["ask"].properties, MenuProperties)
    assert flow.states["ask"].transitions == {"1": "bye"}


#: What is written in place of what -> line, path, code
WRONG = [
    ("name: small", "name: ''", 1, "name", "bad_name"),
    ("name: small\n", "", 1, "", "missing"),
    ("language: en", "language: fr", 2, "language", "language"),
    ("language: en", "zone: Mars/Base", 2, "zone", "zone"),
    ("language: en", "colour: red", 2, "colour", "unknown_name"),
    ("type: hangup", "type: hang_up", 12, "states.bye.type", "unknown_verb"),
    ("name: bye", "name: ask", 11, "states.ask.name", "name_twice"),
    ("prompt: Press one", "prompt: Hello {name", 8, "states.ask.properties.prompt", "property"),
    ("prompt: Press one", "prompt: '{x|shout}'", 8, "states.ask.properties.prompt", "property"),
    (
        "prompt: Press one",
        "prompt: {money: 5, currency: GBP}",
        8,
        "states.ask.properties.prompt.currency",
        "property",
    ),
    ("prompt: Press one", "prompts: Press one", 8, "states.ask.properties.prompts", "property"),
    ("prompt: Press one", "retries: many", 8, "states.ask.properties.retries", "property"),
    ("      prompt: Press one\n", "", 7, "states.ask.properties.prompt", "property"),
    ("prompt: Press one", "prompt: &a Press", 8, "", "alias"),
    ("prompt: Press one", "prompt: !!python/object:os.system x", 8, "", "tag"),
    ("prompt: Press one", "prompt: a\n      prompt: b", 9, "states.0.properties.prompt", "twice"),
    ("prompt: Press one", "prompt: [", 10, "", "not_yaml"),
    ("prompt: Press one", "prompt: \x07", 8, "", "not_yaml"),
    ("1: bye", "*: bye", 10, "", "not_yaml"),
    ("1: bye", "1: [bye]", 10, "states.ask.transitions.1", "shape"),
    ("states:", "---\nstates:", 4, "", "two_documents"),
    ("    type: hangup", "    type: hangup\n    serves: maybe", 13, "states.bye.serves", "shape"),
]


@pytest.mark.parametrize(("old", "new", "line", "path", "code"), WRONG, ids=[row[1] for row in WRONG])
def test_what_is_wrong_is_said_with_its_place(old: str, new: str, line: int, path: str, code: str) -> None:
    """Each mistake of writing has the line and the path where it stands, and words to mend it."""
    good = GOOD.replace("      no: bye\n", "")
    found = wrong(good.replace(old, new, 1))
    assert (line, path, code) in {(one.line, one.path, one.code) for one in found}
    assert all(one.text for one in found)


@pytest.mark.parametrize(
    "text", ["", "5", "- a", "a: 1", "[[[", "\0", "{states: 5}", "states: [5, {}, {name: 3}]"]
)
def test_what_is_no_flow_is_said_too(text: str) -> None:
    """Anything else than a flow is an error that can be shown."""
    assert wrong(text)


def test_a_text_cannot_be_a_bomb() -> None:
    """Depth, size and the number of values have limits; references are not taken at all."""
    codes = {
        wrong("[" * 50 + "]" * 50)[0].code,
        wrong("#" * (yamlfile.MOST_BYTES + 1))[0].code,
        wrong("[" + "1," * (yamlfile.MOST_VALUES + 1) + "]")[0].code,
        wrong("a: &a [x]\nb: [*a, *a]")[0].code,
    }
    assert codes == {"too_deep", "too_large", "too_many", "alias"}


PIECES = [
    *"abn:-{}[]'\"#*&!|>%@,?\n\t 01~\\",
    "name",
    "states",
    "type",
    "menu",
    "\n  - ",
    ": ",
    "\x85",
    "\ud800",
]
YAMLISH = st.lists(st.sampled_from(PIECES), max_size=60).map("".join)


@given(st.one_of(st.text(max_size=200), YAMLISH))
@settings(max_examples=250, deadline=None)
def test_garbage_is_a_bad_flow(text: str) -> None:
    """Whatever the text is: a flow, or BadFlow whose line is one of the text's."""
    try:
        load(text)
    except BadFlow as error:
        lines = len(text.splitlines()) + text.count("\n") + 2
        assert all(0 <= problem.line <= lines for problem in error.problems)
        json.dumps(error.details)


JSONISH: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=6)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(st.sampled_from(shipped.NAMES), st.data(), JSONISH)
@settings(max_examples=150, deadline=None)
def test_a_flow_with_anything_in_it_is_a_flow_or_bad(name: str, data: st.DataObject, odd: Any) -> None:
    """A good document with any value anywhere in it never raises anything else than BadFlow."""
    whole = json.loads(json.dumps(shipped.flow(name, "en").document))
    at: Any = whole
    for _ in range(data.draw(st.integers(1, 5))):
        if not isinstance(at, dict | list) or not at:
            break
        key = data.draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
        inner = at[key]
        if not isinstance(inner, dict | list) or data.draw(st.booleans()):
            at[key] = odd
            break
        at = inner
    try:
        from_document(whole)
    except BadFlow as error:
        assert error.problems


@pytest.mark.parametrize("name", shipped.NAMES)
def test_both_languages_of_a_shipped_flow_are_one_flow(name: str) -> None:
    """The Russian and the English one have the same states, verbs and ways, and speak their own language."""
    russian, english = (shipped.flow(name, language) for language in LANGUAGES)
    assert {n: (s.verb, s.transitions, s.serves) for n, s in russian.states.items()} == {
        n: (s.verb, s.transitions, s.serves) for n, s in english.states.items()
    }
    assert (russian.language, english.language) == LANGUAGES


def test_a_name_with_a_comma_in_braces_is_explained() -> None:
    """The commonest mistake of writing, a text with a comma inside of braces, is told as such."""
    flow = GOOD.replace("    type: hangup", "    type: hangup\n    properties: {prompt: Thanks, bye now}")
    assert any("needs quotes" in problem.text for problem in wrong(flow))


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"name": "night", "states": []}, "The flow night cannot be used"),
        ({"name": 5}, "The flow without a name cannot be used"),
        ([], "The flow without a name cannot be used"),
    ],
)
def test_what_no_file_has_is_called_by_its_own_name(document: Any, said: str) -> None:
    """A flow that came over the API."""
    with pytest.raises(BadFlow, match=said):
        from_document(document)


def test_flows_as_values_need_no_lines() -> None:
    """A flow that came as values has its problems without lines."""
    about = document("say", {"prompt": 5, "x": 1}, {"done": "end"})
    with pytest.raises(BadFlow) as caught:
        from_document(about)
    assert {(one.line, one.path) for one in caught.value.problems} == {(0, "states.it.properties.x")}
