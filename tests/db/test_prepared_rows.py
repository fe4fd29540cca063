"""Rows of prepared statements: what is compared must not stay in memory."""

from __future__ import annotations

import sys

from dialer.db.prepared import Prepared
from dialer.db.session import Database

#: Of a length that no other value here has, so that each is an object of its own.
_WORD = Prepared("SELECT repeat('a', 1000) AS word, 1 AS one")


async def test_rows_that_were_compared_are_let_go(database: Database) -> None:
    """Two rows are equal by their values, and comparing them keeps neither of them."""
    async with database.system() as conn:
        one, same = await _WORD.row(conn), await _WORD.row(conn)
    word = one["word"]
    alone = sys.getrefcount(word)
    references = sys.getrefcount(one)
    assert not any(one != same for _ in range(100))
    assert one == same
    assert one == tuple(same)
    assert one != (word, 2)
    assert hash(one) == hash(same)
    assert (sys.getrefcount(one), sys.getrefcount(word)) == (references, alone)
