"""The tables and the plot of docs/pacing.md, made from the results file; nothing in them is typed by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from dialer.bench.pacing import verdict
from dialer.bench.pacing.cases import RATES, START_RATES, STARTS, STARTS_S, TEAMS
from dialer.errors import Invalid
from dialer.pacing.simulator.plot import chart

PAGE: Final = Path("docs/pacing.md")
PLOT: Final = Path("docs/images/pacing.svg")
#: The newest line of each case, by part and row.
Results: TypeAlias = Mapping[tuple[str, str], Mapping[str, Any]]

#: Heading and rule of the columns that hold the limit, or try to.
_HOLD: Final = (
    ("one call an agent", "progressive {n} {p} 0.03"),
    ("adaptive level", "adaptive {n} {p} 0.03"),
    ("adaptive, free agents only", "adaptive-idle {n} {p} 0.03"),
    ("97 % done", "nearly-done {n} {p} 0.03"),
    ("tuned number of calls a free agent", "power {n} {p} 0.03"),
    ("**predictive**, each day", "predictive {n} {p} 0.03 each-day"),
    ("**predictive**, long run", "predictive {n} {p} 0.03 long-run"),
    ("ends of talks known", "release-known {n} {p} 0.03 long-run"),
    ("answers known", "answers-known {n} {p} 0.03 long-run"),
)
#: Abandoned so much over the limit is told in brackets.
_OVER: Final = 0.035
#: Those that pass it: told with what they abandon.
_PASS: Final = (
    ("adaptive level", "adaptive {n} 0.3 0.03"),
    ("the same, hard limit", "adaptive-hard {n} 0.3 0.03"),
    ("97 % done, overcommit", "overcommit {n} 0.3 0.03"),
    ("gamma", "gamma {n} 0.3 0.03"),
    ("boost 1 / answer rate", "boost {n} 0.3 0.03"),
    ("predictive, each day", "predictive {n} 0.3 0.03 each-day"),
)
_PLOTTED: Final = (
    ("answers known", "answers-known {n} 0.3 0.03 long-run"),
    ("ends of talks known", "release-known {n} 0.3 0.03 long-run"),
    ("predictive", "predictive {n} 0.3 0.03 long-run"),
    ("tuned calls a free agent", "power {n} 0.3 0.03"),
    ("adaptive, free agents", "adaptive-idle {n} 0.3 0.03"),
    ("97 % done", "nearly-done {n} 0.3 0.03"),
    ("one call an agent", "progressive {n} 0.3 0.03"),
)


def write(results: Results) -> None:
    """Put the tables between their marks, and the plot beside. Raises Invalid where there is no such page, or
    nothing that could stand on it."""
    if not results:
        raise Invalid(
            field="--results", reason="it has no measurement, of which the page would be made empty"
        )
    if not PAGE.is_file():
        raise Invalid(field="--docs", reason=f"there is no {PAGE} here: run it in a checkout")
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")
    PLOT.write_text(plot(results), encoding="utf-8")


def render(page: str, results: Results) -> str:
    """The page with its tables."""
    for name, table in (
        ("held", held(results)),
        ("passed", passed(results)),
        ("one-percent", one_percent(results)),
        ("start", start(results)),
        ("robust", robust(results)),
    ):
        begin, end = f"<!-- pacing:{name} -->", f"<!-- /pacing:{name} -->"
        before, found, rest = page.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise Invalid(field=str(PAGE), reason=f"it has no {begin} ... {end}")
        page = f"{before}{begin}\n{table}\n{end}{after}"
    return page


def held(results: Results) -> str:
    """Occupancy by team; in a cell the answer rates 0.2, 0.3, 0.4, 0.8."""
    return _by_team(results, _HOLD, _occupancy, RATES)


def _occupancy(one: Mapping[str, Any]) -> str:
    over = one["abandon_rate"] > _OVER
    beside = f" ({100 * one['abandon_rate']:.0f})" if over else ""
    return f"{100 * one['occupancy']:.1f}{beside}"


def one_percent(results: Results) -> str:
    """The same at 1 %."""
    return _by_team(
        results,
        (("predictive, long run", "predictive {n} {p} 0.01 long-run"),),
        lambda one: f"{100 * one['occupancy']:.1f}",
        RATES,
    )


def passed(results: Results) -> str:
    """Occupancy and what it was paid with, at the answer rate 0.3."""
    return _by_team(
        results,
        _PASS,
        lambda one: f"{100 * one['occupancy']:.1f} at {100 * one['abandon_rate']:.1f}",
        (0.3,),
    )


def _by_team(
    results: Results,
    columns: Sequence[tuple[str, str]],
    cell: Callable[[Mapping[str, Any]], str],
    rates: Sequence[float],
) -> str:
    def of(row: str) -> str:
        line = results.get(("reference", row))
        return cell(line["figures"]) if line else "-"

    body = []
    for agents in TEAMS:
        cells = []
        for _, pattern in columns:
            each = [of(pattern.format(n=agents, p=rate)) for rate in rates]
            cells.append("-" if set(each) == {"-"} else " / ".join(each))
        body.append((str(agents), *cells))
    return markdown(("agents", *(head for head, _ in columns)), body)


def start(results: Results) -> str:
    """A line a team: of each stretch what was abandoned of how many, and occupancy; answer rates beside."""

    def of(agents: int, at: int) -> str:
        lines = [results.get(("start", f"{agents} {rate}")) for rate in START_RATES]
        each = [line["figures"]["stretches"][at] for line in lines if line]
        if len(each) < len(lines):
            return "-"
        return " / ".join(
            f"{100 * one['abandoned'] / max(one['live'], 1):.1f} at {100 * one['occupancy']:.0f}"
            for one in each
        )

    heads = [f"minutes {from_s / 60:.0f} to {until_s / 60:.0f}" for from_s, until_s in STARTS_S]
    body = [(str(agents), *(of(agents, at) for at in range(len(heads)))) for agents in STARTS]
    return markdown(("agents", *heads), body)


def robust(results: Results) -> str:
    """A line a case: predictive, with one call an agent beside it."""
    body = []
    for (part, row), line in results.items():
        if part != "robust" or row.endswith("(progressive)"):
            continue
        beside = results.get((part, f"{row} (progressive)"))
        one = line["figures"]
        body.append(
            (
                row,
                _percent(beside["figures"]["occupancy"]) if beside else "-",
                _percent(one["occupancy"]),
                _percent(one["abandon_rate"], 2),
                _percent(one["worst_24h_abandon_rate"], 2),
                _percent(one["unserved_rate"], 2),
                _percent(one.get("after_abandon_rate"), 1),
                _percent(one.get("after_occupancy")),
                "-" if one.get("back_s") is None else f"{one['back_s'] / 60:.0f}",
                {None: "-", "": "yes"}.get(said := verdict.broken(one, line["target"]), said or ""),
            )
        )
    return markdown(
        (
            "what is put into the world",
            "one call an agent: occupancy",
            "predictive: occupancy",
            "abandoned",
            "worst 24 h",
            "by the customers' ear",
            "abandoned in the 15 min after a change",
            "occupancy in them",
            "back after, min",
            "held",
        ),
        body,
    )


def plot(results: Results) -> str:
    """Occupancy by the size of the team."""
    lines = {}
    for name, pattern in _PLOTTED:
        found = ((agents, results.get(("reference", pattern.format(n=agents)))) for agents in TEAMS)
        lines[name] = [(float(agents), 100 * one["figures"]["occupancy"]) for agents, one in found if one]
    return chart(
        "Occupancy where 3 % of the answered calls may be abandoned",
        "agents (answer rate 0.3)",
        "occupancy, %",
        lines,
        (60.0, 100.0),
    )


def markdown(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A table of Markdown, without the columns that have nothing to say."""
    shown = [at for at in range(len(head)) if at == 0 or any(row[at] != "-" for row in body)]
    rows = [[row[at] for at in shown] for row in (head, ["---"] * len(head), *body)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _percent(share: float | None, places: int = 1) -> str:
    return "-" if share is None else f"{100 * share:.{places}f}"
