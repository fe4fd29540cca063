"""Terms that are kept for calls that come in one after another."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from dialer.calls import kept_terms
from dialer.calls.kept_terms import KeptTerms


@dataclass
class Book:
    """Counts what is asked, and is disturbed in it."""

    kept: KeptTerms | None = None
    asked: list[tuple[int, int]] = field(default_factory=list)

    async def read(self, conn: object, tenant_id: int, campaign_id: int) -> Any:
        """Another value each time."""
        self.asked.append((tenant_id, campaign_id))
        if self.kept is not None:
            self.kept.changed(tenant_id)
        return object()


NOBODY = cast(Any, None)


async def test_terms_are_read_once_until_something_is_changed() -> None:
    """Of each campaign; and again when the engine is told of a change."""
    book = Book()
    terms = KeptTerms(book)
    first = await terms.read(NOBODY, 1, 7)
    assert await terms.read(NOBODY, 1, 7) is first
    assert await terms.read(NOBODY, 1, 8) is not first
    terms.changed(1)
    assert await terms.read(NOBODY, 1, 7) is not first
    assert book.asked == [(1, 7), (1, 8), (1, 7)]


async def test_what_is_changed_while_it_is_read_is_not_kept() -> None:
    """It may have been read before the change."""
    book = Book()
    terms = book.kept = KeptTerms(book)
    await terms.read(NOBODY, 1, 7)
    await terms.read(NOBODY, 1, 7)
    assert len(book.asked) == 2


async def test_they_are_not_kept_for_ever(monkeypatch: Any) -> None:
    """Whatever was not told holds after a moment."""
    book = Book()
    terms = KeptTerms(book)
    await terms.read(NOBODY, 1, 7)
    monkeypatch.setattr(kept_terms, "KEPT_S", 0.0)
    await terms.read(NOBODY, 1, 7)
    assert len(book.asked) == 2
