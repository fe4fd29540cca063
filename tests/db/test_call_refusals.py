"""Calls by hand that are refused are written down, shown, and slowed when they do not end."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from support.floor import TENANT, Floor

from dialer.calls import refusals
from dialer.db import tables as t
from dialer.errors import AsteriskUnavailable, BadNumber, NotAllowed, TooManyRequests
from dialer.httpkit.access import Role


async def test_a_refused_call_is_written_down_with_its_reason(floor: Floor) -> None:
    """Who, what, why; of the number only what tells it from others. An event tells whoever watches."""
    seat = await floor.seat()
    written = "+88 213\x00 55512345"
    with pytest.raises(BadNumber):
        async with refusals.noted(floor.database, seat.actor, "campaign:7", written):
            raise BadNumber(reason="no country has this code")
    async with floor.database.tenant(TENANT) as conn:
        noted = (await conn.execute(select(t.audit))).one()
        told = (await conn.execute(select(t.event.c.kind, t.event.c.payload))).all()
    assert (noted.user_id, noted.action, noted.subject) == (seat.actor.user_id, "call.refused", "campaign:7")
    assert (noted.details["error"], noted.details["reason"]) == ("bad-number", "no country has this code")
    assert "55512" not in str(noted.details)
    assert [each.kind for each in told if each.kind == "call.refused"] == ["call.refused"]
    assert "55512" not in str(told)


async def test_what_is_placed_or_cannot_be_asked_is_no_refusal(floor: Floor) -> None:
    """A call that was placed, and an Asterisk that is away, say nothing of the agent."""
    seat = await floor.seat()
    async with refusals.noted(floor.database, seat.actor, "lead:1"):
        pass
    with pytest.raises(AsteriskUnavailable):
        async with refusals.noted(floor.database, seat.actor, "lead:1"):
            raise AsteriskUnavailable(reason="the link is down")
    async with floor.database.tenant(TENANT) as conn:
        assert (await conn.execute(select(t.audit))).all() == []


async def test_too_many_refusals_make_the_next_try_wait(floor: Floor) -> None:
    """Thirty in an hour; the next one is not even looked at. Another agent is not held up."""
    seat, other = await floor.seat(), await floor.seat()
    for _ in range(refusals.MOST):
        with pytest.raises(NotAllowed):
            async with refusals.noted(floor.database, seat.actor, "campaign:1"):
                raise NotAllowed(reason="no trunk of the campaign may call such numbers")
    with pytest.raises(TooManyRequests) as slowed:
        async with refusals.noted(floor.database, seat.actor, "campaign:1"):
            raise AssertionError("was let in")
    wait_s = slowed.value.details["seconds"]
    assert isinstance(wait_s, int)
    assert 3500 < wait_s <= 3600
    async with refusals.noted(floor.database, other.actor, "campaign:1"):
        pass


async def test_refusals_are_summed_by_user_and_reason(floor: Floor) -> None:
    """The most frequent first, with the last time; those of another kind are left out."""
    ann, bob = await floor.user(Role.OPERATOR), await floor.user(Role.OPERATOR)
    for actor, reason, many in ((ann, "first", 1), (bob, "second", 3), (bob, "first", 2)):
        for _ in range(many):
            with pytest.raises(NotAllowed):
                async with refusals.noted(floor.database, actor, "campaign:1"):
                    raise NotAllowed(reason=reason)
    async with floor.database.tenant(TENANT) as conn:
        found = await refusals.of_last_day(conn, TENANT)
    assert [(each.name, each.reason, each.many) for each in found] == [
        (bob.name, "second", 3),
        (bob.name, "first", 2),
        (ann.name, "first", 1),
    ]
