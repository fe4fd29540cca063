"""The programs of a cluster, of Debian 12: PostgreSQL, Patroni, etcd, HAProxy and Kamailio."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dialer.debian.packages import PackageSet, Progress, Unpacked, silent, unpack

#: They start each other (initdb starts postgres, Patroni starts both), so the host's loader runs them.
POSTGRESQL = PackageSet(
    name="postgresql-15",
    packages=("postgresql-15",),
    suite="bookworm",
    mend="this machine's release has no PostgreSQL 15: run it on Debian 12",
    own_loader=False,
)
PATRONI = PackageSet(
    name="patroni",
    packages=("patroni", "python3-etcd", "etcd-server", "haproxy"),
    suite="bookworm",
    mend="this machine's release has no Patroni: run it on Debian 12",
    own_loader=False,
)
KAMAILIO = PackageSet(
    name="kamailio",
    packages=("kamailio",),
    suite="bookworm",
    mend="install kamailio by your system's own means",
    library_dirs=("usr/lib/x86_64-linux-gnu/kamailio", "usr/lib/aarch64-linux-gnu/kamailio"),
)


@dataclass(frozen=True, slots=True)
class Programs:
    """Where the programs of a database cluster are."""

    #: Folder of `postgres`, `initdb`, `pg_ctl`.
    postgresql: Path
    patroni: Path
    python: Path
    etcd: Path
    haproxy: Path
    #: What all of them need in their environment.
    environment: dict[str, str]


def postgresql(packages_dir: Path, progress: Progress = silent) -> tuple[Path, dict[str, str]]:
    """The folder of PostgreSQL 15's programs and what they need in their environment. Raises PartMissing."""
    unpacked = unpack(POSTGRESQL, packages_dir, progress)
    return unpacked.file("usr/lib/postgresql/15/bin"), unpacked.environment()


def programs(packages_dir: Path, progress: Progress = silent) -> Programs:
    """All of a database cluster; fetches what is missing (140 MB, some 10 s). Blocks. Raises PartMissing."""
    bin_dir, _ = postgresql(packages_dir, progress)
    patroni = unpack(PATRONI, packages_dir, progress)
    return Programs(
        postgresql=bin_dir,
        patroni=patroni.file("usr/bin/patroni"),
        python=patroni.file("usr/bin/python3.*[0-9]"),
        etcd=patroni.file("usr/bin/etcd"),
        haproxy=patroni.file("usr/sbin/haproxy"),
        environment={"LD_LIBRARY_PATH": _libraries(patroni, unpack(POSTGRESQL, packages_dir, progress))},
    )


def _libraries(*sets: Unpacked) -> str:
    return ":".join(one.library_path for one in sets)
