"""The bench's clock that can be set: what a program under it sees."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dialer import settings
from dialer.bench.set_clock import SEEN_S, SetClock, Zones, library
from dialer.bench.site_parts import until

#: Says the wall clock and the other one, at each line that it hears.
PROGRAM = "import sys, time\nfor _ in sys.stdin: print(time.time(), time.monotonic(), flush=True)"


async def test_a_step_moves_the_wall_clock_and_no_other(tmp_path: Path) -> None:
    """A running program's wall clock goes by an hour; its monotonic clock runs on."""
    clock = SetClock(await library(settings.load().packages_dir), tmp_path / "clock")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **clock.environment()},
    )

    async def look() -> tuple[float, float]:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"now\n")
        wall, steady = (await process.stdout.readline()).split()
        return float(wall), float(steady)

    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(30):
            wall, steady = await look()
            began = loop.time()
            clock.step(-3600)
            now: list[tuple[float, float]] = []

            async def stepped() -> bool:
                now.append(await look())
                return now[-1][0] < wall - 3000

            await until("the program sees the step", stepped, 10 * SEEN_S)
            passed = loop.time() - began
    finally:
        process.kill()
        await process.wait()
    assert abs(now[-1][1] - steady - passed) < 1.0
    assert abs(now[-1][0] - wall + 3600 - passed) < 1.5


async def test_a_zone_gets_the_rule_that_is_asked_for(tmp_path: Path) -> None:
    """A program that starts now has the zone's new hour."""
    zones = Zones(tmp_path / "zones")
    for hour in (12, 3):
        zones.rule("Europe/Moscow", hour)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c"),
            "import datetime, zoneinfo; print(datetime.datetime.now(zoneinfo.ZoneInfo('Europe/Moscow')))",
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, **zones.environment()},
        )
        said, _ = await process.communicate()
        there = datetime.fromisoformat(said.decode().strip())
        assert there.hour in (hour, (hour + 1) % 24)  # the hour may have ended meanwhile
        assert abs(there.astimezone(UTC) - datetime.now(UTC)) < timedelta(minutes=1)
