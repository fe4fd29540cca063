"""What no dialer can know, to see how much there is to gain: when each agent will be free.

It goes on from predictive and tells it more. So it bounds what this way of deciding could reach under the
same limit, not what is possible at all. The other bound, who will answer, is a world in which all do.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from dialer.pacing.chances import Floats
from dialer.pacing.lookahead import _Look
from dialer.pacing.model import Plan, Snapshot
from dialer.pacing.simulator.pacer import View
from dialer.pacing.simulator.planned import Predictive


@dataclass(slots=True)
class _Foresight(_Look):
    """A look that knows when those who talk or wrap up will be free."""

    #: of each of them: in how many seconds
    free_in_s: tuple[float, ...] = ()

    def _busy(self) -> Floats:
        late = self.table.moments_s + self.snapshot.slack_s
        known = (np.array(self.free_in_s)[:, None] > late[None, :]).astype(float)
        reserved = sum(agent.state == "reserved" for agent in self.snapshot.agents)
        return np.concatenate([known, np.repeat(self.table.talk[0, :1], reserved, axis=0)])


class ReleaseKnown(Predictive):
    """It is known of each agent when the talk and the wrap-up that go on will be over."""

    def plan(self, view: View, snapshot: Snapshot, now: datetime) -> Plan:
        look = _Foresight.at(snapshot, now)
        assert isinstance(look, _Foresight)
        look.free_in_s = tuple(
            seat.talk_ends - view.now for seat in view.seats if seat.state in ("talking", "wrap_up")
        )
        return look.plan()
