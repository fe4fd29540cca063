"""What is refused is said in both languages: the reasons of errors that pages and programs are shown."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

import dialer
from dialer import errors

ROOT = Path(dialer.__file__).parent
#: Rooms behind a route of the API or a page.
ROOMS = sorted({file.parent for file in ROOT.glob("*/*http.py")} | {ROOT / "web", ROOT / "web" / "views"})
#: Asked by dialplans, which read no Russian.
PROGRAMS = {"httpkit"}


def known() -> set[str]:
    """All English texts that have a Russian one."""
    found = set()
    for file in (ROOT / "web" / "locale" / "ru" / "LC_MESSAGES").glob("*.po"):
        with file.open("rb") as source:
            found |= {entry.id for entry in read_po(source) if isinstance(entry.id, str) and entry.string}
    return found


def reasons(file: Path) -> Iterator[tuple[int, str]]:
    """Line and text of each reason that is given to an error of the product."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            continue
        kind = getattr(errors, node.func.id, None)
        if not (isinstance(kind, type) and issubclass(kind, errors.DozvonError)):
            continue
        for one in node.keywords:
            if one.arg == "reason":
                yield from _texts(one.value)


def _texts(value: ast.expr) -> Iterator[tuple[int, str]]:
    if isinstance(value, ast.IfExp):
        yield from (*_texts(value.body), *_texts(value.orelse))
    elif isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "Said":
        yield from _texts(value.args[0])
    elif isinstance(value, ast.Constant) and isinstance(value.value, str):
        yield value.lineno, value.value


@pytest.mark.parametrize("room", [one for one in ROOMS if one.name not in PROGRAMS], ids=lambda one: one.name)
def test_every_reason_of_a_refusal_has_its_russian(room: Path) -> None:
    """Nobody reads an English sentence on a Russian page."""
    texts = known()
    missing = [
        f"{file.name}:{line}: {text}"
        for file in sorted(room.glob("*.py"))
        for line, text in reasons(file)
        if text not in texts
    ]
    assert missing == []


def test_reasons_are_found() -> None:
    """The search sees plain ones, those with names in them, and either of two."""
    found = {text for file in (ROOT / "contacts").glob("*.py") for _, text in reasons(file)}
    assert "there is a list {name} already" in found
