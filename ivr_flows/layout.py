"""Where the states of a flow stand in a drawing, and how the ways between them go.

In layers, as Sugiyama, Tagawa and Toda (1981) draw graphs: ways that lead back are turned round, a state
stands a layer below the lowest that leads to it, the order inside of a layer is that of the middles of its
neighbours, and what goes over several layers has a bend in each of them.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from ivr_flows.model import Flow

#: Sizes of the drawing, pixels.
WIDTH: Final = 190
HEIGHT: Final = 62
GAP_X: Final = 34
GAP_Y: Final = 66
BEND: Final = 30
MARGIN: Final = 28
#: A drawing has so many bends at most; in a large one the longest ways go straight, over what is between.
MOST_BENDS: Final = 4_000


@dataclass(frozen=True, slots=True)
class Edge:
    """A way from a state to another."""

    source: str
    target: str
    #: the events that lead there, as written
    label: str


def edges(flow: Flow) -> list[Edge]:
    """The ways of a flow as they are written, those between the same two states as one."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for state in flow.states.values():
        for event, target in state.transitions.items():
            if target in flow.states:
                found[state.name, target].append(event)
    return [Edge(source, target, ", ".join(events)) for (source, target), events in found.items()]


@dataclass(frozen=True, slots=True)
class Box:
    """Where a state stands: its middle above and its size."""

    x: float
    y: float
    width: float = WIDTH
    height: float = HEIGHT


@dataclass(frozen=True, slots=True)
class Line:
    """A way as points, from its source to its target."""

    edge: Edge
    points: tuple[tuple[float, float], ...]
    #: whether it leads up, against the way of the others
    back: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """A drawing's places."""

    boxes: Mapping[str, Box]
    lines: tuple[Line, ...]
    width: float
    height: float


def layout(flow: Flow) -> Layout:
    """Where all stands."""
    ways = edges(flow)
    turned = _turned(flow, ways)
    down = [
        (edge.target, edge.source) if edge in turned else (edge.source, edge.target)
        for edge in ways
        if edge.source != edge.target
    ]
    layer = _layers(list(flow.states), down)
    rows, chains = _rows(flow, ways, turned, layer)
    x = _across(rows, chains)
    left = min(x[name] - _wide(name) / 2 for row in rows for name in row)
    boxes = {
        name: Box(x[name] - left + MARGIN, MARGIN + 34 + layer[name] * (HEIGHT + GAP_Y))
        for name in flow.states
    }
    lines = []
    for edge, chain in chains:
        back = edge in turned
        # Straight past the boxes of a layer: a bend beside one would cut its corner.
        sides = (HEIGHT, 0) if back else (0, HEIGHT)
        bends = [(x[name] - left + MARGIN, _row_y(n) + side) for name, n in chain for side in sides]
        lines.append(Line(edge, _points(boxes, edge, bends, back=back), back))
    lines += [Line(edge, _own(boxes[edge.source]), back=True) for edge in ways if edge.source == edge.target]
    right = max(x[name] + _wide(name) / 2 for row in rows for name in row) - left
    return Layout(boxes, tuple(lines), right + 2 * MARGIN + 24, _row_y(len(rows)) - GAP_Y + MARGIN)


def _row_y(n: int) -> float:
    return MARGIN + 34 + n * (HEIGHT + GAP_Y)


def _wide(name: str) -> float:
    return BEND if name.startswith("\0") else WIDTH


def _turned(flow: Flow, ways: Sequence[Edge]) -> set[Edge]:
    """The ways that lead back, from a walk into the depth."""
    out = defaultdict[str, list[Edge]](list)
    for edge in ways:
        out[edge.source].append(edge)
    turned, done, open_ = set[Edge](), set[str](), set[str]()
    for start in (flow.initial_state, *flow.states):
        if start in done or start not in flow.states:
            continue
        stack = [(start, iter(out[start]))]
        open_.add(start)
        while stack:
            name, rest = stack[-1]
            way = next(rest, None)
            if way is None:
                stack.pop()
                open_.discard(name)
                done.add(name)
            elif way.target in open_:
                turned.add(way)
            elif way.target not in done:
                open_.add(way.target)
                stack.append((way.target, iter(out[way.target])))
    return turned


def _layers(names: Sequence[str], down: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Each state below all that lead to it."""
    above, into = defaultdict[str, list[str]](list), dict.fromkeys(names, 0)
    for source, target in down:
        above[source].append(target)
        into[target] += 1
    layer = dict.fromkeys(names, 0)
    ready = [name for name in names if not into[name]]
    while ready:
        name = ready.pop()
        for target in above[name]:
            layer[target] = max(layer[target], layer[name] + 1)
            into[target] -= 1
            if not into[target]:
                ready.append(target)
    return layer


_Chains = list[tuple[Edge, list[tuple[str, int]]]]


def _rows(
    flow: Flow, ways: Sequence[Edge], turned: set[Edge], layer: Mapping[str, int]
) -> tuple[list[list[str]], _Chains]:
    """The layers in order, with a bend in each that a way passes."""
    rows: list[list[str]] = [[] for _ in range(max(layer.values(), default=0) + 1)]
    for name in flow.states:
        rows[layer[name]].append(name)
    chains: _Chains = []
    near = defaultdict[str, list[str]](list)
    longest = _longest(ways, layer)
    for n, edge in enumerate(ways):
        if edge.source == edge.target:
            continue
        top, bottom = (edge.target, edge.source) if edge in turned else (edge.source, edge.target)
        passed = range(layer[top] + 1, layer[bottom])
        chain = [(f"\0{n}.{row}", row) for row in passed] if len(passed) <= longest else []
        for name, row in chain:
            rows[row].append(name)
        whole = [top, *(name for name, _ in chain), bottom]
        for upper, lower in pairwise(whole):
            near[upper].append(lower)
            near[lower].append(upper)
        chains.append((edge, chain[::-1] if edge in turned else chain))
    best, fewest = [row[:] for row in rows], _crossings(rows, near)
    for turn in range(12):
        order = range(1, len(rows)) if turn % 2 == 0 else range(len(rows) - 2, -1, -1)
        for n in order:
            fixed = {name: at for at, name in enumerate(rows[n - 1 if turn % 2 == 0 else n + 1])}
            own = {name: at for at, name in enumerate(rows[n])}
            rows[n].sort(
                key=lambda name: _middle([fixed[one] for one in near[name] if one in fixed], own[name])
            )
        found = _crossings(rows, near)
        if found < fewest:
            best, fewest = [row[:] for row in rows], found
    return best, chains


def _longest(ways: Sequence[Edge], layer: Mapping[str, int]) -> int:
    """How many bends a way may have."""
    left = MOST_BENDS
    for bends in sorted(abs(layer[edge.source] - layer[edge.target]) - 1 for edge in ways):
        left -= max(bends, 0)
        if left < 0:
            return bends - 1
    return len(layer)


def _middle(places: list[int], own: float) -> float:
    return sum(places) / len(places) if places else own


def _crossings(rows: Sequence[Sequence[str]], near: Mapping[str, Sequence[str]]) -> int:
    """How many ways cross."""
    count = 0
    for upper, lower in pairwise(rows):
        at = {name: n for n, name in enumerate(lower)}
        ends = [
            at[one]
            for name in upper
            for one in sorted(near.get(name, ()), key=lambda x: at.get(x, -1))
            if one in at
        ]
        before: list[int] = []
        for end in ends:
            count += len(before) - bisect_right(before, end)
            insort(before, end)
    return count


def _across(rows: Sequence[Sequence[str]], chains: _Chains) -> dict[str, float]:
    """The middles from left to right: each near those that it is joined with, none over another."""
    near = defaultdict[str, list[str]](list)
    for edge, chain in chains:
        whole = [edge.source, *(name for name, _ in chain), edge.target]
        for one, other in pairwise(whole):
            near[one].append(other)
            near[other].append(one)
    x: dict[str, float] = {}
    for row in rows:
        at = 0.0
        for name in row:
            x[name] = at + _wide(name) / 2
            at += _wide(name) + GAP_X
    for turn in range(40):
        for row in rows if turn % 2 == 0 else rows[::-1]:
            wanted = [_mean([x[one] for one in near[name]], x[name]) for name in row]
            for name, place in zip(row, _apart(row, wanted), strict=True):
                x[name] = place
    return x


def _mean(values: list[float], own: float) -> float:
    return sum(values) / len(values) if values else own


def _apart(row: Sequence[str], wanted: Sequence[float]) -> list[float]:
    """The places nearest to the wanted ones that keep the order and the gaps (pool adjacent violators)."""
    offsets, at = [], 0.0
    for n, name in enumerate(row):
        at += 0 if n == 0 else (_wide(row[n - 1]) + _wide(name)) / 2 + GAP_X
        offsets.append(at)
    pools: list[tuple[float, int]] = []
    for place, offset in zip(wanted, offsets, strict=True):
        total, size = place - offset, 1
        while pools and pools[-1][0] / pools[-1][1] > total / size:
            last, count = pools.pop()
            total, size = total + last, size + count
        pools.append((total, size))
    flat = [total / size for total, size in pools for _ in range(size)]
    return [place + offset for place, offset in zip(flat, offsets, strict=True)]


def _points(
    boxes: Mapping[str, Box], edge: Edge, bends: list[tuple[float, float]], *, back: bool
) -> tuple[tuple[float, float], ...]:
    source, target = boxes[edge.source], boxes[edge.target]
    lean = max(-WIDTH / 3, min(WIDTH / 3, ((bends[0][0] if bends else target.x) - source.x) / 4))
    land = max(-WIDTH / 3, min(WIDTH / 3, ((bends[-1][0] if bends else source.x) - target.x) / 4))
    if back:
        # Beside the way down between the same two states, which starts in the middle.
        aside = 0.0 if bends else WIDTH / 4
        lean, land = min(lean, WIDTH / 4 - 4), min(land, WIDTH / 4 - 4)
        return ((source.x + lean + aside, source.y), *bends, (target.x + land + aside, target.y + HEIGHT))
    return ((source.x + lean, source.y + HEIGHT), *bends, (target.x + land, target.y))


def _own(box: Box) -> tuple[tuple[float, float], ...]:
    right = box.x + WIDTH / 2
    return ((right, box.y + 18), (right + 26, box.y + 18), (right + 26, box.y + 44), (right, box.y + 44))
