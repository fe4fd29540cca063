"""How `dozvon check` looks: a heading a group, a line a finding, the remedy under it."""

from __future__ import annotations

from collections import Counter
from types import TracebackType

from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from dialer.check.model import Finding, Level, count

_STYLES = {Level.OK: "green", Level.NOTE: "cyan", Level.WARN: "yellow", Level.FAIL: "bold red"}
#: Columns of the names; the longest is "data folder", "time zones" and their like.
_NAME_WIDTH = 13


class Screen:
    """Prints findings as they come, and counts them. Between them a terminal shows what is being done."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._busy: Status | None = None
        self.counts: Counter[Level] = Counter()

    def __enter__(self) -> Screen:
        if self._console.is_terminal:
            self._busy = self._console.status("looking")
            self._busy.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._busy is not None:
            self._busy.stop()

    def doing(self, line: str) -> None:
        """What takes time now; shown on a terminal only, and gone with the next line."""
        if self._busy is not None:
            self._busy.update(Text(line, style="dim"))

    def title(self, text: str, more: str) -> None:
        """The first line."""
        self._console.print(Text.assemble((text, "bold"), ("  " + more, "dim")))

    def heading(self, text: str) -> None:
        """A new group."""
        self._console.print()
        self._console.print(Text(text, style="bold"))

    def line(self, finding: Finding) -> None:
        """One finding."""
        self.counts[finding.level] += 1
        if not self._console.is_terminal:  # for a file or grep: a line is a line
            self._plain(f"  {finding.level:<4}  {finding.name:<{_NAME_WIDTH}}  {finding.found}")
            if finding.mend:
                self._plain(f"  {'':<4}  {'':<{_NAME_WIDTH}}  → {finding.mend}")
            return
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(width=len("  FAIL"), no_wrap=True)
        table.add_column(width=_NAME_WIDTH)
        table.add_column(overflow="fold")
        style = _STYLES[finding.level]
        table.add_row(Text(f"  {finding.level}", style=style), finding.name, Text(finding.found))
        if finding.mend:
            remedy = "dim" if finding.level is Level.NOTE else style
            table.add_row("", "", Text(f"→ {finding.mend}", style=remedy))
        self._console.print(table)

    def _plain(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=True)

    def end(self, more: str) -> None:
        """What it comes to."""
        fails, warns = self.counts[Level.FAIL], self.counts[Level.WARN]
        if fails:
            said = f"{count(fails, 'thing')} must be mended"
            said += f", {count(warns, 'thing')} should be." if warns else "."
        elif warns:
            said = f"Everything needed works; {count(warns, 'thing')} should be mended."
        else:
            said = "Everything works."
        style = _STYLES[Level.FAIL if fails else Level.WARN if warns else Level.OK]
        self._console.print()
        self._console.print(Text.assemble((said, f"bold {style}"), ("  " + more if more else "", "dim")))
