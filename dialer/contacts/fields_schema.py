"""Fields as a JSON Schema (2020-12) of a contact's custom values, and back. Pure.

{"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
 "properties": {"credit_end": {"type": "string", "format": "date", "title": "Credit ends",
                               "x-title-ru": "Конец кредита", "x-names": ["loan end"]}},
 "required": [...]}

text     {"type": "string", "pattern": "^...$"}        number   {"type": "number", "minimum", "maximum"}
date     {"type": "string", "format": "date"}          money    the same with "x-unit": "money"
choice   {"type": "string", "enum": [...]}             yes_no   {"type": "boolean"}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dialer.contacts.fields import MAX_CHOICES, MAX_FIELDS, MAX_LABEL, FieldSpec, FieldType

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TOP = frozenset(
    {"$schema", "$id", "title", "description", "type", "properties", "required", "additionalProperties"}
)
_COMMON = frozenset({"type", "title", "description", "x-title-ru", "x-names"})
_MORE: Mapping[FieldType, frozenset[str]] = {
    FieldType.TEXT: frozenset({"pattern"}),
    FieldType.NUMBER: frozenset({"minimum", "maximum"}),
    FieldType.MONEY: frozenset({"minimum", "maximum", "x-unit"}),
    FieldType.DATE: frozenset({"format"}),
    FieldType.CHOICE: frozenset({"enum"}),
    FieldType.YES_NO: frozenset(),
}
_SHAPES: Mapping[FieldType, dict[str, Any]] = {
    FieldType.TEXT: {"type": "string"},
    FieldType.NUMBER: {"type": "number"},
    FieldType.MONEY: {"type": "number", "x-unit": "money"},
    FieldType.DATE: {"type": "string", "format": "date"},
    FieldType.CHOICE: {"type": "string"},
    FieldType.YES_NO: {"type": "boolean"},
}


class SchemaFault(ValueError):
    """A schema that says no fields: (where in it, why)."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason


def to_schema(specs: Iterable[FieldSpec]) -> dict[str, Any]:
    """The schema of these fields."""
    specs = list(specs)
    return {
        "$schema": DIALECT,
        "type": "object",
        "properties": {spec.key: _property(spec) for spec in specs},
        "required": [spec.key for spec in specs if spec.required],
    }


def _property(spec: FieldSpec) -> dict[str, Any]:
    said: dict[str, Any] = {**_SHAPES[spec.type], "title": spec.label_en, "x-title-ru": spec.label_ru}
    if spec.names:
        said["x-names"] = list(spec.names)
    if spec.choices:
        said["enum"] = list(spec.choices)
    if spec.pattern is not None:
        said["pattern"] = f"^{spec.pattern}$"
    if spec.minimum is not None:
        said["minimum"] = spec.minimum
    if spec.maximum is not None:
        said["maximum"] = spec.maximum
    return said


def from_schema(schema: object) -> list[FieldSpec]:
    """The fields that a schema says, in its order. Raises SchemaFault."""
    top = _object(schema, "")
    _known(top, _TOP, "")
    if top.get("$schema", DIALECT) != DIALECT:
        raise SchemaFault("$schema", "must be the dialect 2020-12")
    if top.get("type", "object") != "object":
        raise SchemaFault("type", "must be an object")
    if "properties" not in top:
        # An empty one archives every field; whoever wants that says so.
        raise SchemaFault("properties", "is missing")
    properties = _object(top["properties"], "properties")
    if len(properties) > MAX_FIELDS:
        raise SchemaFault("properties", "are too many")
    required = _texts(top.get("required", []), "required")
    for key in required:
        if key not in properties:
            raise SchemaFault("required", "names a field that is not there")
    return [
        _spec(key, _object(said, f"properties.{key}"), key in required) for key, said in properties.items()
    ]


def _spec(key: str, said: Mapping[str, Any], required: bool) -> FieldSpec:
    path = f"properties.{key}"
    kind = _type_of(said, path)
    _known(said, _COMMON | _MORE[kind], path)
    pattern = said.get("pattern")
    if pattern is not None and not isinstance(pattern, str):
        raise SchemaFault(f"{path}.pattern", "must be a text")
    if pattern is not None and not (pattern.startswith("^") and pattern.endswith("$")):
        raise SchemaFault(f"{path}.pattern", "must begin with ^ and end with $: it is of the whole text")
    title = _text(said.get("title", key), f"{path}.title")
    return FieldSpec(
        key=key,
        label_ru=_text(said.get("x-title-ru", title), f"{path}.x-title-ru"),
        label_en=title,
        type=kind,
        names=tuple(_texts(said.get("x-names", []), f"{path}.x-names")),
        choices=tuple(_texts(said.get("enum", []), f"{path}.enum")),
        required=required,
        pattern=pattern[1:-1] if pattern is not None else None,
        minimum=_number(said.get("minimum"), f"{path}.minimum"),
        maximum=_number(said.get("maximum"), f"{path}.maximum"),
    )


def _type_of(said: Mapping[str, Any], path: str) -> FieldType:
    match said.get("type"):
        case "string" if "enum" in said:
            return FieldType.CHOICE
        case "string" if said.get("format") == "date":
            return FieldType.DATE
        case "string" if "format" not in said:
            return FieldType.TEXT
        case "string":
            raise SchemaFault(f"{path}.format", "must be date, or not there")
        case "number" if said.get("x-unit") == "money":
            return FieldType.MONEY
        case "number":
            return FieldType.NUMBER
        case "boolean":
            return FieldType.YES_NO
    raise SchemaFault(f"{path}.type", "must be string, number or boolean")


def _known(said: Mapping[str, Any], names: frozenset[str], path: str) -> None:
    for name in said:
        if name not in names:
            raise SchemaFault(f"{path}.{name}".lstrip("."), "is not known here")


def _object(value: object, path: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise SchemaFault(path or "body", "must be an object")
    return value


def _text(value: object, path: str) -> str:
    if not isinstance(value, str):
        raise SchemaFault(path, "must be a text")
    if not 0 < len(value.strip()) <= MAX_LABEL or not value.isprintable():
        raise SchemaFault(path, "does not have the right form")
    return value.strip()


def _texts(value: object, path: str) -> list[str]:
    if not isinstance(value, list):
        raise SchemaFault(path, "must be a list")
    if len(value) > MAX_CHOICES:
        raise SchemaFault(path, "are too many")
    return [_text(one, path) for one in value]


def _number(value: object, path: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise SchemaFault(path, "must be a number")
    return float(value)
