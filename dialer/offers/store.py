"""The SQL of offers and of what was said to them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db import rows
from dialer.db.tables import offer, offer_answer
from dialer.offers.model import Answer, Choice, Offer, Tally

_C, _A = offer.c, offer_answer.c
_ALL = select(
    _C.id,
    _C.place,
    _C.name,
    _C.text_ru,
    _C.text_en,
    _C.active_from,
    _C.active_until,
    _C.active,
    _C.position,
)


async def offers(conn: AsyncConnection, tenant_id: int, place: str | None = None) -> list[Offer]:
    """All, or those of a place: by place, in their order."""
    query = _ALL.where(_C.tenant_id == tenant_id).order_by(_C.place, _C.position, _C.id)
    if place is not None:
        query = query.where(_C.place == place)
    return [Offer(*row) for row in await conn.execute(query)]


async def add(conn: AsyncConnection, tenant_id: int, values: Mapping[str, Any]) -> int:
    """A new offer; its id."""
    return await rows.add(conn, offer, tenant_id, values)


async def change(conn: AsyncConnection, tenant_id: int, offer_id: int, values: Mapping[str, Any]) -> bool:
    """Write columns; False: there is none."""
    return await rows.change(conn, offer, tenant_id, offer_id, values)


async def remove(conn: AsyncConnection, tenant_id: int, offer_id: int) -> bool:
    """Forget an offer that nobody was made (else IntegrityError); False: there is none."""
    return await rows.remove(conn, offer, tenant_id, offer_id)


# -- what was said -----------------------------------------------------------------------------------------


async def answered_by(
    conn: AsyncConnection, tenant_id: int, contact_id: int, answer: Answer
) -> frozenset[int]:
    """The offers to which the person has said this."""
    found = await conn.scalars(
        select(_A.offer_id).where(_A.tenant_id == tenant_id, _A.contact_id == contact_id, _A.answer == answer)
    )
    return frozenset(found)


async def shown(
    conn: AsyncConnection, tenant_id: int, call_id: UUID, contact_id: int | None, chosen: Choice, at: datetime
) -> None:
    """Write down that an offer is spoken in a call now, and why this one."""
    assert chosen.offer is not None
    await conn.execute(
        insert(offer_answer).values(
            tenant_id=tenant_id,
            call_id=call_id,
            contact_id=contact_id,
            place=chosen.offer.place,
            offer_id=chosen.offer.id,
            answer=Answer.SHOWN,
            reason={"skipped": {str(one): why.value for one, why in chosen.skipped.items()}},
            at=at,
        )
    )


async def answered(
    conn: AsyncConnection, tenant_id: int, call_id: UUID, offer_id: int, answer: Answer, at: datetime
) -> bool:
    """Write down what was said to the offer that was spoken last in the call; False: none was."""
    last = (
        select(_A.id)
        .where(_A.tenant_id == tenant_id, _A.call_id == call_id, _A.offer_id == offer_id)
        .order_by(_A.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    changed = await conn.execute(
        update(offer_answer).where(_A.tenant_id == tenant_id, _A.id == last).values(answer=answer, at=at)
    )
    return changed.rowcount == 1


async def tallies(
    conn: AsyncConnection, tenant_id: int, since: datetime, until: datetime
) -> dict[int, Tally]:
    """By offer, of what was last said from one moment to another."""
    many = func.count()
    found = await conn.execute(
        select(
            _A.offer_id,
            many.label("made"),
            many.filter(_A.answer == Answer.ACCEPTED).label("accepted"),
            many.filter(_A.answer == Answer.DECLINED).label("declined"),
        )
        .where(_A.tenant_id == tenant_id, _A.at >= since, _A.at < until)
        .group_by(_A.offer_id)
    )
    return {row.offer_id: Tally(row.made, row.accepted, row.declined) for row in found}


async def answers(conn: AsyncConnection, tenant_id: int, *, before: int | None, limit: int) -> list[Row[Any]]:
    """What was said, newest first, older than the one with the id `before`."""
    query = (
        select(offer_answer, _C.name)
        .join(offer, (_C.tenant_id == _A.tenant_id) & (_C.id == _A.offer_id))
        .where(_A.tenant_id == tenant_id)
        .order_by(_A.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(_A.id < before)
    return list(await conn.execute(query))
