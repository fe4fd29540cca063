"""Flows as they are run: read once, kept ready."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from dialer.errors import BadFlow
from ivr_flows import loader
from ivr_flows.model import Flow

log = structlog.get_logger(__name__)

#: Flows that are kept ready.
KEPT = 200


@dataclass(slots=True)
class Flows:
    """The flows of one engine, each version by itself: a call that is under way keeps its own."""

    #: by tenant, flow and version
    _known: dict[tuple[int, int, int], Flow] = field(default_factory=dict)

    def read(
        self, tenant_id: int, flow_id: int, name: str, version: int, document: Mapping[str, Any]
    ) -> Flow | None:
        """What the document says; None: it cannot be read, which is logged."""
        key = tenant_id, flow_id, version
        if (known := self._known.get(key)) is not None:
            return known
        try:
            flow = loader.from_document(document)
        except BadFlow as error:  # it was checked when it was published: by an earlier version of ours
            log.error("flow_cannot_be_read", flow=name, version=version, reason=str(error))  # noqa: TRY400
            return None
        self._known[key] = flow
        while len(self._known) > KEPT:
            del self._known[next(iter(self._known))]
        return flow
