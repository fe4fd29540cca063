"""Drawings of flows: nothing lies over another, all that is written is drawn."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivr_flows import shipped
from ivr_flows.drawing import mermaid, svg
from ivr_flows.layout import GAP_X, HEIGHT, MOST_BENDS, WIDTH, edges, layout
from ivr_flows.loader import from_document
from ivr_flows.model import LANGUAGES, Flow

SHIPPED = [shipped.flow(name, language) for name in shipped.NAMES for language in LANGUAGES]


@st.composite
def graphs(draw: st.DrawFn) -> Flow:
    """Any graph as a flow of menus: rounds, states that nothing leads to, many ways."""
    count = draw(st.integers(1, 12))
    names = [f"s{n}" for n in range(count)]
    ways = st.dictionaries(st.sampled_from("123*"), st.sampled_from(names))
    states: list[dict[str, Any]] = [
        {"name": name, "type": "menu", "properties": {"prompt": "<&>"}, "transitions": draw(ways)}
        for name in names
    ]
    about = {"name": "graph", "title": "A < B & C", "initial_state": "s0", "states": states}
    return from_document(about, checked=False)


def placed_well(flow: Flow) -> None:
    """No two boxes touch, all ways lead from a box to a box, down unless they are marked as leading back."""
    drawn = layout(flow)
    assert drawn.boxes.keys() == flow.states.keys()
    for one, other in combinations(drawn.boxes.values(), 2):
        assert abs(one.x - other.x) >= WIDTH + GAP_X - 0.01 or abs(one.y - other.y) >= HEIGHT + 20
    for box in drawn.boxes.values():
        assert WIDTH / 2 <= box.x <= drawn.width - WIDTH / 2
        assert 0 < box.y <= drawn.height - HEIGHT
    assert {line.edge for line in drawn.lines} == set(edges(flow))
    for line in drawn.lines:
        source, target = drawn.boxes[line.edge.source], drawn.boxes[line.edge.target]
        (x0, y0), (x1, y1) = line.points[0], line.points[-1]
        assert abs(x0 - source.x) <= WIDTH / 2 + 0.01
        assert abs(x1 - target.x) <= WIDTH / 2 + 0.01
        if line.edge.source != line.edge.target:
            assert all((a > b) is line.back for (_, a), (_, b) in pairwise(line.points))
            assert (y0, y1) == ((source.y, target.y + HEIGHT) if line.back else (source.y + HEIGHT, target.y))


@pytest.mark.parametrize("flow", SHIPPED, ids=lambda flow: f"{flow.name}.{flow.language}")
def test_shipped_flows_are_drawn_whole(flow: Flow) -> None:
    """Every state is a box with its title, every way has its events beside it."""
    placed_well(flow)
    picture = ET.fromstring(svg(flow))
    said = {text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")}
    assert {state.verb.value for state in flow.states.values()} <= said
    assert len(picture.findall("{http://www.w3.org/2000/svg}g")) == len(flow.states)
    assert {edge.label for edge in edges(flow) if len(edge.label) < 20} <= said


@given(graphs())
@settings(max_examples=60, deadline=None)
def test_any_graph_can_be_drawn(flow: Flow) -> None:
    """Rounds, islands and many ways are laid out too, and their texts are no markup."""
    placed_well(flow)
    ET.fromstring(svg(flow))


def test_a_state_stands_below_all_that_lead_to_it() -> None:
    """Without rounds the drawing goes down: the longest way decides the layer."""
    rows = {"a": "bd", "b": "c", "c": "d", "d": ""}
    states = [
        {
            "name": name,
            "type": "menu",
            "properties": {"prompt": "?"},
            "transitions": dict(zip("12", to, strict=False)),
        }
        for name, to in rows.items()
    ]
    boxes = layout(from_document({"name": "x", "initial_state": "a", "states": states}, checked=False)).boxes
    assert boxes["a"].y < boxes["b"].y < boxes["c"].y < boxes["d"].y


def test_a_long_flow_is_drawn_with_a_few_thousand_bends() -> None:
    """A thousand questions that all lead to the end, too: the longest ways go straight, or a page of it would
    be half a million points."""
    states: list[dict[str, Any]] = [
        {"name": f"s{n}", "type": "menu", "properties": {"prompt": "?"}, "transitions": {"1": f"s{n + 1}"}}
        for n in range(999)
    ]
    for state in states:
        state["transitions"]["default"] = "s999"
    states.append({"name": "s999", "type": "hangup"})
    flow = from_document({"name": "long", "initial_state": "s0", "states": states}, checked=False)
    placed_well(flow)
    assert sum(len(line.points) - 2 for line in layout(flow).lines) <= 2 * MOST_BENDS


def test_mermaid_has_every_state_and_way_and_no_other_text() -> None:
    """Names and labels are written so that mermaid takes none for its own signs."""
    flow = shipped.flow("reception", "en")
    text = mermaid(flow)
    assert text.count("-->") == len(edges(flow)) + 1
    assert text.startswith("flowchart TD\n")
    assert "Dealer#39;s" not in text  # titles of states, not of the flow
    assert '|"#42;"|' in text  # the key *
    about = {
        "name": "x",
        "title": 'a"];x',
        "initial_state": "s",
        "states": [{"name": "s", "type": "hangup", "title": 'a"];x'}],
    }
    drawn = mermaid(from_document(about))
    assert "a#34;#93;#59;x" in drawn
