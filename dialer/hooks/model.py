"""Hooks as values: what a dialplan may ask, what it is answered with, and the tokens of its calls. Pure.

A dialplan is believed to be somebody's who was given a token of the scope `hooks`. The caller is believed
nothing: a caller id can be any number, and what was dialled can be any digits. So

- every argument is short, has its own form (`FORMS`), and digits where it becomes a number;
- a call may change what is kept of its own number (the caller id that Asterisk tells of the channel, or the
  number that the server itself has dialled); of another number only with a *call token*;
- an answer holds letters, digits, spaces and a few marks, so that no name of a customer is ever read as
  dialplan.

A call token is what each answer ends with. It is signed by a key that never leaves the server, belongs to one
API token and one channel, lasts `CALL_TOKEN_S`, and is good for one change: the answer to that has the next.
A call has `MOST_CHANGES` of them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

#: Of a channel's Uniqueid: Asterisk's own take 150, ours 36.
CHANNEL = r"^[A-Za-z0-9_.:@-]{1,150}$"
#: What a caller keys in as a number, or a dialplan passes on.
NUMBER = r"^\+?[0-9]{3,20}$"
#: A word of a dialplan's own: an outcome, a survey, a question.
WORD = r"^[A-Za-z0-9_.-]{1,64}$"
#: An id of the server's.
DIGITS = r"^[0-9]{1,18}$"
#: Free text: characters.
MOST_TEXT = 200
#: A caller id is taken as it comes, and need be no number.
MOST_CALLER = 100
MOST_TOKEN = 200
#: Names of a contact's own fields that one lookup tells.
MOST_FIELDS = 10

#: How long a call token is good: calls are shorter.
CALL_TOKEN_S = 4 * 3600
#: Changes of one call to numbers that are not its own.
MOST_CHANGES = 5
_TOKEN = re.compile(r"1\.([0-9]{1,12})\.([A-Za-z0-9_-]{8,32})\.([A-Za-z0-9_-]{22})", re.ASCII)

#: What stays of a text that goes into a dialplan. No comma, quote, bracket, dollar, semicolon, ampersand or
#: pipe: nothing that Asterisk's expressions, applications or a shell behind them would take for its own.
_NOT_PLAIN = re.compile(r"[^\w .:@+/-]+")
#: Longest value, so that several fit into one line of AGI.
MOST_VALUE = 120


class Hook(StrEnum):
    """What may be asked; the path of HTTP and of FastAGI."""

    LOOKUP = "lookup"
    OPT_OUT = "opt-out"
    CALLBACK = "callback"
    OUTCOME = "outcome"
    ROUTE = "route"
    CONSENT = "consent"
    SURVEY_ANSWER = "survey-answer"


class Status(StrEnum):
    """DOZVON_STATUS: how a hook ended, for the dialplan to go by."""

    #: answered, written down
    OK = "OK"
    #: nobody has the number; nothing was changed
    NOT_FOUND = "NOT_FOUND"
    #: an argument that is none, a wrong token, too many, not allowed; nothing was changed
    REFUSED = "REFUSED"
    #: no answer in time; nobody knows whether something was changed
    UNAVAILABLE = "UNAVAILABLE"


@dataclass(frozen=True, slots=True)
class Asker:
    """The call that asks."""

    #: Asterisk's Uniqueid
    channel: str
    #: the caller id as Asterisk told it; any text
    caller: str = field(default="", repr=False)
    #: of the answer before; empty: there was none
    call_token: str = field(default="", repr=False)
    #: look whether it would do, change nothing: `dozvon check`
    check: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What the dialplan gets."""

    status: Status
    #: for the next hook of the same call
    call_token: str
    #: channel variables by name; values as `plain` leaves them
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a call that somebody's dialplan had."""

    id: int
    #: Asterisk's Uniqueid
    channel: str
    #: a word of the dialplan's own
    outcome: str
    note: str
    #: None: the call said none
    e164: str | None = field(repr=False)
    #: who has the number; None: nobody, or several
    contact_id: int | None
    #: when it was said last
    at: datetime


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer to a question of a survey."""

    id: int
    #: Asterisk's Uniqueid of the call in which it was given
    channel: str
    survey: str
    question: str
    answer: str
    #: None: the call said none
    e164: str | None = field(repr=False)
    #: who has the number; None: nobody, or several
    contact_id: int | None
    #: when it was given last
    at: datetime


@dataclass(frozen=True, slots=True)
class CallToken:
    """A call token whose signature is right."""

    #: seconds since 1970
    expires_s: int
    nonce: str


# -- call tokens ------------------------------------------------------------------------------------------


def call_token(key: str, channel: str, token: CallToken) -> str:
    """The text of a call token for this channel."""
    body = f"1.{token.expires_s}.{token.nonce}"
    return f"{body}.{_signed(key, channel, body)}"


def read_call_token(key: str, channel: str, text: str, now_s: float) -> CallToken | None:
    """The call token, if it was made with this key for this channel and its time is not over; else None."""
    found = _TOKEN.fullmatch(text) if len(text) <= MOST_TOKEN else None
    if found is None:
        return None
    body = text.rpartition(".")[0]
    if not hmac.compare_digest(_signed(key, channel, body), found[3]) or now_s >= int(found[1]):
        return None
    return CallToken(int(found[1]), found[2])


def digest_of(text: str) -> str:
    """What is kept of a token that was used."""
    return hashlib.sha256(text.encode()).hexdigest()


def _signed(key: str, channel: str, body: str) -> str:
    made = hmac.digest(key.encode(), f"{body}\n{channel}".encode(), "sha256")
    return base64.urlsafe_b64encode(made[:16]).decode().rstrip("=")


# -- what a dialplan is told ------------------------------------------------------------------------------


def plain(value: object) -> str:
    """A value as it stands in a dialplan: one line of letters, digits, spaces and . : @ + / - _"""
    return " ".join(_NOT_PLAIN.sub(" ", str(value)).split())[:MOST_VALUE].rstrip()


def field_variable(name: str) -> str:
    """The channel variable of a contact's own field: `car-model` is DOZVON_FIELD_CAR_MODEL."""
    return "DOZVON_FIELD_" + re.sub(r"[^A-Z0-9]+", "_", name.upper())[:40]


def variables(told: Mapping[str, object]) -> dict[str, str]:
    """Channel variables: True and False as 1 and 0, None as an empty text, so that a variable of an earlier
    answer never stays."""
    return {name: "" if value is None else plain(int(value) if isinstance(value, bool) else value)
            for name, value in told.items()}  # fmt: skip


# -- FastAGI: arguments as texts --------------------------------------------------------------------


def from_query(
    query: Mapping[str, str], numbers: frozenset[str], flags: frozenset[str], lists: frozenset[str]
) -> dict[str, object]:
    """Fields that came as texts as JSON would have them: `numbers` as numbers, `flags` of 1 and 0, `lists` by
    their `|`; what was left empty was not given. One that is none stays a text, to be refused as such."""
    found: dict[str, object] = {}
    for name, text in query.items():
        if text == "":
            continue
        if name in lists:
            found[name] = text.split("|")
        elif name in flags and text in ("0", "1"):
            found[name] = text == "1"
        elif name in numbers and re.fullmatch(DIGITS, text):
            found[name] = int(text)
        else:
            found[name] = text
    return found


def from_arguments(given: Sequence[str]) -> dict[str, str]:
    """The fields of arguments `name=value`; what has no `=` is none of ours, as in the programs."""
    return {name: text for name, so, text in (one.partition("=") for one in given) if so}
