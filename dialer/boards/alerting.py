"""What a supervisor is called for: rules with thresholds, and what of the board meets them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from dialer.boards.model import CampaignCounted, CampaignNow, Counted, Now

#: Shares of fewer answers, or of fewer callers, tell nothing.
LEAST: Final = 20


class Kind(StrEnum):
    """What is watched; in brackets what the threshold is."""

    ABANDON_SHARE = (
        "abandon_share"  # of a campaign (as a share of the policy's limit, 0.8: four fifths of it)
    )
    WAIT = "wait"  # somebody waits in a queue for as long (seconds)
    NO_AGENT = "no_agent"  # no agent is ready for a running campaign, for so long (seconds)
    LIST_ENDS = "list_ends"  # a running campaign's list ends in less (minutes)
    SERVICE_LEVEL = "service_level"  # of a queue is lower (0 to 1)
    TRUNK_BAD = "trunk_bad"  # a trunk fails its calls (none)
    PAUSE_OVER = "pause_over"  # an agent's pause is over its limit by as long (minutes)


#: What a kind looks at: a campaign, a queue, or neither.
OF_CAMPAIGN: Final = frozenset({Kind.ABANDON_SHARE, Kind.NO_AGENT, Kind.LIST_ENDS})
OF_QUEUE: Final = frozenset({Kind.WAIT, Kind.SERVICE_LEVEL})
#: The threshold that a form begins with, and the largest.
USUAL: Final[Mapping[Kind, float]] = MappingProxyType(
    {
        Kind.ABANDON_SHARE: 0.8,
        Kind.WAIT: 60.0,
        Kind.NO_AGENT: 120.0,
        Kind.LIST_ENDS: 30.0,
        Kind.SERVICE_LEVEL: 0.7,
        Kind.TRUNK_BAD: 0.0,
        Kind.PAUSE_OVER: 0.0,
    }
)
MOST: Final[Mapping[Kind, float]] = MappingProxyType(
    {
        Kind.ABANDON_SHARE: 2.0,
        Kind.WAIT: 3600.0,
        Kind.NO_AGENT: 3600.0,
        Kind.LIST_ENDS: 1440.0,
        Kind.SERVICE_LEVEL: 1.0,
        Kind.TRUNK_BAD: 0.0,
        Kind.PAUSE_OVER: 240.0,
    }
)


@dataclass(frozen=True, slots=True)
class AlertRule:
    """When a supervisor is called."""

    id: int
    kind: Kind
    threshold: float
    #: of this campaign only; None: of each, or the kind is of none
    campaign_id: int | None = None
    campaign: str | None = None
    #: of this queue only
    queue_id: int | None = None
    queue: str | None = None

    @property
    def holds_s(self) -> float:
        """How long it has to be so before anybody is called, seconds."""
        return self.threshold if self.kind is Kind.NO_AGENT else 0.0


@dataclass(frozen=True, slots=True)
class Met:
    """Something meets a rule."""

    #: what it is, `campaign:7`: of one rule and one thing there is one alert
    key: str
    #: its name for people
    about: str
    #: in the unit of the threshold; of `no_agent` 0, it is the time that tells
    value: float
    campaign_id: int | None = None


@dataclass(frozen=True, slots=True)
class Alert:
    """A supervisor is called, or was."""

    id: int
    kind: Kind
    about: str
    value: float
    threshold: float
    #: since when it is so
    since: datetime
    raised_at: datetime
    #: None: it still is
    ended_at: datetime | None


def met(rule: AlertRule, now: Now, counted: Counted) -> list[Met]:
    """All that meets the rule at this moment."""
    return list(_OF_KIND[rule.kind](rule, now, counted))


def _campaigns(rule: AlertRule, now: Now, counted: Counted) -> Iterator[tuple[CampaignNow, CampaignCounted]]:
    """The running campaigns that the rule is about."""
    for one in now.campaigns:
        sums = counted.campaigns.get(one.id)
        if one.status == "running" and sums is not None and rule.campaign_id in (None, one.id):
            yield one, sums


def _of_campaign(one: CampaignNow, value: float) -> Met:
    return Met(f"campaign:{one.id}", one.name, value, one.id)


def _abandon_share(rule: AlertRule, now: Now, counted: Counted) -> Iterator[Met]:
    for one, sums in _campaigns(rule, now, counted):
        if sums.abandon_share is not None and sums.answered_live >= LEAST and sums.abandon_limit:
            used = sums.abandon_share / sums.abandon_limit
            if used >= rule.threshold:
                yield _of_campaign(one, used)


def _no_agent(rule: AlertRule, now: Now, counted: Counted) -> Iterator[Met]:
    for one, _ in _campaigns(rule, now, counted):
        if not one.ready and one.mode != "flow":
            yield _of_campaign(one, 0.0)


def _list_ends(rule: AlertRule, now: Now, counted: Counted) -> Iterator[Met]:
    for one, sums in _campaigns(rule, now, counted):
        if one.mode == "manual":
            continue
        lasts_s = 0.0 if sums.left == 0 else sums.ends_in_s
        if lasts_s is not None and lasts_s <= rule.threshold * 60:
            yield _of_campaign(one, lasts_s / 60)


def _wait(rule: AlertRule, now: Now, _counted: Counted) -> Iterator[Met]:
    for one in now.waiting:
        if one.since is not None and rule.queue in (None, one.queue):
            waits_s = (now.at - one.since).total_seconds()
            if waits_s >= rule.threshold:
                yield Met(f"queue:{one.queue}", one.queue, waits_s)


def _service_level(rule: AlertRule, _now: Now, counted: Counted) -> Iterator[Met]:
    for name, one in counted.queues.items():
        level = one.service_level if one.offered >= LEAST else None
        if rule.queue in (None, name) and level is not None and level < rule.threshold:
            yield Met(f"queue:{name}", name, level)


def _trunk_bad(_rule: AlertRule, now: Now, _counted: Counted) -> Iterator[Met]:
    for one in now.trunks:
        if one.bad:
            yield Met(f"trunk:{one.id}", one.name, 0.0)


def _pause_over(rule: AlertRule, now: Now, _counted: Counted) -> Iterator[Met]:
    for one in now.over_limit:
        over_s = (now.at - one.shift.state_since).total_seconds() - (one.pause_limit_s or 0)
        if over_s >= rule.threshold * 60:
            yield Met(f"agent:{one.agent.id}", one.agent.name, over_s / 60)


_OF_KIND: Final[Mapping[Kind, Callable[[AlertRule, Now, Counted], Iterator[Met]]]] = MappingProxyType(
    {
        Kind.ABANDON_SHARE: _abandon_share,
        Kind.WAIT: _wait,
        Kind.NO_AGENT: _no_agent,
        Kind.LIST_ENDS: _list_ends,
        Kind.SERVICE_LEVEL: _service_level,
        Kind.TRUNK_BAD: _trunk_bad,
        Kind.PAUSE_OVER: _pause_over,
    }
)
