"""`dozvon bench load --short`: every row in its small form, on a real Asterisk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.commands import dozvon

from dialer.bench.load.model import NAMES

#: The short form takes about 140 s on two free cores; tests run beside others.
WITHIN_S = 900


@pytest.mark.timeout(WITHIN_S)
async def test_the_short_form_measures_every_row_and_its_sums_are_right(tmp_path: Path) -> None:
    """Each row is measured, every answered customer got an agent and every talk its disposition, each part's
    CPU is known, and the last line is the summary; what was measured is left out when it is resumed."""
    kept, apart = tmp_path / "load.jsonl", {"DOZVON_DATA_DIR": str(tmp_path)}
    code, out = await dozvon("bench", "load", "--short", "--json", "--results", str(kept), env=apart)
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
    (inbound,) = told["rows"]["inbound"].values()
    assert inbound["calls"] == 150
    assert inbound["answered"] > 0
    assert sum(inbound[came] for came in ("answered", "abandoned", "contained", "left")) == inbound["calls"]

    lines = [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()]
    assert {line["seed"] for line in lines} == {1}
    code, out = await dozvon(
        "bench", "load", "--short", "--resume", "--json", "--results", str(kept), env=apart
    )
    assert code == 0
    assert json.loads(out.splitlines()[-1]) == told
    assert len(kept.read_text(encoding="utf-8").splitlines()) == len(lines)
