"""The names of a flow in the words of who wrote it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from dialer.inbound.titles import Step, Told, told
from ivr_flows import shipped

RECEPTION = yaml.safe_load(shipped.text("reception", "ru"))


def walked(flow: str, path: Iterable[str], states: Iterable[dict[str, Any]]) -> list[Step]:
    """The steps of a call by the names of their states."""
    known = {one["name"]: one for one in states}
    return [Step(flow, name, known.get(name, {})) for name in path]


def test_an_agent_reads_titles() -> None:
    """Of the flow, of each state that has one, of what was asked, and of where the choice led; the reason
    that the flow took from the choice is called so, too."""
    steps = walked("reception", ["hours", "hello", "departments", "sales"], RECEPTION["states"])
    assert told(RECEPTION["title"], steps, {"reason": "sales"}, "sales") == Told(
        "Приёмная дилера",
        ["Открыто ли", "hello", "Выбор отдела", "Очередь продаж"],
        [("Выбор отдела", "Очередь продаж")],
        "Очередь продаж",
    )


def test_what_has_no_title_keeps_its_name() -> None:
    """Digits are digits, a reason of one's own stays, and an unknown flow is told as it is."""
    states: list[dict[str, Any]] = [
        {"name": "order", "title": "Order number", "type": "gather", "properties": {"into": "order"}},
        {"name": "by", "type": "lookup", "title": "Who", "properties": {"into": {"car": "$.car"}}},
        {"name": "end", "type": "hangup"},
    ]
    steps = walked("shop", ["by", "order", "end", "gone"], states)
    assert told("shop", steps, {"order": 4412, "car": "Kia"}, "order") == Told(
        "shop", ["Who", "Order number", "end", "gone"], [("Order number", "4412"), ("car", "Kia")], "order"
    )


def test_two_flows_call_their_states_alike() -> None:
    """A jump takes a call to a flow whose states have the same names: each keeps its own title."""
    choice = {"into": "what", "values": {"1": "buy"}}
    menu: dict[str, Any] = {"name": "menu", "properties": choice, "transitions": {"1": "end"}}
    day = [{**menu, "title": "By day"}, {"name": "end", "title": "To sales"}]
    night = [{**menu, "title": "By night"}, {"name": "end"}]
    path = ["menu", "end"]
    found = told("Day", [*walked("day", path, day), *walked("night", path, night)], {"what": "buy"}, None)
    assert found.path == ["By day", "To sales", "By night", "end"]
    assert found.answers == [("By day", "To sales")]
