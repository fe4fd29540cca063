"""The words of scripts: what is done in a talk, and what it is told. See `words`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: kind (the message's context) -> name -> text
SCRIPT_WORDS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "script_action": {
            "book_visit": "Book the visit",
            "send_letter": "Send the letter",
            "schedule_callback": "Promise the call",
            "do_not_call": "Never call again",
        },
        "script_done": {
            "book_visit": "The visit is booked.",
            "send_letter": "The letter is on its way.",
            "schedule_callback": "The call is promised.",
            "do_not_call": "The number is on the list.",
        },
        "script_version": {
            "draft": "draft",
            "live": "live",
            "retired": "retired",
        },
        "script_step": {
            "text": "says",
            "question": "asks",
            "branch": "decides",
            "action": "does",
            "knowledge": "looks up",
            "end": "ends",
        },
        "script_kind": {
            "text": "text",
            "number": "number",
            "date": "date",
            "datetime": "date and time",
            "choice": "choice",
            "yes_no": "yes or no",
            "phone": "phone number",
        },
        "script_exit": {
            "objection": "objection",
            "critical": "critical",
        },
        "visit": {
            "booked": "booked",
            "kept": "came",
            "missed": "did not come",
            "canceled": "called off",
        },
        "script_told": {
            "at": "when",
            "place": "where",
            "note": "note",
            "to": "to",
            "subject": "subject",
            "text": "text",
        },
    }
)
