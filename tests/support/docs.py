"""What the documentation says of the code, made from the code: `python -m support.docs` writes it anew.

A generated part of a page stands between `<!-- name: ... -->` and `<!-- /name -->`; tests/unit/test_docs.py
fails when a page differs from what stands here.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from dialer.agents.model import NEXT, AgentState
from dialer.calls.model import TRANSITIONS, CallState, Signal
from dialer.httpkit import audit, stream
from dialer.httpkit.routes import Route
from ivr_flows import templates
from ivr_flows.checks import NEEDED
from ivr_flows.model import EVENTS, Verb
from ivr_flows.properties import PROPERTIES
from support.site_pages import gallery

ROOT = Path(__file__).parents[2]
API = ROOT / "docs/reference/api.md"
ARCHITECTURE = ROOT / "docs/architecture.md"
FLOWS = ROOT / "docs/reference/flows.md"
GALLERY = ROOT / "docs/pages.md"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def all_routes() -> Iterator[Route]:
    """The routes of features (`http.py`, `<noun>_http.py`), of the log of changes, of the event stream."""
    for file in sorted((ROOT / "dialer").glob("*/*http.py")):
        module = importlib.import_module(f"dialer.{file.parent.name}.{file.stem}")
        yield from vars(module).get("routes", ())  # some are outside of /api/v1
    yield from audit.routes
    yield from stream.routes


def routes() -> str:
    """Every route with the right that it needs."""
    rows = [
        (
            route.tag,
            route.method,
            f"`{route.path}`",
            "open" if route.public else f"`{route.right.value}`" if route.right else "log-in",
            route.summary,
        )
        for route in all_routes()
    ]
    return _table(("", "", "path", "right", "what it does"), sorted(rows, key=lambda row: row[0]))


def call_states() -> str:
    """The transition table of a call: what each signal does in each state."""
    kinds: list[type[Signal]] = []
    for _, kind in TRANSITIONS:
        if kind not in kinds:
            kinds.append(kind)
    rows = []
    for kind in kinds:
        cells = [f"**{kind.__name__}**"]
        for state in CallState:
            after = TRANSITIONS.get((state, kind))
            cells.append("" if after is None else "·" if after is state else str(after))
        rows.append(tuple(cells))
    meanings = "\n".join(f"- **{kind.__name__}**: {inspect.getdoc(kind)}" for kind in kinds)
    return _table(("", *(str(state) for state in CallState)), rows) + "\n\n" + meanings


def agent_states() -> str:
    """Which state of an agent may follow which."""
    rows = [
        (f"**{state}**", ", ".join(str(after) for after in AgentState if after in NEXT[state]) or "none")
        for state in AgentState
    ]
    return _table(("state", "may become"), rows)


def flow_verbs() -> str:
    """Each verb of IVR flows with its events and properties."""
    parts = []
    for verb in Verb:
        model, needed = PROPERTIES[verb], NEEDED.get(verb, ())
        events = [f"**{event}**" if event in needed else event for event in EVENTS[verb]]
        if verb is Verb.MENU:
            events.insert(0, "**its keys**")
        rows = []
        for name, field in model.model_fields.items():
            plain, default = field.default, "must be given" if field.is_required() else ""
            if not default and plain not in (None, "", {}, ()):
                default = f"`{str(plain).lower() if isinstance(plain, bool) else plain}`"
            rows.append((f"`{name}`", default, field.description or ""))
        parts += [
            f"### {verb}",
            inspect.getdoc(model) or "",
            f"Ends with: {', '.join(events) or 'nothing, it is an end'}.",
            _table(("property", "default", "meaning"), rows),
        ]
    return "\n\n".join(parts)


def flow_filters() -> str:
    """The filters of texts in flows."""
    speaking = ", ".join(f"`{name}`" for name in templates.SPEAKING)
    changing = ", ".join(f"`{name}`" for name in templates.FILTERS if name not in templates.SPEAKING)
    return f"Change a text: {changing}. Speak a value, in prompts only, the last of its chain: {speaking}."


#: name -> the page it stands on, and what makes it
PARTS: Mapping[str, tuple[Path, Callable[[], str]]] = {
    "routes": (API, routes),
    "call-states": (ARCHITECTURE, call_states),
    "agent-states": (ARCHITECTURE, agent_states),
    "flow-verbs": (FLOWS, flow_verbs),
    "flow-filters": (FLOWS, flow_filters),
    "pages": (GALLERY, gallery),
}


def part(name: str) -> re.Pattern[str]:
    """A generated part: its opening line, what is in it, its end."""
    return re.compile(rf"(<!-- {name}:[^\n]*-->\n)(.*?)(<!-- /{name} -->)", re.DOTALL)


def main() -> None:
    """Write every generated part anew."""
    for name, (page, make) in PARTS.items():
        text = page.read_text(encoding="utf-8")
        made = make()
        new, count = part(name).subn(lambda old, made=made: f"{old[1]}{made}\n{old[3]}", text)  # type: ignore[misc]
        assert count == 1, f"{page} has no part {name}"
        if new != text:
            page.write_text(new, encoding="utf-8")
            print(f"{page.relative_to(ROOT)}: {name}", file=sys.stderr)


if __name__ == "__main__":
    main()
