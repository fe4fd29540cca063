"""Parts of pages that renew themselves: what they wait for is told, and the page hears it."""

from __future__ import annotations

import re
from pathlib import Path

import dialer
from dialer.web import render

SERVER = Path(dialer.__file__).parent
#: How a kind of events is told: `emit(conn, "call.state"`, `Fact("call.state"`, `told.append(("call.state"`.
TOLD = re.compile(r'(?:\bemit|\bFact|\b_tell|\bappend)\(\(?\s*(?:conn,\s*)?"([a-z_]+\.[a-z_]+)"')
WANTED = re.compile(r'data-on="([^"]*)"')


def told() -> set[str]:
    """The kinds that the server tells."""
    files = (file for file in SERVER.glob("**/*.py") if "bench" not in file.parts)
    return {kind for file in files for kind in TOLD.findall(file.read_text(encoding="utf-8"))}


def heard() -> list[str]:
    """The kinds that a page hears of: a stream of events tells a browser only of those it has asked for."""
    text = (SERVER / "web/static/app.js").read_text(encoding="utf-8")
    (kinds,) = re.findall(r"const KINDS = \[(.*?)\];", text, re.DOTALL)
    return re.findall(r'"([a-z_.]+)"', kinds)


def wanted(kind: str) -> bool:
    """Whether a part of some page is renewed by it."""
    texts = (file.read_text(encoding="utf-8") for file in render.TEMPLATES.glob("**/*.html"))
    on = {one for text in texts for words in WANTED.findall(text) for one in words.split()}
    return any(kind.startswith(one) if one.endswith(".") else kind == one for one in on)


def test_a_page_hears_of_all_that_its_parts_wait_for() -> None:
    """And of nothing that renews none."""
    assert len(told()) > 25
    assert sorted(kind for kind in told() if wanted(kind) and kind not in heard()) == []
    assert [kind for kind in heard() if not wanted(kind)] == []
    assert len(set(heard())) == len(heard())


def test_the_board_is_renewed_when_a_trunk_fails() -> None:
    """Its health is told by a kind of its own, not by that of a changed setting."""
    for name in ("board.html", "wall.html"):
        text = (render.TEMPLATES / name).read_text(encoding="utf-8")
        assert any("trunk.state" in words.split() for words in WANTED.findall(text)), name
    assert "trunk.state" in told()


def test_every_kind_of_events_is_described() -> None:
    """Programs learn of them from the table."""
    text = (SERVER.parent / "docs/reference/api.md").read_text(encoding="utf-8")
    assert sorted(kind for kind in told() if f"`{kind}`" not in text) == []
