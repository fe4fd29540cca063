"""The words of the quality of the base: dead numbers, cleaning, duplicates; see `words`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: kind (the message's context) -> name -> text.
QUALITY_WORDS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "dead": {
            "invalid": "calls",
            "confirmed": "a person",
        },
        "cleaning": {
            "name": "names in their one form",
            "split": "full names taken apart",
            "email": "e-mail addresses in their one form",
            "vin": "VINs in their one form",
            "plate": "number plates in their one form",
            "email_form": "left as it is: no e-mail address",
            "email_domain": "left as it is: a slip in the domain, perhaps",
            "email_letters": "left as it is: Cyrillic letters in an e-mail address",
            "vin_length": "left as it is: a VIN has 17 characters",
            "vin_letters": "left as it is: characters that no VIN has",
            "plate_form": "left as it is: no Russian number plate",
        },
        "merge_field": {
            "last_name": "Last name",
            "first_name": "First name",
            "middle_name": "Middle name",
            "email": "E-mail",
            "timezone": "Time zone",
            "external_id": "Key of an outside CRM",
        },
        "duplicate_field": {
            "phone": "number",
            "email": "e-mail",
            "vin": "VIN",
            "plate": "number plate",
            "address": "address",
            "birth": "birthday",
            "last_name": "last name",
            "first_name": "first name",
            "middle_name": "middle name",
            "name": "last and first name",
            "sex": "a man's and a woman's name",
        },
        "duplicate_kind": {
            "same": "the same",
            "near": "nearly the same",
            "short": "a short form",
            "differs": "different",
            "swapped": "in each other's place",
        },
    }
)
