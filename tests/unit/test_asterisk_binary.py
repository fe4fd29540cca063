"""Which Asterisk is taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from dialer.asterisk import binary
from dialer.errors import PartMissing


def put(folder: Path, says: str) -> None:
    """A program of that name on the path, in place of all others."""
    program = folder / "asterisk"
    program.write_text(f"#!/bin/sh\n{says}\n")
    program.chmod(0o755)


def test_one_that_is_too_old_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian 11's 16.28 is not used, so another is fetched."""
    put(tmp_path, "echo 'Asterisk 16.28.0~dfsg-0+deb11u4'")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert binary.system_asterisk() is None


def test_one_that_does_not_run_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken installation is not hidden behind a download: its own words are the message."""
    put(tmp_path, "echo 'asterisk: error while loading shared libraries: libedit.so.2' >&2; exit 127")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PartMissing, match=r"libedit\.so\.2"):
        binary.system_asterisk()


@pytest.mark.parametrize(
    ("says", "version"),
    [
        ("Asterisk 22.10.1+dfsg+~cs6.17.60671434-1", "22.10.1"),
        ("Asterisk 20.6.0~dfsg+~cs6.13.40431414-2build5", "20.6.0"),
        ("Asterisk certified-20.7-cert2", "20.7"),
        ("Asterisk certified/20.7-cert2", "20.7"),
    ],
)
def test_the_version_is_read_in_every_spelling(tmp_path: Path, says: str, version: str) -> None:
    """Distributions and the certified line write it in their own ways."""
    put(tmp_path, f"echo '{says}'")
    assert binary._version([str(tmp_path / "asterisk")]) == version
