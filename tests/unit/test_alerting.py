"""What of a board meets which rule."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from support.boards import COUNTED, NOW, paused

from dialer.agents.model import AgentState
from dialer.boards.alerting import MOST, USUAL, AlertRule, Kind, Met, met
from dialer.boards.model import CampaignNow, Counted, Now, QueueCounted, TrunkNow
from dialer.db.tables.boards import ALERT_KINDS
from dialer.reports.present import WaitingCallers

READY = {AgentState.READY: 1}
SALES = CampaignNow(1, "Sales", "running", "predictive", {}, READY, None)
REST = CampaignNow(2, "Rest", "paused", "predictive", {}, {}, None)
BOARD = Now(
    NOW,
    [],
    [SALES, REST],
    [WaitingCallers("Service", 2, NOW - timedelta(seconds=70)), WaitingCallers("Kept", 0, None, 3)],
    [TrunkNow(5, "MTT", 3, 30, bad=False)],
)
DAY = Counted(
    NOW,
    {1: COUNTED, 2: replace(COUNTED, left=0, abandon_share=0.09)},
    {"Service": QueueCounted(40, 30, 10, 0.75, 0.8, 20), "Few": QueueCounted(3, 0, 3, 0.0, 0.8, 20)},
)


def found(kind: Kind, threshold: float, board: Now = BOARD, day: Counted = DAY, **of: object) -> list[Met]:
    """What meets a rule of this kind."""
    return met(AlertRule(7, kind, threshold, **of), board, day)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "under", "over", "met_by"),
    [
        # 2 % abandoned of 3 % allowed; a list that lasts 90 minutes; a wait of 70 s; a level of 75 %.
        (Kind.ABANDON_SHARE, 0.67, 0.66, Met("campaign:1", "Sales", 0.02 / 0.03, 1)),
        (Kind.LIST_ENDS, 89.0, 90.0, Met("campaign:1", "Sales", 90.0, 1)),
        (Kind.WAIT, 71.0, 70.0, Met("queue:Service", "Service", 70.0)),
        (Kind.SERVICE_LEVEL, 0.75, 0.76, Met("queue:Service", "Service", 0.75)),
    ],
)
def test_a_threshold_decides(kind: Kind, under: float, over: float, met_by: Met) -> None:
    """At it or beyond; a paused campaign, a queue that few came to and kept places call nobody."""
    assert found(kind, under) == []
    assert found(kind, over) == [met_by]


def test_a_share_of_few_answers_tells_nothing() -> None:
    """One abandoned of the first three is no alert."""
    few = Counted(NOW, {1: replace(COUNTED, answered_live=3, abandoned=1, abandon_share=0.33)})
    assert found(Kind.ABANDON_SHARE, 0.8, day=few) == []


def test_nobody_is_ready() -> None:
    """Of a running campaign with agents; it has to last, and that is the rule's threshold."""
    empty = replace(BOARD, campaigns=[replace(SALES, agents={AgentState.TALKING: 4}), REST])
    assert found(Kind.NO_AGENT, 120.0) == []
    assert [one.key for one in found(Kind.NO_AGENT, 120.0, empty)] == ["campaign:1"]
    assert AlertRule(7, Kind.NO_AGENT, 120.0).holds_s == 120.0
    assert AlertRule(7, Kind.WAIT, 120.0).holds_s == 0.0
    flow = replace(BOARD, campaigns=[replace(SALES, agents={}, mode="flow")])
    assert found(Kind.NO_AGENT, 120.0, flow) == []


def test_an_empty_list_has_ended_and_one_of_unknown_pace_has_not() -> None:
    """Nothing closed in half an hour tells nothing; nothing left tells all."""
    empty = Counted(NOW, {1: replace(COUNTED, left=0, ends_in_s=None)})
    still = Counted(NOW, {1: replace(COUNTED, ends_in_s=None)})
    assert [one.value for one in found(Kind.LIST_ENDS, 1.0, day=empty)] == [0.0]
    assert found(Kind.LIST_ENDS, 1440.0, day=still) == []


def test_a_bad_trunk_and_a_long_pause() -> None:
    """A trunk by its health; a pause by the limit of its code, and as much longer as the rule allows."""
    bad = replace(BOARD, trunks=[TrunkNow(5, "MTT", 3, 30, bad=True)], agents=[paused(960, 900)])
    assert (found(Kind.TRUNK_BAD, 0.0), found(Kind.PAUSE_OVER, 0.0)) == ([], [])
    assert found(Kind.TRUNK_BAD, 0.0, bad) == [Met("trunk:5", "MTT", 0.0)]
    assert found(Kind.PAUSE_OVER, 0.0, bad) == [Met("agent:1", "Анна", 1.0)]
    assert found(Kind.PAUSE_OVER, 2.0, bad) == []


def test_a_rule_of_one_campaign_or_queue_looks_at_it_alone() -> None:
    """Another one's figures call nobody."""
    assert found(Kind.LIST_ENDS, 90.0, campaign_id=2) == []
    assert found(Kind.WAIT, 60.0, queue_id=9, queue="Other") == []
    assert found(Kind.WAIT, 60.0, queue_id=8, queue="Service") != []


def test_every_kind_has_its_usual_threshold_and_its_word_in_the_table() -> None:
    """And the usual one is allowed."""
    assert set(ALERT_KINDS) == {kind.value for kind in Kind}
    assert all(0 <= USUAL[kind] <= MOST[kind] for kind in Kind)
