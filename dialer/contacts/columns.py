"""Which column of a file is what: by a mapping that a person chose, else by its header in Russian or English.

A header that is not known here is no mistake: its cells are kept in `contact.custom` under it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from dialer.errors import Invalid, NoPhoneColumn
from dialer.said import Said

#: Longest header that is kept, in characters.
MAX_HEADER = 100


class Field(StrEnum):
    """What a column can be."""

    PHONE = "phone"
    LAST_NAME = "last_name"
    FIRST_NAME = "first_name"
    MIDDLE_NAME = "middle_name"
    FULL_NAME = "full_name"
    EMAIL = "email"
    TIMEZONE = "timezone"
    EXTERNAL_ID = "external_id"
    #: of the leads that are made; kept in `contact.custom` too
    PRIORITY = "priority"
    #: what the person agreed to be called for, and where: see `agreed`
    CONSENT_PURPOSE = "consent_purpose"
    CONSENT_SOURCE = "consent_source"
    #: its first day
    CONSENT_FROM = "consent_from"
    #: its last day
    CONSENT_UNTIL = "consent_until"
    CONSENT_PROOF = "consent_proof"
    #: kept in `contact.custom`
    CUSTOM = "custom"
    #: left out
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a file."""

    #: what its cells are
    field: Field
    #: its header, as rejects name it; no two columns have the same
    name: str
    #: of a CUSTOM one: under which name `contact.custom` keeps it; empty: under its header
    key: str = ""

    @property
    def kept_as(self) -> str:
        """The name in `contact.custom`."""
        return self.key or (Field.PRIORITY.value if self.field is Field.PRIORITY else self.name)


# Normal forms (see `_normal`) of the headers that are known.
_NAMES: dict[Field, frozenset[str]] = {
    Field.LAST_NAME: frozenset({"фамилия", "last name", "lastname", "surname", "family name"}),
    Field.FIRST_NAME: frozenset({"имя", "first name", "firstname", "given name"}),
    Field.MIDDLE_NAME: frozenset({"отчество", "middle name", "middlename", "patronymic"}),
    Field.FULL_NAME: frozenset(
        {"фио", "ф и о", "имя клиента", "фио клиента", "клиент", "контакт", "контактное лицо", "full name"}
        | {"fullname", "name", "client", "client name", "customer", "customer name", "contact"}
    ),
    Field.EMAIL: frozenset(
        {"email", "e mail", "mail", "email address", "почта", "электронная почта", "эл почта"}
        | {"адрес электронной почты", "емейл", "имейл"}
    ),
    Field.TIMEZONE: frozenset({"timezone", "time zone", "tz", "часовой пояс", "временная зона", "час пояс"}),
    Field.EXTERNAL_ID: frozenset({"external id", "crm id", "внешний id", "внешний код", "id клиента"}),
    Field.PRIORITY: frozenset({"priority", "приоритет"}),
    Field.CONSENT_PURPOSE: frozenset({"consent purpose", "consent for", "цель согласия", "согласие на"}),
    Field.CONSENT_SOURCE: frozenset({"consent source", "источник согласия", "где дано согласие"}),
    Field.CONSENT_FROM: frozenset({"consent from", "consent date", "дата согласия", "согласие с"}),
    Field.CONSENT_UNTIL: frozenset({"consent until", "согласие до", "согласие по", "срок согласия"}),
    Field.CONSENT_PROOF: frozenset({"consent proof", "подтверждение согласия", "документ согласия"}),
}
_FIELDS = {name: field for field, names in _NAMES.items() for name in names}
# A header is a phone when it has one of the first words, and no words but these: "доп. телефон", "mobile
# phone 2"; not "марка телефона".
_PHONE_WORDS = frozenset(
    {"phone", "phones", "telephone", "tel", "mobile", "cell", "cellphone", "msisdn"}
    | {"телефон", "телефона", "телефоны", "тел", "мобильный", "моб", "сотовый", "сот"}
)
_PHONE_COMPANIONS = frozenset(
    {"номер", "рабочий", "раб", "домашний", "дом", "городской", "контактный", "основной", "дополнительный"}
    | {"доп", "второй", "запасной", "клиента", "контакта", "number", "no", "work", "home", "main", "primary"}
    | {"secondary", "second", "other", "contact", "extra", "customer", "client"}
)


def columns_of(cells: Sequence[str]) -> list[Column]:
    """The columns of a file with this first line; what is not known is `CUSTOM`.

    Of two columns for the same field other than a phone the first counts, the other is custom.
    """
    columns: list[Column] = []
    used: set[str] = set()
    taken: set[Field] = set()
    for position, cell in enumerate(cells, start=1):
        field = field_of(cell)
        if field in taken and field is not Field.PHONE:
            field = Field.CUSTOM
        taken.add(field)
        columns.append(Column(field, _unused(" ".join(cell.split())[:MAX_HEADER] or f"#{position}", used)))
    return columns if _tells_consents(columns) else [_no_consent(column) for column in columns]


#: Columns whose cells `contact.custom` keeps.
KEPT = frozenset({Field.CUSTOM, Field.PRIORITY})
#: A cell of priorities, as leads have them.
PRIORITY_CELL = re.compile(r"[+-]?[0-9]{1,3}")
#: Columns that tell of a consent; the first two are needed.
CONSENT = (
    Field.CONSENT_PURPOSE,
    Field.CONSENT_SOURCE,
    Field.CONSENT_FROM,
    Field.CONSENT_UNTIL,
    Field.CONSENT_PROOF,
)


def _tells_consents(columns: Sequence[Column]) -> bool:
    return {column.field for column in columns}.issuperset(CONSENT[:2])


def _no_consent(column: Column) -> Column:
    """A column of consents among too few of them: it is kept as it is written."""
    return replace(column, field=Field.CUSTOM) if column.field in CONSENT else column


def with_phone(columns: Sequence[Column]) -> list[Column]:
    """The columns, if one of them is a phone. Raises NoPhoneColumn."""
    if not any(column.field is Field.PHONE for column in columns):
        raise NoPhoneColumn(columns=", ".join(column.name for column in columns[:20]))
    return list(columns)


def mapped(columns: Sequence[Column], mapping: Mapping[str, str]) -> list[Column]:
    """The columns as a person wants them read: `mapping` has what each header is, and leaves out nothing that
    it does not name.

    A value is a word of `Field`, or `custom:NAME` for a custom field of that name. A header that the file
    does not have is passed over: a saved mapping serves files that differ. A column that the mapping does not
    name gives way where the mapping has another one for its field. Raises Invalid, NoPhoneColumn.
    """
    chosen = {header: _wanted(header, wanted) for header, wanted in mapping.items()}
    names = {column.name for column in columns}
    taken: set[Field] = set()
    for header, (field, _) in chosen.items():
        if header in names and field in taken:
            raise Invalid(
                field="mapping",
                reason=Said("two columns are {field}: one of them must go", field=field.value),
            )
        if header in names and field not in _SEVERAL:
            taken.add(field)
    found = []
    for column in columns:
        if column.name in chosen:
            field, key = chosen[column.name]
            found.append(replace(column, field=field, key=key))
        elif column.field in taken:
            found.append(replace(column, field=Field.CUSTOM))
        else:
            found.append(column)
    if not _tells_consents(found):
        lost = next((one for one in found if one.field in CONSENT and one.name in chosen), None)
        if lost is not None:
            raise Invalid(
                field="mapping",
                reason=Said(
                    "{header} is of a consent: what it was given for and its source must be columns too",
                    header=lost.name,
                ),
            )
        found = [_no_consent(column) for column in found]
    return with_phone(found)


#: Fields that several columns may be.
_SEVERAL = frozenset({Field.PHONE, Field.CUSTOM, Field.SKIP})


def _wanted(header: str, wanted: str) -> tuple[Field, str]:
    word, _, key = wanted.partition(":")
    try:
        field = Field(word)
    except ValueError:
        field = Field.SKIP
        key = wanted
    if key and (field is not Field.CUSTOM or len(key) > MAX_HEADER):
        raise Invalid(
            field="mapping",
            reason=Said("{wanted} is nothing that {header} can be", wanted=wanted, header=header),
        )
    return field, key


def field_of(header: str) -> Field:
    """What a column with this header is."""
    name = _normal(header)
    if field := _FIELDS.get(name):
        return field
    words = set(name.split())
    is_phone = words & _PHONE_WORDS and words <= _PHONE_WORDS | _PHONE_COMPANIONS
    return Field.PHONE if is_phone else Field.CUSTOM


def _normal(header: str) -> str:
    """Small letters, ё as е, one space for anything that is no letter, a number at the end left out."""
    words = re.sub(r"[\W_]+", " ", header.casefold().replace("ё", "е")).strip()
    return re.sub(r"\s*\d+$", "", words)


def _unused(name: str, used: set[str]) -> str:
    candidate, number = name, 2
    while candidate in used:
        candidate, number = f"{name} ({number})", number + 1
    used.add(candidate)
    return candidate
