"""The fields of a person's card as pages show them: the tenant's own under their labels, then the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dialer.contacts.fields import Field, FieldType, Misfits, Reader, folded, read_yes_no


@dataclass(frozen=True, slots=True)
class CardField:
    """A field of the card."""

    #: under which it is kept: the header of a file, or the key of a field that has no value yet
    name: str
    #: in the reader's language; of what the tenant has no field for the name
    label: str
    #: as it was written
    value: str
    #: None: the tenant has no such field
    type: FieldType | None = None
    #: what may be chosen, as (value, label)
    choices: tuple[tuple[str, str], ...] = ()
    #: why the value is no value of the field
    misfit: Misfits | None = None


def card_fields(
    fields: Sequence[Field], custom: Mapping[str, str], locale: str, yes: str, no: str
) -> list[CardField]:
    """The fields in the tenant's order, also those without a value, then what the tenant has no field for.
    `yes`, `no`: the words of these answers."""
    reader = Reader(fields)
    _, misfits = reader.read(custom)
    why = {one.name: one.code for one in misfits}
    names: dict[int, list[str]] = {}
    rest = []
    for name in custom:
        field = reader.field_of(name)
        if field is None:
            rest.append(CardField(name, name, custom[name]))
        else:
            names.setdefault(field.id, []).append(name)
    own = [
        CardField(
            name,
            label_of(field, locale),
            value := custom.get(name, ""),
            field.spec.type,
            _choices(field, value, yes, no),
            why.get(name),
        )
        for field in fields
        for name in names.get(field.id, [field.key])
    ]
    return [*own, *rest]


def told(fields: Sequence[Field], custom: Mapping[str, str], locale: str) -> list[tuple[str, str]]:
    """What is known of a person as (label, value), under the labels and in the order of the card's form."""
    return [(one.label, one.value) for one in card_fields(fields, custom, locale, "", "") if one.value]


def label_of(field: Field, locale: str) -> str:
    """What the field is called in the language."""
    return field.spec.label_ru if locale == "ru" else field.spec.label_en


def labels(fields: Sequence[Field], custom: Sequence[str], locale: str) -> dict[str, str]:
    """What each of these names is called; a name that is no field's by itself."""
    reader = Reader(fields)
    found = {name: reader.field_of(name) for name in custom}
    return {name: label_of(field, locale) if field else name for name, field in found.items()}


def _choices(field: Field, value: str, yes: str, no: str) -> tuple[tuple[str, str], ...]:
    """What a person may choose; the value that is there stays as it was written."""
    match field.spec.type:
        case FieldType.YES_NO:
            said = read_yes_no(value)
            return tuple(
                (value if said is answer else word, word) for answer, word in ((True, yes), (False, no))
            )
        case FieldType.CHOICE:
            return tuple((value if folded(one) == folded(value) else one, one) for one in field.spec.choices)
        case _:
            return ()
