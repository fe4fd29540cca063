"""What pacing is told of a long past: the same from closed hours as from every row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, update
from support.past import MINUTE, World, world_of

from dialer.db import tables as t
from dialer.db.session import Database, connect
from dialer.reports.model import BEGINNING, DAY, HOUR, hour_of
from dialer.reports.settled_store import settled

A = t.attempt.c


def summed(told: Sequence[tuple[datetime, int, int]], span: timedelta) -> dict[datetime, tuple[int, int]]:
    """Live answers, and abandoned calls among them, by the beginning of the span."""
    sums = dict[datetime, tuple[int, int]]()
    for at, answered, abandoned in told:
        start = at - (at - BEGINNING) % span
        before = sums.get(start, (0, 0))
        sums[start] = (before[0] + answered, before[1] + abandoned)
    return sums


async def check(world: World, spans: int) -> int:
    """So many random spans, each as every row has it; in how many of them hours were told as a whole."""
    whole = 0
    for _ in range(spans):
        since, until = sorted((world.moment(), world.moment()))
        campaign, late = world.dice.choice(world.campaigns), world.dice.choice((since, world.moment(), until))
        async with world.database.tenant(1) as conn:
            told = await settled(conn, 1, campaign, since=since, until=until, minutes_since=late)
            rows = await conn.execute(
                select(A.answered_at, A.result).where(
                    A.campaign_id == campaign, A.created_at >= since, A.created_at < until,
                    A.answered_at.is_not(None), A.result.in_(("answered", "abandoned", "caller_hung_up")),
                )
            )  # fmt: skip
        every = [(at, 1, int(result == "abandoned")) for at, result in rows]
        assert [at for at, _, _ in told] == sorted(at for at, _, _ in told)
        assert summed(told, HOUR) == summed(every, HOUR)
        of_late = summed([one for one in every if one[0] >= hour_of(late)], MINUTE)
        assert of_late.items() <= summed(told, MINUTE).items()
        whole += summed(told, MINUTE) != summed(every, MINUTE)
    return whole


@pytest.mark.parametrize("seed", range(4))
async def test_closed_hours_tell_what_every_row_tells(database: Database, owner_url: str, seed: int) -> None:
    """Random attempts, random changes of them when they are closed, random spans; of late by the minute."""
    world = await world_of(seed, database, owner_url)
    assert await check(world, 3) == 0  # nothing is closed
    await world.closing().round()
    assert await check(world, 30) > 0
    for _ in range(6):
        await world.mend()
        await check(world, 5)
        await world.closing().round()
        await check(world, 5)


async def test_a_late_change_of_a_closed_hour_is_told(database: Database, owner_url: str) -> None:
    """A result that was corrected counts before its hour is closed anew, and afterwards; the rows of closed
    hours are not read."""
    world = await world_of(26, database, owner_url)
    campaign, since = world.campaigns[0], world.now - 5 * DAY

    async def told() -> tuple[int, int]:
        async with database.tenant(1) as conn:
            found = await settled(conn, 1, campaign, since=since, until=world.now, minutes_since=world.now)
        return sum(one[1] for one in found), sum(one[2] for one in found)

    live, abandoned = await told()
    assert live > abandoned > 0
    await world.closing().round()
    assert await told() == (live, abandoned)
    long_ago = world.now - 2 * DAY
    async with database.tenant(1) as conn:
        late = select(A.id).where(A.campaign_id == campaign, A.result == "answered", A.created_at < long_ago)
        corrected = await conn.scalar(late.limit(1))
        await conn.execute(update(t.attempt).where(A.id == corrected).values(result="abandoned"))
    assert await told() == (live, abandoned + 1)
    await world.closing().round()
    assert await told() == (live, abandoned + 1)
    owner = await connect(owner_url)
    await owner.execute("DELETE FROM attempt WHERE created_at < $1", long_ago)
    await owner.close()
    assert await told() == (live, abandoned + 1)
