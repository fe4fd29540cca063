"""Pages of the documentation that are made from the code, and what they tell people to write."""

from __future__ import annotations

import configparser
import re
import tomllib
from pathlib import Path

import pytest

from dialer import settings_reference
from dialer.monitoring import model
from dialer.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"
UNIT = DOCS / "systemd/dozvon.service"


def test_settings_page_is_current() -> None:
    """docs/reference/settings.md is what the settings say today."""
    page = (DOCS / "reference/settings.md").read_text()
    assert page == settings_reference.reference(), "python -m dialer.settings_reference > docs/reference/..."
    assert all(f"`DOZVON_{name.upper()}`" in page for name in Settings.model_fields)


def test_metrics_page_is_current() -> None:
    """docs/reference/metrics.md is what the metrics say today."""
    page = (DOCS / "reference/metrics.md").read_text()
    assert page == model.reference(), "python -m dialer.monitoring.model > docs/reference/metrics.md"


def variables() -> set[str]:
    """What dialplans and the programs that they start call so too."""
    root = DOCS.parent
    files = [
        *root.glob("asterisk_conf/**/*.conf"),
        *root.glob("agi_scripts/*.py"),
        *root.glob("dialer/hooks/*.py"),
    ]
    return {name.lower() for file in files for name in re.findall(r"\bDOZVON_([A-Z_]+)\b", file.read_text())}


@pytest.mark.parametrize("page", sorted((DOCS / "how-to").glob("*.md")), ids=lambda page: page.stem)
def test_settings_in_how_to_pages_exist(page: Path) -> None:
    """Every setting that a page tells people to write is one; every file it links to is there."""
    text = page.read_text()
    for block in re.findall(r"```toml\n(.*?)```", text, re.DOTALL):
        # A commented line of a block is meant to be taken in, too.
        lines = "\n".join(line.strip().removeprefix("# ") for line in block.splitlines() if "=" in line)
        assert tomllib.loads(lines).keys() <= Settings.model_fields.keys()
    named = {name.lower() for name in re.findall(r"\bDOZVON_([A-Z_]+)\b", text)}
    assert named - variables() <= Settings.model_fields.keys()
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (page.parent / target).exists(), target


def unit() -> configparser.ConfigParser:
    """The systemd unit, read."""
    read = configparser.ConfigParser(interpolation=None, strict=False, delimiters=("=",))
    read.optionxform = str  # type: ignore[assignment,method-assign]
    read.read_string(UNIT.read_text())
    return read


def test_unit_leaves_talks_alone_when_the_server_dies() -> None:
    """Only the first process is signalled, and a server that died comes back."""
    service = unit()["Service"]
    assert (service["KillMode"], service["Restart"]) == ("process", "always")
    assert service["Environment"] == "DOZVON_DATA_DIR=/var/lib/dozvon"
    assert service["ExecStart"].endswith("/dozvon serve")


def test_unit_lets_packages_be_unpacked() -> None:
    """The data folder can be written, and nothing forbids to run programs from it."""
    service = unit()["Service"]
    assert service["StateDirectory"] == "dozvon"
    for forbidding in ("MemoryDenyWriteExecute", "NoExecPaths", "PrivateNetwork", "ProcSubset"):
        assert forbidding not in service
