"""What cleaning would change of a contact that is in the base already. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dialer.contacts import cleaning
from dialer.contacts.persons import kind_of

NAMES: Final = ("last_name", "first_name", "middle_name")
#: What is changed, and what is only marked, in the order in which it is told.
WHAT: Final = ("name", "split", "email", "vin", "plate")
MARKS: Final = tuple(mark.value for mark in cleaning.Mark)


@dataclass(frozen=True, slots=True)
class Finding:
    """One value that is changed or marked."""

    #: a word of WHAT or of MARKS
    what: str
    old: str
    #: of a mark: what was probably meant, where that can be told
    new: str


@dataclass(frozen=True, slots=True)
class Tidied:
    """A contact in its one form."""

    #: columns with new values, `custom` as a whole among them
    changes: Mapping[str, object]
    findings: tuple[Finding, ...]


def tidy(names: Mapping[str, str], email: str, custom: Mapping[str, object]) -> Tidied:
    """What is changed of a contact with these NAMES, e-mail and custom values; what is tidy stays."""
    changes: dict[str, object] = {}
    findings: list[Finding] = []
    new = {name: cleaning.clean_name(names[name]) for name in NAMES}
    findings += [Finding("name", names[name], new[name]) for name in NAMES if new[name] != names[name]]
    if new["last_name"] and not new["first_name"] and not new["middle_name"]:
        parts = cleaning.split_full_name(new["last_name"])
        if parts.certain:
            findings.append(
                Finding("split", new["last_name"], f"{parts.last} | {parts.first} | {parts.middle}")
            )
            new = dict(zip(NAMES, (parts.last, parts.first, parts.middle), strict=True))
    changes |= {name: new[name] for name in NAMES if new[name] != names[name]}
    mail = cleaning.clean_email(email)
    if mail.mark is not None:
        findings.append(Finding(mail.mark.value, email, mail.meant))
    elif mail.value != email:
        findings.append(Finding("email", email, mail.value))
        changes["email"] = mail.value
    values = dict(custom)
    for header, value in custom.items():
        kind = kind_of(header)
        if kind not in ("vin", "plate") or not isinstance(value, str) or not value:
            continue
        found = cleaning.clean_vin(value) if kind == "vin" else cleaning.clean_plate(value)
        if found.mark is not None:
            findings.append(Finding(found.mark.value, value, ""))
        elif found.value != value:
            findings.append(Finding(kind, value, found.value))
            values[header] = found.value
    if values != custom:
        changes["custom"] = values
    return Tidied(changes, tuple(findings))
