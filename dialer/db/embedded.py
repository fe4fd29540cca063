"""The PostgreSQL that comes along: started, adopted and stopped by the server.

It runs in a session of its own and outlives a killed server, so that nothing is lost and the next start
finds it running. It has no TCP port and no password: only the system user that runs the server gets in, by
peer authentication over a Unix socket. Started by root it runs under a user id without any rights.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pwd
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import asyncpg
import structlog

from dialer.db import cluster as files
from dialer.db.cluster import ADMIN_ROLE, APP_ROLE, OWNER_ROLE, Cluster, Postmaster, Programs
from dialer.errors import DatabaseUnavailable, PartMissing

log = structlog.get_logger(__name__)

DATABASE = "dozvon"


@dataclass(frozen=True, slots=True)
class Urls:
    """How to reach the database."""

    #: As the role of the server, which row security binds.
    app: str
    #: As the role that owns the tables: for migrations only.
    owner: str


class EmbeddedPostgres:
    """One cluster under a data folder. Two data folders are two clusters that do not touch each other."""

    def __init__(
        self,
        data_dir: Path,
        *,
        durable: bool = True,
        start_timeout_s: float = 120.0,
        stop_timeout_s: float = 30.0,
        programs: Programs | None = None,
    ) -> None:
        """`durable=False` (tests only) gives up fsync; the start may have to replay a crash's log first.

        `programs`: of another PostgreSQL than the one that comes along.
        """
        self._data_dir = data_dir
        self._durable = durable
        self._start_timeout_s = start_timeout_s
        self._stop_timeout_s = stop_timeout_s
        self._programs = programs
        self._socket_dir: Path | None = None

    def url(self, role: str = ADMIN_ROLE, database: str = DATABASE) -> str:
        """The URL of a database of the started cluster, as a role."""
        assert self._socket_dir is not None, "start() first"
        return f"postgresql://{role}@/{database}?host={quote(str(self._socket_dir), safe='')}"

    @property
    def pid(self) -> int | None:
        """The process id of the running server."""
        running = files.postmaster(files.locate(self._data_dir))
        return running.pid if running else None

    @property
    def pids(self) -> list[int]:
        """The process ids of the running server and of all its children."""
        return files.leftovers(files.locate(self._data_dir))

    async def start(self) -> Urls:
        """Start the cluster, or adopt the one that runs; make it first where there is none.

        Raises PartMissing, SettingsError (a folder the database cannot use) and DatabaseUnavailable, each
        with what to mend or with the last line that PostgreSQL logged.
        """
        try:
            return await self._start()
        except OSError as error:
            # A full disk most of all: who tries again later is told as of any other trouble.
            where = f"{error.filename}: " if error.filename else ""
            raise DatabaseUnavailable(reason=f"{where}{error.strerror or error}") from error

    async def _start(self) -> Urls:
        cluster = files.locate(self._data_dir)
        async with self._alone(cluster):
            running = files.postmaster(cluster)
            if running is not None and running.state == "stopping":
                await _end(running.pid, None, self._stop_timeout_s)
                running = None
            if running is None:
                await self._launch(cluster)
            running = await self._ready(cluster)
            self._socket_dir = running.socket_dir
            await self._furnish()
        return Urls(app=self.url(APP_ROLE), owner=self.url(OWNER_ROLE))

    async def stop(self) -> None:
        """Shut down fast: open transactions are rolled back, nothing committed is lost. No server: no-op."""
        cluster = files.locate(self._data_dir)
        async with self._alone(cluster):
            running = files.postmaster(cluster)
            if running is None:
                return
            for how, seconds in ((signal.SIGINT, self._stop_timeout_s), (signal.SIGQUIT, 10.0)):
                if await _end(running.pid, how, seconds):
                    files.tidy(cluster)
                    return
                log.warning("postgres_stop_slow", pid=running.pid, signal=how.name, seconds=seconds)
            raise DatabaseUnavailable(reason=f"PostgreSQL (pid {running.pid}) does not stop")

    async def gone(self) -> None:
        """Return when the running server has ended, by whatever cause; at once if none runs."""
        running = files.postmaster(files.locate(self._data_dir))
        if running is not None:
            await _end(running.pid, None, None)

    @contextlib.asynccontextmanager
    async def _alone(self, cluster: Cluster) -> AsyncIterator[None]:
        """Two servers on one data folder must not start or stop its database at the same time."""
        fd = os.open(cluster.base / "lock", os.O_RDWR | os.O_CREAT, 0o600)

        def locked() -> bool:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        try:
            await _until(locked, self._start_timeout_s, f"another process holds {cluster.base / 'lock'}")
            yield
        finally:
            os.close(fd)

    async def _launch(self, cluster: Cluster) -> None:
        await _until(
            lambda: not files.leftovers(cluster), 20.0, "processes of a killed PostgreSQL do not end"
        )
        files.forget(cluster)
        programs = self._programs
        if programs is None:
            programs = await asyncio.to_thread(files.programs, cluster)
        if not cluster.data.exists():
            await self._initdb(cluster, programs)
        files.configure(cluster, durable=self._durable)
        # pg_ctl forks the server into a session of its own and waits until it takes connections.
        words = ["start", "-D", "data", "-l", cluster.log.name, "-w", "-t", str(int(self._start_timeout_s))]
        code, said = await _run(programs, "pg_ctl", *words, cluster=cluster, uid=cluster.uid, gid=cluster.gid)
        if code != 0:
            reason = files.last_words(cluster)
            log.error("postgres_start_failed", said=said, last_words=reason)
            raise DatabaseUnavailable(reason=f"PostgreSQL did not start: {reason} (see {cluster.log})")
        log.info("postgres_started", data=str(cluster.data), version=programs.major)

    async def _initdb(self, cluster: Cluster, programs: Programs) -> None:
        """Make the cluster under another name first: a torn one is never taken for a whole one."""
        new = cluster.base / "data.new"
        await asyncio.to_thread(shutil.rmtree, new, ignore_errors=True)
        new.mkdir(mode=0o700)
        uid, gid = cluster.uid, cluster.gid
        if os.geteuid() == 0:
            try:
                named = pwd.getpwnam(files.INITDB_USER)
            except KeyError:
                raise PartMissing(
                    part=f"the system user {files.INITDB_USER}", mend="add it, or set DOZVON_DATABASE_URL"
                ) from None
            uid, gid = named.pw_uid, named.pw_gid
            os.chown(new, uid, gid)
        words = ["-D", new.name, "-U", ADMIN_ROLE, "--auth=peer", "--encoding=UTF8"]
        # Sorted by code point, and with the case of Russian letters. The wheel has no ICU; the builtin
        # provider needs nothing of the machine, and came with 17.
        if programs.major >= 17:
            words += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        else:
            words += ["--locale=C.UTF-8"]
        words += ["--data-checksums"] if self._durable else ["--no-sync"]
        code, said = await _run(programs, "initdb", *words, cluster=cluster, uid=uid, gid=gid)
        if code != 0:
            raise DatabaseUnavailable(reason=f"initdb failed: {' '.join(said.split()[-60:])}")
        if os.geteuid() == 0:
            await asyncio.to_thread(files.give, new, cluster.uid, cluster.gid)
        new.rename(cluster.data)

    async def _ready(self, cluster: Cluster) -> Postmaster:
        found: list[Postmaster] = []

        def ready() -> bool:
            running = files.postmaster(cluster)
            if running is None:
                raise DatabaseUnavailable(reason=f"PostgreSQL ended: {files.last_words(cluster)}")
            found[:] = [running]
            return running.state == "ready"

        await _until(ready, self._start_timeout_s, "PostgreSQL is not ready")
        return found[0]

    async def _furnish(self) -> None:
        """The two roles and the database; the grants inside it are the migrations'."""
        try:
            await self._furnish_by_admin()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise DatabaseUnavailable(reason=str(error) or type(error).__name__) from error

    async def _furnish_by_admin(self) -> None:
        admin = await asyncpg.connect(self.url(database="postgres"), timeout=10)
        try:
            for role in (OWNER_ROLE, APP_ROLE):
                if not await admin.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role):
                    await admin.execute(f"CREATE ROLE {role} LOGIN")
            if not await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
                await admin.execute(f"CREATE DATABASE {DATABASE} OWNER {OWNER_ROLE}")
            await admin.execute(f"REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC")
            await admin.execute(f"GRANT CONNECT ON DATABASE {DATABASE} TO {APP_ROLE}")
        finally:
            await admin.close(timeout=10)


async def _until(done: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait for something that gives no event: a file lock, a pid file, /proc."""
    try:
        async with asyncio.timeout(seconds):
            while not done():  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise DatabaseUnavailable(reason=f"{what} after {seconds:g} s") from None


async def _end(pid: int, how: signal.Signals | None, seconds: float | None) -> bool:
    """Signal a process (None: only wait) and wait for its end by its pidfd; False: it lives still."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(fd, ended.set)
    try:
        if how is not None:
            signal.pidfd_send_signal(fd, how)
        async with asyncio.timeout(seconds):
            await ended.wait()
    except ProcessLookupError:
        return True
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(fd)
        os.close(fd)
    return True


async def _run(
    programs: Programs, program: str, *words: str, cluster: Cluster, uid: int, gid: int
) -> tuple[int, str]:
    """Run one of PostgreSQL's programs in the cluster's folder; its exit code and what it said."""
    root = os.geteuid() == 0
    process = await asyncio.create_subprocess_exec(
        programs.bin / program,
        *words,
        cwd=cluster.base,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC", **programs.environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
        umask=0o077,
        user=uid if root else None,
        group=gid if root else None,
        extra_groups=[] if root else None,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode(errors="replace")
