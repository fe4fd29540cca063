"""Where a person stands in the database: a line a table. Export and erasure go by these lines, and by nothing
else; a test holds that no table with a contact, a number or cells of files is missing.

What becomes of a row in an erasure:

- *delete*: it says something of the person alone;
- *blank*: others need it (a call is counted in reports), without what tells who it was;
- *keep*: nothing of a person is in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    Table,
    Text,
    and_,
    case,
    cast,
    false,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB, JSONPATH, array

from dialer.db import tables as t

#: What stands for the number of a lead or a call whose person is erased; the lead's or contact's id follows.
ERASED = "erased-"


@dataclass(frozen=True, slots=True)
class Whose:
    """Of whom rows are looked for."""

    tenant_id: int
    contact_id: int
    #: every number that is or was theirs, E.164
    numbers: tuple[str, ...]
    #: of these, the ones that no other contact has
    own_numbers: tuple[str, ...]
    #: last, first and middle name, as far as known
    names: tuple[str, ...]
    emails: tuple[str, ...]


Find = Callable[[Whose], ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class Place:
    """A table with rows of people."""

    table: Table
    #: which of its rows are the person's
    of: Find
    #: columns that are blanked with what is put there; empty: the row is deleted
    blank: Mapping[str, ColumnElement[Any] | str | Callable[[Whose], ColumnElement[Any]]] = field(
        default_factory=dict
    )
    #: whether the rows are given out in an export: they are the person's, not only like them
    exported: bool = True


def _by(table: Table, *columns: str) -> Find:
    """Rows that name the contact in one of these columns."""
    return lambda whose: or_(*(table.c[name] == whose.contact_id for name in columns))


def _word(text: str) -> str:
    """Words with one space around each."""
    return " " + " ".join(re.findall(r"[^\W_]+", text.lower())) + " "


def _tail(number: str) -> str:
    """The last ten digits: however the country is written before them."""
    return number.lstrip("+")[-10:]


def _digits(column: ColumnElement[Any], whose: Whose) -> list[ColumnElement[bool]]:
    plain = func.regexp_replace(cast(column, String), r"\D", "", "g")
    return [func.strpos(plain, _tail(number)) > 0 for number in whose.own_numbers]


def _has(column: ColumnElement[Any], texts: Sequence[str]) -> list[ColumnElement[bool]]:
    """Texts with one of these, word by word: "Ли" is not in "Лидия"."""
    plain = (
        literal(" ") + func.regexp_replace(func.lower(cast(column, String)), "[^[:alnum:]]+", " ", "g") + " "
    )
    return [func.strpos(plain, word) > 0 for text in texts if len(word := _word(text)) > 3]


def _in_cell(whose: Whose) -> ColumnElement[bool]:
    value = t.import_reject.c.value
    return or_(false(), *_digits(value, whose), *_has(value, (*whose.names, *whose.emails)))


def _in_numbers_file(whose: Whose) -> ColumnElement[bool]:
    rejects = t.do_not_call_import.c.rejects
    return or_(false(), *_digits(rejects, whose), *_has(rejects, (*whose.names, *whose.emails)))


#: Rows and codes stay, what stood there goes.
_WITHOUT_VALUES: ColumnElement[Any] = literal_column(
    "(SELECT coalesce(jsonb_agg(jsonb_build_array(one.said -> 0, one.said -> 1, NULL)), '[]')"
    " FROM jsonb_array_elements(do_not_call_import.rejects) AS one (said))",
    JSONB,
)


def _in_reply(whose: Whose) -> ColumnElement[bool]:
    """Replies with the person's card: by a number, an e-mail, or the whole of the name."""
    reply = t.idempotency.c.reply
    names = _has(reply, whose.names)
    named = [and_(*names)] if names else []
    return or_(false(), *_digits(reply, whose), *_has(reply, whose.emails), *named)


def _in_command(whose: Whose) -> ColumnElement[bool]:
    c = t.command.c
    return or_(false(), *_digits(c.payload, whose), *_digits(c.reply, whose))


def _in_examples(whose: Whose) -> ColumnElement[bool]:
    examples = t.cleaning_run.c.examples
    path = cast(literal("$.*[*][0] ? (@ == $id)"), JSONPATH)
    return func.jsonb_path_exists(examples, path, func.jsonb_build_object("id", whose.contact_id))


def _called(whose: Whose) -> ColumnElement[Any]:
    """What stands for the number of a call. Numbers typed by hand stay as many as they were, for reports."""
    a = t.attempt.c
    typed = [
        (a.e164 == number, literal(f"{ERASED}{whose.contact_id}-{place}"))
        for place, number in enumerate(whose.own_numbers, start=1)
    ]
    return case((a.contact_id.is_not(None), literal(f"{ERASED}{whose.contact_id}")), *typed, else_=a.e164)


def _calls(whose: Whose) -> ColumnElement[bool]:
    a = t.attempt.c
    typed = and_(a.contact_id.is_(None), a.e164.in_(whose.own_numbers))
    return or_(a.contact_id == whose.contact_id, typed)


def _came(whose: Whose) -> ColumnElement[bool]:
    """Calls in which the person has called us."""
    c = t.inbound_call.c
    unknown = and_(c.contact_id.is_(None), c.e164.in_(whose.own_numbers))
    return or_(c.contact_id == whose.contact_id, unknown)


def _inbound(whose: Whose) -> Select[tuple[Any]]:
    c = t.inbound_call.c
    return select(c.id).where(c.tenant_id == whose.tenant_id, _came(whose))


def _outbound(whose: Whose) -> Select[tuple[Any]]:
    c = t.attempt.c
    return select(c.id).where(c.tenant_id == whose.tenant_id, _calls(whose))


def _recordings(whose: Whose) -> ColumnElement[bool]:
    r = t.recording.c
    messages = select(t.voicemail.c.id).where(t.voicemail.c.tenant_id == whose.tenant_id, _left(whose))
    return or_(
        r.attempt_id.in_(_outbound(whose)),
        r.inbound_call_id.in_(_inbound(whose)),
        r.voicemail_id.in_(messages),
    )


def _recording_marks(whose: Whose) -> ColumnElement[bool]:
    r = t.recording.c
    talks = select(r.id).where(r.tenant_id == whose.tenant_id, _recordings(whose))
    return t.recording_mark.c.recording_id.in_(talks)


def _left(whose: Whose) -> ColumnElement[bool]:
    """Messages that the person has left."""
    return _in_calls(t.voicemail, whose)


def _way(whose: Whose) -> ColumnElement[bool]:
    return _in_calls(t.flow_step, whose)


def _in_script(whose: Whose) -> ColumnElement[bool]:
    return _in_calls(t.script_run, whose)


def _reviewed(whose: Whose) -> ColumnElement[bool]:
    return _in_calls(t.review, whose)


def _calibrated(whose: Whose) -> ColumnElement[bool]:
    return _in_calls(t.calibration, whose)


def _surveyed(whose: Whose) -> ColumnElement[bool]:
    return _in_calls(t.talk_survey, whose)


def _in_calls(table: Table, whose: Whose) -> ColumnElement[bool]:
    """What there was in calls of the person, to us and of ours."""
    return or_(table.c.call_id.in_(_inbound(whose)), table.c.attempt_id.in_(_outbound(whose)))


def _told(table: Table) -> Find:
    """What a dialplan has told: of the contact, or of a number that nobody else has."""
    c = table.c
    return lambda whose: or_(
        c.contact_id == whose.contact_id, and_(c.contact_id.is_(None), c.e164.in_(whose.own_numbers))
    )


_NO_JSON = cast(literal("{}"), JSONB)
_OPEN_CALLBACK = t.callback.c.state.in_(("waiting", "dialling"))
_NOT_OPEN = case((_OPEN_CALLBACK, "canceled"), else_=t.callback.c.state)
_ENDED = case((_OPEN_CALLBACK, func.now()), else_=t.callback.c.ended_at)
_LEAD_NUMBER = literal(ERASED) + cast(t.lead.c.id, String)

#: Every table with something of people in it, in the order in which an erasure goes through them.
PLACES: Final[Sequence[Place]] = (
    Place(t.list_contact, _by(t.list_contact, "contact_id")),
    Place(t.contact_key, _by(t.contact_key, "contact_id"), exported=False),
    Place(t.contact_value, _by(t.contact_value, "contact_id")),
    Place(t.contact_misfit, _by(t.contact_misfit, "contact_id")),
    Place(t.contact_activity, _by(t.contact_activity, "contact_id")),
    Place(t.contact_merge, _by(t.contact_merge, "survivor_id", "merged_id")),
    Place(t.duplicate_pair, _by(t.duplicate_pair, "first_id", "second_id"), exported=False),
    Place(t.cleaning_run, _in_examples, {"examples": _NO_JSON}, exported=False),
    Place(t.contact_event, _by(t.contact_event, "contact_id")),
    # That something was agreed to remains: it is the proof of the calls that were made.
    Place(t.consent, _by(t.consent, "contact_id"), {"source": "", "proof": ""}),
    Place(
        t.lead,
        _by(t.lead, "contact_id"),
        {
            "e164": _LEAD_NUMBER,
            "timezones": array([], type_=Text),
            "status": "closed",
            "hold": null(),
            "closed_reason": "erased",
        },
    ),
    # That a call was promised remains, as the call does.
    Place(
        t.callback,
        _by(t.callback, "contact_id"),
        {"note": "", "state": _NOT_OPEN, "reason": "erased", "ended_at": _ENDED},
    ),
    # That somebody was to be called in turn remains, for the figures of the queue.
    Place(
        t.kept_place,
        _told(t.kept_place),
        {
            "e164": lambda whose: literal(f"{ERASED}{whose.contact_id}"),
            "reason": "",
            "stage": case((t.kept_place.c.ended_at.is_(None), "dropped"), else_=t.kept_place.c.stage),
            "why": case((t.kept_place.c.ended_at.is_(None), "erased"), else_=t.kept_place.c.why),
            "ended_at": func.coalesce(t.kept_place.c.ended_at, func.now()),
        },
    ),
    Place(t.hook_outcome, _told(t.hook_outcome)),
    Place(t.survey_answer, _told(t.survey_answer)),
    # That a visit was agreed remains, as the talk does.
    Place(t.visit, _by(t.visit, "contact_id"), {"place": "", "note": ""}),
    Place(t.letter, _by(t.letter, "contact_id")),
    Place(t.offer_answer, _by(t.offer_answer, "contact_id")),
    # After everything that finds calls by their number.
    Place(t.recording_mark, _recording_marks),
    # Also one that is kept past its term.
    Place(t.recording, _recordings, {"status": "erasing", "hold_reason": ""}),
    # That there was a message remains, for its call's result.
    Place(t.voicemail, _left, {"deleted_at": func.coalesce(t.voicemail.c.deleted_at, func.now())}),
    # That a talk went by a script stays, for the script's figures; what was answered does not.
    Place(t.script_run, _in_script, {"answers": _NO_JSON}),
    # How good the talk was stays, for the agent's figures; what was written about it does not.
    Place(t.review, _reviewed, {"comment": ""}),
    Place(t.calibration, _calibrated, {"reason": ""}, exported=False),
    # That they were asked stays; what they have answered does not.
    Place(t.talk_survey, _surveyed, {"answers": _NO_JSON}),
    # The way through the flow stays, for its figures; what was pressed does not.
    Place(t.flow_step, _way, {"collected": _NO_JSON}),
    Place(
        t.attempt,
        _calls,
        {"e164": _called, "disposition_note": null(), "collected": null(), "reason": null()},
    ),
    Place(
        t.inbound_call,
        _came,
        {
            "e164": lambda whose: literal(f"{ERASED}{whose.contact_id}"),
            "collected": _NO_JSON,
            "reason": null(),
            "disposition_note": null(),
        },
    ),
    # It goes on a little earlier.
    Place(
        t.lead_change,
        lambda whose: t.lead_change.c.after_e164.in_(whose.own_numbers),
        {"after_e164": func.left(t.lead_change.c.after_e164, 6)},
        exported=False,
    ),
    # Whoever asked not to be called stays known by a digest, see `erasure`.
    Place(t.do_not_call, lambda whose: t.do_not_call.c.mark.in_(whose.own_numbers)),
    Place(t.contact_phone, _by(t.contact_phone, "contact_id")),
    Place(t.import_reject, _in_cell, {"value": ""}, exported=False),
    Place(t.do_not_call_import, _in_numbers_file, {"rejects": _WITHOUT_VALUES}, exported=False),
    Place(t.command, _in_command, exported=False),
    Place(t.idempotency, _in_reply, exported=False),
    Place(
        t.contact,
        lambda whose: t.contact.c.id == whose.contact_id,
        {
            "external_id": null(),
            "last_name": "",
            "first_name": "",
            "middle_name": "",
            "email": "",
            "timezone": null(),
            "custom": _NO_JSON,
        },
    ),
    # Last: writes to the tables above have put the contact there.
    Place(t.duplicate_todo, _by(t.duplicate_todo, "contact_id"), exported=False),
)

#: Tables in which nothing of a person is, although a column of theirs looks so; and why.
NOTHING_THERE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "active_number": "only while a call goes on, and then nobody is erased",
        "agent": "of our own people: levels of their skills",
        "alert": "what was near its limit: a campaign, a queue, a trunk, one of our own people",
        "app_user": "of our own people: their keys of the desk",
        "audit": "who changed which field of which contact, never its value",
        "campaign": "settings",
        "campaign_quota": "how many are wanted of a kind",
        "destination": "phones and numbers that the company has listed",
        "event": "ids of what happened, and gone after a day",
        "flow_version": "what callers hear",
        "forward": "numbers that the company has listed",
        "inbound_number": "numbers of the company",
        "import_job": "how a file is read, and how many of its rows were what",
        "import_mapping": "headers of files",
        "opening_hours": "when it is open",
        "pacing_tick": "numbers of a decision",
        "policy": "rules",
        "review_form_version": "by what talks are scored",
        "rfm_grid": "sizes of groups",
        "script_version": "what agents say",
        "segment": "whom somebody wanted to choose",
        "forgotten_number": "a salted hash, kept because the person asked for it",
    }
)
