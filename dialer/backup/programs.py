"""PostgreSQL's own programs for dumps: found, and run against a database."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from dialer.db.cluster import INSTALLS, WHEEL
from dialer.errors import BackupFailed, PartMissing, RestoreRefused

PIECE = 1 << 18
#: Where distributions keep several versions beside each other.
BESIDE = Path("/usr/lib/postgresql")
#: Settings stand at the top of a script, within so many bytes.
PREAMBLE = 4096
NAMES = ("pg_dump", "pg_restore", "psql")
#: A version from 17 on sets this at a restore; a server before it does not know it.
_NEW_SETTING = b"SET transaction_timeout = 0;\n"


@dataclass(frozen=True, slots=True)
class Programs:
    """The programs of one version."""

    #: folder of pg_dump, pg_restore and psql
    bin: Path
    #: 18
    major: int


async def find(least: int, *, embedded: bool) -> Programs:
    """Programs of this major version or a later one.

    Those that come along fit the embedded database; for any other one the machine's are asked first, which
    know TLS. Raises PartMissing.
    """
    ours = list(_that_come_along())
    for folder in ours if embedded else [*_of_the_machine(), *ours]:
        if all((folder / name).is_file() for name in NAMES):
            major = await _major(folder / "pg_dump")
            if major >= least:
                return Programs(folder, major)
    raise PartMissing(
        part=f"pg_dump of PostgreSQL {least} or later", mend=f"install postgresql-client-{least}"
    )


def _that_come_along() -> Iterator[Path]:
    spec = importlib.util.find_spec(WHEEL)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        yield from (Path(place) / install / "bin" for _, install in sorted(INSTALLS.items(), reverse=True))


def _of_the_machine() -> Iterator[Path]:
    if found := shutil.which("pg_dump"):
        yield Path(found).parent
    if BESIDE.is_dir():
        numbered = [folder for folder in BESIDE.iterdir() if folder.name.isdecimal()]
        yield from (folder / "bin" for folder in sorted(numbered, key=lambda one: -int(one.name)))


async def _major(program: Path) -> int:
    process = await asyncio.create_subprocess_exec(
        program, "--version", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    said, _ = await process.communicate()
    found = re.search(rb"(\d+)", said)
    return int(found[1]) if found else 0


# -- dump --------------------------------------------------------------------------------------------------


async def dump(programs: Programs, url: str, snapshot: str, write: Callable[[bytes], None]) -> None:
    """All of the database as one archive, as a snapshot shows it. Raises BackupFailed, and what `write` does.

    As the owner with row security on: its own policy shows it every row.
    """
    words = ["--format=custom", "--compress=1", "--enable-row-security", f"--snapshot={snapshot}"]
    # A migration is kept out by its lock; who else holds a table for so long is in the way.
    words += ["--lock-wait-timeout=60s"]
    async with _running(programs.bin / "pg_dump", *words, url=url) as process:
        assert process.stdout is not None
        said = asyncio.create_task(_last_words(process))
        while piece := await process.stdout.read(PIECE):
            await asyncio.to_thread(write, piece)
        if await process.wait():
            raise BackupFailed(reason=f"pg_dump: {await said}")
        await said


# -- restore -----------------------------------------------------------------------------------------------


class Script:
    """A session of psql, which is told one thing after another in ONE transaction.

    It is committed by `commit` alone: whatever ends it before that has changed nothing.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None and process.stdout is not None
        self._process, self._in, self._out = process, process.stdin, process.stdout
        self._said = asyncio.create_task(_last_words(process))

    async def tell(self, sql: str) -> None:
        """A statement, with its semicolon. Raises RestoreRefused where an earlier one failed."""
        await self.write(sql.encode() + b"\n")

    async def write(self, piece: bytes) -> None:
        """A piece of a script."""
        try:
            self._in.write(piece)
            await self._in.drain()
        except ConnectionError:
            raise await self.broken() from None

    async def ask(self, query: str) -> list[str]:
        """The rows of a query of one column."""
        await self.tell(f"\\echo BEGIN-OF-ROWS\n{query}\n\\echo END-OF-ROWS")
        rows: list[str] = []
        begun = False
        while (line := (await self._out.readline()).decode()) != "END-OF-ROWS\n":
            if not line:
                raise await self.broken()
            if begun:
                rows.append(line.rstrip("\n"))
            begun = begun or line == "BEGIN-OF-ROWS\n"
        return rows

    async def commit(self) -> None:
        """Make it true. Raises RestoreRefused: then nothing was done."""
        if await self.ask("COMMIT; SELECT 'committed';") != ["committed"]:
            raise await self.broken()
        self._in.close()
        await self._process.wait()

    async def broken(self) -> RestoreRefused:
        """Why psql ended."""
        with suppress(ProcessLookupError):
            self._process.kill()
        return RestoreRefused(reason=await self._said)


@asynccontextmanager
async def transaction(programs: Programs, url: str) -> AsyncIterator[Script]:
    """A psql that has begun a transaction."""
    words = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"]
    async with _running(programs.bin / "psql", *words, url=url, stdin=asyncio.subprocess.PIPE) as process:
        script = Script(process)
        await script.tell("BEGIN;")
        yield script


async def read_dump(programs: Programs, file: Path, listed: Path, server: int, into: Script) -> None:
    """Have all of a dump done: tables, rows, keys, row security, rights; all is the role's that does it.

    `listed` is the name of a file that may be written. Raises RestoreRefused.
    """
    # Extensions are the administrator's: only a superuser could make them, and ours needs none.
    toc = await _said(programs.bin / "pg_restore", "--list", str(file))
    mine = "".join(
        f"{line}\n"
        for line in toc.splitlines()
        if not re.match(r"\d+; \d+ \d+ (COMMENT - )?EXTENSION ", line)
    )
    await asyncio.to_thread(listed.write_text, mine)
    words = ["--no-owner", "--enable-row-security", f"--use-list={listed}", "--file=-", str(file)]
    async with _running(programs.bin / "pg_restore", *words) as process:
        assert process.stdout is not None
        said = asyncio.create_task(_last_words(process))
        preamble = b""
        while len(preamble) < PREAMBLE and (piece := await process.stdout.read(PIECE)):
            preamble += piece
        await into.write(preamble.replace(_NEW_SETTING, b"", 1) if server < 17 else preamble)
        while piece := await process.stdout.read(PIECE):
            await into.write(piece)
        if await process.wait():
            raise RestoreRefused(reason=f"pg_restore: {await said}")
        await said


# -- running -----------------------------------------------------------------------------------------------


@asynccontextmanager
async def _running(
    program: Path, *words: str, url: str | None = None, stdin: int = asyncio.subprocess.DEVNULL
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program in a group of its own, so that Ctrl-C is ours to handle; it never outlives the block."""
    environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "TZ": "UTC"}
    if url is not None:
        shown, secret = _apart(url)
        # Other users of the machine see a program's words, not its environment.
        environment |= {"PGCONNECT_TIMEOUT": "10", "PGAPPNAME": f"dozvon {program.name}", **secret}
        words = (*words, "--no-password", f"--dbname={shown}")
    process = await asyncio.create_subprocess_exec(
        program,
        *words,
        stdin=stdin,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _apart(url: str) -> tuple[str, Mapping[str, str]]:
    """A URL without its password, and the password for the environment."""
    parts = urlsplit(url)
    user, found, hosts = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    shown = urlunsplit(parts._replace(netloc=f"{name}{found}{hosts}"))
    # urlunsplit leaves the slashes out where there is no host.
    if not f"{name}{found}{hosts}":
        shown = f"{parts.scheme}://{shown.partition(':')[2].removeprefix('//')}"
    return shown, {"PGPASSWORD": unquote(password)} if password else {}


async def _last_words(process: asyncio.subprocess.Process) -> str:
    """What a program says is wrong, at last; without the details, which would hold rows."""
    assert process.stderr is not None
    kept = b""
    while piece := await process.stderr.read(1 << 16):
        kept = (kept + piece)[-4096:]
    lines = [line.strip() for line in kept.decode(errors="replace").splitlines() if line.strip()]
    told = [line for line in lines if re.search(r"\b(error|ERROR|FATAL):", line)]
    return "; ".join((told or lines)[-2:]) or "it ended without a word"


async def _said(program: Path, *words: str) -> str:
    async with _running(program, *words) as process:
        out, err = await process.communicate()
        if process.returncode:
            raise RestoreRefused(reason=f"{program.name}: {err.decode(errors='replace').strip()[-300:]}")
        return out.decode(errors="replace")
