"""The answers of why-not in words, in Russian and English: for pages, replies and the command line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_datetime, get_timezone_location
from babel.numbers import format_decimal

from dialer.donotcall.model import Entry, Kind
from dialer.httpkit.i18n import translator
from dialer.whynot import model as m
from dialer.whynot.model import Answer, Count, Finding, Funnel, Report
from dialer.whynot.texts import (
    CLOSED,
    LABELS,
    LACKS,
    MODES,
    OPENS,
    PURPOSES,
    READY,
    SOURCES,
    TEXTS,
    TITLES,
    UNTIL,
    mark,
)

#: Of the messages: "closed" of leads is not that of doors.
CONTEXT = "why-not"


class Words:
    """Says it in one language; `zone`: the IANA zone of the reader."""

    def __init__(self, locale: str, zone: str, now: datetime) -> None:
        self._locale = locale
        self._texts = translator(locale)
        self._zone = zone
        self._now = now

    def get(self, text: str) -> str:
        """The text in the reader's language."""
        return str(self._texts.pgettext(CONTEXT, text))

    def number(self, value: int) -> str:
        """12,345."""
        return str(format_decimal(value, locale=self._locale))

    # -- places and times ----------------------------------------------------------------------------------

    def city(self, zone: str) -> str:
        """Yekaterinburg, of Asia/Yekaterinburg."""
        return str(get_timezone_location(ZoneInfo(zone), locale=self._locale, return_city=True))

    def _clock(self, at: datetime, zone: str) -> str:
        there, here = at.astimezone(ZoneInfo(zone)), self._now.astimezone(ZoneInfo(zone))
        if there.date() == here.date():
            return f"{there:%H:%M}"
        form = "d MMM HH:mm" if there.year == here.year else "d MMM y HH:mm"
        return str(format_datetime(there, form, tzinfo=ZoneInfo(zone), locale=self._locale))

    def when(self, at: datetime, place: str) -> str:
        """`09:00 in Yekaterinburg (07:00 Moscow)`; the day too, where it is another."""
        if not place:
            place = self._zone
        there = self.get(mark("{time} in {city}")).format(time=self._clock(at, place), city=self.city(place))
        own = at.astimezone(ZoneInfo(self._zone))
        if own.utcoffset() == at.astimezone(ZoneInfo(place)).utcoffset():
            return there
        return f"{there} ({self._clock(at, self._zone)} {self.city(self._zone)})"

    def _clocks(self, zones: Iterable[str]) -> str:
        told: dict[str, list[str]] = {}
        for zone in sorted(zones, key=lambda one: self._now.astimezone(ZoneInfo(one)).replace(tzinfo=None)):
            told.setdefault(f"{self._now.astimezone(ZoneInfo(zone)):%H:%M}", []).append(self.city(zone))
        return "; ".join(f"{time} {self._cities(names)}" for time, names in told.items())

    def _cities(self, names: Sequence[str]) -> str:
        if len(names) <= 2:
            return ", ".join(names)
        return self.get(mark("{city} and {many} more")).format(city=names[0], many=len(names) - 1)

    # -- one step ------------------------------------------------------------------------------------------

    def title(self, step: str) -> str:
        """What the step looks at."""
        return self.get(TITLES.get(step, step))

    def text(self, answer: Answer) -> str:
        """What the step says."""
        reason = answer.reason
        if answer.step == m.LEAD and answer.stops and reason != "none":
            reason = "closed"
        template = TEXTS.get((answer.step, reason))
        if template is None:  # a filter of a version to come
            return f"{self.title(answer.step)}: {reason or self.get(mark('yes'))}"
        said = self.get(template).format(**self._values(answer))
        if answer.stops and answer.until is not None:
            end = OPENS if answer.step == "hours" else UNTIL
            said += " " + self.get(end).format(when=self.when(answer.until, answer.place))
        return said

    def _values(self, answer: Answer) -> dict[str, Any]:
        given: dict[str, Any] = dict(answer.values)
        detail = str(given.get("detail", ""))
        words = {
            "closed": self.get(CLOSED.get(answer.reason, answer.reason)),
            "source": self.get(SOURCES.get(detail, detail)) if detail else "",
            "lack": self.get(LACKS.get(detail, detail)) if detail else "",
            "purpose": self.get(PURPOSES.get(str(given.get("purpose", "")), "")) or "",
            "mode": self.get(MODES.get(str(given.get("mode", "")), "")) or "",
            "result": self.get(CLOSED.get(str(given.get("result", "")), "—")),
            "hold": self.label(str(given.get("hold", "")), ""),
            "clocks": self._clocks(given.get("zones", ())),
            "when": self.when(answer.until, answer.place) if answer.until else "",
        }
        for name in ("ahead", "calls", "logged_in", "ready", "busy", "others", "today"):
            if name in given:
                words[name] = self.number(given[name])
        return {**given, **words}

    # -- one number ----------------------------------------------------------------------------------------

    def headline(self, finding: Finding) -> str:
        """Why it is not dialled, in a sentence; or that it is."""
        stopped = finding.stopped
        if stopped is None:
            turn = next((one for one in finding.answers if one.step == m.TURN), None)
            return self.text(turn) if turn else self.get(mark("It is dialled in its turn."))
        said = self.text(stopped)
        opens = finding.not_before
        if opens is not None and opens != stopped.until:
            said += " " + self.get(mark("Not before {when}.")).format(when=self.when(opens, finding.place))
        return said

    def known(self, report: Report) -> str:
        """Whose number it is."""
        if not report.contacts:
            said = self.get(mark("Nobody has this number: it is on no list."))
        elif len(report.contacts) == 1:
            one = report.contacts[0]
            said = one.name or self.get(mark("A contact without a name."))
            if one.lists:
                lists = ", ".join(one.lists)
                said = self.get(mark("{name}; on the lists {lists}.")).format(name=said, lists=lists)
        else:
            said = self.get(mark("{many} contacts have this number.")).format(many=len(report.contacts))
        if report.contacts and not report.findings:
            said += " " + self.get(mark("No campaign has a lead of it."))
        return said

    def bans(self, report: Report) -> list[str]:
        """What of the do-not-call list forbids the number: which entry, for whom, why, since when and until
        when."""
        said = [self._ban(one) for one in report.entries]
        if report.erased:
            said.append(self.get(mark("Its owner was erased and had asked not to be called.")))
        return said

    def _ban(self, entry: Entry) -> str:
        parts = []
        if entry.kind is Kind.PREFIX:
            parts.append(self.get(mark("all numbers that begin with {number}")).format(number=entry.number))
        if entry.campaign_id is not None:
            name = entry.campaign or entry.campaign_id
            parts.append(self.get(mark("for the campaign {campaign}")).format(campaign=name))
        source = self.get(SOURCES.get(entry.source.value, entry.source.value))
        parts.append(f"{source} {entry.registry}" if entry.registry else source)
        if entry.reason:
            parts.append(entry.reason)
        since = self.when(entry.valid_from or entry.added_at, "")
        parts.append(self.get(mark("since {when}")).format(when=since))
        if entry.valid_until is None:
            parts.append(self.get(mark("for good")))
        else:
            parts.append(self.get(mark("until {when}")).format(when=self.when(entry.valid_until, "")))
        said = self.get(mark("Entry {id} of the do-not-call list forbids it: {parts}."))
        return said.format(id=entry.id, parts=", ".join(parts))

    # -- a campaign ----------------------------------------------------------------------------------------

    def label(self, step: str, reason: str) -> str:
        """What leads are that the step stops for that reason."""
        found = LABELS.get((step, reason)) or LABELS.get((step, ""))
        if found is None:
            return self.title(step)
        if step == m.LEAD and reason:
            return f"{self.get(found)}: {self.get(CLOSED.get(reason, reason))}"
        return self.get(found)

    def sentence(self, funnel: Funnel) -> str:
        """`12,431 leads: 9,100 outside hours, 2,004 waiting for retry, 16 ready`."""
        many = self._texts.ngettext("{num} lead", "{num} leads", funnel.leads)
        said = many.format(num=self.number(funnel.leads))
        closed = sum(one.leads for one in funnel.counts if one.step == m.LEAD)
        parts = [
            f"{self.number(one.leads)} {self.label(one.step, one.reason)}"
            for one in sorted(funnel.counts, key=lambda one: -one.leads)
            if one.step != m.LEAD
        ]
        if closed:
            parts.append(f"{self.number(closed)} {self.label(m.LEAD, '')}")
        parts.append(f"{self.number(funnel.ready)} {self.get(READY)}")
        return f"{said}: {', '.join(parts)}" if funnel.leads else said

    def asked(self, funnel: Funnel) -> str:
        """How much of it is exact."""
        if not funnel.ready and not funnel.asked:
            return ""
        if funnel.exact:
            return self.get(mark("Every rule was asked of each that is ready."))
        return self.get(
            mark(
                "Ready is whom nothing written on the lead and no list stops. Every rule was asked of the "
                "next ones in the order: {asked} may be dialled now; of the others it is asked in their turn."
            )
        ).format(asked=self.number(funnel.asked))

    def first(self, funnel: Funnel) -> str:
        """When the first that rests may pass; empty: no time is known."""
        first: Count | None = funnel.first
        if first is None or first.opens is None:
            return ""
        when, label = self.when(first.opens, first.place), self.label(first.step, first.reason)
        said = self.get(mark("The first of the others may be dialled {when} ({label})."))
        return said.format(when=when, label=label)

    def warnings(self, funnel: Funnel) -> list[tuple[str, str]]:
        """Why a campaign that runs would dial nothing now, each with its stable name; none: it dials."""
        found: list[tuple[str, str]] = []
        if not funnel.by_hand:
            if not funnel.leads:
                found.append(("no-leads", self.get(mark("The campaign has no leads: add a list to it."))))
            elif not funnel.dials:
                said = self.get(mark("Nobody can be dialled now. {sentence}.")).format(
                    sentence=self.sentence(funnel)
                )
                found.append(("nothing-ready", f"{said} {self.first(funnel)}".strip()))
            without = sum(one.leads for one in funnel.counts if one.step == "consent")
            if without:
                text = mark(
                    "The policy {policy} asks for a consent to {purpose}; for {many} of {all} leads none is "
                    "on record."
                )
                said = self.get(text).format(
                    policy=funnel.policy,
                    purpose=self.get(PURPOSES.get(funnel.purpose, funnel.purpose)),
                    many=self.number(without),
                    all=self.number(funnel.leads),
                )
                found.append(("no-consents", said))
        found += [
            (f"{one.step}-{one.reason}".replace("_", "-"), self.text(one))
            for one in funnel.answers
            if one.stops
            and one.step in (m.POLICY, m.LINES, m.SERVER, m.AGENTS)
            # They dial by hand, or will be free in a moment.
            and (one.step, one.reason) not in {(m.AGENTS, "by_hand"), (m.AGENTS, "all_busy")}
        ]
        return found
