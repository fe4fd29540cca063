"""One plan of predictive pacing: how long it takes, beside the same chances reckoned exactly.

    python tests/bench/bench_plan.py [--rounds 200]

Teams of up to 200 agents with up to five calls in the air each; time of the processor, which a busy machine
does not lengthen. The exact column adds one term after another, as the theory has it; the price found by it
stands beside the plan's own.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from unittest.mock import patch
from uuid import UUID

import numpy as np

from dialer.pacing.budget import Budget
from dialer.pacing.chances import Floats
from dialer.pacing.laws import Knowledge
from dialer.pacing.learner import Learner, Observation, Seen
from dialer.pacing.model import AgentInPool, CallInAir, DialMode, Snapshot, plan
from dialer.pacing.tables import tables

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def knowledge(agents: int, rng: random.Random) -> Knowledge:
    """What was learned of a team whose members differ: talks and wrap-ups of 30 each."""
    learner = Learner(agents=agents)
    for agent in range(agents):
        talk, wrap_up = (math.exp(rng.gauss(0, 0.47)) for _ in range(2))
        for _ in range(30):
            learner.see(Observation(Seen.TALKED, talk * rng.lognormvariate(4.4, 0.8), agent=agent))
            learner.see(Observation(Seen.WRAPPED_UP, wrap_up * rng.lognormvariate(2.6, 0.5), agent=agent))
    return learner.knowledge()


def snapshot(agents: int, calls: int, seed: int) -> Snapshot:
    """A team at work: nine of ten talk or wrap up, calls of all ages are in the air."""
    rng = random.Random(seed)
    states = rng.choices(("ready", "talking", "wrap_up"), (1, 8, 1), k=agents)
    return Snapshot(
        mode=DialMode.PREDICTIVE,
        ratio=1.0,
        agents=[
            AgentInPool(UUID(int=n), state, NOW - timedelta(seconds=rng.expovariate(1 / 100)), n)
            for n, state in enumerate(states)
        ],
        calls=[
            CallInAir(
                UUID(int=n),
                "ringing",
                NOW - timedelta(seconds=(age := rng.uniform(0, 26))),
                answer_probability=rng.uniform(0, 0.3),
                ringing_at=NOW - timedelta(seconds=max(age - 1.5, 0)),
            )
            for n in range(calls)
        ],
        lines_left=10 * agents,
        knowledge=knowledge(agents, rng),
        budget=Budget(target=0.03).state(NOW),
    )


def by_adding(rows: Floats, more: Floats, least: int) -> Floats:
    """P(at least `least`) at each moment, with 0, 1, ... of `more`: one term after another."""
    have = np.zeros((least + 1, rows.shape[1]))
    have[0] = 1.0
    tails = []
    for count, row in enumerate((*rows, *more)):
        if count >= len(rows):
            tails.append(have[least].copy())
        have[least] += have[least - 1] * row
        have[1:least] += (have[: least - 1] - have[1:least]) * row
        have[0] *= 1 - row
    return np.array([*tails, have[least]])


def timed(what: Snapshot, rounds: int) -> tuple[float, float, float]:
    """Median and 95th percentile of a plan in microseconds, and its price."""
    plan(what, NOW)  # makes the tables
    took = []
    for _ in range(rounds):
        began = time.process_time()
        decided = plan(what, NOW)
        took.append((time.process_time() - began) * 1e6)
    return statistics.median(took), statistics.quantiles(took, n=20)[-1], decided.inputs["price"]


def making(what: Snapshot, rounds: int = 20) -> float:
    """Median time of the tables, which are made when so much is new, in microseconds."""
    assert what.knowledge is not None
    took = []
    for _ in range(rounds):
        laws = replace(what.knowledge.laws)
        began = time.process_time()
        tables(laws, what.slack_s)
        took.append((time.process_time() - began) * 1e6)
    return statistics.median(took)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    rounds = parser.parse_args().rounds
    print("agents  calls  plan us (p50)  (p95)  price     exact us  price   with drops us  tables us")
    for agents, calls in ((1, 2), (5, 8), (10, 16), (10, 50), (50, 80), (200, 300), (200, 1000)):
        what = snapshot(agents, calls, seed=agents)
        median, late, price = timed(what, rounds)
        dropping, _, _ = timed(replace(what, drop_after_s=15.0), rounds)
        with patch.multiple("dialer.pacing.lookahead", exact_tails=by_adding, EXACT_TERMS=10**6):
            exact, _, exactly = timed(what, max(rounds // 20, 3))
        print(
            f"{agents:6}  {calls:5}  {median:13.0f}  {late:5.0f}  {price:.5f}  {exact:8.0f}  {exactly:.5f}"
            f"  {dropping:8.0f}  {making(what):15.0f}"
        )


if __name__ == "__main__":
    main()
