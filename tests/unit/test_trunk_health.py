"""A trunk that fails its calls is found, and found again when it works."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dialer.trunks.health import FAULTS_IN_A_ROW, Health, Said, Verdict, after

NOW = datetime(2026, 5, 4, 9, tzinfo=UTC)
WORKS, FAULT = Said(Verdict.WORKS), Said(Verdict.FAULT, "503")
PROBED = Said(Verdict.WORKS, probe=True)


def test_faults_in_a_row_make_a_trunk_bad() -> None:
    """With the time, the reason and the time of the first probe."""
    health = after(Health(), [FAULT] * (FAULTS_IN_A_ROW - 1), NOW)
    assert not health.bad
    health = after(health, [FAULT], NOW)
    assert (health.bad, health.since, health.why) == (True, NOW, "503")
    assert health.probe_at == NOW + timedelta(seconds=5)


def test_a_call_that_works_ends_the_row() -> None:
    """Four faults, a call that works, four faults: not bad, though the faults are remembered for a while."""
    health = after(Health(), ([FAULT] * 4 + [WORKS]) * 2, NOW)
    assert not health.bad
    assert health.faults == 0
    assert health.share > 0.2


def test_half_of_the_late_calls_is_too_much() -> None:
    """A trunk that fails two calls of three is found also when never five in a row fail."""
    health, calls = Health(), 0
    while not health.bad:
        health = after(health, [[FAULT, FAULT, WORKS][calls % 3]], NOW)
        calls += 1
    assert 15 < calls < 60


@pytest.mark.parametrize("period", [4, 5, 10])
def test_a_fault_now_and_then_is_nobodys_alarm(period: int) -> None:
    """Every fourth call or fewer may be failed for ever."""
    said = ([FAULT] + [WORKS] * (period - 1)) * 200
    assert not after(Health(), said, NOW).bad


def test_a_bad_trunk_is_good_after_a_probe_that_works() -> None:
    """What was under way before says nothing, nor does a probe that fails."""
    bad = after(Health(), [FAULT] * FAULTS_IN_A_ROW, NOW)
    later = NOW + timedelta(minutes=3)
    assert after(bad, [WORKS, FAULT, Said(Verdict.FAULT, "503", probe=True)], later) == bad
    assert after(bad, [PROBED], later) == Health(since=later)


def test_a_good_trunk_is_not_changed_by_calls_that_work() -> None:
    """So nothing has to be written for them; the memory of a fault ends after a while."""
    assert after(Health(), [WORKS] * 3, NOW) == Health()
    health = after(Health(), [FAULT], NOW)
    assert health != Health()
    assert after(health, [WORKS] * 40, NOW) == Health()
