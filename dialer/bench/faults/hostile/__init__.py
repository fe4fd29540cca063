"""Hostile input: everything that may be thrown at the server and at its Asterisk, by people, files and
peers.

A run is a block of inputs of one kind, made by its seed. Kinds that need no calls are thrown at the very
code that meets them in the server; the others at a whole contact centre that dials all the while, and
after each block the same processes must run, no channel be of a stranger's making, and calls go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Final

from dialer.bench.faults.hostile import (
    agi,
    ami,
    csv_files,
    manager,
    manager_live,
    pages,
    raw,
    schema,
    sip,
    strangers,
)
from dialer.bench.faults.hostile.block import Block
from dialer.bench.faults.hostile.floor import Floor, opened
from dialer.bench.model import Run, Say, case_of

#: How long calls may take to end after the last block, seconds.
ENDED_S: Final = 60.0


async def _manager(block: Block) -> None:
    # An action has a future, so its thread has a loop.
    await asyncio.to_thread(asyncio.run, manager.throw(block))


async def _csv(block: Block) -> None:
    await asyncio.to_thread(csv_files.run, block)


async def _agi(block: Block) -> None:
    await asyncio.to_thread(agi.decode, block)
    await agi.sessions(block)


async def _ami(block: Block) -> None:
    await asyncio.to_thread(ami.frames, block)
    await ami.links(block)


#: Kinds that meet our own code, without a contact centre.
ALONE: Final[Mapping[str, Callable[[Block], Awaitable[None]]]] = {
    "manager": _manager,
    "csv": _csv,
    "agi": _agi,
    "ami": _ami,
}
#: Kinds that meet the whole server, or its Asterisk, while calls run.
LIVE: Final[Mapping[str, Callable[[Block, Floor], Awaitable[None]]]] = {
    "manager_live": manager_live.run,
    "html": pages.run,
    "http_schema": schema.run,
    "http_raw": raw.run,
    "strangers": strangers.run,
    "sip": sip.run,
}


@dataclass(frozen=True, slots=True)
class Hostile:
    """The row."""

    name: str = "hostile"
    title: str = (
        "hostile input: CR/LF/NUL and dialplan marks in all that reaches Asterisk, formulas, HTML, 10 MB f"
        "ields, "
        "broken UTF-8, the whole OpenAPI, AGI and AMI fuzz, SIP torture (RFC 4475)"
    )
    must_hold: str = "no crash, no 5xx by schema, no injected action, nothing unescaped, calls live"
    cases: tuple[str, ...] = (*ALONE, *LIVE)
    #: about 61,000 inputs a round of the ten kinds
    long_runs: int = schema.TURNS * (len(ALONE) + len(LIVE))
    short_runs: int = len(ALONE) + len(LIVE)
    #: blocks of a few inputs of every kind
    short: bool = False

    def sized(self, *, short: bool, minutes: float | None) -> Hostile:
        """The row with its small blocks, or with those of the long form."""
        return replace(self, short=short)

    def block(self, seed: int) -> Block:
        """The empty block of a seed."""
        return Block(case_of(self.cases, seed), seed, self.short, turn=seed // len(self.cases))

    async def runs(self, seeds: Sequence[int], say: Say) -> AsyncIterator[Run]:
        """A block a seed; the contact centre is set up when the first block needs it."""
        undone: set[str] = set()
        async with AsyncExitStack() as stack:
            floor: Floor | None = None
            for number, seed in enumerate(seeds, 1):
                block = self.block(seed)
                case = block.case
                if case in LIVE and floor is None:
                    floor = await stack.enter_async_context(opened(seed, say))
                try:
                    if case in ALONE:
                        await ALONE[case](block)
                    else:
                        assert floor is not None
                        await LIVE[case](block, floor)
                except Exception as error:
                    block.harm(f"the block ended: {type(error).__name__}: {error}")
                for line in set(block.undone) - undone:
                    undone.add(line)
                    say(line)
                run = _run(block)
                if number == len(seeds) and floor is not None:
                    run = await _settled(run, floor)
                yield run


def _run(block: Block) -> Run:
    told = "; ".join(block.told)
    more = block.failures - len(block.told)
    return Run(
        "hostile",
        block.seed,
        block.case,
        calls=block.calls,
        figures=block.all_figures(),
        broken=told + (f"; and {more} more" if more > 0 else ""),
    )


async def _settled(run: Run, floor: Floor) -> Run:
    """The last run, with what was lost in all of them: dialling stops, and every call must come to its
    end."""
    await floor.stop_dialling()
    await floor.site.until_ended(floor.since, ENDED_S)
    lost = await floor.site.tally(floor.since)
    return replace(
        run,
        double_dials=lost.double_dials,
        unfinished_attempts=lost.unfinished_attempts,
        lost_dispositions=lost.lost_dispositions,
        unknown=lost.unknown,
    )


ROW: Final = Hostile()
