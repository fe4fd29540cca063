"""The link from a call to the same person in an outside CRM: a campaign's template, filled in.

`https://crm.example.org/find?phone={phone}&key={external_id}`. What is filled in is encoded, and stands
behind the host only: nobody's name leads to another server.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from dialer.names import HOST
from dialer.said import Said

#: What a template may name.
VARIABLES: Final = (
    *("phone", "external_id", "contact_id", "first_name", "last_name", "email"),
    *("call_id", "lead_id", "campaign_id"),
)
LONGEST: Final = 1000
_HEAD = re.compile(r"(https?://([^/:{}]+)(?::[0-9]{1,5})?)/")
_VARIABLE = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class CrmLink:
    """A person's page in the CRM."""

    url: str
    #: shown in a frame of the desk; else in a tab of its own
    frame: bool


def check(template: str) -> str:
    """The template as it is, when it can be filled in. Raises ValueError."""
    if not template.isascii() or not template.isprintable() or " " in template:
        raise ValueError(Said("must be an address without blanks, other letters as %D0%90"))
    if origin(template) is None:
        raise ValueError(Said("must begin with https:// or http://, a server and a /"))
    if unknown := set(_VARIABLE.findall(template)) - set(VARIABLES):
        expected = ", ".join(VARIABLES)
        raise ValueError(
            Said("{name}: must be one of: {expected}", name=f"{{{min(unknown)}}}", expected=expected)
        )
    if re.search(r"[{}]", _VARIABLE.sub("", template)):
        raise ValueError(Said("a brace is not closed"))
    return template


def origin(template: str) -> str | None:
    """The server of a template, as a browser's rules name it; None: it has none."""
    found = _HEAD.match(template)
    return found[1] if found and re.fullmatch(HOST, found[2]) else None


def filled(template: str, values: Mapping[str, object]) -> str:
    """The address; what is not known is empty."""

    def value(found: re.Match[str]) -> str:
        known = values.get(found[1])
        return "" if known is None else quote(str(known), safe="")

    return _VARIABLE.sub(value, template)
