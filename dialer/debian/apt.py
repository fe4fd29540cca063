"""A private apt: fetch packages of the distribution without root, and without touching the machine's own apt.

apt is told to keep its lists, its archives and its idea of what is installed in a folder of ours. Its list of
sources is ours too, made from the machine's own: the same mirror, keys and proxy, so that what works for the
machine's owner works here.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dialer.errors import PartMissing

#: Of the host's own release, of Debian's unstable one, or of Debian 12.
Suite = Literal["host", "sid", "bookworm"]

DEBIAN_KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
#: The longest that one run of apt may take, seconds.
APT_DEADLINE_S = 900
#: What we keep of the host's apt configuration: how to reach the mirror, and nothing that runs commands.
_KEPT_CONFIG = re.compile(
    r"Acquire::(?!IndexTargets|Languages|Changelogs|cdrom|CompressionTypes|GzipIndexes)"
)
_URI_LINE = re.compile(r"^'(?P<uri>[^']+)' (?P<file>\S+) (?P<size>\d+)")


@dataclass(frozen=True, slots=True)
class Source:
    """One `deb` source of the host: a mirror with its releases."""

    #: Address of the mirror, as apt writes it (http:, mirror+file:, ...).
    uri: str
    #: Releases fetched from it: bookworm, bookworm-updates.
    suites: tuple[str, ...]
    #: main, universe, ...
    components: tuple[str, ...]
    #: Options in brackets, by their one-line names: signed-by, check-valid-until.
    options: tuple[tuple[str, str], ...] = ()

    def lines(self) -> list[str]:
        """The source in apt's one-line style, one line a release."""
        options = " ".join(f"{name}={value}" for name, value in self.options)
        head = f"deb [{options}]" if options else "deb"
        return [f"{head} {self.uri} {suite} {' '.join(self.components)}" for suite in self.suites]


@dataclass(frozen=True, slots=True)
class Host:
    """The distribution of this machine."""

    #: debian, ubuntu, ...
    id: str
    #: Name of the release: bookworm, noble; empty on Debian's unstable.
    codename: str
    #: What a person calls it: Debian GNU/Linux 12 (bookworm).
    title: str


@dataclass(frozen=True, slots=True)
class Archive:
    """One package that apt would fetch."""

    #: Name of the file in apt's archives.
    file: str
    #: Its size, bytes.
    size: int

    @property
    def package(self) -> str:
        """The package's name."""
        return self.file.split("_", maxsplit=1)[0]

    @property
    def version(self) -> str:
        """The package's version: `1:22.10.1+dfsg-1`."""
        return self.file.split("_")[1].replace("%3a", ":")


def read_host(os_release: Path = Path("/etc/os-release")) -> Host:
    """Which distribution this machine runs; an unknown one has an empty id."""
    fields: dict[str, str] = {}
    if os_release.is_file():
        for line in os_release.read_text().splitlines():
            name, found, value = line.partition("=")
            if found:
                fields[name] = value.strip().strip("\"'")
    return Host(
        id=fields.get("ID", ""),
        codename=fields.get("VERSION_CODENAME", ""),
        title=fields.get("PRETTY_NAME", "this system"),
    )


def parse_one_line(text: str) -> list[Source]:
    """Sources written in apt's one-line style (`deb [options] uri suite components`)."""
    sources = []
    for raw in text.splitlines():
        line = raw.split("#", maxsplit=1)[0].strip()
        match = re.match(r"deb\s+(?:\[(?P<options>[^\]]*)\]\s*)?(?P<rest>\S.*)$", line)
        if not match:
            continue
        uri, *words = match["rest"].split()
        if not words:
            continue
        pairs = (option.partition("=") for option in (match["options"] or "").split())
        options = tuple((name.lower(), value) for name, _, value in pairs)
        sources.append(Source(uri, (words[0],), tuple(words[1:]), _kept(options)))
    return sources


def parse_deb822(text: str) -> list[Source]:
    """Sources written in paragraphs (`Types: deb` / `URIs: ...` / `Suites: ...`)."""
    sources = []
    # A comment line inside a paragraph does not end it.
    text = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for paragraph in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        name = ""
        for line in paragraph.splitlines():
            if line[:1].isspace():
                fields[name] = f"{fields.get(name, '')}\n{line.strip()}"
            elif ":" in line:
                name, _, value = line.partition(":")
                name = name.strip().lower()
                fields[name] = value.strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() == "no":
            continue
        options = tuple((key, fields[key]) for key in ("signed-by", "check-valid-until") if key in fields)
        suites = tuple(fields.get("suites", "").split())
        components = tuple(fields.get("components", "").split())
        sources += [Source(uri, suites, components, _kept(options)) for uri in fields.get("uris", "").split()]
    return sources


def _kept(options: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    # A key written into the paragraph itself (several lines) has no one-line form; such a mirror still works
    # where its key is among the trusted ones.
    names = ("signed-by", "check-valid-until", "trusted")
    return tuple((name, value) for name, value in options if name in names and not re.search(r"\s", value))


def host_sources(etc: Path = Path("/etc/apt")) -> list[Source]:
    """Every enabled `deb` source of the host."""
    sources: list[Source] = []
    parts = sorted((etc / "sources.list.d").glob("*")) if (etc / "sources.list.d").is_dir() else []
    for path in [etc / "sources.list", *parts]:
        if path.suffix == ".list" and path.is_file():
            sources += parse_one_line(path.read_text())
        elif path.suffix == ".sources" and path.is_file():
            sources += parse_deb822(path.read_text())
    return sources


def sources_for(suite: Suite, host: Host, sources: Sequence[Source]) -> list[str]:
    """The lines of our own sources.list: the host's mirror with its own release, or with another of Debian's.

    Raises PartMissing when the host has no source of its own release.
    """
    own = [
        Source(
            source.uri,
            tuple(name for name in source.suites if _belongs(name, host)),
            source.components,
            source.options,
        )
        for source in sources
        if any(_belongs(name, host) for name in source.suites)
    ]
    own = [source for source in own if "main" in source.components]
    if not own:
        raise PartMissing(
            part=f"apt's source of {host.title}",
            mend="put the distribution's mirror into /etc/apt/sources.list",
        )
    if suite in ("host", host.codename):
        # Asterisk and its sounds are in Ubuntu's universe, which small images leave out.
        extra = ("universe",) if host.id == "ubuntu" else ()
        return [
            line
            for source in own
            for line in Source(
                source.uri,
                source.suites,
                tuple(dict.fromkeys((*source.components, *extra))),
                source.options,
            ).lines()
        ]
    mirror = next((source for source in own if "security" not in source.uri), own[0])
    options = dict(mirror.options)
    if DEBIAN_KEYS.is_file():
        options["signed-by"] = str(DEBIAN_KEYS)
    return Source(mirror.uri, (suite,), ("main",), tuple(options.items())).lines()


def _belongs(suite: str, host: Host) -> bool:
    names = {host.codename} if host.codename else set()
    if host.id == "debian":
        # A host may follow a release by its role.
        names |= {"stable", "testing", "unstable", "sid"}
    return re.split("[/-]", suite, maxsplit=1)[0] in names


class PrivateApt:
    """apt with all of its state in one folder; `folder` may be thrown away afterwards."""

    def __init__(self, folder: Path, sources: Sequence[str]) -> None:
        self.archives = folder / "cache/archives"
        (folder / "lists/partial").mkdir(parents=True)
        (self.archives / "partial").mkdir(parents=True)
        (folder / "parts").mkdir()
        # Nothing counts as installed: the set must be whole, down to libc.
        (folder / "status").touch()
        (folder / "sources.list").write_text("\n".join(sources) + "\n")
        options = {
            "Dir::Etc::main": "/dev/null",
            # The host's own configuration may hold hooks that run commands; what we keep of it is below.
            "Dir::Etc::parts": str(folder / "parts"),
            "Dir::Etc::sourcelist": str(folder / "sources.list"),
            "Dir::Etc::sourceparts": str(folder / "parts"),
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": str(folder / "parts"),
            "Dir::State::lists": str(folder / "lists"),
            "Dir::State::status": str(folder / "status"),
            "Dir::State::extended_states": str(folder / "extended_states"),
            "Dir::Cache": str(folder / "cache"),
            "Dir::Log": str(folder / "log"),
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
            "Acquire::http::Timeout": "30",
            "Acquire::https::Timeout": "30",
            # apt as root would hand the download to the user _apt, who cannot enter this folder.
            "APT::Sandbox::User": "root",
            # dpkg's lock belongs to root, and nothing is installed here.
            "Debug::NoLocking": "1",
        }
        lines = [f'{name} "{value}";' for name, value in options.items()]
        self._config = folder / "apt.conf"
        self._config.write_text("\n".join([*_host_config(), *lines]) + "\n")

    def update(self) -> None:
        """Fetch the lists of packages. Raises PartMissing with apt's own words."""
        # Any: without it apt takes a list that could not be fetched for a warning.
        self._run("apt-get", "update", "-q", "-o", "APT::Update::Error-Mode=any", what="the package lists")

    def plan(self, packages: Sequence[str]) -> list[Archive]:
        """What would be fetched for `packages`, dependencies included. Raises PartMissing."""
        output = self._run(*_install("--print-uris", packages), what=" ".join(packages))
        lines = (_URI_LINE.match(line) for line in output.splitlines())
        return [Archive(line["file"], int(line["size"])) for line in lines if line]

    def candidate(self, package: str) -> str | None:
        """The version that would be fetched; None where the release has no such package."""
        output = self._run("apt-cache", "policy", package, what=package)
        match = re.search(r"Candidate: (\S+)", output)
        return match[1] if match and match[1] != "(none)" else None

    def download(self, packages: Sequence[str]) -> None:
        """Fetch them into `archives`. Raises PartMissing."""
        self._run(*_install("--download-only", packages), what=" ".join(packages))

    def _run(self, *argv: str, what: str) -> str:
        environment = {**os.environ, "APT_CONFIG": str(self._config), "LC_ALL": "C"}
        try:
            done = subprocess.run(
                argv,
                env=environment,
                capture_output=True,
                text=True,
                errors="replace",
                stdin=subprocess.DEVNULL,
                timeout=APT_DEADLINE_S,
                check=False,
            )
        except FileNotFoundError:
            raise PartMissing(
                part=argv[0], mend=f"this machine has no apt: install {what} by your system's own means"
            ) from None
        except subprocess.TimeoutExpired:
            raise PartMissing(
                part=what, mend=f"apt did not finish in {APT_DEADLINE_S} s: look at the network and try again"
            ) from None
        if done.returncode:
            errors = [line[2:].strip() for line in done.stderr.splitlines() if line.startswith("E:")]
            reason = errors[0] if errors else f"exit code {done.returncode}"
            raise PartMissing(part=what, mend=f"apt says: {reason.rstrip('.')}")
        return done.stdout


def _install(mode: str, packages: Sequence[str]) -> list[str]:
    return ["apt-get", "install", "-y", "-q", "--no-install-recommends", mode, "--", *packages]


def _host_config() -> list[str]:
    """Lines of the host's apt configuration on how to reach its mirror: proxies, certificates, dates."""
    try:
        dump = subprocess.run(
            ["apt-config", "dump"], capture_output=True, text=True, timeout=30, check=False, errors="replace"
        ).stdout
    except FileNotFoundError:
        return []
    return [line for line in dump.splitlines() if _KEPT_CONFIG.match(line)]
