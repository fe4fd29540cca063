"""What is shown live, as the service reads it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert
from support.stage import breathe

from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.errors import Forbidden
from dialer.httpkit.access import Actor, Role
from dialer.reports.live import LiveService


async def test_a_server_without_an_engine_is_in_trouble(database: Database) -> None:
    """None was ever heard, or the last word is too old."""
    service = LiveService(database)
    assert [(one.code, one.since) for one in await service.troubles()] == [("engine_down", None)]
    seen = utc_now() - timedelta(seconds=30)
    async with database.system() as conn:
        await conn.execute(
            insert(t.process_status).values(name="engine", started_at=seen, seen_at=seen, status={})
        )
    assert [(one.code, one.since) for one in await service.troubles()] == [("engine_down", seen)]


@pytest.mark.parametrize(
    ("status", "codes"),
    [({}, []), ({"asterisk": False, "trouble": "connection refused"}, ["asterisk_down"])],
)
async def test_an_engine_tells_of_its_link(
    database: Database, status: dict[str, Any], codes: list[str]
) -> None:
    """A living engine without Asterisk is a trouble of its own, with the engine's words."""
    async with database.system() as conn:
        await breathe(conn, **status)
    troubles = await LiveService(database).troubles()
    assert [one.code for one in troubles] == codes
    assert [one.detail for one in troubles] == [status["trouble"] for _ in codes]


async def test_the_wall_board_is_not_for_operators(database: Database) -> None:
    """Who is in which state is the supervisors' to see."""
    operator = Actor(1, 1, Role.OPERATOR, "x", "en")
    with pytest.raises(Forbidden):
        await LiveService(database).board(operator, None)  # type: ignore[arg-type]
