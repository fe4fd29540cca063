"""Every text of the pages has its Russian words, and numbers have the right form."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from dialer.clock import utc_now
from dialer.compliance.policies import POLICIES
from dialer.httpkit.i18n import FOLDER, translator
from dialer.reports.present import Pace
from dialer.telemetry import mask_number
from dialer.web import formats, words
from dialer.web.views.callbacks import clocks

WEB = Path(words.__file__).parent
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "mark": None}
OPTIONS = {"extensions": "jinja2.ext.i18n,jinja2.ext.do", "newstyle_gettext": "true"}


def used() -> Iterator[tuple[str, ...]]:
    """The message ids of templates and code; a plural with both its forms."""
    found = extract_from_dir(
        WEB,
        [("templates/**.html", "jinja2"), ("*.py", "python"), ("views/*.py", "python")],
        options_map={"templates/**.html": OPTIONS},
        keywords=KEYWORDS,
    )
    for _file, _line, message, _comments, _context in found:
        yield message if isinstance(message, tuple) else (message,)


def test_every_text_has_russian_words() -> None:
    """No page falls back to English in the middle of a Russian sentence."""
    russian = translator("ru")
    missing = []
    for message in used():
        said = russian.ngettext(*message, 5) if len(message) == 2 else russian.gettext(message[0])
        if said in message:
            missing.append(message[0])
    assert missing == []


def test_every_word_of_a_state_has_russian_words() -> None:
    """Under its kind: agents', calls', results' and other words."""
    russian = translator("ru")
    found = [(kind, text) for kind, names in words.WORDS.items() for text in names.values()]
    assert [one for one in found if russian.pgettext(*one) == one[1]] == []


def test_every_policy_that_comes_along_says_its_source_in_russian() -> None:
    """Where its numbers come from, and what forbids a mode."""
    russian = translator("ru")
    said = [text for policy in POLICIES.values() for text in (policy.source, policy.forbidden_by) if text]
    assert [text for text in said if russian.gettext(text) == text] == []


def test_no_text_of_the_pages_is_translated_in_vain() -> None:
    """What no page says any more leaves the catalogue."""
    known = {message[0] for message in used()}
    known |= {text for names in words.WORDS.values() for text in names.values()} | {"choose a file"}
    with (FOLDER / "ru/LC_MESSAGES/pages.po").open("rb") as file:
        kept = [
            one.id[0] if isinstance(one.id, tuple) else one.id for one in read_po(file, locale="ru") if one.id
        ]
    assert [one for one in kept if one not in known] == []


def test_every_text_stands_in_one_catalogue() -> None:
    """All are read as one, and of two the last one read would win, whatever the other page meant."""
    found: Counter[tuple[str | None, str]] = Counter()
    for path in (FOLDER / "ru/LC_MESSAGES").glob("*.po"):
        with path.open("rb") as file:
            found.update((one.context, str(one.id)) for one in read_po(file, locale="ru") if one.id)
    assert [text for text, times in found.items() if times > 1] == []


@pytest.mark.parametrize(
    ("many", "said"),
    [(1, "1 контакт"), (2, "2 контакта"), (5, "5 контактов"), (11, "11 контактов"), (21, "21 контакт")],
)
def test_russian_plurals(many: int, said: str) -> None:
    """One, few, many, by the last digits."""
    template = translator("ru").ngettext("%(num)s contact", "%(num)s contacts", many)
    assert template % {"num": many} == said


def test_the_pace_is_told_in_words() -> None:
    """The numbers of a decision stand in its sentence; a reason without one is shown as it is."""
    inputs = {"ready": 2, "in_air": 3, "ratio": 1.5}
    said = words.pace("ru", Pace(utc_now(), 0, "enough_in_air", inputs))
    assert "3" in said and "2" in said and "1,5" in said
    assert words.pace("en", Pace(utc_now(), 0, "unheard_of", {})) == "unheard_of"
    for why in words.PACE:
        assert "{" not in words.pace("en", Pace(utc_now(), 1, why, {}))


@pytest.mark.parametrize(
    ("value", "ru", "en"), [(0.0312, "3,1\xa0%", "3.1%"), (1.0, "100,0\xa0%", "100.0%"), (None, "—", "—")]
)
def test_shares_are_written_as_the_reader_writes_them(value: float | None, ru: str, en: str) -> None:
    """A comma and a space in Russian, a point in English, a dash for nothing to divide by."""
    assert (formats.percent(value, "ru"), formats.percent(value, "en")) == (ru, en)


def test_a_masked_number_does_not_hold_the_number() -> None:
    """Four digits of seven are gone, whatever country it is of."""
    assert formats.masked("+79161234567") == "+7\xa0916\xa0•••\xa0••\xa067"
    assert "12345" not in formats.masked("+442071234567")


def test_a_number_that_was_masked_before_is_not_masked_again() -> None:
    """Of an ended call the reader is given the end of the number alone; in a talk the beginning, too."""
    for shown in (formats.masked, formats.spaced):
        assert shown(mask_number("+79161234567")) == "•••\xa0••\xa067"
        assert shown("+7916*****67") == "+7\xa0916\xa0•••\xa0••\xa067"


@pytest.mark.parametrize(
    ("zones", "told"),
    [
        ([], ""),
        (["Europe/Moscow", "Europe/Minsk"], "TIME"),
        (["Asia/Omsk", "Europe/Moscow"], "TIME / TIME"),
        (["Asia/Kamchatka", "Asia/Omsk", "Europe/Moscow", "Europe/Kaliningrad"], "TIME – TIME"),
    ],
)
def test_clocks_of_a_person_of_many_zones(zones: list[str], told: str) -> None:
    """Each reading once; of many the first and the last."""
    assert re.sub(r"\d\d:\d\d", "TIME", clocks(zones)) == told


def test_the_lock_of_front_end_packages_names_no_host() -> None:
    """Whoever installs them uses the registry that npm is set up with there."""
    lock = json.loads((WEB / "package-lock.json").read_text())
    assert [name for name, one in lock["packages"].items() if "resolved" in one] == []
    assert all("integrity" in one for name, one in lock["packages"].items() if name)
