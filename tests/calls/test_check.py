"""`dozvon check` on a real Asterisk: good ones, and each thing that can be wrong with one."""

from __future__ import annotations

import io
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr
from rich.console import Console
from sqlalchemy import insert
from support.asterisk import RunningAsterisk, StartAsterisk, free_ports
from support.centre import Centre
from support.postgres import FreshDatabase

import asterisk_conf
from dialer.asterisk.config import AgentPhone, TrunkLine, ha1, render_manager
from dialer.asterisk.fastagi import AgiCall, FastAgiServer
from dialer.check import proof
from dialer.check.model import Level
from dialer.check.run import run_checks
from dialer.db import tables as t
from dialer.db.embedded import EmbeddedPostgres
from dialer.db.session import Database
from dialer.ports import free_port
from dialer.processes import only_one
from dialer.settings import Settings, load

#: A finding that is not OK: (level, found).
Told = dict[str, tuple[Level, str]]
LINE = re.compile(r"^  (OK|NOTE|WARN|FAIL) +(\S+(?: \S+)*) +(\S.*)$")
#: Of the machine that runs the tests, and of no interest here.
MACHINE = {"settings", "data folder", "disk", "recordings", "time zones", "voice", "softphones"}


async def checked(settings: Settings) -> tuple[int, Told]:
    """Exit status, and findings by name."""
    said = io.StringIO()
    status = await run_checks(settings, Console(file=said, width=400))
    told: Told = {}
    for line in said.getvalue().splitlines():
        if found := LINE.match(line):
            told[found[2].split("  ")[0]] = (Level(found[1]), found[3])
    assert len(told) > 10, said.getvalue()
    return status, told


def amiss(told: Told) -> dict[str, Level]:
    """What is not OK, but for the machine."""
    return {name: level for name, (level, _) in told.items() if level is not Level.OK and name not in MACHINE}


@pytest.fixture
def urls(_fresh: FreshDatabase) -> dict[str, str]:
    """The settings of the test's database."""
    return {"database_url": _fresh.app, "database_owner_url": _fresh.owner}


def external(running: RunningAsterisk, folder: Path, urls: dict[str, str], **changed: object) -> Settings:
    """Settings of a server that has this Asterisk as an external one."""
    return load(
        **{
            "data_dir": folder,
            "cache_dir": load().packages_dir,
            "asterisk": "external",
            "ami_port": running.managed.ami_port,
            "ami_secret": running.managed.ami_secret,
            "asterisk_http_port": running.managed.http_port,
            "agi_port": free_port(),
            "http_port": 0,
            **urls,
            **changed,
        }
    )


async def add_trunk(database: Database, name: str, **values: object) -> None:
    """A trunk in the database."""
    async with database.tenant(1) as conn:
        await conn.execute(
            insert(t.trunk).values(
                tenant_id=1,
                **{"name": name, "endpoint": name, "caller_id": "+74951234567", "allowed_prefixes": ["+7"]},
                **values,
            )
        )


async def add_agent(database: Database, endpoint: str) -> None:
    """An agent in the database."""
    async with database.tenant(1) as conn:
        user = {"login": endpoint, "name": endpoint, "role": "operator", "password_hash": "-"}
        user_id = await conn.scalar(insert(t.app_user).values(tenant_id=1, **user).returning(t.app_user.c.id))
        await conn.execute(
            insert(t.agent).values(tenant_id=1, user_id=user_id, name=endpoint, endpoint=endpoint)
        )


async def test_lying_installation(data_folder: Path) -> None:
    """With nothing but a data folder: its own PostgreSQL and Asterisk are started, all is well, and nothing
    is left running."""
    ports = free_ports()
    settings = load(
        data_dir=data_folder,
        cache_dir=load().packages_dir,
        ami_port=ports.ami_port,
        sip_port=ports.sip_port,
        asterisk_http_port=ports.http_port,
        rtp_port_from=ports.rtp_port_from,
        rtp_port_to=ports.rtp_port_to,
        agi_port=free_port(),
        http_port=free_port(),
    )
    status, told = await checked(settings)
    found = amiss(told)
    found.pop("voice address", None)  # a note where the machine's address is a private one
    assert (status, found) == (0, {"migrations": Level.WARN})
    assert EmbeddedPostgres(data_folder).pid is None
    assert not list((data_folder / "asterisk").glob("run/asterisk.ctl"))
    assert not list((data_folder / "sounds").iterdir()) and not list((data_folder / "recordings").iterdir())


async def test_good_external_asterisk(
    start_asterisk: StartAsterisk, tmp_path: Path, urls: dict[str, str], database: Database
) -> None:
    """A PBX with the files of this version, a trunk that answers and a phone that has not registered."""
    agent = AgentPhone("maria", ha1("maria", "x"))
    # A carrier that answers OPTIONS: the other Asterisk.
    carrier = await start_asterisk()
    line = TrunkLine("city", "127.0.0.1", carrier.managed.sip_port)
    running = await start_asterisk(agents=[agent], trunks=[line])
    await add_trunk(database, "city")
    await add_agent(database, "maria")
    status, told = await checked(external(running, tmp_path, urls))
    assert (status, amiss(told)) == (0, {"agents": Level.NOTE, "browsers": Level.NOTE})
    assert re.search(r"city \(city\): the carrier answers in \d+ ms, codecs alaw", told["trunk"][1])
    assert told["agents"][1] == "1 phone, 0 registered; not: maria"


async def test_lines_that_do_not_work(
    start_asterisk: StartAsterisk, tmp_path: Path, urls: dict[str, str], database: Database
) -> None:
    """A carrier that does not answer, and a phone that Asterisk does not know, are told by name."""
    running = await start_asterisk(trunks=[TrunkLine("dead", "127.0.0.1", free_port())])
    await add_trunk(database, "dead")
    await add_agent(database, "oleg")
    status, told = await checked(external(running, tmp_path, urls))
    amiss_are = {"trunk": Level.FAIL, "agents": Level.FAIL, "browsers": Level.NOTE}
    assert (status, amiss(told)) == (1, amiss_are)
    assert told["trunk"][1] == "dead (dead): the carrier does not answer"
    assert told["agents"][1] == "Asterisk has no endpoint oleg"


async def test_poor_rights(start_asterisk: StartAsterisk, tmp_path: Path, urls: dict[str, str]) -> None:
    """A user who may neither originate nor hear of contacts, and whose events are not filtered."""
    running = await start_asterisk()
    conf = render_manager(running.managed)
    conf = conf.replace(",originate", "").replace("read = system,", "read = ").replace("eventfilter", ";")
    (running.server.run_dir / "etc/generated/manager.conf").write_text(conf)
    await running.server.cli("manager reload")
    status, told = await checked(external(running, tmp_path, urls))
    assert status == 1
    assert told["rights"] == (Level.FAIL, "may not: Originate")
    assert told["events"] == (Level.FAIL, "does not hear: system")
    assert told["FastAGI"][0] is Level.FAIL


async def test_noisy_events(start_asterisk: StartAsterisk, tmp_path: Path, urls: dict[str, str]) -> None:
    """Without the filter all works, and the check says what it costs."""
    running = await start_asterisk(conf={"stasis.conf": ""})
    conf = render_manager(running.managed).replace("eventfilter", ";")
    conf = re.sub(
        "disabledevents = .*", "disabledevents = None", conf
    )  # without the line it goes on as before
    conf = conf.replace("system,call,user", "system,call,user,dialplan")
    (running.server.run_dir / "etc/generated/manager.conf").write_text(conf)
    await running.server.cli("manager reload")
    status, told = await checked(external(running, tmp_path, urls))
    assert (status, told["event filter"][0]) == (0, Level.WARN)
    assert "VarSet" in told["event filter"][1]


async def test_foreign_dialplan(start_asterisk: StartAsterisk, tmp_path: Path, urls: dict[str, str]) -> None:
    """A PBX in which our contexts are not included."""
    running = await start_asterisk(conf={"extensions.conf": "[general]\n[default]\n"})
    status, told = await checked(external(running, tmp_path, urls))
    assert status == 1
    assert told["dialplan"] == (
        Level.FAIL,
        "there is no context dozvon-agent, dozvon-answered, dozvon-browser, dozvon-caller, dozvon-check, "
        "dozvon-customer and 9 more",
    )
    assert told["FastAGI"] == (Level.FAIL, "the proof call failed: it ended before its time")


async def test_modules_that_are_not_loaded(
    start_asterisk: StartAsterisk, tmp_path: Path, urls: dict[str, str]
) -> None:
    """Modules are named with what they are for, and what fails without them is told."""
    text = (asterisk_conf.FOLDER / "modules.conf").read_text()
    less = re.sub(r"load = (format_wav|app_amd|res_srtp)\.so\n", "", text)
    running = await start_asterisk(conf={"modules.conf": less})
    status, told = await checked(external(running, tmp_path, urls))
    assert status == 1
    assert told["modules"] == (
        Level.FAIL,
        "not loaded: app_amd.so (machine detection), format_wav.so (messages and recordings)",
    )
    assert told["FastAGI"][0] is Level.OK
    assert (told["messages"][0], told["recordings"][0]) == (Level.FAIL, Level.FAIL)


async def test_wrong_secret(start_asterisk: StartAsterisk, tmp_path: Path, urls: dict[str, str]) -> None:
    """A refused log-in is one FAIL at once, not a wait for a secret that will not mend itself."""
    running = await start_asterisk()
    status, told = await checked(external(running, tmp_path, urls, ami_secret="not-the-secret"))
    assert (status, amiss(told)) == (1, {"log-in": Level.FAIL})
    assert "refused" in told["log-in"][1]


async def test_nobody_at_the_address(tmp_path: Path, urls: dict[str, str]) -> None:
    """No Asterisk there."""
    settings = load(
        data_dir=tmp_path,
        cache_dir=load().packages_dir,
        asterisk="external",
        ami_port=free_port(),
        ami_secret="x",
        http_port=0,
        **urls,
    )
    status, told = await checked(settings)
    assert (status, amiss(told)) == (1, {"log-in": Level.FAIL})


@asynccontextmanager
async def stranger() -> AsyncIterator[str]:
    """A FastAGI server of somebody else, who answers anything."""

    async def answer(call: AgiCall) -> None:
        await call.set_variable("HELLO", "you")

    server = FastAgiServer("127.0.0.1", 0)
    server.route(proof.ROUTE, answer)
    await server.start()
    try:
        yield server.address
    finally:
        await server.close()


async def test_way_back_to_the_server(
    start_asterisk: StartAsterisk, tmp_path: Path, urls: dict[str, str]
) -> None:
    """The address that Asterisk is told may lead nowhere, or to somebody else."""
    running = await start_asterisk()
    nowhere = f"127.0.0.1:{free_port()}"
    status, told = await checked(external(running, tmp_path, urls, agi_address=nowhere))
    assert (status, amiss(told)) == (1, {"FastAGI": Level.FAIL, "trunks": Level.NOTE, "agents": Level.NOTE})
    assert f"does not reach agi://{nowhere}" in told["FastAGI"][1]
    async with stranger() as address:
        _, told = await checked(external(running, tmp_path, urls, agi_address=address))
    assert told["FastAGI"] == (Level.FAIL, f"something else answers at agi://{address}")


async def test_port_of_the_server_is_taken(
    start_asterisk: StartAsterisk, tmp_path: Path, urls: dict[str, str]
) -> None:
    """FastAGI's port is somebody else's: told with the settings that choose another."""
    running = await start_asterisk()
    async with stranger() as address:
        port = int(address.rpartition(":")[2])
        status, told = await checked(external(running, tmp_path, urls, agi_port=port))
    assert (status, told["FastAGI"][0]) == (1, Level.FAIL)
    assert f"cannot listen on 127.0.0.1:{port}" in told["FastAGI"][1]


async def test_running_server(centre: Centre, urls: dict[str, str]) -> None:
    """While the server runs its own engine answers the proof call; nothing is started or stopped."""
    settings = centre.settings.model_copy(
        update={name: SecretStr(url) for name, url in urls.items()} | {"http_port": 0}
    )
    with only_one(settings.data_dir):
        status, told = await checked(settings)
    assert (status, amiss(told)) == (0, {"agents": Level.NOTE})
    assert told["FastAGI"][1] == f"the dialplan reaches agi://127.0.0.1:{settings.agi_port}"
    assert told["pages"][1] == "the server runs on a port of its own choice"
    assert told["nodes"] == (Level.OK, "servers reach main")
    assert centre.engine is not None and centre.engine.nodes.link("main").up
