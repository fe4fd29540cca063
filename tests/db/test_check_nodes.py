"""What `dozvon check` says of the Asterisk servers of an installation."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from pydantic import SecretStr
from rich.console import Console
from support.fleet import says

from dialer.check import nodes
from dialer.check.model import Finding, Level
from dialer.check.run import run_checks
from dialer.db.session import Database
from dialer.ports import free_port
from dialer.servers import store
from dialer.settings import load

HERE = {"ready": True, "trouble": None}


async def found(database: Database) -> list[Finding]:
    """All findings of nodes."""
    return [each async for each in nodes.look(database)]


async def begun(database: Database, *known: str) -> None:
    """A server that lives, and nodes."""
    async with database.system() as conn:
        await store.begin(conn, "one", "ami-one")
        for name in known:
            await store.put_node(conn, name, "10.0.0.2", 5038)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody says anything later."""
    monkeypatch.setattr(nodes, "SAYS_S", 0.0)


async def test_nodes_that_are_reached(database: Database) -> None:
    """One line for all of them; before the first start of a server there is nothing to say."""
    assert await found(database) == []
    await begun(database, "a", "b")
    await says(database, "one", a=HERE, b=HERE)
    (one,) = await found(database)
    assert (one.level, one.name, one.found) == (Level.OK, "nodes", "servers reach a, b")


@pytest.mark.usefixtures("impatient")
async def test_each_node_out_of_reach_is_named(database: Database) -> None:
    """With its address, the reason that a server gives, and how to mend it or take it out."""
    await begun(database, "a", "b", "c")
    await says(database, "one", a=HERE, b={"ready": False, "trouble": "the name pbx is not known"})
    told = await found(database)
    assert [each.level for each in told] == [Level.FAIL] * 2
    assert [each.found for each in told] == [
        "b (10.0.0.2:5038) is reached by no server: the name pbx is not known",
        "c (10.0.0.2:5038) is reached by no server: no server drives it",
    ]
    assert "dozvon node add b HOST PORT" in told[0].mend
    assert "dozvon node remove c" in told[1].mend


async def test_an_installation_without_a_node(database: Database) -> None:
    """Nothing can be dialled; the command that mends it is named."""
    await begun(database)
    (one,) = await found(database)
    assert (one.level, one.found) == (Level.FAIL, "no node is known")
    assert one.mend.startswith("dozvon node add")


async def test_while_no_server_runs_nothing_is_amiss(database: Database) -> None:
    """An installation that lies still reaches nothing, and that is no fault."""
    await begun(database, "a")
    async with database.system() as conn:
        await store.stop(conn, "one", 1)
    (one,) = await found(database)
    assert (one.level, one.found) == (Level.NOTE, "no server runs that would reach a")


@pytest.mark.usefixtures("impatient")
async def test_the_command_says_it(
    database: Database, database_url: str, owner_url: str, tmp_path: Path
) -> None:
    """A node that is not this machine's own is a line of `dozvon check`, and its status is 1."""
    await begun(database, "far")
    settings = load(
        data_dir=tmp_path,
        database_url=SecretStr(database_url),
        database_owner_url=SecretStr(owner_url),
        asterisk="external",
        ami_port=free_port(),
        ami_secret="x",
        http_port=0,
    )
    said = io.StringIO()
    assert await run_checks(settings, Console(file=said, width=400)) == 1
    assert "FAIL  node           far (10.0.0.2:5038) is reached by no server" in said.getvalue()
