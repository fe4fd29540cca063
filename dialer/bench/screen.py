"""The bench of faults on a terminal, and as the tables of docs/faults.md."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from dialer.bench.model import OVER_LIMIT, Row, Run, by_fault, over_limit, totals
from dialer.errors import Invalid

#: The parts of docs/faults.md that are made from the results file.
PARTS = ("faults", "cases", "figures")


@dataclass(slots=True)
class Screen:
    """A table of the rows that grows with their runs; without a terminal, a line when something is known."""

    console: Console
    rows: Sequence[Row]
    #: how many runs are wanted of each row
    wanted: Mapping[str, int]
    runs: list[Run] = field(default_factory=list)
    _line: str = ""
    _began: float = field(default_factory=time.monotonic)
    _live: Live | None = None

    def __enter__(self) -> Screen:
        if self.console.is_terminal:
            # Made anew at each look: its clock goes on while nothing is said.
            self._live = Live(console=self.console, get_renderable=self._render, refresh_per_second=2)
            self._live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._line = ""
        if self._live is not None:
            self._live.__exit__(None, None, None)
        else:
            self.console.print(self.table())

    def say(self, line: str) -> None:
        """What is done now."""
        self._line = line
        if self._live is None:
            self.print(line, style="dim")

    def print(self, line: str, style: str | None = None) -> None:
        """A line that stays, above the table where that is alive."""
        # A log is searched by lines: only a terminal has them broken.
        whole = not self.console.is_terminal
        self.console.print(line, style=style, highlight=False, markup=False, soft_wrap=whole)

    def add(self, run: Run) -> None:
        """A run is known."""
        self.runs.append(run)
        if not run.held:
            self.print(told(run), style="bold red")

    def table(self) -> Table:
        """The rows so far."""
        title = f"faults, {time.monotonic() - self._began:.0f} s"
        table = Table(title=title, box=SIMPLE_HEAD, pad_edge=False, padding=(0, 0))
        table.add_column("fault", no_wrap=True)
        for name in ("runs", "calls", "twice", "no end", "lost", "unknown", "back p50", "max", "broken"):
            table.add_column(name, justify="right")
        found = by_fault(self.runs)
        for row in self.rows:
            if not self.wanted[row.name]:
                continue  # nothing is asked of it: no short form, or the results file has all its seeds
            sums = totals(found.get(row.name, ()))
            table.add_row(
                row.name,
                f"{sums.runs}/{self.wanted[row.name]}",
                str(sums.calls),
                *(_zero(n) for n in (sums.double_dials, sums.unfinished_attempts, sums.lost_dispositions)),
                str(sums.unknown),
                _seconds(sums.recover_p50_s),
                _seconds(sums.recover_max_s),
                _zero(sums.broken),
                style="red" if sums.broken else None,
            )
        return table

    def _render(self) -> RenderableType:
        return Group(self.table(), Text(self._line, style="dim"))


def told(run: Run) -> str:
    """What did not hold in a run, and how to make it again."""
    words = [
        f"{count} {what}"
        for count, what in (
            (run.double_dials, "numbers dialled twice"),
            (run.unfinished_attempts, "attempts without an end"),
            (run.lost_dispositions, "saved dispositions lost"),
        )
        if count
    ]
    words += [run.broken] if run.broken else []
    case = f" ({run.case})" if run.case else ""
    again = f"dozvon bench faults --only {run.fault} --seed {run.seed}{' --short' if run.short else ''}"
    return f"{run.fault}, seed {run.seed}{case}: {'; '.join(words)}. Again: {again}"


def _zero(count: int) -> Text:
    return Text(str(count), style="bold red" if count else "green")


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} s"


# -- for the docs ------------------------------------------------------------------------------------------


def tables(rows: Sequence[Row], runs: Sequence[Run]) -> dict[str, str]:
    """The tables of the docs in Markdown, by the name of their part."""
    found = by_fault(runs)
    known = [row for row in rows if row.name in found]
    return {
        "faults": _markdown(
            ("fault", "must hold", *_COLUMNS),
            [
                (f"**{row.name}**: {row.title}", row.must_hold, *_cells(row, found.get(row.name, ())))
                for row in rows
            ],
        ),
        "cases": _markdown(
            ("fault", "case", *_COLUMNS),
            [
                (row.name, f"`{case}`", *_cells(row, runs))
                for row in known
                for case in row.cases
                if (runs := [run for run in found[row.name] if run.case == case])
            ],
        ),
        "figures": _markdown(
            ("fault", "figure", "value"),
            [
                (row.name, f"`{name}`", f"{value:,.10g}")
                for row in known
                for name, value in sorted(totals(found[row.name]).figures.items())
                if name != OVER_LIMIT  # it has a column
            ],
        ),
    }


_COLUMNS = (
    "runs",
    "calls",
    "dialled twice",
    "no end",
    "saved and lost",
    "unknown",
    "back, p50 / max",
    "over the limit at rest",
    "broken",
)


def _cells(row: Row, runs: Sequence[Run]) -> tuple[str, ...]:
    if not runs:
        return (f"not run yet, 0 of {row.long_runs:,}", *[""] * (len(_COLUMNS) - 1))
    sums, over = totals(runs), over_limit(row, runs)
    back = [_seconds(sums.recover_p50_s), _seconds(sums.recover_max_s)]
    counts = (sums.runs, sums.calls, sums.double_dials, sums.unfinished_attempts, sums.lost_dispositions)
    return (
        *(f"{count:,}" for count in counts),
        f"{sums.unknown:,}",
        " / ".join(back) if back[0] else "",
        "" if over is None else f"{over:,}",
        str(sums.broken),
    )


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def part(name: str) -> re.Pattern[str]:
    """A part of a page that is made: its opening line, what is in it, its end."""
    return re.compile(rf"(<!-- {name}:[^\n]*-->\n)(.*?)(<!-- /{name} -->)", re.DOTALL)


def write_docs(page: Path, rows: Sequence[Row], runs: Sequence[Run]) -> None:
    """Write the tables into the page. Raises Invalid for a page without the parts."""
    text = page.read_text(encoding="utf-8")
    for name, table in tables(rows, runs).items():
        found = part(name).search(text)
        if found is None:
            raise Invalid(field="--docs", reason=f"{page} has no part {name}")
        text = f"{text[: found.end(1)]}{table}\n{text[found.start(3) :]}"
    page.write_text(text, encoding="utf-8")
