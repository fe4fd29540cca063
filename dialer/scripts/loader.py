"""A script from its text: read, held against the schema, checked; what is wrong has its line and path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from dialer.errors import BadFlow, BadScript
from dialer.reasons import reason_of
from dialer.said import told
from dialer.scripts import checks
from dialer.scripts.model import MOST_STEPS, RETURN, STEPS, Exit, Script, Step
from ivr_flows.model import LANGUAGES, Problem
from ivr_flows.yamlfile import Path, named, read

#: What a script may have, with whether it must.
SCRIPT: Final[Mapping[str, bool]] = {
    "name": True, "title": False, "language": False, "first": True, "steps": True, "exits": False,
}  # fmt: skip
MOST_EXITS: Final = 20
Made = TypeVar("Made", bound=BaseModel)


def load(text: str, *, source: str = "", checked: bool = True) -> Script:
    """The script of a YAML or JSON text. Raises BadScript with all that is wrong; `checked=False` takes one
    that leads nowhere yet."""
    try:
        found = read(text, source)
    except BadFlow as error:
        raise BadScript(error.problems, source) from error
    return _Build(found.value, found.lines, source).script(checked=checked)


def from_document(document: Any, *, source: str = "", checked: bool = True) -> Script:
    """The script of values as JSON has them. Raises BadScript, without lines."""
    return _Build(document, {}, source).script(checked=checked)


class _Build:
    """A script that is being made; it collects what is wrong."""

    def __init__(self, document: Any, lines: Mapping[Path, int], source: str) -> None:
        self.document, self.lines, self.source = document, lines, source
        self.problems: list[Problem] = []

    def script(self, *, checked: bool) -> Script:
        """The script. Raises BadScript."""
        script = self.read()
        if script is not None and not self.problems and checked:
            self.problems += checks.problems(script)
        if self.problems or script is None:
            raise BadScript(
                sorted(self.problems, key=lambda one: one.line), self.source or named(self.document)
            )
        return script

    def bad(self, path: Path, code: str, text: str, **names: object) -> None:
        """Note that something is wrong; `names` stand in the text."""
        text = told(text, **names) if names else text
        at = path
        while at and at not in self.lines:
            at = at[:-1]
        self.problems.append(Problem(self.lines.get(at, 0), self.shown(path), code, text))

    def shown(self, path: Path) -> str:
        """A path with steps and exits by their names."""
        words = [str(part) for part in path]
        if len(path) > 1 and path[0] in ("steps", "exits") and isinstance(path[1], int):
            one = self.document[path[0]][path[1]]
            name = one.get("name") if isinstance(one, Mapping) else None
            words[1] = name if isinstance(name, str) and name else words[1]
        return ".".join(words)

    def read(self) -> Script | None:
        """The script without its checks."""
        value = self.document
        if not isinstance(value, Mapping):
            self.bad((), "shape", "here must be names with values: {names}", names=", ".join(SCRIPT))
            return None
        for name in value:
            if name not in SCRIPT:
                text = "“{name}” is not known here: {names}"
                self.bad((str(name),), "unknown_name", text, name=str(name), names=", ".join(SCRIPT))
        for name, needed in SCRIPT.items():
            if needed and name not in value:
                self.bad((), "missing", "“{name}” is missing", name=name)
        language = self.word(value, "language", "ru")
        if language not in LANGUAGES:
            self.bad(("language",), "language", "language is one of {names}", names=", ".join(LANGUAGES))
        found = Script(
            name=self.word(value, "name"),
            title=self.word(value, "title"),
            language=language,
            first=self.word(value, "first"),
            steps=self.steps(value.get("steps", [])),
            exits=self.exits(value.get("exits", [])),
            document=value,
            lines={self.shown(path): line for path, line in self.lines.items()} if not self.problems else {},
        )
        if "name" in value and not (0 < len(found.name) <= 63 and found.name.isprintable()):
            self.bad(("name",), "bad_name", "a script's name is one line of 63 characters at most")
        return found

    def word(self, value: Mapping[str, Any], name: str, default: str = "") -> str:
        """A text of the script itself."""
        found = value.get(name, default)
        if not isinstance(found, str) or len(found) > 200:
            self.bad((name,), "shape", "{name} must be a text of 200 characters at most", name=name)
            return default
        return found

    def steps(self, value: Any) -> dict[str, Step]:
        """The steps by their names."""
        found: dict[str, Step] = {}
        if not isinstance(value, list) or not 0 < len(value) <= MOST_STEPS:
            text = "steps is a list of 1 to {most}: each begins with - name:"
            self.bad(("steps",), "shape", text, most=MOST_STEPS)
            return found
        for n, one in enumerate(value):
            kind = one.get("type") if isinstance(one, Mapping) else None
            model = STEPS.get(kind) if isinstance(kind, str) else None
            if model is None:
                where: Path = ("steps", n, "type") if kind is not None else ("steps", n)
                self.bad(where, "unknown_type", "a step has a type: {names}", names=", ".join(STEPS))
                continue
            made = self.made(model, one, ("steps", n))
            if made is not None:
                self.add(found, made.name, made, ("steps", n, "name"))
        return found

    def exits(self, value: Any) -> dict[str, Exit]:
        """The exits by their names."""
        found: dict[str, Exit] = {}
        if not isinstance(value, list) or len(value) > MOST_EXITS:
            text = "exits is a list of {most} at most: each begins with - name:"
            self.bad(("exits",), "shape", text, most=MOST_EXITS)
            return found
        for n, one in enumerate(value):
            made = self.made(Exit, one, ("exits", n))
            if made is not None:
                self.add(found, made.name, made, ("exits", n, "name"))
        return found

    def add(self, found: dict[str, Any], name: str, made: object, path: Path) -> None:
        """Put a step or an exit under its name."""
        if name in found:
            self.bad(path, "name_twice", "there is another “{name}”", name=name)
        if name == RETURN and path[0] == "steps":
            text = "“{name}” is the way back from an exit: give the step another name"
            self.bad(path, "bad_name", text, name=RETURN)
        found[name] = made

    def made(self, model: type[Made], value: Any, path: Path) -> Made | None:
        """A part of the script; None where it cannot be made."""
        try:
            return model.model_validate(value)
        except ValidationError as error:
            for one in error.errors(include_url=False):
                loc = tuple(part for part in one["loc"] if part not in ("[key]", "str", "int", "float"))
                loc = tuple(part for part in loc if not str(part).startswith(("constrained", "dict[")))
                self.bad((*path, *loc), "property", _said(one, loc, model))
            return None


def _said(found: ErrorDetails, loc: tuple[Any, ...], model: type[BaseModel]) -> str:
    """A finding of the schema in plain words."""
    name = str(loc[-1]) if loc else ""
    match found["type"]:
        case "missing":
            return told("“{name}” is missing", name=name)
        case "extra_forbidden" if len(loc) == 1:
            known = ", ".join(model.model_fields)
            return told("“{name}” is not known here: {names}", name=name, names=known)
        case "extra_forbidden":
            return told("“{name}” is not known here", name=name)
        case "string_pattern_mismatch":
            return told("a name has small letters a-z, digits and _, a letter first, 63 characters at most")
    return reason_of(found, {})
