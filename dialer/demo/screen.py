"""What the terminal shows of a running demo, and the table at its end, in the terminal's language."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dialer.httpkit.i18n import translator
from dialer.web.words import WORDS

#: State -> colour, in the order of a call and of an agent's day.
_CALLS = {
    "dialling": "blue",
    "ringing": "cyan",
    "screening": "magenta",
    "waiting": "yellow",
    "connected": "green",
}
_AGENTS = {
    "ready": "cyan",
    "reserved": "yellow",
    "talking": "green",
    "wrap_up": "magenta",
    "paused": "white",
    "lost": "red",
}


class Screen:
    """The demo's words and tables in one language."""

    def __init__(self, locale: str) -> None:
        self._translator = translator(locale)

    def say(self, text: str, **values: object) -> str:
        """A sentence in the reader's language, its {names} filled."""
        return self._translator.gettext(text).format(**values)

    def word(self, kind: str, name: str) -> str:
        """The word of a state or result."""
        return str(self._translator.pgettext(kind, WORDS[kind][name]))

    def live(
        self,
        *,
        title: str,
        url: str,
        leads: int,
        dialled: int,
        calls: Counter[str],
        agents: Counter[str],
        figures: Mapping[str, Any],
    ) -> RenderableType:
        """The screen while calls are made."""
        table = Table.grid(padding=(0, 2))
        table.add_row(self.say("calls"), self._states("call", calls, _CALLS))
        table.add_row(self.say("agents"), self._states("agent", agents, _AGENTS))
        table.add_row(self.say("results"), self._results(figures["by_result"]))
        rates = self.say(
            "connect rate {connect}   abandoned {abandoned}   occupancy {occupancy}",
            connect=_percent(figures["connect_rate"]),
            abandoned=self._abandoned(figures),
            occupancy=_percent(figures["occupancy"]),
        )
        table.add_row(self.say("rates"), rates)
        bar = Table.grid(padding=(0, 1))
        done = self.say("{dialled} of {leads} dialled", dialled=dialled, leads=leads)
        bar.add_row(done, ProgressBar(leads, dialled, width=40))
        return Group(Text(title, style="bold"), Text(url, style="underline"), bar, table)

    def _states(self, kind: str, counts: Counter[str], styles: Mapping[str, str]) -> Text:
        text = Text()
        for state, style in styles.items():
            if counts[state]:
                text.append(f"{self.word(kind, state)} {counts[state]}  ", style=style)
        return text or Text("-", style="dim")

    def _results(self, by_result: Mapping[str, int]) -> Text:
        shown = [f"{self.word('result', name)} {count}" for name, count in by_result.items() if count]
        return Text(", ".join(shown) or "-", style="" if shown else "dim")

    def summary(self, summary: Mapping[str, Any], notes: Sequence[str]) -> RenderableType:
        """The table at the end; formulas stand beside the rates."""
        table = Table(title=self.say("Campaign"), show_header=False, title_justify="left")
        table.add_column(style="bold", overflow="fold")
        table.add_column(overflow="fold")

        def row(text: str, value: str) -> None:
            table.add_row(self.say(text), value)

        row("attempts", str(summary["attempts"]))
        for result, count in summary["by_result"].items():
            if count:
                table.add_row(f"  {self.word('result', result)}", str(count))
        row("answered / by a person", f"{summary['answered']} / {summary['answered_live']}")
        row("connected with agents", str(summary["connected"]))
        row("connect rate = answered by a person / attempts", _percent(summary["connect_rate"]))
        row("reach rate = contacts reached / dialled", _percent(summary["reach_rate"]))
        row("abandon rate = abandoned / answered by a person", self._abandoned(summary))
        row("occupancy = (talk + wrap-up) / logged in", _percent(summary["occupancy"]))
        row("agent chosen -> both in one bridge", self._milliseconds(summary["join_ms"]))
        row("answer -> agent, screening included", self._milliseconds(summary["answer_to_agent_ms"]))
        row("dialled twice by mistake, by the carrier's log", str(summary["double_dials"]))
        row("dialled again by the retry rule, after", str(self._results(summary["retries"])))
        row("attempts without an end", str(summary["unfinished_attempts"]))
        said = ", ".join(f"{code} {count}" for code, count in summary["dispositions"].items())
        row("dispositions", said or "-")
        row("seconds", f"{summary['seconds']:.0f}")
        return Group(table, *(Text(note, style="dim") for note in notes))

    def _abandoned(self, figures: Mapping[str, Any]) -> str:
        return self.say(
            "{share} (limit {limit})",
            share=_percent(figures["abandon_rate"]),
            limit=_percent(figures["abandon_limit"]),
        )

    def _milliseconds(self, spread: Mapping[str, float] | None) -> str:
        if spread is None:
            return "-"
        return self.say("p50 {p50:.0f}, p95 {p95:.0f}, max {max:.0f} ms", **spread)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share * 100:.1f} %"


def print_summary(summary: Mapping[str, Any]) -> None:
    """The machine-readable end of the demo: one line of JSON, the last of stdout."""
    print(json.dumps(summary, ensure_ascii=False), flush=True)
