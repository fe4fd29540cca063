"""Duplicated, reordered and dropped AMI events: generated sequences at the real tracker and call table.

A sequence is a schedule of steps drawn by seed: calls of every kind of end are placed, move on, ask, are
joined, end; phones come and go; the link breaks; the wall clock jumps; and between an event and its hearing
it may be heard twice, late, after a later one, or never. After each step the rules of `dialer.bench.books`
are asked. A third of the sequences are kept whole, or only hear things twice: there each call must also come
to what its kind of end comes to.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import os
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from unittest import mock

import structlog

from dialer.agents.model import AgentState
from dialer.bench.desk import Desk
from dialer.bench.exchange import Where
from dialer.bench.model import Run, Say
from dialer.calls.model import HungUpBy, Result
from dialer.clock import utc_now

#: Sequences in a run of the row.
BLOCK, SHORT_BLOCK = 10_000, 4_000
#: Steps of the longest sequence; a step is three bytes.
MOST_STEPS = 60
MOST_CALLS = 4
#: Rounds in which a sequence comes to its end by itself.
ROUNDS = 40

Step = tuple[int, int, int]

# -- what a step does ------------------------------------------------------------------------------------


def _deliver(desk: Desk, which: int, how: int, kind: str) -> None:
    if kind == "whole" or how < 140:
        for _ in range(1 + how % 4):
            desk.deliver(0)
    elif how < 190:
        desk.deliver(0, keep=True)
        desk.deliver(0)
    elif kind == "twice":
        desk.deliver(0)
    elif how < 210:
        desk.deliver(which % 6)  # before others that were said earlier
    elif how < 230:
        desk.deliver(0, keep=True)
        if desk.exchange.wire:  # and again, later
            desk.exchange.wire.insert(1 + which % 8, desk.exchange.wire.pop(0))
    else:
        desk.deliver(0, lose=True)


def _step(desk: Desk, which: int, how: int, kind: str) -> None:
    there = [one for one in desk.exchange.customers.values() if one.where is not Where.GONE]
    if there:
        desk.exchange.step(there[which % len(there) * (which > 127)], how)


def _place(desk: Desk, which: int, how: int, kind: str) -> None:
    if len(desk.exchange.customers) < MOST_CALLS:
        desk.place(how)


def _phone(desk: Desk, which: int, how: int, kind: str) -> None:
    phones = list(desk.exchange.phones.values())
    if how < 100 or not phones:
        desk.call_phone(which, answers=how < 90)
    elif how < 200:
        busy = [phone for phone in phones if phone.bridge.startswith("bridge")]
        desk.exchange.lose((busy or phones)[which % len(busy or phones)])
    elif how < 240:
        rows = list(desk.rows.values())
        desk.exchange.registration(rows[which % len(rows)].endpoint, there=how % 2 == 0)


def _ours(desk: Desk, which: int, how: int, kind: str) -> None:
    if how < 90:
        desk.give_up(which)
    elif how < 130:
        desk.hang_up(which, HungUpBy.AGENT if how % 2 else HungUpBy.SERVER)
    elif how < 150:
        # By up to an hour, either way.
        desk.now += timedelta(seconds=(which - 128) * 28)
    elif how < 170 and kind == "all":
        desk.resync()


def _desk(desk: Desk, which: int, how: int, kind: str) -> None:
    desk.hear_question()
    if how < 128:
        desk.reserve()
    if how % 2:
        desk.hand_over()


def _rows(desk: Desk, which: int, how: int, kind: str) -> None:
    if how % 3 == 0:
        desk.take_news()
    desk.write(which % 4 + 1)
    desk.work(how)


def _reply(desk: Desk, which: int, how: int, kind: str) -> None:
    desk.reply(which)


#: What a step does, by its share of 32.
_DOES: Sequence[Callable[[Desk, int, int, str], None]] = (
    *(_deliver,) * 9,
    *(_step,) * 7,
    *(_desk,) * 6,
    *(_rows,) * 4,
    _reply,
    _place,
    *(_phone,) * 2,
    *(_ours,) * 2,
)

# -- one sequence ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule."""

    #: "whole", "twice" (each event once or twice), "all" (any damage)
    kind: str
    agents: int
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Played:
    """What a sequence came to."""

    broken: str
    events: int
    changes: int
    calls: int


def drawn(rng: random.Random) -> Schedule:
    """The next sequence."""
    head, count = rng.randbytes(2)
    kind = "whole" if head < 42 else "twice" if head < 84 else "all"
    raw = rng.randbytes(3 * (12 + count % (MOST_STEPS - 11)))
    steps = tuple(zip(raw[::3], raw[1::3], raw[2::3], strict=True))
    return Schedule(kind, 1 + head % 3, steps)


def play(sequence: Schedule, tell: Callable[[str], None] | None = None) -> Played:
    """Play a sequence to its end, or to the first rule that it breaks."""
    desk = Desk(sequence.agents, tell)
    _clock.read = desk.clock
    _play(desk, sequence)
    broken = desk.books.broken[0] if desk.books.broken else ""
    return Played(broken, desk.heard, desk.books.changes, len(desk.exchange.customers))


def _play(desk: Desk, sequence: Schedule) -> None:
    books = desk.books
    for number in range(desk.agents):
        desk.call_phone(0, answers=True)
        desk.settle()
        desk.work(number)
    desk.place(sequence.steps[0][2] if sequence.steps else 0)
    second = timedelta(milliseconds=70)
    for what, which, how in sequence.steps:
        desk.now += second
        _DOES[what % 32](desk, which, how, sequence.kind)
        if books.broken:
            return
    if sequence.kind != "all":
        _let_end(desk)
        if not books.broken:
            _expected(desk)
    # Whatever is left ends unseen.
    for customer in desk.exchange.customers.values():
        customer.where = Where.GONE
    desk.exchange.phones.clear()
    desk.resync()
    desk.settle()
    while desk.reserved:
        desk.hand_over()
    books.all_over()
    if desk.calls.lines:
        books.broken.append("line: the table keeps a call without a channel")
    for row in desk.rows.values():
        if row.state in (AgentState.RESERVED, AgentState.TALKING):
            books.broken.append(f"talk: an agent's row stays {row.state}")


def _let_end(desk: Desk) -> None:
    """Everything goes on in order until nobody is on a line."""
    for _ in range(ROUNDS):
        desk.now += timedelta(milliseconds=70)
        while desk.asked:
            desk.reply(0)
        for customer in list(desk.exchange.customers.values()):
            if customer.where is not Where.ASKS:
                desk.exchange.step(customer, 1)
        while desk.exchange.asking:
            desk.hear_question()
        desk.settle()
        desk.reserve()
        desk.hand_over()
        desk.give_up(0)
        desk.settle()
        if all(customer.where is Where.GONE for customer in desk.exchange.customers.values()):
            return
    desk.books.broken.append("line: a call does not come to its end")


def _expected(desk: Desk) -> None:
    """What was heard whole must come to what it was."""
    for customer in desk.exchange.customers.values():
        call = desk.books.last(customer.id)
        want = customer.ending.result
        if customer.id in desk.taken_back:
            continue
        if want is not None and call.result is not want:
            desk.books.broken.append(f"result: {customer.ending.name} came to {call.result}, not {want}")
        if want is None and not desk.phones_lost and customer.talked != (call.result is Result.ANSWERED):
            desk.books.broken.append(f"result: {call.result} where a talk was {customer.talked}")
        machine = customer.ending.machine == "MACHINE" and customer.id in desk.answered_to
        if machine and call.result is not Result.MACHINE:
            desk.books.broken.append(f"result: a machine came to {call.result}")


@dataclass(slots=True)
class _Clock:
    """Stands for the wall clock in the engine's parts of this process."""

    read: Callable[[], datetime]

    def __call__(self) -> datetime:
        return self.read()


_clock = _Clock(utc_now)


@contextlib.contextmanager
def own_clock() -> Iterator[None]:
    """Within it a sequence decides what the wall clock says."""
    with (
        mock.patch("dialer.clock.utc_now", _clock),
        mock.patch("dialer.calls.tracking.utc_now", _clock),
        mock.patch("dialer.calls.recovery.utc_now", _clock),
    ):
        yield


# -- what fails is made small ------------------------------------------------------------------------------


def shrunk(sequence: Schedule) -> Schedule:
    """A shorter schedule that breaks a rule too: no step of it can be left out."""
    size = len(sequence.steps) // 2
    while size:
        start = 0
        while start < len(sequence.steps):
            steps = sequence.steps[:start] + sequence.steps[start + size :]
            shorter = replace(sequence, steps=steps)
            if steps and play(shorter).broken:
                sequence = shorter
            else:
                start += size
        size //= 2
    return sequence


def story(sequence: Schedule) -> list[str]:
    """What happens in a schedule, a line a step, with the rule that it breaks at the end."""
    lines: list[str] = []
    played = play(sequence, lines.append)
    return [*lines, played.broken]


# -- a block of them ---------------------------------------------------------------------------------------


def block(seed: int, count: int) -> Run:
    """Play `count` sequences of a seed; stops at the first that breaks a rule."""
    rng = random.Random(seed)  # noqa: S311 a plan, not a secret
    began, total = time.monotonic(), Played("", 0, 0, 0)
    played, broken = 0, ""
    with own_clock():
        while played < count and not broken:
            sequence = drawn(rng)
            one = play(sequence)
            played += 1
            total = Played(
                "", total.events + one.events, total.changes + one.changes, total.calls + one.calls
            )
            if one.broken:
                least = shrunk(sequence)
                broken = f"sequence {played}, {least.kind}: " + "\n".join(story(least))
    figures = {
        "sequences": played,
        "events": total.events,
        "changes": total.changes,
        "block_s": time.monotonic() - began,
    }
    return Run("sequences", seed, calls=total.calls, figures=figures, broken=broken)


def _quiet() -> None:
    """A worker's log is not read: it would cost more than what it tells of."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL), cache_logger_on_first_use=True
    )


@dataclass(frozen=True, slots=True)
class Sequences:
    """The row."""

    name: str = "sequences"
    title: str = "duplicated, reordered, dropped AMI events"
    must_hold: str = "no invariant of the call table broken"
    cases: tuple[str, ...] = ()
    long_runs: int = 100
    short_runs: int = 2
    #: sequences a run
    count: int = BLOCK

    def sized(self, *, short: bool, minutes: float | None) -> Sequences:
        """The short form has shorter blocks."""
        return replace(self, count=SHORT_BLOCK) if short else self

    async def runs(self, seeds: Sequence[int], say: Say) -> AsyncIterator[Run]:
        """A block a seed, as many at once as there are processors."""
        loop = asyncio.get_running_loop()
        workers = max(1, min(os.cpu_count() or 1, len(seeds)))
        say(f"{len(seeds) * self.count:,} sequences in {workers} processes")
        pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_quiet)
        waiting = [loop.run_in_executor(pool, block, seed, self.count) for seed in seeds]
        try:
            for done in asyncio.as_completed(waiting):
                yield await done
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            await asyncio.gather(*waiting, return_exceptions=True)


ROW = Sequences()
