"""The batches of a file, read by processes of their own where there are many.

One process takes the file apart into rows, as many as the machine has cores (MAX_PARSERS at most) read
numbers, names and addresses in them; here the batches come out in the order of the file. A short file is read
in a thread: two seconds of starting processes would be most of the time.

A worker dies with the process that started it, also when that one is killed: it waits on it in a thread.
"""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import os
import pickle
import signal
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

from dialer.contacts import batches
from dialer.contacts.batches import Batch, read_batch
from dialer.contacts.columns import Column
from dialer.contacts.files import BadRecord, Layout, Record, read_records

#: Files up to this are read in a thread, bytes.
SHORT_FILE = 1 << 20
#: So many rows are read in a thread, whatever the size of their file.
FEW_ROWS = 10_000
#: Workers at most: each takes some sixty megabytes.
MAX_PARSERS = 4


@asynccontextmanager
async def parsing(
    path: Path, layout: Layout, region: str, *, after: int = 0, upto: int | None = None
) -> AsyncIterator[AsyncIterator[Batch]]:
    """The batches of the rows from number `after + 1` on, up to number `upto`. They raise UnreadableFile.

    `region` is the country of numbers that are written without one.
    """
    few = upto is not None and upto <= FEW_ROWS
    if few or (await asyncio.to_thread(path.stat)).st_size <= SHORT_FILE:
        yield _in_thread(path, layout, region, after, upto)
        return
    context = multiprocessing.get_context("spawn")
    reader = ProcessPoolExecutor(1, context, _begin_reading, (os.getpid(), path, layout, after, upto))
    cores = min(len(os.sched_getaffinity(0)), MAX_PARSERS)
    parsers = ProcessPoolExecutor(cores, context, _begin_parsing, (os.getpid(), layout.columns, region))
    try:
        yield _by_processes(reader, parsers, cores + 2)
    finally:
        for pool in (reader, parsers):
            await asyncio.to_thread(pool.shutdown, wait=True, cancel_futures=True)


async def _in_thread(
    path: Path, layout: Layout, region: str, after: int, upto: int | None
) -> AsyncIterator[Batch]:
    records = _records(path, layout, after, upto)
    # In a thread: numbers are all arithmetic, and the loop has connections to keep.
    while batch := await asyncio.to_thread(read_batch, records, layout.columns, region, batches.BATCH_ROWS):
        yield batch


def _records(path: Path, layout: Layout, after: int, upto: int | None) -> Iterator[Record | BadRecord]:
    rows = read_records(path, layout, after=after)
    return rows if upto is None else itertools.islice(rows, max(0, upto - after))


async def _by_processes(
    reader: ProcessPoolExecutor, parsers: ProcessPoolExecutor, ahead: int
) -> AsyncIterator[Batch]:
    loop = asyncio.get_running_loop()
    size = batches.BATCH_ROWS
    under_way: deque[asyncio.Future[Batch | None]] = deque()
    rows = loop.run_in_executor(reader, _next_rows, size)
    ended = False
    try:
        while not ended or under_way:
            while not ended and len(under_way) < ahead:
                if data := await rows:
                    under_way.append(loop.run_in_executor(parsers, _parsed, data))
                    rows = loop.run_in_executor(reader, _next_rows, size)
                else:
                    ended = True
            if under_way and (batch := await under_way.popleft()):
                yield batch
    finally:
        rows.cancel()
        for one in under_way:
            one.cancel()


# -- in the workers ---------------------------------------------------------------------------------------


class _Work:
    """What a worker was given at its start."""

    records: Iterator[Record | BadRecord] = iter(())
    columns: Sequence[Column] = ()
    region = ""


def _begin(parent_pid: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a person's Ctrl-C is for the process that started us
    parent = multiprocessing.parent_process()
    assert parent is not None
    assert parent.pid == parent_pid

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _begin_reading(parent_pid: int, path: Path, layout: Layout, after: int, upto: int | None) -> None:
    _begin(parent_pid)
    _Work.records = _records(path, layout, after, upto)


def _next_rows(size: int) -> bytes | None:
    """The next rows as bytes, which the process between us and the parser need not look into."""
    # Good rows as tuples: they are made and read three times as fast.
    rows = [
        (one.number, one.cells) if isinstance(one, Record) else one
        for one in itertools.islice(_Work.records, size)
    ]
    return pickle.dumps(rows, pickle.HIGHEST_PROTOCOL) if rows else None


def _begin_parsing(parent_pid: int, columns: Sequence[Column], region: str) -> None:
    _begin(parent_pid)
    _Work.columns, _Work.region = columns, region


def _parsed(data: bytes) -> Batch | None:
    rows = pickle.loads(data)  # noqa: S301 - of our own process
    records = (Record(*one) if isinstance(one, tuple) else one for one in rows)
    return read_batch(records, _Work.columns, _Work.region, len(rows))
