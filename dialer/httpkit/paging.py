"""Long lists by pages: an opaque cursor says after which row the next page begins.

A cursor holds the sort key of the last row seen, so that rows which come or go in between never make
another row appear twice or not at all. It is opaque, not secret: it says nothing that the row did not.

    rows = await store.fetch(conn, after=decode(query.cursor, datetime, int), limit=query.limit + 1)
    rows, following = cut(rows, query.limit, lambda row: (row.created_at, row.id))
    return Page[CallOut](items=[...], next=following)
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from pydantic import Field

from dialer.errors import BadRequest
from dialer.httpkit.schema import In, Out

T = TypeVar("T")
R = TypeVar("R")

#: Ids of the database end here; a cursor or a path with more never reaches SQL.
MAX_ID = 2**63 - 1


class Page(Out, Generic[T]):
    """One page of a list."""

    items: list[T]
    next: str | None = Field(None, description="cursor of the next page; null on the last")


class PageQuery(In):
    """The query string of a list; subclass it for filters."""

    cursor: str | None = Field(None, max_length=500, description="`next` of the page before")
    limit: int = Field(50, ge=1, le=200, description="rows of a page")


def encode(*key: int | float | str | datetime | UUID | None) -> str:
    """The cursor of a row with this sort key. A datetime must be aware."""
    plain = [
        value.isoformat() if isinstance(value, datetime) else str(value) if isinstance(value, UUID) else value
        for value in key
    ]
    packed = json.dumps(plain, separators=(",", ":"), ensure_ascii=False).encode()
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def decode(cursor: str | None, *types: type) -> tuple[Any, ...] | None:
    """The sort key inside a cursor, each part of the type given; None where there is no cursor.

    Raises BadRequest for anything that `encode` would not have made of such a key.
    """
    if cursor is None:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        plain = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        return tuple(_revive(value, kind) for value, kind in zip(plain, types, strict=True))
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise BadRequest(reason="the cursor is not one that this list has given") from None


def _revive(value: object, kind: type) -> object:
    if kind is datetime and isinstance(value, str):
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError
        # The ends of the calendar cannot be told in UTC, as the database wants it.
        return moment.astimezone(UTC)
    if kind is UUID and isinstance(value, str):
        return UUID(value)
    # `type() is`: to Python a bool is an int, not to us. NaN and infinity have no place in an order.
    fits = type(value) is kind and (
        (isinstance(value, int) and abs(value) <= MAX_ID)
        or (isinstance(value, float) and math.isfinite(value))
        or (isinstance(value, str) and "\0" not in value)
    )
    if not fits:
        raise ValueError
    return value


def cut(
    rows: Sequence[R], limit: int, key: Callable[[R], tuple[int | float | str | datetime | UUID | None, ...]]
) -> tuple[list[R], str | None]:
    """Of `limit + 1` rows asked for: the rows of this page, and the next page's cursor if there is one."""
    page = list(rows[:limit])
    return page, encode(*key(page[-1])) if len(rows) > limit else None
