"""A person is one contact, in however many lists and files, with a real database under row security."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import select
from support.floor import Floor
from support.imports import BOSS, Lists, count, many, pieces

from dialer.contacts.importing import run_import
from dialer.contacts.model import Counts
from dialer.db import tables as t
from dialer.db.session import Database


@pytest.fixture
async def lists(database: Database, tmp_path: Path) -> Lists:
    """Two empty lists."""
    return await Lists.open(database, tmp_path)


async def test_a_person_is_one_in_several_lists(lists: Lists, database: Database) -> None:
    """Who comes with another list's file is not made again: the contact is in both lists, and is called once
    by a campaign of both, as a lead of the list that brought them first."""
    campaign_id = (await Floor.open(database)).campaign_id
    rows = "89160000001;84951234567;А\n89160000002;;Б\n"
    assert await lists.bring(lists.spring, rows, campaign_id) == Counts(rows=2, loaded=2)
    assert await lists.bring(lists.summer, rows, campaign_id) == Counts(rows=2, joined=2)
    (found,) = await lists.service.contacts(BOSS, number="8 (916) 000-00-01")
    assert found.list_ids == (lists.spring, lists.summer)
    sizes = {one.id: one.contacts for one in await lists.service.lists(BOSS)}
    assert (sizes[lists.spring], sizes[lists.summer]) == (2, 2)
    assert await count(database, "contact") == 2
    async with database.tenant(1) as conn:
        assert list(await conn.scalars(select(t.lead.c.list_id))) == [lists.spring] * 2


async def test_two_files_at_once_make_a_person_once(lists: Lists) -> None:
    """Two imports into two lists, of the same people and at the same time, make each of them once."""
    service = lists.service
    jobs = [
        await service.add_import(BOSS, one, "a.csv", pieces(many(3000)))
        for one in (lists.spring, lists.summer)
    ]
    async with asyncio.TaskGroup() as group:
        for job in jobs:
            group.create_task(run_import(lists.database, lists.settings, 1, job.id))
    ended = [(await service.get_import(BOSS, job.id)).counts for job in jobs]
    assert await count(lists.database, "contact") == sum(one.loaded for one in ended) == 3000
    assert [one.loaded + one.joined for one in ended] == [3000, 3000]


async def test_whom_a_row_is(lists: Lists) -> None:
    """A row with numbers of several people is the one whom the list has, else whose number stands first."""
    await lists.bring(lists.summer, "89160000001;;А\n89160000002;;Б\n")
    await lists.bring(lists.spring, "89160000002;;Б\n")
    rows = "89160000001;89160000002;В\n89160000003;89160000001;Г\n89160000001;;Д\n"
    assert await lists.bring(lists.spring, rows) == Counts(rows=3, joined=1, duplicates=2, filled=1)
    assert await lists.names(lists.spring) == ["А", "Б"]
