"""The SQL of consents: what people agreed to be called for. The rule is `dialer.compliance.consent`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.clock import utc_now
from dialer.compliance.consent import Consent
from dialer.compliance.policy import Purpose
from dialer.contacts.agreed import NewConsent
from dialer.db.prepared import Prepared


@dataclass(frozen=True, slots=True)
class Record:
    """A consent with who wrote what of it."""

    consent: Consent
    created_at: datetime
    #: the present name of who wrote it down; None: the server itself
    by: str | None
    #: of who withdrew it
    withdrawn_by: str | None


_COLUMNS = "c.id, c.purpose, c.source, c.proof, c.valid_from, c.valid_until, c.withdrawn_at"
#: Every consent of the contact n.contact_id, also those that are over, in an array of what `read` takes.
#: Asked before each call where the policy asks for one.
AGREED = f"""
    ARRAY(
        SELECT ROW({_COLUMNS}) FROM consent c
         WHERE c.tenant_id = :tenant_id AND c.contact_id = n.contact_id
         ORDER BY c.id)
"""  # noqa: S608 - texts of ours
_RECORDS = Prepared(
    f"""
    SELECT {_COLUMNS}, c.created_at, u.name AS by, w.name AS withdrawn_by
      FROM consent c
      LEFT JOIN app_user u ON u.tenant_id = c.tenant_id AND u.id = c.by_user
      LEFT JOIN app_user w ON w.tenant_id = c.tenant_id AND w.id = c.withdrawn_by
     WHERE c.tenant_id = :tenant_id AND c.contact_id = :contact_id
     ORDER BY c.valid_from DESC, c.id DESC
    """  # noqa: S608 - texts of ours
)
_OF = Prepared(
    f"SELECT n.contact_id, {AGREED} AS agreed FROM unnest(CAST(:contact_ids AS bigint[])) AS n (contact_id)"  # noqa: S608 - texts of ours
)
# The same consent brought again (the same file twice) is none more, also where it was withdrawn since.
_ADD = Prepared(
    """
    INSERT INTO consent (tenant_id, contact_id, purpose, source, proof, valid_from, valid_until, by_user)
    SELECT CAST(:tenant_id AS integer), n.contact_id, n.purpose, n.source, n.proof, n.valid_from,
           n.valid_until, CAST(:by_user AS bigint)
      FROM unnest(
               CAST(:contact_ids AS bigint[]), CAST(:purposes AS text[]), CAST(:sources AS text[]),
               CAST(:proofs AS text[]), CAST(:froms AS timestamptz[]), CAST(:untils AS timestamptz[]),
               CAST(:undated AS boolean[])
           ) WITH ORDINALITY
               AS n (contact_id, purpose, source, proof, valid_from, valid_until, undated, place)
     WHERE NOT EXISTS (
               SELECT FROM consent o
                WHERE o.tenant_id = :tenant_id AND o.contact_id = n.contact_id AND o.purpose = n.purpose
                  AND o.source = n.source AND o.proof = n.proof
                  AND (n.undated OR o.valid_from = n.valid_from)
                  AND o.valid_until IS NOT DISTINCT FROM n.valid_until)
     ORDER BY n.place
    RETURNING id
    """
)
_WITHDRAW = Prepared(
    """
    UPDATE consent SET withdrawn_at = :now, withdrawn_by = :by_user
     WHERE tenant_id = :tenant_id AND contact_id = :contact_id AND id = :consent_id AND withdrawn_at IS NULL
    RETURNING purpose
    """
)


async def records_of(conn: AsyncConnection, tenant_id: int, contact_id: int) -> list[Record]:
    """The consents of a contact with who wrote them down, the latest first."""
    rows = await _RECORDS.rows(conn, tenant_id=tenant_id, contact_id=contact_id)
    return [Record(read(tuple(row)[:7]), row.created_at, row.by, row.withdrawn_by) for row in rows]


async def consents_of(
    conn: AsyncConnection, tenant_id: int, contact_ids: Collection[int]
) -> dict[int, list[Consent]]:
    """Every consent of each of these contacts, also those that are over; a contact without any has none."""
    if not contact_ids:
        return {}
    rows = await _OF.rows(conn, tenant_id=tenant_id, contact_ids=list(contact_ids))
    return {row.contact_id: [read(one) for one in row.agreed] for row in rows}


async def add_many(
    conn: AsyncConnection, tenant_id: int, consents: Sequence[NewConsent], by: int | None
) -> list[int]:
    """Write consents down; the ids of those that were not there yet."""
    if not consents:
        return []
    return await _ADD.column(
        conn,
        tenant_id=tenant_id,
        by_user=by,
        contact_ids=[one.contact_id for one in consents],
        purposes=[one.purpose.value for one in consents],
        sources=[one.source for one in consents],
        proofs=[one.proof for one in consents],
        froms=[one.valid_from for one in consents],
        untils=[one.valid_until for one in consents],
        undated=[one.undated for one in consents],
    )


async def withdraw(
    conn: AsyncConnection, tenant_id: int, contact_id: int, consent_id: int, by: int | None
) -> Purpose | None:
    """Mark a consent as withdrawn now; its purpose, or None: there is no such consent that stands."""
    found = await _WITHDRAW.value(
        conn, tenant_id=tenant_id, contact_id=contact_id, consent_id=consent_id, now=utc_now(), by_user=by
    )
    return Purpose(found) if found else None


def read(row: Sequence[Any]) -> Consent:
    """A consent, of its columns as `AGREED` has them."""
    id_, purpose, *rest = row
    return Consent(id_, Purpose(purpose), *rest)
