"""Packages unpacked without root, by the real apt and dpkg, from a small archive on disk."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from dialer.debian import apt, packages
from dialer.debian.packages import PackageSet
from dialer.errors import PartMissing, SettingsError

HELLO = PackageSet("hello", ("hello",), "host", "install it by hand", own_loader=False)


def build(repository: Path, name: str, version: str, depends: str = "", mode: int = 0o755) -> None:
    """A package with one program, added to the archive."""
    tree = repository / f"{name}-{version}"
    (tree / "DEBIAN").mkdir(parents=True)
    fields = f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: Nobody <no@example.org>\n"
    fields += f"Depends: {depends}\n" if depends else ""
    fields += "Description: a test\n"
    (tree / "DEBIAN/control").write_text(fields)
    program = tree / "usr/bin" / name
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho {name} {version}\n")
    program.chmod(mode)
    file = repository / f"{name}_{version}_all.deb"
    subprocess.run(
        ["dpkg-deb", "--build", "--root-owner-group", str(tree), str(file)], check=True, capture_output=True
    )
    data = file.read_bytes()
    entry = (
        f"{fields}Filename: ./{file.name}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n\n"
    )
    index = repository / "Packages"
    index.write_text((index.read_text() if index.exists() else "") + entry)
    (repository / "Packages.gz").write_bytes(gzip.compress(index.read_bytes()))


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archive of two packages, which is the host's only source."""
    folder = tmp_path / "repository"
    folder.mkdir()
    build(folder, "hello", "2.10+x~1", depends="world")
    build(folder, "world", "1.0", mode=0o4755)
    lines = [f"deb [trusted=yes] copy:{folder} ./"]
    monkeypatch.setattr(apt, "sources_for", lambda *_: lines)
    monkeypatch.setattr(apt, "read_host", lambda: apt.Host("debian", "test", "Debian test"))
    return folder


def test_a_set_is_unpacked_with_what_it_needs(repository: Path, tmp_path: Path) -> None:
    """The package and its dependency are there, and run; the folder's name has the version."""
    told: list[str] = []
    found = packages.unpack(HELLO, tmp_path / "packages", told.append)
    assert found.version == "2.10+x~1"
    assert found.root == tmp_path / "packages/hello-2.10-x-1"
    out = subprocess.run(found.argv("usr/bin/world"), capture_output=True, text=True, check=True).stdout
    assert out == "world 1.0\n"
    assert any("2 packages" in line for line in told)
    assert not any("\n" in line for line in told)
    assert [path.name for path in (tmp_path / "packages").iterdir() if path.name != ".lock"] == [
        "hello-2.10-x-1"
    ]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """Under a file, where the kernel makes none, or by a name that none can have: one line that names the
    setting and how to mend it."""
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file/x", Path("/proc/x"), tmp_path / ("x" * 300)):
        told = rf"DOZVON_CACHE_DIR: packages cannot be kept in {folder} \(.+\); give the folder to the user"
        with pytest.raises(SettingsError, match=told):
            packages.unpack(HELLO, folder)


def test_no_program_keeps_its_owner_s_rights(repository: Path, tmp_path: Path) -> None:
    """A program that ran as root wherever it was installed does not do so from our folder."""
    found = packages.unpack(HELLO, tmp_path / "packages")
    assert (found.root / "usr/bin/world").stat().st_mode & 0o7777 == 0o755


def test_a_file_of_a_set_is_found_by_a_pattern(repository: Path, tmp_path: Path) -> None:
    """A library lies in a folder named after the machine; one that is not there is told by its pattern."""
    found = packages.unpack(HELLO, tmp_path / "packages")
    assert found.file("usr/*/wor*") == found.root / "usr/bin/world"
    with pytest.raises(PartMissing, match=r"usr/lib/\*/none\.so"):
        found.file("usr/lib/*/none.so")


def test_what_was_unpacked_is_found_without_a_network(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second time there is neither apt nor archive, and nothing is said."""
    first = packages.unpack(HELLO, tmp_path / "packages")
    monkeypatch.setenv("PATH", "/nonexistent")
    told: list[str] = []
    assert packages.unpack(HELLO, tmp_path / "packages", told.append) == first
    assert told == []


def test_a_set_with_more_packages_is_unpacked_anew(repository: Path, tmp_path: Path) -> None:
    """A later server that wants more of the same version does not take the old folder for enough."""
    build(repository, "more", "3")
    packages.unpack(HELLO, tmp_path / "packages")
    wider = PackageSet("hello", ("hello", "more"), "host", "", own_loader=False)
    found = packages.unpack(wider, tmp_path / "packages")
    assert (found.root / "usr/bin/more").exists()
    assert packages.find(HELLO, tmp_path / "packages") is None


def test_what_a_killed_run_left_is_cleared_away(repository: Path, tmp_path: Path) -> None:
    """A half of a set is never taken for a set; the next run removes it."""
    left = tmp_path / "packages/.partial-abc/root"
    left.mkdir(parents=True)
    (tmp_path / "packages/hello-1").mkdir()
    found = packages.unpack(HELLO, tmp_path / "packages")
    assert found.root.name == "hello-2.10-x-1"
    assert not left.exists()


async def test_two_processes_do_the_work_once(repository: Path, tmp_path: Path) -> None:
    """Two that start together: one unpacks, the other waits, both have it."""
    program = f"""
import sys
from pathlib import Path
from dialer.debian import apt, packages
apt.sources_for = lambda *_: ["deb [trusted=yes] copy:{repository} ./"]
apt.read_host = lambda: apt.Host("debian", "test", "Debian test")
spec = packages.PackageSet("hello", ("hello",), "host", "", own_loader=False)
print("ready", flush=True)
sys.stdin.readline()
found = packages.unpack(spec, Path({str(tmp_path / "packages")!r}), lambda line: print(line, flush=True))
print("root", found.root)
"""
    root = Path(packages.__file__).parents[2]
    running = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            program,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=root,
        )
        for _ in range(2)
    ]
    for process in running:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
    outs = await asyncio.wait_for(asyncio.gather(*(process.communicate(b"\n") for process in running)), 60)
    texts = [out.decode() for out, _ in outs]
    assert sum("unpacking version" in text for text in texts) == 1
    assert all(text.splitlines()[-1].startswith("root ") for text in texts)


def test_apt_s_own_words_reach_the_person(repository: Path, tmp_path: Path) -> None:
    """A package that needs what the archive has not: one line that says so; nothing is left behind."""
    build(repository, "broken", "1", depends="nowhere")
    spec = PackageSet("broken", ("broken",), "host", "install it by hand", own_loader=False)
    with pytest.raises(PartMissing, match="apt says") as caught:
        packages.unpack(spec, tmp_path / "packages")
    assert "\n" not in str(caught.value)
    assert [path.name for path in (tmp_path / "packages").iterdir()] == [".lock"]


def test_an_archive_out_of_reach_is_told(repository: Path, tmp_path: Path) -> None:
    """No list of packages, no guess: the message has the reason."""
    for file in repository.glob("Packages*"):
        file.unlink()
    with pytest.raises(PartMissing, match="package lists"):
        packages.unpack(HELLO, tmp_path / "packages")


def test_a_mirror_that_does_not_answer_is_told(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """apt takes an unreachable mirror for a warning; here it is the reason, with the mirror's name."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: a connection is refused
        port = taken.getsockname()[1]
        monkeypatch.setattr(apt, "sources_for", lambda *_: [f"deb [trusted=yes] http://127.0.0.1:{port}/ ./"])
        with pytest.raises(PartMissing, match=f"127.0.0.1:{port}"):
            packages.unpack(HELLO, tmp_path / "packages")


@pytest.mark.parametrize(("name", "least"), [("hello", (3,)), ("absent", None)])
def test_too_old_or_absent_names_the_mend(
    repository: Path, tmp_path: Path, name: str, least: tuple[int, ...] | None
) -> None:
    """What the release has is too old, or it has none: the set's own advice."""
    spec = PackageSet(name, (name,), "host", "install it by hand", own_loader=False, least_version=least)
    with pytest.raises(PartMissing, match="install it by hand"):
        packages.unpack(spec, tmp_path / "packages")


def test_the_host_s_hooks_are_left_out_and_its_proxy_kept(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the host's apt configuration only the way to the mirror counts; commands in it are not run."""
    ran = tmp_path / "ran"
    host = tmp_path / "apt.conf"
    host.write_text(
        f'APT::Update::Pre-Invoke {{ "touch {ran}"; }};\nAcquire::http::Proxy "http://127.0.0.1:9";\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(host))
    packages.unpack(HELLO, tmp_path / "packages")
    assert not ran.exists()
    assert 'Acquire::http::Proxy "http://127.0.0.1:9";' in apt._host_config()


def test_the_mark_says_what_the_set_is(repository: Path, tmp_path: Path) -> None:
    """A person who looks into the folder reads which version of which release it is."""
    found = packages.unpack(HELLO, tmp_path / "packages")
    told = json.loads((found.root / ".dozvon.json").read_text())
    assert (told["version"], told["release"]) == ("2.10+x~1", "Debian test")
