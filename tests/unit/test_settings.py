"""What is wrong with the settings is one line that names the setting, before anything is started."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import agi_scripts
from dialer.errors import SettingsError
from dialer.settings import load


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("http_port = 80\nlocale = \n", "DOZVON_CONFIG: {file} is no TOML file: .* line 2"),
        ("http_potr = 80\n", "http_potr in {file}: no such setting; `dozvon settings` lists them"),
    ],
)
def test_a_file_with_a_fault_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, said: str
) -> None:
    """A fault in the file is told with the file and the place, as one in the environment is."""
    file = tmp_path / "dozvon.toml"
    file.write_text(text)
    monkeypatch.setenv("DOZVON_CONFIG", str(file))
    with pytest.raises(SettingsError, match=said.format(file=file)):
        load()


def test_ports_for_voice_that_cross_are_refused() -> None:
    """A first port above the last, which has its default, is told with both names."""
    with pytest.raises(SettingsError, match=r"DOZVON_RTP_PORT_TO: .* DOZVON_RTP_PORT_FROM, which is 20000"):
        load(rtp_port_from=20000)
    assert load(rtp_port_from=20000, rtp_port_to=20003).rtp_port_to == 20003


def test_what_the_programs_of_a_dialplan_read_is_no_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    """The PBX may be on the server's machine, with the programs' names in an environment of both."""
    programs = Path(agi_scripts.__file__).parent.glob("*.py")
    names = {name for file in programs for name in re.findall(r"DOZVON_HOOKS_[A-Z]+", file.read_text())}
    assert names
    for name in names:
        monkeypatch.setenv(name, "x")
    assert load().http_port
    monkeypatch.setenv("DOZVON_HOOKS_FILES", "x")
    with pytest.raises(SettingsError, match="DOZVON_HOOKS_FILES: no such setting"):
        load()


def test_one_connection_is_too_few() -> None:
    """A process that waits for one connection while it holds another needs two."""
    with pytest.raises(SettingsError, match="DOZVON_DATABASE_POOL"):
        load(database_pool=1)


def test_a_data_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    """A folder under a file, or where the kernel makes none: one line; a good one is made."""
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file/x", Path("/proc/x")):
        with pytest.raises(SettingsError, match=f"DOZVON_DATA_DIR: {folder} cannot be written"):
            load(data_dir=folder).writable_data_dir()
    assert list(load(data_dir=tmp_path / "a/b").writable_data_dir().iterdir()) == []
