"""The second lock between tenants: the database itself."""

from __future__ import annotations

import asyncpg
import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import DBAPIError
from support.came import DIALLED, number_of

from dialer.db import tables as t
from dialer.db.session import Database, connect
from dialer.inbound import store


@pytest.fixture
async def two_tenants(database: Database, owner_url: str) -> Database:
    """Tenants 1 and 2, each with a list of contacts of its own."""
    owner = await connect(owner_url)
    await owner.execute("INSERT INTO tenant (id, name) VALUES (2, 'Second')")
    await owner.close()
    for tenant_id in (1, 2):
        async with database.tenant(tenant_id) as conn:
            await conn.execute(
                insert(t.contact_list).values(tenant_id=tenant_id, name=f"list of {tenant_id}")
            )
    return database


def test_the_tenant_leads_every_primary_key() -> None:
    """So that rows can be spread by tenant later; the installation's own tables are of no tenant."""
    leading = {name: next(iter(table.primary_key.columns)).name for name, table in t.metadata.tables.items()}
    assert {name for name, column in leading.items() if column != "tenant_id"} == {
        "tenant", "server", "node", "process_status",
    }  # fmt: skip


async def test_a_tenant_sees_its_own_rows_only(two_tenants: Database) -> None:
    """The same query without any filter shows each tenant its own rows."""
    for tenant_id in (1, 2):
        async with two_tenants.tenant(tenant_id) as conn:
            assert list(await conn.scalars(select(t.contact_list.c.name))) == [f"list of {tenant_id}"]


async def test_without_a_tenant_nothing_is_visible(two_tenants: Database) -> None:
    """A transaction that names no tenant sees no business row, also on a connection that served one."""
    async with two_tenants.system() as conn:
        assert list(await conn.scalars(select(t.contact_list.c.name))) == []
    assert await two_tenants.tenants() == [1, 2]


async def test_a_row_of_another_tenant_cannot_be_written(two_tenants: Database) -> None:
    """Neither inserted, nor moved there, nor changed or deleted."""
    with pytest.raises(DBAPIError, match="row-level security"):
        async with two_tenants.tenant(1) as conn:
            await conn.execute(insert(t.contact_list).values(tenant_id=2, name="smuggled"))
    with pytest.raises(DBAPIError, match="row-level security"):
        async with two_tenants.tenant(1) as conn:
            await conn.execute(t.contact_list.update().values(tenant_id=2))
    async with two_tenants.tenant(1) as conn:
        changed = await conn.execute(
            t.contact_list.update().where(t.contact_list.c.tenant_id == 2).values(name="x")
        )
        deleted = await conn.execute(t.contact_list.delete().where(t.contact_list.c.tenant_id == 2))
        assert (changed.rowcount, deleted.rowcount) == (0, 0)


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE contact DISABLE ROW LEVEL SECURITY",
        "DROP POLICY tenant_isolation ON contact",
        "SET ROLE dozvon_owner",
        "SET SESSION AUTHORIZATION postgres",
        "ALTER ROLE dozvon_app BYPASSRLS",
        "CREATE TABLE mine (id integer)",
        "INSERT INTO tenant (id, name) VALUES (9, 'mine')",
        "UPDATE event SET seq = 1",
        "UPDATE audit SET action = 'nothing'",
        "DELETE FROM audit",
        "SELECT nextval('event_seq')",
        "COPY contact TO PROGRAM 'cat'",
    ],
)
async def test_the_app_cannot_lift_the_lock(database_url: str, statement: str) -> None:
    """The server's role has no right that would lead around row security or rewrite what happened."""
    app = await connect(database_url)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.execute(statement)
    finally:
        await app.close()


async def test_every_tenant_table_is_locked(owner_url: str) -> None:
    """Each table of the schema has row security forced with both policies and a key that begins with the
    tenant; only what belongs to the whole server has no tenant."""
    owner = await connect(owner_url)
    rows = await owner.fetch(
        """
        SELECT c.relname AS name, c.relrowsecurity AND c.relforcerowsecurity AS forced,
               (SELECT array_agg(polname::text ORDER BY polname) FROM pg_policy
                WHERE polrelid = c.oid) AS policies,
               (SELECT a.attname FROM pg_index i JOIN pg_attribute a
                    ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
                WHERE i.indrelid = c.oid AND i.indisprimary) AS first_of_key
        FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
        """
    )
    await owner.close()
    open_tables = {"tenant", "process_status", "server", "node", "alembic_version"}
    locked = {row["name"]: row for row in rows if row["name"] not in open_tables}
    assert set(locked) == set(t.metadata.tables) - open_tables
    for name, row in locked.items():
        assert row["forced"], name
        assert row["policies"] == ["owner_all", "tenant_isolation"], name
        assert row["first_of_key"] == "tenant_id", name


async def test_people_are_found_before_their_tenant_is_known(two_tenants: Database) -> None:
    """The doors of log-in, session and token find the row of whichever tenant it is, and only by its key."""
    async with two_tenants.tenant(2) as conn:
        user_id = await conn.scalar(
            insert(t.app_user)
            .values(tenant_id=2, login="anna", name="Анна", role="supervisor", password_hash="$argon2id$")
            .returning(t.app_user.c.id)
        )
        await conn.execute(
            text(
                "INSERT INTO user_session (tenant_id, token_hash, user_id, csrf_token, expires_at)"
                " VALUES (2, 'aa', :user, 'csrf', now())"
            ),
            {"user": user_id},
        )
        await conn.execute(
            insert(t.api_token).values(tenant_id=2, name="crm", user_id=user_id, token_hash="bb")
        )
    async with two_tenants.system() as conn:
        for door, key in (("find_login", "anna"), ("find_session", "aa"), ("find_token", "bb")):
            query = text(f"SELECT tenant_id, user_id, name, role, locale FROM {door}(:key)")
            assert [tuple(row) for row in await conn.execute(query, {"key": key})] == [
                (2, user_id, "Анна", "supervisor", "ru")
            ]
            assert list(await conn.execute(query, {"key": "cc"})) == []


async def test_a_number_that_is_called_is_found_before_its_tenant_is_known(two_tenants: Database) -> None:
    """Whose it is, while it is switched on; one of nobody is nobody's."""
    async with two_tenants.tenant(2) as conn:
        values = {"tenant_id": 2, "name": "sales", "policy": "ru"}
        campaign_id = await conn.scalar(insert(t.campaign).values(values).returning(t.campaign.c.id))
        assert campaign_id is not None
        await number_of(conn, campaign_id, 2)
    assert await store.owner_of(two_tenants, DIALLED) == 2
    assert await store.owner_of(two_tenants, "74950000000") is None
    async with two_tenants.tenant(2) as conn:
        await conn.execute(t.inbound_number.update().values(active=False))
    assert await store.owner_of(two_tenants, DIALLED) is None
