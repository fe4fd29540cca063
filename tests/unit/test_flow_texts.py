"""What is wrong with a flow is said in Russian too; a name in it stands as it was given."""

from __future__ import annotations

import copy
import json
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from support.flows import document

import ivr_flows
from dialer.errors import BadFlow
from dialer.httpkit.i18n import message, said, translator
from dialer.httpkit.problems import problem
from dialer.reasons import REASONS
from dialer.said import told
from ivr_flows.checks import NAMED, problems
from ivr_flows.loader import from_document, load
from ivr_flows.naming import Named

FOLDER = Path(ivr_flows.__file__).parent
#: Which argument of what is a text.
KEYWORDS = {"told": (1,), "bad": (3,), "ValueError": (1,)}


def texts() -> Iterator[str]:
    """Every text that a problem of a flow can have."""
    for _file, _line, text, _comments, _context in extract_from_dir(
        FOLDER, [("*.py", "python")], keywords=KEYWORDS
    ):
        yield text if isinstance(text, str) else text[0]
    yield from (text for _code, text in NAMED.values())
    yield from REASONS.values()


def test_every_text_has_russian_words_with_the_same_names() -> None:
    """None is left in English, and none loses a name on the way."""
    russian, found = translator("ru"), set(texts())
    assert len(found) > 80
    # What is names alone is the same in both.
    worded = [one for one in sorted(found) if re.search(r"[a-z]", re.sub(r"{\w+}", "", one))]
    assert [one for one in worded if russian.gettext(one) == one] == []
    for one in found:
        # In order or not: Russian may turn them round.
        assert sorted(re.findall(r"{\w+}", one)) == sorted(re.findall(r"{\w+}", russian.gettext(one))), one


@pytest.mark.parametrize(
    ("text", "said_in_russian"),
    [
        ("name: a\ninitial_state: done\nstates:\n  - name: b\n    type: hangup\n", "нет состояния «done»"),
        ("name: a\nzone: Moon\ninitial_state: b\nstates:\n  - name: b\n    type: hangup\n", "«Moon»"),
        ("a: &b 1", "якоря"),
        ("a: 1", "не указано «name»"),
    ],
)
def test_a_problem_is_told_in_russian(text: str, said_in_russian: str) -> None:
    """With its line and path before it; the word `done` of a flow is no word of ours."""
    with pytest.raises(BadFlow) as caught:
        load(text, source="")
    assert said_in_russian in " ".join(str(said(one.text, "ru")) for one in caught.value.problems)
    assert "строка" in message(caught.value, "ru")
    told_of = problem(caught.value, "ru")
    assert said_in_russian in json.dumps(told_of, ensure_ascii=False)
    assert [one["code"] for one in told_of["problems"]] == [one.code for one in caught.value.problems]


def test_a_name_that_is_not_known_says_what_there_is() -> None:
    """In both languages, with the state as its path."""
    flow = from_document(document("enqueue", {"queue": "lorries"}, {"default": "end"}))
    (found,) = problems(flow, {Named.QUEUE: {"tyres", "Salon"}})
    assert found.code == "no_queue"
    assert found.path.endswith(".properties.queue")
    assert str(said(found.text, "en")).endswith("there are Salon, tyres")
    assert str(said(found.text, "ru")).endswith("есть Salon, tyres")


def test_a_text_stays_one_that_can_be_translated() -> None:
    """Copied, and sent to another process."""
    text = told("there are {names}", names="{a}, b")
    for again in (copy.deepcopy(text), pickle.loads(pickle.dumps(text))):
        assert said(again, "ru") == "есть {a}, b"
