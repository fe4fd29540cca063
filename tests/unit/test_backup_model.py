"""The manifest of a backup: what is written is read, and what was touched is refused."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.backup.model import (
    FORMAT,
    Head,
    Kind,
    Manifest,
    Part,
    inside,
    lines,
    name_of,
    newest,
    parse,
    why_not,
)
from dialer.errors import BackupDamaged, RestoreRefused

HEAD = Head(
    format=FORMAT,
    version="0.1.0",
    revision="0002",
    made_at=datetime(2026, 5, 1, 10, 0, tzinfo=UTC),
    postgres=18,
    dumped_by=18,
    counts={"attempt": 12},
    without=("secrets",),
    recordings_missing=1,
    settings={"http_port": "8080"},
)
WHOLE = Manifest(
    HEAD,
    (
        Part("database.dump", 100, "ab" * 32),
        Part("recordings/2026/05/01/a.wav", 44, "cd" * 32, 1_777_000_000_123_456_789),
        Part("settings.toml", 3, "ef" * 32, 5),
    ),
)
WRITTEN = list(lines(WHOLE))


def test_what_is_written_is_read() -> None:
    """A manifest comes back as it was, its parts by kind."""
    assert parse(WRITTEN) == WHOLE
    assert [str(part.path) for part in WHOLE.of(Kind.RECORDINGS)] == ["2026/05/01/a.wav"]
    assert [part.name for part in WHOLE.of(Kind.DATABASE, Kind.SETTINGS)] == [
        "database.dump",
        "settings.toml",
    ]
    assert WHOLE.size == 147


@given(st.data())
def test_no_byte_of_it_can_be_changed(data: st.DataObject) -> None:
    """A manifest with another byte anywhere is refused, or says the same."""
    text = b"".join(WRITTEN)
    at = data.draw(st.integers(0, len(text) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda one: one != text[at]))
    changed = text[:at] + bytes([byte]) + text[at + 1 :]
    try:
        found = parse(changed.splitlines(keepends=True))
    except (BackupDamaged, RestoreRefused):
        return
    assert found == WHOLE


@given(st.integers(0, len(b"".join(WRITTEN)) - 2))
def test_no_end_of_it_may_be_missing(length: int) -> None:
    """A manifest that was cut anywhere is no manifest."""
    with pytest.raises(BackupDamaged):
        parse(b"".join(WRITTEN)[:length].splitlines(keepends=True))


def test_line_less_is_noticed() -> None:
    """A part cannot be taken out of it."""
    with pytest.raises(BackupDamaged, match="torn or was changed"):
        parse([*WRITTEN[:2], *WRITTEN[3:]])


@pytest.mark.parametrize(
    "name",
    [
        "../etc/passwd",
        "/etc/passwd",
        "recordings/../../etc/passwd",
        "recordings//a.wav",
        "recordings/./a.wav",
        "recordings",
        "recordings/a\0.wav",
        "elsewhere/a.wav",
        "database.dump/a",
        "settings.toml/../a",
    ],
)
def test_no_part_leads_out_of_its_folder(name: str) -> None:
    """A manifest with a name that is no path below a folder of ours is refused, sealed or not."""
    bad = dataclasses.replace(WHOLE, parts=(*WHOLE.parts, Part(name, 1, "00" * 32)))
    with pytest.raises(BackupDamaged, match="cannot be read"):
        parse(lines(bad))


def test_each_part_once_and_the_database_among_them() -> None:
    """Two parts of one name, or no database: no backup of ours."""
    for parts in (WHOLE.parts + WHOLE.parts[1:2], WHOLE.parts[1:]):
        with pytest.raises(BackupDamaged, match="each part once"):
            parse(lines(dataclasses.replace(WHOLE, parts=parts)))


def test_format_of_a_later_version_is_refused() -> None:
    """It is said that a later version wrote it, and not that it is broken."""
    later = dataclasses.replace(WHOLE, head=dataclasses.replace(HEAD, format=FORMAT + 1))
    with pytest.raises(RestoreRefused, match="later version"):
        parse(lines(later))


def test_numbers_are_not_words() -> None:
    """A part whose size is no number is refused, though it is sealed."""
    bad = dataclasses.replace(WHOLE, parts=(dataclasses.replace(WHOLE.parts[0], size="9"),))  # type: ignore[arg-type]
    with pytest.raises(BackupDamaged):
        parse(lines(bad))
    assert json.loads(WRITTEN[0])["made_at"] == "2026-05-01T10:00:00+00:00"


@pytest.mark.parametrize(
    ("revision", "server", "said"),
    [
        ("0002", 18, None),
        ("0001", 18, None),
        ("0002", 15, None),
        ("0003", 18, "later than this one: restore it with that version"),
        ("0002", 14, "PostgreSQL 14 is too old"),
    ],
)
def test_what_may_be_restored(revision: str, server: int, said: str | None) -> None:
    """Of this version or an earlier one, into PostgreSQL 15 or later, also one older than its own."""
    why = why_not(dataclasses.replace(HEAD, revision=revision), ["0001", "0002"], server, 15)
    assert why == said if said is None else said in (why or "")


def test_names_in_a_folder() -> None:
    """A name is the time in UTC and sorts by it; what begins with a dot is none."""
    assert name_of(HEAD.made_at) == "2026-05-01T10-00-00Z"
    assert newest(["2026-05-01T10-00-00Z", ".new-2027", "2026-11-01T00-00-00Z"]) == [
        "2026-11-01T00-00-00Z",
        "2026-05-01T10-00-00Z",
    ]


def test_paths_that_stay_inside() -> None:
    """Only a plain relative path stays inside."""
    assert inside("2026/05/01/a.wav")
    for name in ("../a", "/a", "a/../../b", "a//b", "a\0"):
        assert not inside(name)
