"""What is known of tables that a file has filled: plans that were made when they were empty end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from support.floor import TENANT, Floor
from support.imports import BOSS, Lists, bring, many

from dialer.contacts.spool import pieces
from dialer.db.session import Database, connect
from dialer.donotcall.importing import run_next_import
from dialer.donotcall.model import Refusal, Source
from dialer.donotcall.service import DoNotCallService

#: One of the questions before a call, in its barest form.
ASKED = "SELECT contact_id FROM contact_phone WHERE tenant_id = $1 AND e164 = $2"


async def known(database: Database) -> dict[str, float]:
    """How many rows PostgreSQL takes each table for; -1: it never looked."""
    query = "SELECT relname, reltuples FROM pg_class WHERE relname = ANY (CAST(:names AS text[]))"
    names = ["contact", "contact_phone", "list_contact", "lead", "do_not_call"]
    async with database.tenant(TENANT) as conn:
        return dict((await conn.execute(text(query), {"names": names})).all())


@pytest.fixture
async def lists(database: Database, tmp_path: Path) -> Lists:
    """Two lists."""
    return await Lists.open(database, tmp_path)


async def test_a_kept_plan_of_empty_tables_ends_with_the_import(
    lists: Lists, database: Database, database_url: str, owner_url: str
) -> None:
    """Prepared when nobody was there, it reads the whole table; after the file it goes by the index, on the
    connection that has kept it."""
    owner = await connect(owner_url, application="test")
    try:
        await owner.execute("ANALYZE")
    finally:
        await owner.close()
    kept = await connect(database_url, application="test")
    try:
        await kept.execute("SELECT set_config('dozvon.tenant', '1', false)")
        await kept.execute("SET plan_cache_mode = force_generic_plan")
        await kept.execute(f"PREPARE asked (integer, text) AS {ASKED}")

        async def plan() -> str:
            rows: Any = await kept.fetch("EXPLAIN EXECUTE asked (1, '+79160000001')")
            return " ".join(row[0] for row in rows)

        before = await plan()
        floor = await Floor.open(database)
        await bring(lists.service, database, lists.settings, lists.spring, many(2000), floor.campaign_id)
        after = await plan()
    finally:
        await kept.close()
    assert "Index" not in before, before
    assert "Index" in after, after
    sizes = await known(database)
    assert {name: sizes[name] for name in ("contact", "contact_phone", "list_contact", "lead")} == {
        "contact": 2000,
        "contact_phone": 2000,
        "list_contact": 2000,
        "lead": 2000,
    }


async def test_a_file_that_adds_little_has_nobody_look(lists: Lists, database: Database) -> None:
    """Some rows beside many change no plan; a list of numbers that are not to be called is looked at too."""
    await bring(lists.service, database, lists.settings, lists.spring, many(1000))
    assert (await known(database))["contact"] == 1000
    await lists.bring(lists.summer, "".join(f"8926000{n:04};;Анна\n" for n in range(60)))
    assert (await known(database))["contact"] == 1000
    file = lists.settings.data_dir / "numbers.csv"
    file.write_text("phone\n" + "".join(f"8926000{n:04}\n" for n in range(200)))
    service = DoNotCallService(database, lists.settings)
    await service.add_import(BOSS, file.name, pieces(file), Refusal(Source.IMPORT))
    assert await run_next_import(database, lists.settings)
    assert (await known(database))["do_not_call"] == 200
