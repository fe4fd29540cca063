"""What the trunks carry now, as the engine counts it, and which of them can be reached."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog

from dialer.trunks.model import IDLE, Load, Refused, Trunk, choose, lines_left

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class TrunkLines:
    """The lines of one engine, by trunk."""

    #: what each trunk carries, by its id
    loads: dict[int, Load] = field(default_factory=dict)
    #: (node, endpoint) that do not answer that Asterisk's OPTIONS; one that is not asked is taken for
    #: reachable
    unreachable: set[tuple[str, str]] = field(default_factory=set)

    def contact(self, node: str, endpoint: str, reachable: bool) -> None:
        """A node says that the carrier behind an endpoint answers, or no longer does."""
        if not reachable and (node, endpoint) not in self.unreachable:
            log.warning("endpoint_unreachable", node=node, endpoint=endpoint)
            self.unreachable.add((node, endpoint))
        elif reachable and (node, endpoint) in self.unreachable:
            log.info("endpoint_reachable", node=node, endpoint=endpoint)
            self.unreachable.discard((node, endpoint))

    def choose(self, trunks: Sequence[Trunk], e164: str, now: datetime, node: str) -> Trunk | Refused:
        """The first trunk in order that takes a call of the node to the number now, or why none does."""
        return choose(trunks, self._of(trunks, node), e164, now)

    def left(self, trunks: Sequence[Trunk], now: datetime, node: str) -> int:
        """Calls of the node that these trunks can take now, by their channels and their calls a second."""
        loads = self._of(trunks, node)
        return sum(
            min(lines_left([trunk], loads), int(loads[trunk.id].tokens_at(trunk, now))) for trunk in trunks
        )

    def take(self, trunk: Trunk, now: datetime) -> None:
        """A call is placed over the trunk."""
        self.loads[trunk.id] = self.loads.get(trunk.id, IDLE).placed(trunk, now)

    def adopt(self, trunk_id: int) -> None:
        """A call that an earlier engine placed holds a channel of the trunk."""
        load = self.loads.get(trunk_id, IDLE)
        self.loads[trunk_id] = replace(load, channels=load.channels + 1)

    def release(self, trunk_id: int) -> None:
        """A channel of the trunk has ended."""
        self.loads[trunk_id] = self.loads.get(trunk_id, IDLE).released()

    def _of(self, trunks: Iterable[Trunk], node: str) -> Mapping[int, Load]:
        return {
            trunk.id: replace(
                self.loads.get(trunk.id, IDLE), reachable=(node, trunk.endpoint) not in self.unreachable
            )
            for trunk in trunks
        }
