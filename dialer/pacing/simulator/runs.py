"""One setting, one seed: a run; and many of them, over several processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace

from dialer.pacing.simulator.centre import Centre
from dialer.pacing.simulator.figures import Run
from dialer.pacing.simulator.replay import Log, Replayed
from dialer.pacing.simulator.rules import Terms, make, world_of
from dialer.pacing.simulator.world import HOUR_S, Drawn, Source, World


@dataclass(frozen=True, slots=True)
class Job:
    """What decides a run, and nothing else does."""

    rule: str
    world: World = field(default_factory=World)
    terms: Terms = field(default_factory=Terms)
    #: counted hours
    hours: float = 8.0
    seed: int = 1
    #: where customers come from; None: the world's laws
    log: Log | None = None


def run(job: Job) -> Run:
    """The run of it. Raises Invalid for a rule that is not known."""
    world = world_of(job.rule, job.world)
    rule = make(job.rule, world, job.terms)
    source: Source = (
        Drawn(world, job.seed, job.hours * HOUR_S) if job.log is None else Replayed(job.log, world, job.seed)
    )
    return Centre(world, source, rule, job.hours, job.seed).run()


def run_seeds(job: Job, count: int, processes: int = 1) -> list[Run]:
    """Runs of so many seeds, from the job's own on."""
    return list(run_all([replace(job, seed=job.seed + more) for more in range(count)], processes))


def run_all(jobs: Sequence[Job], processes: int = 1) -> Iterator[Run]:
    """The runs of all, in their order, each as soon as it and those before it are done."""
    if processes <= 1 or len(jobs) <= 1:
        yield from map(run, jobs)
        return
    # Not by fork: a library's threads may hold a lock in the parent.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(processes, len(jobs)), mp_context=context) as pool:
        yield from pool.map(run, jobs)
