"""`dozvon bench pacing`: which cases are measured, and that each is kept."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from dialer.bench.pacing import cases, results
from dialer.errors import Invalid


def run_bench(
    path: Path, *, only: Sequence[str], resume: bool, processes: int, say: Callable[[str], None]
) -> None:
    """Measure the cases whose row begins with one of `only` (none: all), and keep each as it is done.

    Raises Invalid where no row does, and where the file cannot be written.
    """
    results.claim(path)
    have = results.read(path) if resume else {}
    wanted = [
        case
        for case in cases.cases()
        if case.key not in have and (not only or any(case.row.startswith(word) for word in only))
    ]
    if only and not wanted and not resume:
        raise Invalid(field="--only", reason=f"no case begins with {' or '.join(only)}")

    def keep(one: dict[str, Any]) -> None:
        results.append(path, one)
        figures = one["figures"]
        say(
            f"{one['part']}: {one['row']}: {figures['occupancy']:.1%} occupied,"
            f" {figures['abandon_rate']:.2%} abandoned"
        )

    if processes <= 1:
        for case in wanted:
            keep(cases.measure(case))
    else:
        with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
            for done in as_completed([pool.submit(cases.measure, case) for case in wanted]):
                keep(done.result())
    results.keep_newest(path)
