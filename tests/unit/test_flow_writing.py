"""Flows as YAML and back, what is different between versions, a flow that is tried by words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr_flows import loader, shipped, yamlfile
from ivr_flows.changes import changes
from ivr_flows.drawing import Mark, svg
from ivr_flows.model import LANGUAGES, RecordConsent
from ivr_flows.rehearsal import rehearse
from ivr_flows.writing import yaml_of

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**14), 10**14) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_what_is_read_back_is_what_was_written(value: Any) -> None:
    """Words like no, 010 and 12:30, texts of any letters, nothing at all."""
    assert yamlfile.read(yaml_of(value), "").value == value


@pytest.mark.parametrize(
    "word", ["no", "on", "010", "12:30", "1e3", "~", "*", "{a}", "- x", "a: b", "#", " ", "="]
)
def test_words_stay_words(word: str) -> None:
    """What YAML could take for something else is written so that it cannot."""
    assert yamlfile.read(yaml_of({word: word}), "").value == {word: word}


@pytest.mark.parametrize("name", shipped.NAMES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_flow_survives_a_store_without_order(name: str, language: str) -> None:
    """A document whose names were put in another order reads as people write it, and is the same flow."""
    document = shipped.flow(name, language).document
    shuffled = {key: document[key] for key in sorted(document, reverse=True)}
    text = yaml_of(shuffled)
    assert loader.load(text).document == document
    assert text.startswith(f"name: {document['name']}\n")
    assert text.index("initial_state:") < text.index("states:")


def test_changes_name_what_is_different() -> None:
    """States that came, went and changed, and what is said of the flow itself."""
    before = {"name": "a", "title": "A", "states": [{"name": "one", "type": "hangup"}, {"name": "two"}]}
    after = {"name": "a", "states": [{"name": "three"}, {"name": "one", "type": "say"}]}
    found = changes(before, after)
    assert (found.added, found.removed, found.changed, found.about) == (
        ("three",),
        ("two",),
        ("one",),
        ("title",),
    )
    assert not changes(before, before)


def test_a_flow_is_tried_by_words() -> None:
    """It stops where a word is wanted, with what may become of it, and goes on from the beginning with one
    word more."""
    flow = shipped.flow("survey", "en")
    asked = rehearse(flow, [], now=NOW, variables={})
    assert [line.kind for line in asked.lines] == ["heard"]
    assert asked.choices == ()
    kept = rehearse(flow, ["1"], now=NOW, variables={})
    assert (type(kept.waits), kept.choices[:2]) == (RecordConsent, ("given", "refused"))
    gone = rehearse(flow, ["1", kept.choices[0], "!"], now=NOW, variables={})
    assert (gone.waits, gone.position.ended, gone.position.state) == (None, "left", "quality")


def test_a_word_that_is_no_value_is_refused() -> None:
    """An event brings values as name=value."""
    with pytest.raises(ValueError, match="name"):
        rehearse(shipped.flow("reception", "en"), ["found:name"], now=NOW, variables={})


def test_marks_stand_on_their_states() -> None:
    """What is zero is not drawn, and a state that is no more has no place."""
    flow = shipped.flow("survey", "en")
    picture = svg(flow, {"quality": Mark(here=3, lost=2), "gone": Mark(came=9)})
    assert picture.count('class="here"') == picture.count('class="lost"') == 1
    assert 'class="came"' not in picture
    assert svg(flow, {"quality": Mark()}).count("<g") == svg(flow).count("<g")
