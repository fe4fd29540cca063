"""Campaigns without agents: how many of their calls may begin now, by lines and by calls a second."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from dialer.calls.table import Line
from dialer.calls.terms import CallTerms
from dialer.pacing.model import Snapshot

#: Calls that were not begun are made up for, of so long at most, seconds.
SAVED_S: Final = 0.25


@dataclass(slots=True)
class _Allowance:
    """What a campaign may begin by its calls a second."""

    calls: float
    #: monotonic seconds at which that was so
    at_s: float

    def now(self, rate: float, now_s: float) -> float:
        """As it is now, `rate` calls a second."""
        most = max(1.0, rate * SAVED_S)
        return min(most, self.calls + rate * (now_s - self.at_s))


@dataclass(slots=True)
class Begun:
    """What the campaigns of one engine have begun."""

    _allowed: dict[tuple[int, int], _Allowance] = field(default_factory=dict)

    def snapshot(
        self, terms: CallTerms, lines: Iterable[Line], lines_left: int, now_s: float
    ) -> Snapshot | None:
        """What pacing looks at; None: it may begin no call for the moment, by its calls a second.

        `lines_left`: calls that its trunks can take; `now_s`: monotonic.
        """
        known = self._allowed.get(_key(terms))
        allowed = 1.0 if known is None else known.now(terms.flow_rate, now_s)
        if allowed < 1.0:
            return None
        in_use = sum(
            line.terms.tenant_id == terms.tenant_id and line.terms.campaign_id == terms.campaign_id
            for line in lines
        )
        return Snapshot(
            mode=terms.mode,
            ratio=terms.ratio,
            agents=(),
            calls=(),
            lines_left=lines_left,
            lines=terms.flow_lines,
            lines_in_use=in_use,
            may_begin=int(allowed),
        )

    def begun(self, terms: CallTerms, calls: int, now_s: float) -> None:
        """So many calls were begun."""
        known = self._allowed.get(_key(terms))
        allowed = 1.0 if known is None else known.now(terms.flow_rate, now_s)
        self._allowed[_key(terms)] = _Allowance(allowed - calls, now_s)

    def stopped(self, tenant_id: int, campaign_id: int) -> None:
        """The campaign dials no more."""
        self._allowed.pop((tenant_id, campaign_id), None)


def _key(terms: CallTerms) -> tuple[int, int]:
    return terms.tenant_id, terms.campaign_id
