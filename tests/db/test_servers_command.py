"""`dozvon servers` and `dozvon node`, as an administrator uses them."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from pydantic import SecretStr
from rich.console import Console

from dialer import servers_command as command
from dialer.db.session import Database
from dialer.errors import NotFound
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
    await command.add_node(settings, console, "b", "10.0.0.2", 5038)
    await command.drain_node(settings, console, "b", draining=True)
    async with database.system() as conn:
        (node,) = await store.nodes(conn)
    assert (node.name, node.ami_host, node.ami_port, node.draining) == ("b", "10.0.0.2", 5038, True)
    await command.drain_node(settings, console, "b", draining=False)
    await command.add_node(settings, console, "b", "10.0.0.3", 5039)
    async with database.system() as conn:
        (node,) = await store.nodes(conn)
    assert (node.ami_host, node.ami_port, node.draining) == ("10.0.0.3", 5039, False)
    await command.remove_node(settings, console, "b")
    async with database.system() as conn:
        assert await store.nodes(conn) == []


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
