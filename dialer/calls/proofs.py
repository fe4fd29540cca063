"""What showed that calls might be made: kept with each attempt, told of one, exported for many.

Of an attempt: the policy's version, the local times and open hours by which it was allowed, the attempts that
counted, what its purpose was and who pressed the key. `dialer.compliance.evidence` says what the names mean.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from dialer.calls import call_log
from dialer.calls.call_log import CallRow, Filter
from dialer.calls.model import Direction
from dialer.clock import utc_now
from dialer.contacts.csvfile import safe_cell
from dialer.db.prepared import Prepared
from dialer.db.session import Database
from dialer.errors import NotFound
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right

#: Attempts of one piece of the file.
PIECE = 1000
_OF = Prepared(
    """
    SELECT id, evidence FROM attempt
     WHERE tenant_id = :tenant_id AND id = ANY (CAST(:ids AS uuid[]))
    """
)
#: Columns of the file: names of the API, not words for people.
COLUMNS = (
    "attempt_id", "made_at", "number", "contact_id", "campaign_id", "campaign", "mode", "clicked_by",
    "policy", "purpose", "local_times", "open_from", "open_until", "in_24_hours", "in_7_days", "in_31_days",
    "evidence",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Proof:
    """An attempt with what showed that it might be made."""

    call: CallRow
    #: None: made before such was kept
    evidence: Mapping[str, Any] | None


class Proofs:
    """Proofs of a tenant's calls."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def one(self, actor: Actor, attempt_id: UUID) -> Proof:
        """Of one attempt. Raises NotFound."""
        actor.require(Right.CALLS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            row = await call_log.find(conn, actor.tenant_id, attempt_id)
            if row is None or row.direction is Direction.INBOUND:  # nobody has to be allowed to call us
                raise NotFound(what="call", key=attempt_id)
            found = await _OF.row(conn, tenant_id=actor.tenant_id, ids=[attempt_id])
        return Proof(row, found.evidence)

    async def file(self, actor: Actor, which: Filter) -> AsyncIterator[bytes]:
        """Of all such attempts, oldest first, as CSV in pieces. No transaction waits for a slow reader."""
        actor.require(Right.CALLS_READ)
        which = replace(which, until=which.until or utc_now(), direction=Direction.OUTBOUND)
        yield _lines([COLUMNS])
        after: tuple[datetime, UUID] | None = None
        while True:
            async with self._database.tenant(actor.tenant_id) as conn:
                if after is None:
                    await audit.record(conn, actor, "calls.proofs", "calls")
                rows = await call_log.page(
                    conn, actor.tenant_id, which, after=after, limit=PIECE, oldest_first=True
                )
                ids = [row.id for row in rows]
                kept = dict(map(tuple, await _OF.rows(conn, tenant_id=actor.tenant_id, ids=ids)))
            if rows:
                after = rows[-1].created_at, rows[-1].id
                yield _lines([_cells(Proof(row, kept.get(row.id))) for row in rows])
            if len(rows) < PIECE:
                return


def _cells(proof: Proof) -> Sequence[object]:
    call, said = proof.call, proof.evidence or {}
    tried = said.get("tried", {})
    opens, closes = said.get("open", (None, None))
    return (
        call.id, call.created_at.isoformat(), call.e164, call.contact_id, call.campaign_id,
        safe_cell(call.campaign), call.mode, call.clicked_by, call.policy, said.get("purpose"),
        " ".join(f"{zone}={at}" for zone, at in said.get("places", {}).items()), opens, closes,
        tried.get("per_day"), tried.get("per_week"), tried.get("per_month"),
        json.dumps(said, ensure_ascii=False, separators=(",", ":")) if said else None,
    )  # fmt: skip


def _lines(rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
