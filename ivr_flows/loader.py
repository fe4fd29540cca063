"""A flow from its text: read, held against the schema, checked. What is wrong is said with line and path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from dialer.errors import BadFlow
from dialer.reasons import reason_of
from dialer.said import Name, told
from ivr_flows import checks, hours
from ivr_flows.model import EVENTS, LANGUAGES, Flow, Problem, Properties, State, Verb
from ivr_flows.properties import PROPERTIES, is_key
from ivr_flows.yamlfile import Path, named, read

#: What a flow and a state of it may have, with whether it must.
FLOW: Final[Mapping[str, bool]] = {
    "name": True, "title": False, "language": False, "initial_state": True, "on_error": False, "zone": False,
    "states": True,
}  # fmt: skip
STATE: Final[Mapping[str, bool]] = {
    "name": True, "title": False, "type": True, "serves": False, "properties": False, "transitions": False,
}  # fmt: skip
DEFAULT: Final = "default"
MOST_STATES: Final = 1_000


class _Name(BaseModel):
    model_config = ConfigDict(frozen=True)
    name: str = Field(pattern=r"^[\w][\w .-]{0,62}$")


def load(text: str, *, source: str = "flow.yaml", checked: bool = True) -> Flow:
    """The flow of a YAML or JSON text. Raises BadFlow with all that is wrong.

    `checked=False` takes a flow that can be drawn but not run well: one that is being written.
    """
    found = read(text, source)
    return _Build(found.value, found.lines, source).flow(checked=checked)


def from_document(document: Any, *, source: str = "", checked: bool = True) -> Flow:
    """The flow of values as JSON has them. Raises BadFlow, without lines."""
    return _Build(document, {}, source).flow(checked=checked)


class _Build:
    """A flow that is being made; it collects what is wrong."""

    def __init__(self, document: Any, lines: Mapping[Path, int], source: str) -> None:
        self.document, self.lines, self.source = document, lines, source
        self.problems: list[Problem] = []

    def bad(self, path: Path, code: str, text: str, **names: object) -> None:
        """Note that something is wrong; `names` stand in the text."""
        text = told(text, **names) if names else text
        self.problems.append(Problem(self.line(path), self.shown(path), code, text))

    def line(self, path: Path) -> int:
        """Where it stands, or what it stands in."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 0)

    def shown(self, path: Path) -> str:
        """A path with states by their names."""
        words = [str(part) for part in path]
        if len(path) > 1 and path[0] == "states" and isinstance(path[1], int):
            state = self.document["states"][path[1]]
            name = state.get("name") if isinstance(state, Mapping) else None
            words[1] = name if isinstance(name, str) and name else words[1]
        return ".".join(words)

    def flow(self, *, checked: bool) -> Flow:
        """The flow. Raises BadFlow."""
        flow = self.read_flow()
        if flow is not None and not self.problems and checked:
            self.problems += checks.problems(flow)
        if self.problems or flow is None:
            raise BadFlow(
                sorted(self.problems, key=lambda problem: problem.line), self.source or named(self.document)
            )
        return flow

    def members(self, value: Any, allowed: Mapping[str, bool], path: Path) -> Mapping[str, Any] | None:
        """A mapping with these names, else None."""
        if not isinstance(value, Mapping):
            self.bad(path, "shape", "here must be names with values: {names}", names=", ".join(allowed))
            return None
        for name in value:
            if name not in allowed:
                self.bad(
                    (*path, str(name)),
                    "unknown_name",
                    "“{name}” is not known here: {names}",
                    name=str(name),
                    names=", ".join(allowed),
                )
        for name, needed in allowed.items():
            if needed and name not in value:
                self.bad(path, "missing", "“{name}” is missing", name=name)
        return value

    def word(self, value: Mapping[str, Any], name: str, path: Path, default: str = "") -> str:
        """A text that is one of the members."""
        found = value.get(name, default)
        if found is None:
            found = default
        if isinstance(found, int) and not isinstance(found, bool):
            found = str(found)
        if not isinstance(found, str) or len(found) > 200:
            self.bad((*path, name), "shape", "{name} must be a text of 200 characters at most", name=name)
            return default
        return found

    def name(self, value: Mapping[str, Any], path: Path) -> str:
        """The name of a flow or state."""
        found = self.word(value, "name", path)
        try:
            _Name(name=found)
        except ValidationError:
            if "name" in value:
                self.bad(
                    (*path, "name"), "bad_name", "a name has letters, digits, _ - . and spaces, 63 at most"
                )
        return found

    def read_flow(self) -> Flow | None:
        """The flow without its checks."""
        value = self.members(self.document, FLOW, ())
        if value is None:
            return None
        language = self.word(value, "language", (), "ru")
        if language not in LANGUAGES:
            self.bad(("language",), "language", "language is one of {names}", names=", ".join(LANGUAGES))
        zone = self.word(value, "zone", ())
        if zone and hours.zone_of(zone) is None:
            self.bad(("zone",), "zone", "there is no zone “{zone}”: write one like Europe/Moscow", zone=zone)
        return Flow(
            name=self.name(value, ()),
            language=language,
            initial_state=self.word(value, "initial_state", ()),
            states=self.states(value.get("states", [])),
            document=value,
            on_error=self.word(value, "on_error", ()),
            zone=zone,
            title=self.word(value, "title", ()),
            lines={self.shown(path): line for path, line in self.lines.items()} if not self.problems else {},
        )

    def states(self, value: Any) -> dict[str, State]:
        """The states by their names."""
        found: dict[str, State] = {}
        if not isinstance(value, list) or not value:
            self.bad(("states",), "shape", "states is a list: each begins with - name:")
            return found
        if len(value) > MOST_STATES:
            self.bad(("states",), "too_many", "a flow has {most} states at most", most=MOST_STATES)
            return found
        for n, one in enumerate(value):
            state = self.state(one, ("states", n))
            if state is None:
                continue
            if state.name in found:
                self.bad(
                    ("states", n, "name"), "name_twice", "there is another state “{name}”", name=state.name
                )
            found[state.name] = state
        return found

    def state(self, value: Any, path: Path) -> State | None:
        """One state; None where it cannot be made."""
        members = self.members(value, STATE, path)
        if members is None:
            return None
        name, kind = self.name(members, path), self.word(members, "type", path)
        serves = members.get("serves", False)
        if not isinstance(serves, bool):
            self.bad((*path, "serves"), "shape", "serves is true or false")
        if kind not in list(Verb):
            if "type" in members:
                self.bad(
                    (*path, "type"),
                    "unknown_verb",
                    "there is no verb “{verb}”: {names}",
                    verb=kind,
                    names=", ".join(Verb),
                )
            return None
        verb = Verb(kind)
        properties = self.properties(verb, members.get("properties"), (*path, "properties"))
        transitions = self.transitions(verb, members.get("transitions"), (*path, "transitions"))
        if properties is None:
            return None
        title = self.word(members, "title", path)
        return State(name, verb, properties, transitions, serves=serves is True, title=title)

    def properties(self, verb: Verb, value: Any, path: Path) -> Properties | None:
        """What the state is told."""
        if value is not None and not isinstance(value, Mapping):
            self.bad(path, "shape", "properties are names with values")
            return None
        try:
            return PROPERTIES[verb].model_validate(value or {})
        except ValidationError as error:
            for one in error.errors(include_url=False):
                where = self.written(path, one["loc"], value or {})
                self.bad(where, "property", _said(verb, one))
            return None

    def written(self, path: Path, loc: Iterable[str | int], value: Any) -> Path:
        """The part of a place inside a model that the writer wrote too."""
        for part in loc:
            if (isinstance(value, Mapping) and part in value) or (
                isinstance(value, list) and isinstance(part, int) and part < len(value)
            ):
                inner: Any = value
                value = inner[part]
            elif part in ("any", *LANGUAGES, 0, "[key]"):
                continue  # what the schema puts between
            else:
                # What is missing is told by name, and stands on the line of what it is missing in.
                return (*path, part) if value is None or isinstance(value, Mapping) else path
            path = (*path, part)
        return path

    def transitions(self, verb: Verb, value: Any, path: Path) -> dict[str, str]:
        """What comes after each event."""
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self.bad(path, "shape", "transitions are events with the names of states")
            return {}
        found: dict[str, str] = {}
        for event, target in value.items():
            name = str(target) if isinstance(target, int) and not isinstance(target, bool) else target
            if not isinstance(name, str) or not name:
                self.bad((*path, str(event)), "shape", "here must be the name of a state")
            elif event not in (DEFAULT, *EVENTS[verb]) and not (verb is Verb.MENU and is_key(str(event))):
                self.bad(
                    (*path, str(event)),
                    "unknown_event",
                    "{verb} never ends with “{event}”: {events}",
                    verb=verb.value,
                    event=str(event),
                    events=_events(verb),
                )
            else:
                found[str(event)] = name
        return found


def _events(verb: Verb) -> str:
    names = ", ".join([*EVENTS[verb], DEFAULT] if EVENTS[verb] else [])
    if verb is Verb.MENU:
        return told("its keys, {names}", names=names)
    return Name(names) if names else told("it has no transitions")


def _said(verb: Verb, found: ErrorDetails) -> str:
    """A finding of the schema in plain words."""
    loc = found["loc"]
    name = str(loc[-1]) if loc else ""
    match found["type"]:
        case "missing":
            return told("“{name}” is missing", name=name)
        case "extra_forbidden" if " " in name:
            return told(
                "“{name}” is no name of a property: a text with a comma inside of {{ }} needs quotes",
                name=name,
            )
        case "extra_forbidden" if len(loc) == 1:
            known = ", ".join(PROPERTIES[verb].model_fields)
            return told("“{name}” is not known here: {verb} knows {names}", name=name, verb=verb, names=known)
        case "extra_forbidden":
            return told("“{name}” is not known here", name=name)
    return reason_of(found, {})
