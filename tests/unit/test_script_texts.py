"""What is wrong with a script is said in Russian too."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir

import dialer.scripts
from dialer.errors import BadScript
from dialer.httpkit.i18n import said, translator
from dialer.scripts import checks, shipped
from dialer.scripts.loader import load
from ivr_flows.model import LANGUAGES

FOLDER = Path(dialer.scripts.__file__).parent
#: Which argument of what is a text.
KEYWORDS = {"told": (1,), "bad": (3,), "ValueError": (1,), "Said": (1,)}
#: Texts that have a name of their own, where they are long.
NAMED = re.compile(r'\btext(?:, \w+)? = \(?"([^"]+)"')


def texts() -> set[str]:
    """Every text that a problem of a script can have."""
    found = {
        text if isinstance(text, str) else text[0]
        for _file, _line, text, _comments, _context in extract_from_dir(
            FOLDER, [("*.py", "python")], keywords=KEYWORDS
        )
    }
    return found.union(*(NAMED.findall(file.read_text()) for file in FOLDER.glob("*.py")))


def test_every_text_has_russian_words_with_the_same_names() -> None:
    """None is left in English, and none loses a name on the way."""
    russian, found = translator("ru"), texts()
    assert len(found) > 30
    assert [one for one in sorted(found) if russian.gettext(one) == one] == []
    for one in found:
        assert sorted(re.findall(r"{\w+}", one)) == sorted(re.findall(r"{\w+}", russian.gettext(one))), one


@pytest.mark.parametrize(
    ("step", "line", "words"),
    [
        ("{name: a, type: text, text: Hi, next: bye2}", 4, "нет шага «bye2»; может быть, «bye»?"),
        ("{name: a, type: text, text: Hi, next: bye, nxt: bye}", 4, "«nxt» здесь неизвестно: name, title"),
        ("{name: a, type: question, text: Hi, kind: choice, next: bye}", 4, "choices указывают"),
        ("{name: a, type: text, text: '{b', next: bye}", 4, "у скобки нет пары"),
    ],
)
def test_a_problem_is_told_in_russian_with_its_line(step: str, line: int, words: str) -> None:
    """As the editor shows it."""
    with pytest.raises(BadScript) as caught:
        load(f"name: s\nfirst: a\nsteps:\n  - {step}\n  - {{name: bye, type: end, text: Bye}}\n")
    (first, *_) = caught.value.problems
    assert (first.line, words in str(said(first.text, "ru"))) == (line, True), said(first.text, "ru")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_script_that_comes_along_can_be_published(language: str) -> None:
    """It is sound, and is in the language it says; both have the same steps."""
    script = load(shipped.text(language))
    assert (script.language, checks.problems(script)) == (language, ())
    assert list(script.steps) == list(load(shipped.text("en")).steps)
