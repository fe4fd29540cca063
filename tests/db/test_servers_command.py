"""`dozvon servers` and `dozvon node`, as an administrator uses them."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from pydantic import SecretStr
from rich.console import Console
from sqlalchemy import update
from support.fleet import says
from support.floor import NODE, TENANT, Floor

from dialer import servers_command as command
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.errors import Conflict, Invalid, NotFound
from dialer.servers import store
from dialer.settings import Settings, load


@pytest.fixture
def settings(database_url: str, owner_url: str, tmp_path: Path) -> Settings:
    """Of an installation whose database is elsewhere."""
    return load(
        data_dir=tmp_path, database_url=SecretStr(database_url), database_owner_url=SecretStr(owner_url)
    )


async def shown(settings: Settings) -> tuple[int, str]:
    """What `dozvon servers` says, and its status."""
    console = Console(width=200, record=True, file=io.StringIO())
    status = await command.show_servers(settings, console)
    return status, console.export_text()


async def test_nodes_are_added_drained_and_removed(settings: Settings, database: Database) -> None:
    """The engines read the table: what the commands write there is what they drive."""
    console = Console(quiet=True)
    await command.add_node(settings, console, "a", "pbx-1.example.com", 5038)
    await command.add_node(settings, console, "b", "10.0.0.2", 5038)
    await command.drain_node(settings, console, "b", draining=True)
    async with database.system() as conn:
        (_, node) = await store.nodes(conn)
    assert (node.name, node.ami_host, node.ami_port, node.draining) == ("b", "10.0.0.2", 5038, True)
    await command.drain_node(settings, console, "b", draining=False)
    await command.add_node(settings, console, "b", "10.0.0.3", 5039)
    async with database.system() as conn:
        (_, node) = await store.nodes(conn)
    assert (node.ami_host, node.ami_port, node.draining) == ("10.0.0.3", 5039, False)
    await command.drain_node(settings, console, "b", draining=True)
    await command.remove_node(settings, console, "b")
    assert await names(database) == ["a"]


async def names(database: Database) -> list[str]:
    """Of the nodes that are known."""
    async with database.system() as conn:
        return [node.name for node in await store.nodes(conn)]


async def forgotten(settings: Settings, name: str, *, force: bool = False) -> str:
    """What `dozvon node remove` says of its success."""
    console = Console(width=400, record=True, file=io.StringIO())
    assert await command.remove_node(settings, console, name, force=force) == 0
    return console.export_text()


async def test_a_node_with_calls_or_phones_is_not_forgotten(settings: Settings, database: Database) -> None:
    """While it takes part, carries a call of a tenant or has an agent's phone; --force says what is lost."""
    floor = await Floor.open(database)
    call, seat = await floor.place(), await floor.seat()
    assert seat.shift is not None and seat.shift.leg is not None
    async with database.system() as conn:
        for name in (NODE, "b"):
            await store.put_node(conn, name, "10.0.0.2", 5038)
    with pytest.raises(Conflict, match=r"takes part.*dozvon node drain main.*--force.*1 call and 1 phone"):
        await command.remove_node(settings, Console(quiet=True), NODE)
    await command.drain_node(settings, Console(quiet=True), NODE, draining=True)
    with pytest.raises(Conflict, match="is draining and has 1 call and 1 phone of agents yet"):
        await command.remove_node(settings, Console(quiet=True), NODE)
    async with database.tenant(TENANT) as conn:
        ended = {"ended_at": utc_now(), "state": "ended", "result": "busy"}
        await conn.execute(update(t.attempt).where(t.attempt.c.id == call.attempt_id).values(ended))
    with pytest.raises(Conflict, match="has 0 calls and 1 phone of agents yet"):
        await command.remove_node(settings, Console(quiet=True), NODE)
    assert await names(database) == ["b", NODE]
    said = await forgotten(settings, NODE, force=True)
    assert "lost with it: 0 calls and 1 phone of agents. The calls end in the books" in said
    assert await names(database) == ["b"]


async def test_the_last_node_stays(settings: Settings, database: Database) -> None:
    """Nothing could be dialled without it: not even by force."""
    async with database.system() as conn:
        await store.put_node(conn, "b", "10.0.0.2", 5038)
    for force in (False, True):
        with pytest.raises(Conflict, match="node b is the last one"):
            await command.remove_node(settings, Console(quiet=True), "b", force=force)
    assert await names(database) == ["b"]
    with pytest.raises(NotFound):
        await command.remove_node(settings, Console(quiet=True), "c", force=True)


async def test_a_node_that_cannot_be_is_not_added(settings: Settings, database: Database) -> None:
    """What is wrong is named, and nothing is written."""
    with pytest.raises(Invalid, match=r"^name: 'bad name;rm' is no name of a node: take up to 64"):
        await command.add_node(settings, Console(quiet=True), "bad name;rm", "10.0.0.2", 5038)
    assert await names(database) == []


async def test_the_owners_address_is_not_asked_for(database_url: str, tmp_path: Path) -> None:
    """Nothing is migrated: a machine that has only the app's role adds a node and shows the servers, and
    needs no data folder for it."""
    less = load(data_dir=tmp_path / "none", database_url=SecretStr(database_url))
    await command.add_node(less, Console(quiet=True), "b", "10.0.0.2", 5038)
    _, said = await shown(less)
    assert "10.0.0.2:5038" in said
    assert not (tmp_path / "none").exists()


async def test_a_node_that_is_not_there_is_named(settings: Settings) -> None:
    """A slip of the pen drains nothing."""
    with pytest.raises(NotFound, match="nowhere"):
        await command.drain_node(settings, Console(quiet=True), "nowhere", draining=True)


async def test_servers_are_shown_with_what_is_wrong(settings: Settings, database: Database) -> None:
    """One that beats is alive, one that has said so has ended; a node that no server reaches is told."""
    async with database.system() as conn:
        await store.begin(conn, "one", "ami-one")
        ended = await store.begin(conn, "two", "ami-two")
        await store.stop(conn, "two", ended)
        await store.put_node(conn, "b", "10.0.0.2", 5038)
    status, said = await shown(settings)
    lines = {line.split()[1]: line for line in said.splitlines() if line.startswith("│")}
    assert "alive" in lines["one"]
    assert "ended" in lines["two"]
    assert "no server drives it" in lines["b"]
    assert status == 1, "nothing is driven: a script must see that"


async def test_one_node_out_of_reach_is_seen_by_a_script(settings: Settings, database: Database) -> None:
    """Status 0 is for an installation whose every node some server reaches."""
    async with database.system() as conn:
        await store.begin(conn, "one", "ami-one")
        await store.begin(conn, "two", "ami-two")
        for name in ("a", "b"):
            await store.put_node(conn, name, "10.0.0.2", 5038)
    here = {"ready": True, "trouble": None, "calls": 2, "phones": 3}
    away = {"ready": False, "trouble": "the name pbx is not known", "calls": 0, "phones": 0}
    await says(database, "one", a=here, b=away)
    status, said = await shown(settings)
    assert (status, "the name pbx is not known" in said) == (1, True)
    await says(database, "two", a=here, b=here)
    status, said = await shown(settings)
    assert (status, "not known" in said) == (0, False)
    lines = {line.split()[1]: line.split("│") for line in said.splitlines() if line.startswith("│")}
    assert [cell.strip() for cell in lines["a"][3:6]] == ["ready", "4", "3"]


async def test_no_node_at_all_is_told(settings: Settings, database: Database) -> None:
    """With the command that mends it."""
    async with database.system() as conn:
        await store.begin(conn, "one", "ami-one")
    status, said = await shown(settings)
    assert (status, "no node is known: dozvon node add" in said) == (1, True)
