"""Numbers of erased people who asked not to be called again: known when they come back, told to nobody.

What is kept is SHA-256 of the tenant's salt and the number. There are few enough numbers in the world to try
them all, so whoever has the whole database can find out which numbers these are: it keeps a number from
being dialled and from being read in passing, it does not make it unknown.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.prepared import Prepared

_SALT = Prepared(
    "INSERT INTO forgotten_salt (tenant_id, salt) VALUES (:tenant_id, :salt) ON CONFLICT DO NOTHING"
)
_DIGESTS = """
    SELECT n.e164, sha256(s.salt || convert_to(n.e164, 'UTF8')) AS digest
      FROM forgotten_salt s, unnest(CAST(:numbers AS text[])) AS n (e164)
     WHERE s.tenant_id = :tenant_id
"""
_ADD = Prepared(
    f"""
    INSERT INTO forgotten_number (tenant_id, digest)
    SELECT CAST(:tenant_id AS integer), d.digest FROM ({_DIGESTS}) d ON CONFLICT DO NOTHING
    """  # noqa: S608 - texts of ours
)
_FIND = Prepared(
    f"""
    SELECT d.e164 FROM ({_DIGESTS}) d
      JOIN forgotten_number f ON f.tenant_id = :tenant_id AND f.digest = d.digest
    """  # noqa: S608 - texts of ours
)


async def forget_numbers(conn: AsyncConnection, tenant_id: int, numbers: Collection[str]) -> None:
    """Never dial these E.164 numbers again, without keeping them."""
    await _SALT.run(conn, tenant_id=tenant_id, salt=secrets.token_bytes(32))
    await _ADD.run(conn, tenant_id=tenant_id, numbers=list(numbers))


async def forgotten(conn: AsyncConnection, tenant_id: int, numbers: Collection[str]) -> set[str]:
    """Those of these E.164 numbers whose people asked not to be called again before they were erased."""
    return set(await _FIND.column(conn, tenant_id=tenant_id, numbers=list(numbers)))
