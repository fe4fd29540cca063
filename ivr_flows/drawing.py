"""A flow as a drawing: text for mermaid, and an SVG picture."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Final
from xml.sax.saxutils import escape

from ivr_flows.layout import HEIGHT, WIDTH, Box, Line, edges, layout
from ivr_flows.model import Flow, State, Verb
from ivr_flows.spoken import prompts_of

#: Fill and line of the boxes: asks, waits for people, works, ends.
_COLOURS: Final[Mapping[str, tuple[str, str]]] = {
    "says": ("#f5f7fa", "#7b8794"),
    "asks": ("#e8f1fd", "#2f6fbb"),
    "people": ("#e7f6ec", "#2e8b57"),
    "works": ("#fdf4e3", "#b7791f"),
    "ends": ("#fbeaea", "#b5483f"),
}
_KIND: Final[Mapping[Verb, str]] = {
    Verb.PLAY: "says", Verb.SAY: "says",
    Verb.GATHER: "asks", Verb.MENU: "asks", Verb.OFFER: "asks", Verb.RECORD_CONSENT: "asks",
    Verb.VOICEMAIL: "asks",
    Verb.ENQUEUE: "people", Verb.DIAL: "people", Verb.TRANSFER: "people", Verb.REQUEST_CALLBACK: "people",
    Verb.HANGUP: "ends", Verb.GOTO_FLOW: "ends",
}  # fmt: skip


def title(state: State) -> str:
    """A state's name for people."""
    return state.title or state.name


# -- mermaid -------------------------------------------------------------------------------------------------


def mermaid(flow: Flow) -> str:
    """The flow as text for mermaid."""
    ids = {name: f"s{n}" for n, name in enumerate(flow.states)}
    lines = ["flowchart TD"]
    for state in flow.states.values():
        words = f"{_mermaid(title(state))}<br/><small>{state.verb}</small>"
        kind = _KIND.get(state.verb, "works")
        left, right = {"asks": ('{{"', '"}}'), "ends": ('(["', '"])')}.get(kind, ('["', '"]'))
        lines.append(f"    {ids[state.name]}{left}{words}{right}:::{kind}")
    if flow.initial_state in ids:
        lines += ['    begin(("▶"))', f"    begin --> {ids[flow.initial_state]}"]
    lines += [
        f'    {ids[edge.source]} -->|"{_mermaid(edge.label)}"| {ids[edge.target]}' for edge in edges(flow)
    ]
    lines += [f"    classDef {kind} fill:{fill},stroke:{line}" for kind, (fill, line) in _COLOURS.items()]
    return "\n".join(lines) + "\n"


def _mermaid(text: str) -> str:
    """A text that mermaid takes for nothing else."""
    return "".join(c if c.isalnum() or c in " .,!?-—()" else f"#{ord(c)};" for c in text)


# -- SVG -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mark:
    """Figures that stand on a state; 0 is not drawn."""

    #: callers who are there now
    here: int = 0
    #: how often callers came there
    came: int = 0
    #: how many hung up there
    lost: int = 0


def svg(flow: Flow, marks: Mapping[str, Mark] = MappingProxyType({})) -> str:
    """The flow as an SVG picture; `marks`: by the names of states."""
    placed = layout(flow)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{placed.width:.0f}" height="{placed.height:.0f}"'
        f' viewBox="0 0 {placed.width:.0f} {placed.height:.0f}" role="img" lang="{flow.language}"'
        ' font-family="system-ui, sans-serif">',
        f"<title>{escape(flow.title or flow.name)}</title>",
        '<defs><marker id="to" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="8" markerHeight="8"'
        ' orient="auto"><path d="M0 0.8 L7.5 4 L0 7.2 Z" fill="#52606d"/></marker></defs>',
        f'<rect width="{placed.width:.0f}" height="{placed.height:.0f}" fill="#ffffff"/>',
    ]
    labels: list[str] = []
    taken: list[tuple[float, float, float]] = []
    for line in placed.lines:
        dash = ' stroke-dasharray="5 4"' if line.back else ""
        path = _curve(line)
        parts.append(
            f'<path d="{path}" fill="none" stroke="#7b8794" stroke-width="1.3"{dash} marker-end="url(#to)"/>'
        )
        labels.append(_label(line, taken))
    parts += labels
    if flow.initial_state in placed.boxes:
        box = placed.boxes[flow.initial_state]
        parts.append(
            f'<circle cx="{box.x:.0f}" cy="{box.y - 30:.0f}" r="7" fill="#2f6fbb"/>'
            f'<path d="M{box.x:.0f} {box.y - 23:.0f} V{box.y - 1:.0f}" stroke="#7b8794" stroke-width="1.3"'
            ' marker-end="url(#to)"/>'
        )
    parts += [_box(flow, flow.states[name], box) for name, box in placed.boxes.items()]
    parts += [_mark(placed.boxes[name], mark) for name, mark in marks.items() if name in placed.boxes]
    return "\n".join((*parts, "</svg>")) + "\n"


def _curve(line: Line) -> str:
    points = line.points
    if line.edge.source == line.edge.target:
        return "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x0, y0), (x1, y1) in pairwise(points):
        half = (y0 + y1) / 2
        path += f" C{x0:.1f} {half:.1f} {x1:.1f} {half:.1f} {x1:.1f} {y1:.1f}"
    return path


def _label(line: Line, taken: list[tuple[float, float, float]]) -> str:
    """The events beside the beginning of a way, where no other label stands."""
    words = line.edge.label if len(line.edge.label) <= 26 else line.edge.label[:25] + "…"
    width = 6.2 * len(words) + 8
    (x0, y0), (x1, y1) = line.points[:2]
    if line.edge.source == line.edge.target:
        x, y = (x0 + x1) / 2, (y0 + line.points[2][1]) / 2
    else:
        for share in (0.3, 0.45, 0.6, 0.75, 0.15):
            bend = share * share * (3 - 2 * share)
            x, y = x0 + (x1 - x0) * bend, y0 + (y1 - y0) * share
            if all(abs(x - a) > (width + w) / 2 or abs(y - b) > 14 for a, b, w in taken):
                break
    taken.append((x, y, width))
    return (
        f'<rect x="{x - width / 2:.1f}" y="{y - 8:.1f}" width="{width:.1f}" height="15" rx="3" fill="#ffffff"'
        f' fill-opacity="0.9"/><text x="{x:.1f}" y="{y + 3.5:.1f}" font-size="11" text-anchor="middle"'
        f' fill="#3e4c59">{escape(words)}</text>'
    )


def _box(flow: Flow, state: State, box: Box) -> str:
    fill, line = _COLOURS[_KIND.get(state.verb, "works")]
    left = box.x - WIDTH / 2
    words = textwrap.shorten(title(state), 24, placeholder="…")
    under = textwrap.shorten(_said(flow, state), 28, placeholder="…")
    round_ = HEIGHT / 2 if _KIND.get(state.verb) == "ends" else 8
    said = f'<text x="{box.x:.1f}" y="{box.y + 51:.1f}" font-size="9.5" fill="#616e7c">{escape(under)}</text>'
    return (
        f'<g text-anchor="middle" id="state-{escape(state.name.replace(" ", "_"))}">'
        f"<title>{escape(state.name)}</title>"
        f'<rect x="{left:.1f}" y="{box.y:.1f}" width="{WIDTH}" height="{HEIGHT}" rx="{round_:.0f}"'
        f' fill="{fill}" stroke="{line}" stroke-width="1.4"/>'
        f'<text x="{box.x:.1f}" y="{box.y + 21:.1f}" font-size="13" font-weight="600" fill="#1f2933">'
        f"{escape(words)}</text>"
        f'<text x="{box.x:.1f}" y="{box.y + 36:.1f}" font-size="10.5" fill="{line}">{state.verb}</text>'
        f"{said if under else ''}</g>"
    )


def _mark(box: Box, mark: Mark) -> str:
    """Above on the right who is there; below who came (left) and who hung up (right)."""
    left, right = box.x - WIDTH / 2, box.x + WIDTH / 2
    pills = (
        (mark.here, right - 16, box.y, "#1659a8", "#ffffff", "here"),
        (mark.came, left + 24, box.y + HEIGHT, "#ffffff", "#3e4c59", "came"),
        (mark.lost, right - 24, box.y + HEIGHT, "#fdecea", "#a11d16", "lost"),
    )
    return "".join(_pill(*pill) for pill in pills if pill[0])


def _pill(number: int, x: float, y: float, fill: str, ink: str, kind: str) -> str:
    words = f"−{number}" if kind == "lost" else str(number)
    wide = max(24.0, 7.5 * len(words) + 12)
    return (
        f'<g class="{kind}"><rect x="{x - wide / 2:.1f}" y="{y - 9:.1f}" width="{wide:.1f}" height="18"'
        f' rx="9" fill="{fill}" stroke="{ink}" stroke-width="1"/>'
        f'<text x="{x:.1f}" y="{y + 4:.1f}" font-size="11.5" font-weight="600" text-anchor="middle"'
        f' fill="{ink}">{words}</text></g>'
    )


def _said(flow: Flow, state: State) -> str:
    """The beginning of what a state says."""
    for _, prompts in prompts_of(state):
        parts, _language = prompts.parts(flow.language, flow.language)
        words = " ".join(part.value for part in parts if part.kind in ("text", "sound"))
        if words:
            return words
    return str(getattr(state.properties, "queue", "") or "")
