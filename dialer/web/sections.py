"""The parts of the site as its navigation has them: what a person may open, by two rows of links. Pure.

A part with several pages has a row of its own under the first, which stands there while one of them is open:
nothing has to be unfolded, by whatever means one goes along it. Of a part in which a person may open one page
only, that page stands in the first row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dialer.httpkit.access import Actor, Right


@dataclass(frozen=True, slots=True)
class Section:
    """A page of the navigation."""

    #: where it is
    href: str
    #: a word of `section`
    name: str
    #: any of these lets a person open it
    rights: tuple[Right, ...]
    #: further pages that belong to it, by how their paths begin
    others: tuple[str, ...] = ()

    def has(self, path: str) -> bool:
        """Whether the page belongs to it."""
        return any(path == one or path.startswith(f"{one}/") for one in (self.href, *self.others))


@dataclass(frozen=True, slots=True)
class Part:
    """Pages that belong together, under one name."""

    #: a word of `section`
    name: str
    sections: tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """A link of a row."""

    href: str
    name: str
    #: the page that is open is this one, or of this part
    current: bool
    #: a part's: the links of its own row
    row: Sequence[Shown] = ()


SITE: Final[Sequence[Section | Part]] = (
    Section("/board", "board", (Right.REPORTS_READ,)),
    Section("/campaigns", "campaigns", (Right.CAMPAIGNS_READ,)),
    Part(
        "calls",
        (
            Section("/calls", "call_log", (Right.CALLS_READ,)),
            Section("/recordings", "recordings", (Right.RECORDINGS_LISTEN, Right.WORK)),
            Section("/reviews", "reviews", (Right.REVIEWS_READ, Right.WORK)),
            Section("/surveys", "surveys", (Right.REVIEWS_READ,)),
        ),
    ),
    Section("/callbacks", "callbacks", (Right.CALLS_READ, Right.WORK)),
    Part(
        "incoming",
        (
            Section("/incoming", "incoming_calls", (Right.CALLS_READ,)),
            Section("/queues", "queues", (Right.CAMPAIGNS_READ,)),
            Section("/flows", "flows", (Right.CAMPAIGNS_READ,)),
            Section("/numbers", "numbers", (Right.CAMPAIGNS_READ,)),
            Section("/hours", "hours", (Right.CAMPAIGNS_READ,)),
            Section("/offers", "offers", (Right.CAMPAIGNS_READ,)),
            Section("/voicemail", "voicemail", (Right.CALLS_READ, Right.WORK)),
        ),
    ),
    Section("/agents", "agents", (Right.AGENTS_READ,)),
    Part(
        "customers",
        (
            Section("/contacts", "contacts", (Right.CONTACTS_READ,), ("/why-not",)),
            Section("/lists", "lists", (Right.CONTACTS_READ,), ("/imports",)),
            Section("/segments", "segments", (Right.CONTACTS_READ,), ("/fields", "/grids")),
            Section("/visits", "visits", (Right.CALLS_READ,)),
            Section("/do-not-call", "do_not_call", (Right.CONTACTS_READ,)),
        ),
    ),
    Part(
        "set_up",
        (
            Section("/trunks", "trunks", (Right.TRUNKS_READ,)),
            Section("/destinations", "destinations", (Right.TRUNKS_READ,)),
            Section("/hosts", "hosts", (Right.CAMPAIGNS_READ,)),
            Section("/policies", "policies", (Right.CAMPAIGNS_READ,)),
            Section("/scripts", "scripts", (Right.CAMPAIGNS_READ,)),
            Section("/knowledge", "knowledge", (Right.CAMPAIGNS_READ, Right.WORK)),
            Section("/prompts", "prompts", (Right.CAMPAIGNS_READ,)),
            Section("/users", "users", (Right.USERS_EDIT,)),
        ),
    ),
    Section("/desk", "desk", (Right.WORK,)),
)


def shown(actor: Actor, path: str) -> list[Shown]:
    """The first row for a person at a page; the part that is open has its row."""
    found = []
    for one in SITE:
        if isinstance(one, Section):
            found += _row(actor, path, (one,))
            continue
        row = _row(actor, path, one.sections)
        if len(row) < 2:
            found += row
        else:
            here = any(each.current for each in row)
            found.append(Shown(row[0].href, one.name, here, row))
    return found


def _row(actor: Actor, path: str, sections: Sequence[Section]) -> list[Shown]:
    return [Shown(one.href, one.name, one.has(path)) for one in sections if any(map(actor.may, one.rights))]
