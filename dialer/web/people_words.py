"""The words of people's cards: what happened, consents, kinds of numbers, fields. See `words`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: kind (the message's context) -> name -> text
PEOPLE_WORDS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "callback": {
            "waiting": "promised",
            "due": "due",
            "late": "late",
            "dialling": "in a call",
            "done": "done",
            "missed": "not reached",
            "canceled": "canceled",
        },
        "callback_away": {
            "anyone": "after the wait any agent calls",
            "wait": "it waits for its agent",
            "supervisor": "it waits, and the supervisors are told",
        },
        "callback_moved": {
            "hours": "Nobody may be called there at that time.",
            "limits": "The person was called as often as is allowed.",
            "redial": "After the last call nobody may call yet.",
            "do_not_call": "The number is not called for a time.",
            "consent": "The person has not agreed to calls.",
            "zone": "Nobody knows in which zone the person is.",
            "quota": "As many talks as are wanted were had.",
            "trunk": "The trunks do not call this number.",
        },
        "callback_reason": {
            "answered": "talked with",
            "replaced": "another time was promised",
            "do_not_call": "the person is not to be called",
            "duplicate": "the person has another card",
            "erased": "the person was erased",
            "dead_number": "the number is dead",
            "came_back": "the person has called again",
        },
        "history": {
            "created": "The card was made",
            "changed": "Changed",
            "phone_added": "A number was added",
            "phone_changed": "A number was changed",
            "phone_removed": "A number was taken off",
            "phones_ordered": "The order of numbers was changed",
            "phone_dead": "A number leads to nobody",
            "phone_revived": "A number is alive again",
            "merged": "Another contact became part of this one",
            "merge_undone": "The other contact was taken out again",
            "cleaned": "Values were brought to one form",
            "exported": "All that is kept was given out",
            "erased": "Erased",
            "missed": "Missed",
            "list": "Came into the list",
            "lead": "Came into the campaign",
            "consent": "Has agreed to calls",
            "withdrawal": "Agrees to calls no more",
            "callback": "Was promised a call",
            "callback_moved": "The promised call was moved",
            "callback_put_off": "The promised call was put off",
            "callback_done": "The promise was kept",
            "callback_missed": "The promised call reached nobody",
            "callback_canceled": "The promised call was taken back",
            "visit": "Was booked for a visit",
            "refusal": "Put on do-not-call",
            "refusal_end": "Taken off do-not-call",
        },
        "consent": {
            "given": "holds",
            "withdrawn": "withdrawn",
            "expired": "over",
            "not_yet": "begins later",
        },
        "phone_kind": {
            "mobile": "mobile",
            "fixed_line": "landline",
            "fixed_line_or_mobile": "landline or mobile",
            "toll_free": "toll-free",
            "voip": "internet telephony",
            "shared_cost": "shared cost",
            "personal_number": "personal number",
            "uan": "company number",
            "pager": "pager",
            "voicemail": "voice mail",
        },
        "card_field": {
            "last_name": "Last name",
            "first_name": "First name",
            "middle_name": "Middle name",
            "email": "E-mail",
            "timezone": "Time zone",
            "external_id": "Number in the CRM",
            "number": "Number",
            "label": "What it is called",
            "good": "Hours of calling",
        },
    }
)
