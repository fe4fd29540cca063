"""Hooks as values: call tokens, what goes into a dialplan, query strings."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from dialer.hooks.fastagi import lines, read
from dialer.hooks.model import (
    MOST_VALUE,
    CallToken,
    Hook,
    call_token,
    field_variable,
    from_query,
    plain,
    read_call_token,
)

TOKEN = CallToken(2_000_000_000, "abcdefgh1234")
NOW_S = 1_900_000_000
#: What Asterisk's dialplan, AGI or a shell takes for its own.
MARKS = set("\"'`$\\(){}[]<>,;&|=*?!#~^%\n\r\0\t")


def test_a_call_token_is_read_back() -> None:
    """By whoever has the key, for its channel, until its time is over."""
    text = call_token("key", "17.1", TOKEN)
    assert read_call_token("key", "17.1", text, NOW_S) == TOKEN
    assert read_call_token("other", "17.1", text, NOW_S) is None
    assert read_call_token("key", "17.2", text, NOW_S) is None
    assert read_call_token("key", "17.1", text, TOKEN.expires_s) is None


@given(st.data())
def test_a_changed_call_token_is_none(data: st.DataObject) -> None:
    """Whichever character is another, or missing, or one too many."""
    text = call_token("key", "17.1", TOKEN)
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.text(max_size=2).filter(lambda one: one != text[at]))
    changed = text[:at] + other + text[at + 1 :]
    assert read_call_token("key", "17.1", changed, NOW_S) is None


@given(st.text(max_size=300))
def test_any_text_is_no_call_token(text: str) -> None:
    """And breaks nothing."""
    assert read_call_token("key", "17.1", text, NOW_S) is None


@given(st.text(max_size=400))
def test_a_value_holds_nothing_of_a_dialplans_own(text: str) -> None:
    """One short line, no mark; what is plain already stays."""
    value = plain(text)
    assert not MARKS & set(value)
    assert len(value) <= MOST_VALUE and value == value.strip() and len(value.splitlines()) <= 1
    assert plain(value) == value


@given(st.text(max_size=80))
def test_a_field_has_the_name_of_a_variable(name: str) -> None:
    """Whatever the field is called."""
    assert re.fullmatch(r"DOZVON_FIELD_[A-Z0-9_]{0,40}", field_variable(name))


@given(
    st.dictionaries(
        st.from_regex(r"DOZVON_[A-Z]{1,20}", fullmatch=True), st.text(max_size=300).map(plain), max_size=40
    )
)
def test_lines_hold_every_variable_once(values: dict[str, str]) -> None:
    """Each line is one that Asterisk reads whole, and the variables are those that were given."""
    made = list(lines(values))
    assert all(len(line.encode()) <= 1600 for line in made)
    told = [one.partition("=") for line in made for one in line.split(",") if one]
    assert {name: value for name, _, value in told} == values


def test_a_query_string_is_read_as_json_would_be() -> None:
    """Numbers are numbers, lists are lists; a number that is none stays what it was, to be refused."""
    query = {"a": "12", "b": "x", "c": "k|l", "d": "", "e": "1x", "f": "1"}
    found = from_query(query, frozenset({"a", "e"}), frozenset({"f"}), frozenset({"c"}))
    assert found == {"a": 12, "b": "x", "c": ["k", "l"], "e": "1x", "f": True}


def test_a_query_string_cannot_say_whose_call_it_is() -> None:
    """Channel, caller and call token are the connection's."""
    env = {"uniqueid": "17.1", "callerid": "unknown"}
    query = {"channel": "other", "caller": "+7916", "call_token": "x", "campaign": "3", "check": "1"}
    said = read(Hook.CALLBACK, query, env, "before")
    assert (said.channel, said.caller, said.call_token, said.check) == ("17.1", "", "before", True)
