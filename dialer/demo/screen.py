"""What the terminal shows of a running demo, and the table at its end."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

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


def live(
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
    table.add_row("calls", _states(calls, _CALLS))
    table.add_row("agents", _states(agents, _AGENTS))
    table.add_row("results", _results(figures["by_result"]))
    table.add_row(
        "rates",
        f"connect {_percent(figures['connect_rate'])}   abandoned {_percent(figures['abandon_rate'])}   "
        f"occupancy {_percent(figures['occupancy'])}",
    )
    bar = Table.grid(padding=(0, 1))
    bar.add_row(f"{dialled}/{leads} dialled", ProgressBar(leads, dialled, width=50))
    return Group(Text(title, style="bold"), Text(url, style="underline"), bar, table)


def _states(counts: Counter[str], styles: Mapping[str, str]) -> Text:
    text = Text()
    for state, style in styles.items():
        if counts[state]:
            text.append(f"{state.replace('_', '-')} {counts[state]}  ", style=style)
    return text or Text("none", style="dim")


def _results(by_result: Mapping[str, int]) -> Text:
    shown = [f"{name.replace('_', ' ')} {count}" for name, count in by_result.items() if count]
    return Text(", ".join(shown) or "none yet", style="" if shown else "dim")


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share * 100:.1f} %"


def _milliseconds(spread: Mapping[str, float] | None) -> str:
    if spread is None:
        return "-"
    return "  ".join(f"{name} {spread[name]:.0f} ms" for name in ("p50", "p95", "max"))


def summary_table(summary: Mapping[str, Any], notes: Sequence[str]) -> RenderableType:
    """The table at the end."""
    table = Table(title="Campaign", show_header=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column()
    table.add_row("attempts", str(summary["attempts"]))
    for result, count in summary["by_result"].items():
        if count:
            table.add_row(f"  {result.replace('_', ' ')}", str(count))
    table.add_row("answered, of these by a person", f"{summary['answered']}, {summary['answered_live']}")
    table.add_row("connected with an agent", str(summary["connected"]))
    table.add_row("connect rate = answered by a person / attempts", _percent(summary["connect_rate"]))
    table.add_row("reach rate = contacts reached / contacts dialled", _percent(summary["reach_rate"]))
    table.add_row("abandon rate = abandoned / answered by a person", _percent(summary["abandon_rate"]))
    table.add_row("occupancy = (talk + wrap-up) / logged in", _percent(summary["occupancy"]))
    table.add_row("agent chosen -> both in one bridge", _milliseconds(summary["join_ms"]))
    table.add_row("answer -> agent, screening included", _milliseconds(summary["answer_to_agent_ms"]))
    table.add_row("dialled twice (counted at the carrier)", str(summary["double_dials"]))
    table.add_row("attempts without an end", str(summary["unfinished_attempts"]))
    said = ", ".join(f"{code} {count}" for code, count in summary["dispositions"].items())
    table.add_row("dispositions", said or "none")
    table.add_row("seconds", f"{summary['seconds']:.0f}")
    return Group(table, *(Text(note, style="dim") for note in notes))


def print_summary(summary: Mapping[str, Any]) -> None:
    """The machine-readable end of the demo: one line of JSON, the last of stdout."""
    print(json.dumps(summary, ensure_ascii=False), flush=True)
