"""The retry rules of a campaign in its form, and told in a line each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from multidict import MultiMapping

from dialer.campaigns.model import Disposition
from dialer.campaigns.store import KeptDisposition
from dialer.httpkit.i18n import translator
from dialer.web.formats import number, span
from scheduler.retry import AFTER_RESULT, AFTER_TALK, LONGEST_S, Wait

#: Results of which the form asks; of the others a rule that was set by API stays.
RESULTS: Final = (
    "busy", "no_answer", "declined", "machine", "caller_hung_up", "abandoned", "congestion", "failed",
    "invalid", "unknown",
)  # fmt: skip
_NUMBER: Final = re.compile(r"[0-9]{1,9}([.,][0-9]{1,3})?")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the table: a result or a disposition."""

    #: `results` or `dispositions`, and the name in it: the beginning of its fields' names
    key: str
    name: str
    #: what it is called; empty: the word of the result
    label: str
    #: the default, told
    usual: str
    #: what the form shows, by field
    values: Mapping[str, str]


def lines(
    locale: str, retries: Mapping[str, Any], dispositions: Sequence[Disposition | KeptDisposition]
) -> list[Line]:
    """The table as a campaign has it."""
    found = [
        Line(
            f"results.{name}",
            name,
            "",
            told(locale, AFTER_RESULT.get(name)),
            _shown(retries, "results", name),
        )
        for name in RESULTS
    ]
    for one in dispositions:
        if one.kind != "do_not_call":
            label = one.label_ru if locale == "ru" else one.label_en
            usual = told(locale, AFTER_TALK.get(one.kind))
            shown = _shown(retries, "dispositions", one.code)
            found.append(Line(f"dispositions.{one.code}", one.code, label, usual, shown))
    return found


def _shown(retries: Mapping[str, Any], which: str, name: str) -> dict[str, str]:
    kept = retries.get(which, {}).get(name)
    if kept is None:
        return {"then": ""}
    wait = Wait(**kept)
    return {
        "then": "close" if wait.after_s < 0 else "again",
        "after": "" if wait.after_s < 0 else _plain(wait.after_s / 60),
        "factor": "" if wait.factor == 1 else _plain(wait.factor),
        "most": "" if wait.most_s == LONGEST_S else _plain(wait.most_s / 60),
        "other": "on" if wait.other_part else "",
        "next": "" if wait.next_phone_s is None else _plain(wait.next_phone_s / 60),
    }


def _plain(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")


def read(form: MultiMapping[str], kept: Mapping[str, Any]) -> dict[str, Any]:
    """The rules that a form asks for, as the campaign takes them; `kept`: those that it has, of which what
    the form does not show stays."""
    found: dict[str, dict[str, Any]] = {
        which: {name: dict(wait) for name, wait in kept.get(which, {}).items()}
        for which in ("results", "dispositions")
    }
    for field in form:
        match = re.fullmatch(r"wait\.(results|dispositions)\.([a-z0-9_-]{1,50})\.then", field)
        if match is None:
            continue
        which, name = match.groups()
        wait = _wait(form, f"wait.{which}.{name}.")
        if wait is None:
            found[which].pop(name, None)
        else:
            found[which][name] = wait
    return found


def _wait(form: MultiMapping[str], key: str) -> dict[str, Any] | None:
    """A line of the form; None: as usual."""
    then = form.get(key + "then", "")
    if then not in ("again", "close"):
        return None
    asked: dict[str, Any] = {"after_s": -1 if then == "close" else _seconds(form.get(key + "after", ""))}
    if (next_phone := form.get(key + "next", "").strip()) != "":
        asked["next_phone_s"] = _seconds(next_phone)
    if then == "close":
        return asked
    asked["other_part"] = key + "other" in form
    if (factor := form.get(key + "factor", "").strip()) != "":
        asked["factor"] = factor.replace(",", ".")
    if (most := form.get(key + "most", "").strip()) != "":
        asked["most_s"] = _seconds(most)
    return asked


def _seconds(minutes: str) -> int | str:
    """Of minutes; what is no number stays as it is, for the check to name it."""
    text = minutes.strip()
    return round(float(text.replace(",", ".")) * 60) if _NUMBER.fullmatch(text) else text


def told(locale: str, wait: Wait | None) -> str:
    """What is done after a result or a disposition, in a line; None: nothing more."""
    words = translator(locale)
    if wait is None or (wait.after_s < 0 and wait.next_phone_s is None):
        return words.gettext("no more attempts")
    parts = []
    if wait.next_phone_s is not None:
        said = words.gettext("the next number of the person after %(span)s")
        parts.append(said % {"span": span(wait.next_phone_s, locale)})
    if wait.after_s < 0:
        parts.append(words.gettext("after the last number no more attempts"))
        return ", ".join(parts)
    after = (
        words.gettext("again after %(span)s")
        if wait.next_phone_s is None
        else words.gettext("after the last number all again after %(span)s")
    )
    parts.append(after % {"span": span(wait.after_s, locale)})
    if wait.factor > 1:
        said = words.gettext("each further wait %(factor)s times as long")
        parts.append(
            said % {"factor": number(wait.factor, locale, 0 if wait.factor == int(wait.factor) else 1)}
        )
    if wait.most_s < LONGEST_S:
        parts.append(words.gettext("%(span)s at most") % {"span": span(wait.most_s, locale)})
    if wait.other_part:
        parts.append(words.gettext("in a part of the day that was not tried yet"))
    return ", ".join(parts)


def rules(
    locale: str, retries: Mapping[str, Any], dispositions: Sequence[Disposition | KeptDisposition]
) -> list[tuple[Line, str, bool]]:
    """What holds for each result and disposition: the line, what is done, and whether the campaign says
    so."""
    found = []
    for line in lines(locale, retries, dispositions):
        which, name = line.key.split(".", 1)
        own = retries.get(which, {}).get(name)
        found.append((line, told(locale, Wait(**own)) if own is not None else line.usual, own is not None))
    return found
