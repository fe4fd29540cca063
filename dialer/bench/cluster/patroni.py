"""PostgreSQL on three machines: Patroni and etcd on each, HAProxy in front, as Debian 12 packs them.

All of it runs on this machine, as a user without rights, each machine on a loopback address of its own with
the usual ports; the configuration is the one that docs/scaling.md gives to operators. Three members of etcd
and not one: what dies is a machine, and its share of etcd dies with it.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import asyncpg

from dialer.bench.cluster.machine import Machine, let_in, network
from dialer.bench.cluster.programs import Programs, programs
from dialer.bench.site_reaper import folder_of_its_own
from dialer.db.cluster import ADMIN_ROLE, APP_ROLE, OWNER_ROLE
from dialer.db.embedded import DATABASE, Urls
from dialer.debian.packages import Progress, silent
from dialer.errors import DatabaseUnavailable

CONF = Path(__file__).with_name("conf")
NAMES = ("one", "two", "three")
#: The cluster's name, as conf/patroni.yaml says it.
SCOPE = "dozvon"
REPLICATOR = "replicator"
REWINDER = "rewinder"
POSTGRES_PORT = 5432
REST_PORT = 8008
#: Between two looks at something that cannot notify.
LOOK_S = 0.1
#: Until three machines that start together have a primary and a synchronous standby.
START_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Member:
    """One machine's PostgreSQL, as Patroni tells it."""

    name: str
    #: leader, sync_standby, replica
    role: str
    #: running, streaming, starting, stopped, ...
    state: str
    timeline: int | None


class PatroniCluster:
    """Three machines with PostgreSQL 15; use `open`."""

    def __init__(self, folder: Path, found: Programs) -> None:
        *addresses, self._front = network(len(NAMES) + 1)
        self.machines = {
            name: Machine(name, address, folder / name)
            for name, address in zip(NAMES, addresses, strict=True)
        }
        self._proxy = Machine("haproxy", self._front, folder / "haproxy")
        self._programs = found
        self._passwords = {
            role: secrets.token_hex(16) for role in (ADMIN_ROLE, REPLICATOR, REWINDER, OWNER_ROLE, APP_ROLE)
        }

    @classmethod
    @asynccontextmanager
    async def open(cls, packages_dir: Path, progress: Progress = silent) -> AsyncIterator[PatroniCluster]:
        """A cluster that works, with our two roles and an empty database; all of it is gone afterwards.

        Raises PartMissing, SettingsError, DatabaseUnavailable.
        """
        found = await asyncio.to_thread(programs, packages_dir, progress)
        let_in(packages_dir)
        with folder_of_its_own("dozvon-cluster-") as folder:
            cluster = cls(folder, found)
            try:
                await cluster.start()
                yield cluster
            finally:
                await cluster.stop()

    # -- how it is reached --------------------------------------------------------------------------------

    def url(self, role: str = APP_ROLE, database: str = DATABASE, machine: str = "") -> str:
        """The address for `role`: by HAProxy, which leads to the primary, or of one machine."""
        address = self.machines[machine].address if machine else self._front
        return f"postgresql://{role}:{self._passwords[role]}@{address}:{POSTGRES_PORT}/{database}"

    @property
    def urls(self) -> Urls:
        """The addresses that a server is given."""
        return Urls(app=self.url(), owner=self.url(OWNER_ROLE))

    async def members(self) -> dict[str, Member]:
        """All machines as any living Patroni tells them; empty when none answers."""
        timeout = aiohttp.ClientTimeout(total=2)
        async with aiohttp.ClientSession(timeout=timeout) as http:
            for machine in self.machines.values():
                try:
                    async with http.get(f"http://{machine.address}:{REST_PORT}/cluster") as answer:
                        told = await answer.json()
                except (aiohttp.ClientError, TimeoutError, OSError):
                    continue  # this one is dead or frozen; another knows as much
                return {
                    one["name"]: Member(
                        one["name"], one["role"], one.get("state", ""), _number(one.get("timeline"))
                    )
                    for one in told.get("members", ())
                }
        return {}

    async def primary(self) -> str:
        """The name of the primary. Raises DatabaseUnavailable when there is none."""
        for one in (await self.members()).values():
            if one.role == "leader":
                return one.name
        raise DatabaseUnavailable(reason="the cluster has no primary")

    async def until_whole(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Until there are a primary, a synchronous standby that may take over, and a third that follows, and
        HAProxy leads to the primary. Raises DatabaseUnavailable."""
        try:
            async with asyncio.timeout(timeout_s):
                # Patroni and HAProxy notify nobody.
                while not (  # noqa: ASYNC110
                    _whole(members := await self.members())
                    and await self._has_successor(members)
                    and await self.answers(write=True)
                ):
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            words = {name: machine.last_words("patroni") for name, machine in self.machines.items()}
            raise DatabaseUnavailable(reason=f"the cluster is not whole: {words}") from None

    async def _has_successor(self, members: Mapping[str, Member]) -> bool:
        """Whether the standby that the primary waits for is the one that may take over.

        What the members tell is a second or two old. While the primary changes its standby nobody may take
        over: Patroni says so in etcd first, has PostgreSQL wait for the new one, and names it two seconds
        later. A primary that is lost in these seconds is a second fault at once, and is waited for.
        """
        primary = next(one.name for one in members.values() if one.role == "leader")
        url = f"http://{self.machines[primary].address}:2379/v2/keys/service/{SCOPE}/sync?quorum=true"
        try:
            timeout = aiohttp.ClientTimeout(total=2)
            async with aiohttp.ClientSession(timeout=timeout) as http, http.get(url) as answer:
                told = json.loads((await answer.json())["node"]["value"])
            connection = await asyncpg.connect(self.url(ADMIN_ROLE, "postgres", primary), timeout=2)
        except (aiohttp.ClientError, OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        try:
            waits_for = await connection.fetchval("SHOW synchronous_standby_names", timeout=2)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        finally:
            connection.terminate()
        return bool(told["leader"] == primary and told["sync_standby"] == waits_for)

    async def answers(self, *, write: bool = False) -> bool:
        """Whether HAProxy leads to a primary that answers; with `write`: that acknowledges a commit."""
        # Of all that writes, the one that leaves nothing behind. (An xid alone waits for no standby.)
        question = "SELECT pg_logical_emit_message(true, 'dozvon', '')" if write else "SELECT 1"
        try:
            connection = await asyncpg.connect(self.url(ADMIN_ROLE, "postgres"), timeout=2)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        try:
            await connection.execute(question, timeout=2)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        finally:
            connection.terminate()
        return True

    # -- what is done to it -------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start all of it, and make our roles and the database. Raises DatabaseUnavailable."""
        self._proxy.make()
        for machine in self.machines.values():
            machine.make()
            self.boot(machine.name)
        self._proxy.start(
            "haproxy",
            [str(self._programs.haproxy), "-db", "-f", str(self._proxy.bring(CONF / "haproxy.conf"))],
            {
                **self._programs.environment,
                "DOZVON_POSTGRES": f"{self._front}:{POSTGRES_PORT}",
                **{
                    f"POSTGRES_{number}": machine.address
                    for number, machine in enumerate(self.machines.values(), start=1)
                },
            },
        )
        await self.until_whole()
        await self._furnish()

    async def stop(self) -> None:
        """End all of it, however it is just then."""
        for machine in (self._proxy, *self.machines.values()):
            await machine.kill()

    def boot(self, name: str) -> None:
        """Start a machine whose processes have ended: etcd and Patroni, which starts PostgreSQL."""
        machine = self.machines[name]
        machine.start("etcd", self._etcd(machine), self._programs.environment)
        machine.start(
            "patroni",
            [
                str(self._programs.python),
                "-s",
                str(self._programs.patroni),
                str(machine.bring(CONF / "patroni.yaml")),
            ],
            {**self._programs.environment, **self.patroni_environment(name)},
        )

    async def kill(self, name: str) -> None:
        """A power cut of one machine: PostgreSQL, Patroni and etcd are gone at once, nothing says goodbye."""
        await self.machines[name].kill()

    async def kill_postgres(self, name: str) -> None:
        """PostgreSQL's processes alone are gone; Patroni and etcd of the machine live."""
        await self.machines[name].kill(only="postgres")

    def freeze(self, name: str) -> None:
        """One machine hangs."""
        self.machines[name].freeze()

    def thaw(self, name: str) -> None:
        """It goes on as if no time had passed."""
        self.machines[name].thaw()

    def patroni_environment(self, name: str) -> Mapping[str, str]:
        """What differs from machine to machine, and what is secret."""
        machine = self.machines[name]
        return {
            "PATRONI_NAME": name,
            "PATRONI_RESTAPI_LISTEN": f"{machine.address}:{REST_PORT}",
            "PATRONI_RESTAPI_CONNECT_ADDRESS": f"{machine.address}:{REST_PORT}",
            "PATRONI_ETCD_HOSTS": ",".join(f"{one.address}:2379" for one in self.machines.values()),
            "PATRONI_POSTGRESQL_LISTEN": f"{machine.address}:{POSTGRES_PORT}",
            "PATRONI_POSTGRESQL_CONNECT_ADDRESS": f"{machine.address}:{POSTGRES_PORT}",
            "PATRONI_POSTGRESQL_DATA_DIR": str(machine.folder / "data"),
            "PATRONI_POSTGRESQL_BIN_DIR": str(self._programs.postgresql),
            "PATRONI_POSTGRESQL_PGPASS": str(machine.folder / "pgpass"),
            "PATRONI_SUPERUSER_USERNAME": ADMIN_ROLE,
            "PATRONI_SUPERUSER_PASSWORD": self._passwords[ADMIN_ROLE],
            "PATRONI_REPLICATION_USERNAME": REPLICATOR,
            "PATRONI_REPLICATION_PASSWORD": self._passwords[REPLICATOR],
            "PATRONI_REWIND_USERNAME": REWINDER,
            "PATRONI_REWIND_PASSWORD": self._passwords[REWINDER],
        }

    def _etcd(self, machine: Machine) -> list[str]:
        peers = ",".join(f"{one.name}=http://{one.address}:2380" for one in self.machines.values())
        options = {
            "name": machine.name,
            "data-dir": str(machine.folder / "etcd"),
            "listen-client-urls": f"http://{machine.address}:2379",
            "advertise-client-urls": f"http://{machine.address}:2379",
            "listen-peer-urls": f"http://{machine.address}:2380",
            "initial-advertise-peer-urls": f"http://{machine.address}:2380",
            "initial-cluster": peers,
            "initial-cluster-state": "new",
            # See conf/patroni.yaml: Patroni 3.0 is safe by this interface only.
            "enable-v2": "true",
            # Calm enough for a machine whose two cores are shared by all of this.
            "heartbeat-interval": "200",
            "election-timeout": "2000",
            "log-level": "warn",
        }
        return [str(self._programs.etcd), *(f"--{name}={value}" for name, value in options.items())]

    async def _furnish(self) -> None:
        """What docs/how-to/external-postgresql.md asks a person to do."""
        admin = await asyncpg.connect(self.url(ADMIN_ROLE, "postgres"), timeout=10)
        try:
            for role in (OWNER_ROLE, APP_ROLE):
                await admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{self._passwords[role]}'")
            await admin.execute(f"CREATE DATABASE {DATABASE} OWNER {OWNER_ROLE} TEMPLATE template0")
            await admin.execute(f"REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC")
            await admin.execute(f"GRANT CONNECT ON DATABASE {DATABASE} TO {APP_ROLE}")
        finally:
            await admin.close(timeout=10)


def _whole(members: Mapping[str, Member]) -> bool:
    roles = sorted(one.role for one in members.values())
    return (
        roles == ["leader", "replica", "sync_standby"]
        and all(one.state in ("running", "streaming") for one in members.values())
        and len({one.timeline for one in members.values()}) == 1
    )


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None
