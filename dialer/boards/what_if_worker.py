"""The process that simulates one setting: `python -m dialer.boards.what_if_worker`.

It reads one line of JSON (see `asked`), and writes a line for each run as soon as it is done, until it is
ended. It comes after everything else that the machine has to do.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
from dataclasses import asdict
from typing import Any

from dialer.boards.what_if import Around, Known, RunFigures, Setting, job, read_run
from dialer.pacing.simulator.figures import Minute
from dialer.pacing.simulator.runs import run

#: As low as goes without being forgotten.
NICE = 19


def asked(known: Known, around: Around, setting: Setting) -> str:
    """The line that it reads."""
    wish = {"known": asdict(known), "around": asdict(around), "setting": asdict(setting)}
    return json.dumps(wish)


def told(line: bytes) -> RunFigures:
    """A line that it has written."""
    found: dict[str, Any] = json.loads(line)
    return RunFigures(Minute(*found["total"]), found["waits_s"], found["idle_s"])


def main() -> None:
    """Simulate until ended."""
    os.nice(NICE)
    wish = json.loads(sys.stdin.readline())
    known, around = Known(**wish["known"]), Around(**wish["around"])
    setting = Setting(**wish["setting"])
    for seed in itertools.count(1):
        figures = read_run(run(job(known, around, setting, seed)))
        line = {"total": list(figures.total), "waits_s": figures.waits_s, "idle_s": figures.idle_s}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
