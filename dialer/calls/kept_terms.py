"""The terms of campaigns whose calls come in one after another: not read for each of them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.calls.terms import CallTerms

#: How long they are kept though nobody says that something was changed, seconds.
KEPT_S: Final = 1.0


class Book(Protocol):
    """Where terms are read; the campaigns' own."""

    async def read(self, conn: AsyncConnection, tenant_id: int, campaign_id: int) -> CallTerms:
        """The terms of one campaign, running or not; asked in the transaction of `conn`. Raises NotFound."""


@dataclass(slots=True)
class KeptTerms:
    """Reads terms again after each change, of which it is told."""

    book: Book
    #: by tenant and campaign: when they were read (monotonic seconds), and what
    _known: dict[tuple[int, int], tuple[float, CallTerms]] = field(default_factory=dict)
    _changes: int = 0

    def changed(self, _tenant_id: int) -> None:
        """A campaign, its policy or its trunks were changed."""
        self._known.clear()
        self._changes += 1

    async def read(self, conn: AsyncConnection, tenant_id: int, campaign_id: int) -> CallTerms:
        """As `Book.read`."""
        read_s, known = self._known.get((tenant_id, campaign_id), (0.0, None))
        if known is not None and time.monotonic() - read_s < KEPT_S:
            return known
        now_s, changes = time.monotonic(), self._changes
        terms = await self.book.read(conn, tenant_id, campaign_id)
        if changes == self._changes:  # else what was read may be from before the change
            self._known[tenant_id, campaign_id] = now_s, terms
        return terms
