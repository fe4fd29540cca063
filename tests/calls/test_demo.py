"""The whole product in one command: `dozvon demo` as a user runs it, undisturbed, interrupted and shot at."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.processes import processes_about

from dialer.asterisk.runtime import AsteriskBinary
from dialer.demo.numbers import ANSWERING, LIVE, Behaviour
from dialer.demo.run import Demo
from dialer.settings import load

#: A demo takes most of a minute, two of them more, and several tests share the machine.
pytestmark = pytest.mark.timeout(300)

KEYS = {
    "mode", "attempts", "by_result", "answered", "answered_live", "connected", "abandoned", "connect_rate",
    "reach_rate", "abandon_rate", "abandon_limit", "occupancy", "join_ms", "answer_to_agent_ms",
    "double_dials", "retries", "unfinished_attempts", "dispositions", "seconds",
}  # fmt: skip


@dataclass(slots=True)
class RunningDemo:
    """A demo in a data folder of the test's own."""

    process: asyncio.subprocess.Process
    folder: Path
    #: lines of its log that `until_logged` has passed
    read: int = 0

    async def summary(self, within_s: float = 150.0) -> dict[str, Any]:
        """The last line of stdout, when it has ended well."""
        async with asyncio.timeout(within_s):
            out, err = await self.process.communicate()
        assert self.process.returncode == 0, err.decode() + self.log()
        found: dict[str, Any] = json.loads(out.decode().splitlines()[-1])
        return found

    def log(self) -> str:
        """What its server wrote."""
        file = self.folder / "demo" / "demo.log"
        return file.read_text() if file.exists() else ""

    async def until_logged(self, within_s: float = 120.0, **wanted: str) -> None:
        """Wait for the next line of the log with these fields (a file tells nobody that it has grown)."""
        async with asyncio.timeout(within_s):
            while True:
                lines = self.log().splitlines()
                for line in lines[self.read :]:
                    self.read += 1
                    said = json.loads(line)
                    if all(said.get(name) == value for name, value in wanted.items()):
                        return
                assert self.process.returncode is None, "the demo ended early"
                await asyncio.sleep(0.1)

    def processes(self) -> dict[int, str]:
        """What it has started and what still lives."""
        return processes_about(self.folder)


@pytest.fixture
async def demo(data_folder: Path, asterisk_binary: AsteriskBinary) -> AsyncIterator[Callable[..., Any]]:
    """Starts `dozvon demo` with the given knobs; whatever is left at the end is ended."""
    started: list[RunningDemo] = []

    async def start(*knobs: str) -> RunningDemo:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "dialer", "demo", "--no-browser", "--json", *knobs,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # a group of its own, as a terminal gives it
            env={
                **os.environ,
                "DOZVON_DATA_DIR": str(data_folder),
                "DOZVON_CACHE_DIR": str(load().packages_dir),
            },
        )  # fmt: skip
        started.append(RunningDemo(process, data_folder))
        return started[-1]

    yield start
    for each in started:
        if each.process.returncode is None:
            each.process.kill()
            await each.process.wait()
        for pid in each.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def planned(leads: int, seed: int) -> Counter[Behaviour]:
    """What the people of the list do, by the number plan."""
    demo = Demo(
        leads=leads, agents=1, seconds=1, json_only=True, browser=False, seed=seed, real_times=False, mode=""
    )
    return Counter(number.behaviour for number in demo.contacts().numbers)


async def test_demo_dials_its_list_and_counts_rightly(demo: Callable[..., Any]) -> None:
    """Every contact is dialled, predictively; each result is what the number plan says; a number that the
    carrier refused for want of lines is dialled again by the retry rule, which is no double dial; its
    processes are gone."""
    running: RunningDemo = await demo("--leads", "20", "--agents", "6", "--seconds", "90", "--seed", "8")
    summary = await running.summary()
    plan = planned(20, 8)
    assert summary.keys() >= KEYS
    assert summary["mode"] == "predictive"
    retries = summary["retries"]
    assert retries.keys() == {"congestion"}, "the list has such a number, which is dialled first"
    attempts = 20 + sum(retries.values())
    assert summary["attempts"] == sum(summary["by_result"].values()) == attempts
    results = summary["by_result"]
    results["congestion"] -= retries["congestion"]
    told = {
        Behaviour.BUSY: "busy",
        Behaviour.NO_ANSWER: "no_answer",
        Behaviour.INVALID: "invalid",
        Behaviour.CONGESTION: "congestion",
        Behaviour.DECLINED: "declined",
    }
    assert {name: results[name] for name in told.values()} == {
        name: plan[behaviour] for behaviour, name in told.items()
    }
    assert results["machine"] <= plan[Behaviour.MACHINE], "a person was taken for a machine"
    answering = sum(plan[behaviour] for behaviour in ANSWERING)
    assert summary["answered"] == summary["answered_live"] + results["machine"] == answering
    assert summary["answered_live"] >= sum(plan[behaviour] for behaviour in LIVE)
    assert summary["connected"] == results["answered"] == sum(summary["dispositions"].values()) > 0
    assert summary["connect_rate"] == summary["answered_live"] / attempts
    assert summary["abandon_limit"] == 0.03
    assert summary["double_dials"] == summary["unfinished_attempts"] == 0
    assert 0 < summary["join_ms"]["p95"] < 100
    assert 0 < summary["occupancy"] < 1
    assert running.processes() == {}


async def test_interrupted_demo_leaves_nothing_but_a_readable_database(demo: Callable[..., Any]) -> None:
    """A terminal's Ctrl-C, which its whole group gets, ends every process in order; the next demo starts on
    the same database, and so does one after a kill -9."""
    running: RunningDemo = await demo("--leads", "12", "--agents", "6", "--seconds", "90")
    await running.until_logged(event="call", state="connected")
    os.killpg(running.process.pid, signal.SIGINT)
    async with asyncio.timeout(40):
        await running.process.communicate()
    assert running.process.returncode == 130
    assert running.processes() == {}
    assert "not_logged_out" not in running.log()
    assert "process_fell" not in running.log()
    killed: RunningDemo = await demo("--leads", "12", "--agents", "6", "--seconds", "90")
    await killed.until_logged(event="call", state="connected")
    killed.process.kill()
    await killed.process.communicate()
    again: RunningDemo = await demo("--leads", "4", "--agents", "2", "--seconds", "60", "--seed", "2")
    summary = await again.summary()
    assert summary["attempts"] == 4
    assert summary["unfinished_attempts"] == 0


async def test_engine_killed_in_mid_campaign_dials_nobody_twice(demo: Callable[..., Any]) -> None:
    """kill -9 of the engine during talks: the next adopts them; the campaign ends as if nothing had been."""
    running: RunningDemo = await demo("--leads", "30", "--agents", "5", "--seconds", "90", "--seed", "5")
    for _ in range(2):
        await running.until_logged(event="call", state="connected")
        engines = [pid for pid, words in running.processes().items() if words.endswith("run engine ")]
        assert len(engines) == 1
        os.kill(engines[0], signal.SIGKILL)
        await running.until_logged(event="process_fell")
    summary = await running.summary()
    assert summary["double_dials"] == summary["unfinished_attempts"] == 0
    assert summary["attempts"] == 30 + sum(summary["retries"].values())
    assert summary["connected"] > 0
    assert sum(summary["dispositions"].values()) == summary["connected"]
    assert running.processes() == {}
