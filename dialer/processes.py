"""`dozvon serve`: starts what the server needs, then one engine, one web and one jobs process, and watches
over all of them.

PostgreSQL and a managed Asterisk run in sessions of their own: when this process is killed they go on, talks
with them, and the next start takes them over. The three processes of the server end with this one, whatever
ends it. What falls is started again, with a growing pause.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import gc
import itertools
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import structlog

from dialer.asterisk.runtime import AsteriskServer
from dialer.db import migrate
from dialer.db.embedded import EmbeddedPostgres, Urls
from dialer.db.session import Database
from dialer.debian import packages
from dialer.debian.packages import Progress
from dialer.errors import DozvonError, ProcessFell, SettingsError
from dialer.httpkit.tls import Certificate
from dialer.managed import asterisk_of
from dialer.ports import taken
from dialer.settings import Settings

log = structlog.get_logger(__name__)

#: The processes of the server; each is `python -m dialer run NAME`.
NAMES = ("engine", "web", "jobs")
#: In the data folder: who has it locked uses the parts there.
LOCK = "serve.lock"
#: A process that ends is told of at once; one that is late is waited for, as machines are slow, or busy.
READY_S = 120.0
STOP_S = 15.0
#: A process that falls so often before it is ready is given up.
FALLS_AT_START = 3
#: Pauses before what has fallen is started again.
AGAIN_S = (0.1, 0.5, 1.0, 2.0, 5.0)
#: Between two looks at an Asterisk that is no child of ours.
LOOK_S = 0.25
_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have this process killed when its parent ends, whatever ends it (Linux, prctl(2))."""
    parent = os.getppid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        sys.exit(1)  # it ended before we asked


def say_ready(**what: object) -> None:
    """Tell the watcher that this process does its work, and what it needs to know of it."""
    print(json.dumps(what), flush=True)
    # The pipe has one reader, who has read it: nothing more is written there.
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    # What was made for the start stays: Python need not look through it for circles again and again, nor look
    # after each 700 new objects, of which a call makes thousands. That was a fifteenth of what a call cost.
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


def last_lines(path: Path, lines: int = 5, most: int = 2_000) -> str:
    """The end of a log; empty: there is none."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])[-most:]


@dataclass(slots=True)
class Child:
    """One process of the server, started again when it falls."""

    name: str
    #: all of it: nothing is inherited beside it
    environment: Mapping[str, str]
    #: where its log goes; None: with ours
    log_file: TextIO | None = None
    #: what it said when it was ready
    ready: asyncio.Future[Mapping[str, Any]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    process: asyncio.subprocess.Process | None = None

    async def keep(self) -> None:
        """Run it until cancelled; then end it."""
        falls = 0
        try:
            while True:
                started = asyncio.get_running_loop().time()
                await self._run_once()
                if asyncio.get_running_loop().time() - started > 60:
                    falls = 0
                pause_s = AGAIN_S[min(falls, len(AGAIN_S) - 1)]
                falls += 1
                code = self.process.returncode if self.process else None
                log.error("process_fell", name=self.name, code=code, again_in_s=pause_s)
                if falls == FALLS_AT_START and not self.ready.done():
                    self.ready.set_exception(ProcessFell(self.name, code, self.log_end()))
                await asyncio.sleep(pause_s)
        finally:
            await self._end()

    def log_end(self) -> str:
        """The end of its log, which may be gone when somebody reads of it; empty: it goes with ours."""
        return last_lines(Path(self.log_file.name)) if self.log_file else ""

    async def _run_once(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "dialer",
            "run",
            self.name,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=self.log_file,
            env=self.environment,
            # A terminal's Ctrl-C goes to a whole group of processes: it is ours to stop the others, in order.
            start_new_session=True,
        )
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        if line and not self.ready.done():
            self.ready.set_result(json.loads(line))
        await self.process.wait()

    async def _end(self) -> None:
        process = self.process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            log.error("process_killed", name=self.name, after_s=STOP_S)  # noqa: TRY400
            process.kill()
            await process.wait()


@dataclass(slots=True)
class Server:
    """A running installation. Use `running`, which starts and stops it."""

    settings: Settings
    database: Database
    children: Mapping[str, Child]
    postgres: EmbeddedPostgres | None
    asterisk: AsteriskServer | None

    @property
    def url(self) -> str:
        """Where the pages are."""
        return str(self.children["web"].ready.result()["url"])


@contextlib.asynccontextmanager
async def running(
    settings: Settings,
    *,
    progress: Progress = packages.silent,
    log_file: TextIO | None = None,
    prepare: Callable[[Database], Awaitable[None]] | None = None,
) -> AsyncIterator[Server]:
    """Start the whole server, watch over it inside the block, stop all of it at the end.

    `prepare` may write to the migrated database before Asterisk and the processes start. Raises
    SettingsError, PartMissing, DatabaseUnavailable, AsteriskUnavailable: each one line that says how to mend
    it.
    """
    settings.writable_data_dir()
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(only_one(settings.data_dir))
        if settings.http_port and taken(settings.http_port, settings.http_host):
            raise SettingsError(
                setting="DOZVON_HTTP_PORT",
                reason=f"{settings.http_host}:{settings.http_port} cannot be had: another program listens "
                "there, or DOZVON_HTTP_HOST is no address of this machine",
            )
        Certificate.of(settings)  # one that cannot be used is told before anything is started
        postgres: EmbeddedPostgres | None = None
        if settings.database_url is None:
            progress("PostgreSQL: starting the embedded one")
            postgres = EmbeddedPostgres(settings.data_dir)
            stack.push_async_callback(postgres.stop)
            urls = await postgres.start()
        else:
            if settings.database_owner_url is None:
                raise SettingsError(
                    setting="DOZVON_DATABASE_OWNER_URL",
                    reason="is needed with DOZVON_DATABASE_URL, for migrations",
                )
            urls = Urls(
                app=settings.database_url.get_secret_value(),
                owner=settings.database_owner_url.get_secret_value(),
            )
        await migrate.upgrade(urls.owner, say=lambda words: progress(f"database: {words}"))
        database = Database.open(urls.app, pool=2)
        stack.push_async_callback(database.close)
        if prepare is not None:
            await prepare(database)
        asterisk: AsteriskServer | None = None
        if settings.asterisk == "managed":
            asterisk = await asterisk_of(settings, database, progress)
            progress(f"Asterisk {asterisk.binary.version}: starting it")
            stack.push_async_callback(asterisk.stop)
            await asterisk.start()
        environment = child_environment(settings, urls, os.environ)
        children = {name: Child(name, environment, log_file) for name in NAMES}
        server = Server(settings, database, children, postgres, asterisk)
        async with _watched(server):
            progress("starting engine, web and jobs")
            await _all_ready(children)
            progress(f"pages and API: {server.url}")
            yield server


@contextlib.contextmanager
def only_one(data_dir: Path, lock: str = LOCK) -> Any:
    """Two servers in one data folder would start and stop each other's parts. Raises SettingsError."""
    fd = os.open(data_dir / lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingsError(
                setting="DOZVON_DATA_DIR", reason=f"another server is running in {data_dir}; stop it first"
            ) from None
        yield
    finally:
        os.close(fd)


def child_environment(settings: Settings, urls: Urls, inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment in which a child has the same settings as we do, ours from wherever they came.

    But for the owner's way to the database: migrations are ours, and row security binds the children.
    """
    ours = {name for name in inherited if name.startswith("DOZVON_")} - {"DOZVON_CONFIG"}
    said = {name: value for name, value in inherited.items() if name not in ours}
    for name in type(settings).model_fields.keys() - {"database_owner_url"}:
        value = getattr(settings, name)
        if value is None:
            continue
        if hasattr(value, "get_secret_value"):
            value = value.get_secret_value()
        said[f"DOZVON_{name.upper()}"] = (
            json.dumps(value) if isinstance(value, (list, tuple, dict)) else str(value)
        )
    return said | {"DOZVON_DATABASE_URL": urls.app, "PYTHONUNBUFFERED": "1"}


@contextlib.asynccontextmanager
async def _watched(server: Server) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(child.keep(), name=child.name) for child in server.children.values()]
    if server.postgres is not None:
        tasks.append(asyncio.create_task(_keep_postgres(server.postgres), name="postgres"))
    if server.asterisk is not None:
        tasks.append(asyncio.create_task(_keep_asterisk(server.asterisk), name="asterisk"))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for end in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(end, Exception):
                log.error("watcher_failed", reason=str(end))


async def _all_ready(children: Mapping[str, Child]) -> None:
    # Not `gather` in a timeout: it would cancel those that are late, and none would be told of.
    ready = [child.ready for child in children.values()]
    await asyncio.wait(ready, timeout=READY_S, return_when=asyncio.FIRST_EXCEPTION)
    for each in ready:
        if each.done():
            each.result()
    if late := [child for child in children.values() if not child.ready.done()]:
        names = ", ".join(child.name for child in late)
        raise ProcessFell(names, f"not ready within {READY_S:g} s", late[0].log_end())


async def _keep_postgres(postgres: EmbeddedPostgres) -> None:
    while True:
        await postgres.gone()
        log.error("postgres_fell")
        await _again(postgres.start)


async def _keep_asterisk(asterisk: AsteriskServer) -> None:
    while True:
        await asyncio.sleep(LOOK_S)  # no child of ours: nothing tells that it ended
        if asterisk.pid is None:
            log.error("asterisk_fell")
            await _again(asterisk.start)


async def _again(start: Callable[[], Awaitable[object]]) -> None:
    for pause_s in itertools.chain(AGAIN_S, itertools.repeat(AGAIN_S[-1])):
        try:
            await start()
        except DozvonError as error:
            log.error("start_failed", reason=str(error), again_in_s=pause_s)  # noqa: TRY400
            await asyncio.sleep(pause_s)
        else:
            return


def until_signal() -> asyncio.Event:
    """An event that SIGINT or SIGTERM sets."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop
