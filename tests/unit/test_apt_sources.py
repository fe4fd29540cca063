"""Our own sources.list, made from the host's."""

from __future__ import annotations

from pathlib import Path

import pytest

from dialer.debian.apt import (
    Host,
    Source,
    host_sources,
    parse_deb822,
    parse_one_line,
    read_host,
    sources_for,
)
from dialer.debian.packages import version_numbers
from dialer.errors import PartMissing

BOOKWORM = Host("debian", "bookworm", "Debian GNU/Linux 12 (bookworm)")
NOBLE = Host("ubuntu", "noble", "Ubuntu 24.04 LTS")

DEBIAN = """\
Types: deb
# a comment inside
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb deb-src
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main

Types: deb
URIs: https://other.example/node
Suites: nodistro
Components: main

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
"""

UBUNTU = """\
Types: deb
URIs: http://archive.example/ubuntu/
Suites: noble noble-updates
Components: main restricted
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc
"""


def test_paragraphs_are_read() -> None:
    """Debian's new form: several releases a paragraph, comments, paragraphs that are off."""
    sources = parse_deb822(DEBIAN)
    assert [source.uri for source in sources] == [
        "http://mirror.example/debian",
        "http://mirror.example/debian-security",
        "https://other.example/node",
    ]
    assert sources[0].suites == ("bookworm", "bookworm-updates")
    assert sources[0].components == ("main", "contrib")


def test_lines_are_read() -> None:
    """The old form: options in brackets, comments, sources of source code left out."""
    text = (
        "# deb http://no.example/debian bookworm main\n"
        "deb-src http://no.example/debian bookworm main\n"
        "deb [arch=amd64 signed-by=/k.gpg] http://a.example/debian bookworm main non-free # why\n"
        "deb\thttp://b.example/debian bookworm-updates main\n"
        "deb\n"
    )
    assert parse_one_line(text) == [
        Source("http://a.example/debian", ("bookworm",), ("main", "non-free"), (("signed-by", "/k.gpg"),)),
        Source("http://b.example/debian", ("bookworm-updates",), ("main",)),
    ]


def test_unstable_comes_from_the_mirror_of_the_host() -> None:
    """Debian's unstable release is asked of the machine's own mirror, once, signed by Debian's keys."""
    lines = sources_for("sid", BOOKWORM, parse_deb822(DEBIAN))
    assert len(lines) == 1
    assert lines[0].startswith("deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ")
    assert lines[0].endswith(" http://mirror.example/debian sid main")


def test_a_release_named_is_the_host_s_own_where_it_is_that() -> None:
    """Debian 12 asked for on Debian 12 comes with its updates; on a later one from that one's mirror."""
    assert sources_for("bookworm", BOOKWORM, parse_deb822(DEBIAN)) == sources_for(
        "host", BOOKWORM, parse_deb822(DEBIAN)
    )
    later = Host("debian", "trixie", "Debian GNU/Linux 13 (trixie)")
    lines = sources_for("bookworm", later, parse_one_line("deb http://mirror.example/debian trixie main"))
    assert [line.split("] ")[-1].removeprefix("deb ") for line in lines] == [
        "http://mirror.example/debian bookworm main"
    ]


def test_the_host_s_release_comes_with_its_updates_and_without_strangers() -> None:
    """Of the host's sources only those of its own release are asked."""
    lines = sources_for("host", BOOKWORM, parse_deb822(DEBIAN))
    assert [line.split("] ")[-1].removeprefix("deb ") for line in lines] == [
        "http://mirror.example/debian bookworm main contrib",
        "http://mirror.example/debian bookworm-updates main contrib",
        "http://mirror.example/debian-security bookworm-security main",
    ]


def test_ubuntu_gets_universe() -> None:
    """Asterisk is in Ubuntu's universe; a key written into the paragraph is left to the trusted ones."""
    lines = sources_for("host", NOBLE, parse_deb822(UBUNTU))
    assert lines == [
        "deb http://archive.example/ubuntu/ noble main restricted universe",
        "deb http://archive.example/ubuntu/ noble-updates main restricted universe",
    ]


def test_a_host_without_a_source_is_told_so() -> None:
    """No source of the release: one line that says where to put one."""
    with pytest.raises(PartMissing, match=r"sources\.list"):
        sources_for("sid", BOOKWORM, parse_one_line("deb http://x.example/node nodistro main"))


def test_both_forms_are_found(tmp_path: Path) -> None:
    """sources.list, *.list and *.sources count; whatever else lies there does not."""
    (tmp_path / "sources.list").write_text("deb http://a.example/debian bookworm main\n")
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (parts / "b.list").write_text("deb http://b.example/debian bookworm main\n")
    (parts / "c.sources").write_text(DEBIAN)
    (parts / "d.sources.disabled").write_text(DEBIAN)
    uris = [source.uri for source in host_sources(tmp_path)]
    assert uris[:2] == ["http://a.example/debian", "http://b.example/debian"]
    assert len(uris) == 5


def test_the_distribution_is_known_by_its_file(tmp_path: Path) -> None:
    """os-release is read with and without quotes; without it the distribution is unknown."""
    file = tmp_path / "os-release"
    file.write_text('ID=debian\nVERSION_CODENAME=bookworm\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n')
    assert read_host(file) == BOOKWORM
    assert read_host(tmp_path / "none").id == ""


@pytest.mark.parametrize(
    ("version", "numbers"),
    [
        ("1:22.10.1+dfsg+~cs6.17-1", (22, 10, 1)),
        ("1:20.6.0~dfsg+~cs6.13-2build1", (20, 6, 0)),
        ("16.28.0", (16, 28, 0)),
        ("git-1", ()),
    ],
)
def test_versions_are_compared_by_their_numbers(version: str, numbers: tuple[int, ...]) -> None:
    """The epoch and the packager's part are no part of a version."""
    assert version_numbers(version) == numbers
