"""The simulator's runs of a setting: of the same length, from the same start, many seeds."""

from __future__ import annotations

from dialer.bench.live.model import DELAYED, PLAIN, Delays, Setting, Simulated
from dialer.bench.model import Say
from dialer.pacing.simulator.figures import Minute, quantile
from dialer.pacing.simulator.runs import run_all

#: How often it is said how far it is, runs.
_SAY_EVERY = 50


def simulate(
    setting: Setting, count: int, processes: int, say: Say, delays: Delays | None = None
) -> Simulated:
    """Run the seeds from 1 on; with `delays`, in the world that has them."""
    world = DELAYED if delays else PLAIN
    runs, waits = list[Minute](), list[float]()
    for done, run in enumerate(
        run_all([setting.job(seed, delays) for seed in range(1, count + 1)], processes), 1
    ):
        runs.append(_rounded(run.total))
        waits += run.waits_s
        if done % _SAY_EVERY == 0:
            say(f"simulated ({world}): {done} of {count} runs")
    figures = {"wait_p50_s": quantile(waits, 0.5) or 0.0, "wait_p95_s": quantile(waits, 0.95) or 0.0}
    return Simulated(setting, world, runs, delays or Delays(), figures)


def _rounded(total: Minute) -> Minute:
    """As it is kept: tenths of a second are enough."""
    return Minute._make(round(value, 1) for value in total)
