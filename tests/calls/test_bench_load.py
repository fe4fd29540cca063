"""`dozvon bench load --short`: every row in its small form, on a real Asterisk."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from dialer.bench.load.model import NAMES

#: The short form takes about 90 s on two free cores; tests run beside others.
WITHIN_S = 900


async def _bench(*words: str, data_dir: Path) -> tuple[int, str]:
    """Run the command; its exit status and stdout."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "dialer", "bench", "load", *words),
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"DOZVON_DATA_DIR": str(data_dir)},
    )
    try:
        out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, out.decode()


@pytest.mark.timeout(WITHIN_S)
async def test_the_short_form_measures_every_row_and_its_sums_are_right(tmp_path: Path) -> None:
    """Each row is measured, every answered customer got an agent and every talk its disposition, each part's
    CPU is known, and the last line is the summary; what was measured is left out when it is resumed."""
    kept = tmp_path / "load.jsonl"
    code, out = await _bench("--short", "--json", "--results", str(kept), data_dir=tmp_path)
    told: dict[str, Any] = json.loads(out.splitlines()[-1])
    assert told["broken"] == []
    assert code == 0
    assert list(told["rows"]) == list(NAMES)
    assert told["answer_to_agent_ms"].keys() == {"p50", "p95", "p99"}
    for name in ("calls_per_s", "concurrent", "events_per_s"):
        assert told[name] > 0
    for part in ("server", "asterisk", "db", "carrier"):
        assert told[f"{part}_cpu_per_call"] > 0
    for calls in (told["rows"]["calls"]["sustained"], *told["rows"]["answer"].values()):
        assert calls["calls"] == calls["answered"] == calls["connected"] == calls["disposed"] > 0
        assert calls["without_agent"] == calls["failed"] == calls["not_ended"] == 0
        assert calls["server_cpu_per_call"] > calls["engine_cpu_per_call"]
    (stream,) = told["rows"]["stream"].values()
    assert stream["delivered"] > 0

    lines = [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()]
    assert {line["seed"] for line in lines} == {1}
    code, out = await _bench("--short", "--resume", "--json", "--results", str(kept), data_dir=tmp_path)
    assert code == 0
    assert json.loads(out.splitlines()[-1]) == told
    assert len(kept.read_text(encoding="utf-8").splitlines()) == len(lines)
