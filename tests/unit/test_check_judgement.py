"""The judgement of `dozvon check`, and the lists that it judges by."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console
from support.asterisk import free_ports

import asterisk_conf
from dialer.asterisk.config import render_manager
from dialer.check import database, lines, machine, manager, needs, proof
from dialer.check.lines import Endpoint
from dialer.check.model import Finding, Level, count, names
from dialer.check.proof import Proof
from dialer.check.run import run_checks
from dialer.check.screen import Screen
from dialer.settings import load
from dialer.trunks.model import Trunk

ROOT = Path(asterisk_conf.__file__).parent.parent
TRUNK = Trunk(1, "Город", "carrier", "+74951234567", 30, 5.0, ("+7",), codecs=("alaw", "opus"))
GOOD = Endpoint(("alaw", "opus"), ("Reachable",), 12.3, 30)
ALL_MODULES = dict.fromkeys((*needs.MODULES, *needs.USEFUL_MODULES, "res_timing_timerfd.so"), "Running")


# -- the lists ---------------------------------------------------------------------------------------------


def test_dialplan_is_read_whole() -> None:
    """Each step of the dialplan file is known to the check: none is in a form that it would overlook."""
    text = (asterisk_conf.FOLDER / needs.DIALPLAN_FILE).read_text()
    read = needs.dialplan()
    assert read.keys() == {
        "dozvon-agent", "dozvon-answered", "dozvon-browser", "dozvon-caller", "dozvon-check",
        "dozvon-customer", "dozvon-forward", "dozvon-held", "dozvon-inbound", "dozvon-keys", "dozvon-listen",
        "dozvon-message", "dozvon-room", "dozvon-survey", "dozvon-third",
    }  # fmt: skip
    assert sum(map(len, read.values())) == len(re.findall(r"^ *(?:same|exten) =>", text, re.MULTILINE))
    assert ("Answer", "") in read["dozvon-agent"]


def test_needed_modules_are_those_we_load() -> None:
    """What the check asks for is what a managed Asterisk loads."""
    loaded = set(
        re.findall(r"^load = (\S+)", (asterisk_conf.FOLDER / "modules.conf").read_text(), re.MULTILINE)
    )
    assert needs.MODULES.keys() | needs.USEFUL_MODULES.keys() <= loaded


def test_every_application_of_the_dialplan_has_its_module() -> None:
    """An application that is not in Asterisk's core comes from a module that the check asks for."""
    core = {"answer", "bridge", "goto", "gotoif", "hangup", "set", "wait"}
    homes = {
        "agi": "res_agi.so",
        "return": "app_stack.so",
        "execif": "app_exec.so",
        "amd": "app_amd.so",
        "musiconhold": "res_musiconhold.so",
        "stopmixmonitor": "app_mixmonitor.so",
    }
    asked_for = needs.MODULES.keys() | needs.USEFUL_MODULES.keys()
    used = {application.lower() for steps in needs.dialplan().values() for application, _ in steps}
    assert {homes.get(one, f"app_{one}.so") for one in used - core} <= asked_for


def test_engine_asks_only_for_what_the_check_looks_at() -> None:
    """The engine's actions, as they stand in its code, are the check's list (Ping is the link's)."""
    code = "".join(
        path.read_text()
        for path in (ROOT / "dialer").rglob("*.py")
        if path.parent.name not in ("check", "asterisk", "demo")
    )
    assert set(re.findall(r'"Action": "(\w+)"', code)) | {"Ping"} == needs.ENGINE_ACTIONS


def test_mended_rights_are_those_we_write() -> None:
    """The lines that the check tells people to write are those of the managed file and of the sample."""
    ours = render_manager(free_ports())
    sample = (asterisk_conf.FOLDER / "external/manager_dozvon.conf").read_text()
    for text in (ours, sample):
        assert manager.WRITE in text.splitlines()
        assert manager.READ in text.splitlines()
    filtered = re.search(r"eventfilter = !\^Event: \((.*)\)", ours)
    assert filtered and set(filtered[1].split("|")) >= needs.FILTERED


# -- judgement ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("free", "level"), [(999_999_999, Level.FAIL), (1_000_000_000, Level.WARN), (10_000_000_000, Level.OK)]
)
def test_disk(free: int, level: Level) -> None:
    """Under a gigabyte PostgreSQL is in danger; under ten the talks of a week do not fit."""
    assert machine.judge_disk("disk", Path("/r"), free).level is level


def test_disk_tells_hours() -> None:
    """Free space is said in hours of talks: 57.6 MB each."""
    assert "2 hours" in machine.judge_disk("disk", Path("/r"), 120_000_000).found


@pytest.mark.parametrize(
    ("version", "level"), [("2024a", Level.OK), ("2023d", Level.WARN), (None, Level.NOTE), ("?", Level.WARN)]
)
def test_time_zone_rules(version: str | None, level: Level) -> None:
    """Rules that are three years old have missed what governments changed since."""
    assert machine.judge_rules(version, datetime(2026, 5, 1, tzinfo=UTC)).level is level


def test_time_zone_rules_of_this_machine_have_a_version() -> None:
    """The version is found, in the system's files or in the wheel's."""
    assert re.fullmatch(r"20\d\d[a-z]+", machine.rules_version() or "")


def test_settings_file_that_all_can_read(tmp_path: Path) -> None:
    """A file that holds secrets is not for everybody."""
    file = tmp_path / "dozvon.toml"
    file.write_text("")
    file.chmod(0o644)
    found = machine.settings_file({"DOZVON_CONFIG": str(file), "DOZVON_LOCALE": "en"}, tmp_path / "none")
    assert (found.level, "1 setting " in found.found) == (Level.WARN, True)
    file.chmod(0o640)
    assert machine.settings_file({"DOZVON_CONFIG": str(file)}, tmp_path / "none").level is Level.OK


def test_open_secrets_are_told(tmp_path: Path) -> None:
    """Secrets that others can reach are a warning with the command that closes them."""
    settings = load(data_dir=tmp_path)
    settings.secret("ami")
    assert machine.data_folder(tmp_path).level is Level.OK
    (tmp_path / "secrets/ami").chmod(0o644)
    found = machine.data_folder(tmp_path)
    assert (found.level, found.mend) == (Level.WARN, f"chmod -R go-rwx {tmp_path / 'secrets'}")


async def test_unusable_data_folder_ends_the_check(tmp_path: Path) -> None:
    """Where nothing can be written nothing is started: one FAIL and status 1."""
    (tmp_path / "file").write_text("")
    said = io.StringIO()
    status = await run_checks(load(data_dir=tmp_path / "file/data"), Console(file=said))
    assert status == 1
    assert re.search(r"FAIL +data folder", said.getvalue())
    assert "The rest was not looked at" in said.getvalue()


@pytest.mark.parametrize(
    ("host", "public", "warned"),
    [
        ("127.0.0.1", None, False),
        ("0.0.0.0", None, True),
        ("0.0.0.0", "http://d.example.org", True),
        ("0.0.0.0", "https://d.example.org", False),
    ],
)
def test_passwords_in_clear(host: str, public: str | None, warned: bool) -> None:
    """Pages on a network without https are a warning."""
    assert (machine.exposure(load(http_host=host, public_url=public)) is not None) is warned


@pytest.mark.parametrize(
    ("version", "level"), [("14.9", Level.FAIL), ("15.1 (Debian 15.1-1)", Level.OK), ("18.4", Level.OK)]
)
def test_postgresql_version(version: str, level: Level) -> None:
    """PostgreSQL 15 is the oldest."""
    assert database.judge_version(version, embedded=False).level is level


@pytest.mark.parametrize(
    ("current", "level", "said"),
    [
        ("0003", Level.OK, "at 0003"),
        ("0001", Level.WARN, "2 steps behind"),
        ("0002", Level.WARN, "1 step behind"),
        (None, Level.WARN, "empty"),
        ("0009", Level.FAIL, "does not know"),
    ],
)
def test_migrations(current: str | None, level: Level, said: str) -> None:
    """Behind is mended by a start; ahead is another version's database."""
    found = database.judge_migrations(current, "0003", ["0001", "0002", "0003"])
    assert (found.level, said in found.found) == (level, True)


@pytest.mark.parametrize(
    ("ahead", "level"),
    [(0.9, Level.OK), (-1.1, Level.WARN), (29.0, Level.WARN), (-31.0, Level.FAIL), (31.0, Level.FAIL)],
)
def test_clocks(ahead: float, level: Level) -> None:
    """A second apart hurts the call log, half a minute the calendar."""
    assert database.judge_clock(ahead).level is level


def test_connections() -> None:
    """Two pools and the listeners must fit."""
    assert database.judge_connections(30, 10).level is Level.OK
    assert database.judge_connections(29, 10).level is Level.WARN


@pytest.mark.parametrize("lacking", sorted(needs.ENGINE_ACTIONS))
def test_each_missing_right_is_named(lacking: str) -> None:
    """An action that the engine needs and may not is a FAIL that names it."""
    found = manager.judge_actions((needs.ENGINE_ACTIONS | needs.CHECK_ACTIONS) - {lacking})
    assert (found.level, lacking in found.found) == (Level.FAIL, True)


def test_rights_of_the_check_only() -> None:
    """What only the check asks for is a warning."""
    assert manager.judge_actions(needs.ENGINE_ACTIONS).level is Level.WARN
    assert manager.judge_actions(needs.ENGINE_ACTIONS | needs.CHECK_ACTIONS).level is Level.OK


@pytest.mark.parametrize(
    ("read", "level"),
    [({"all"}, Level.OK), ({"system", "call", "user", "cdr"}, Level.OK), ({"call", "user"}, Level.FAIL)],
)
def test_classes_of_events(read: set[str], level: Level) -> None:
    """Without the class system a dead phone is not noticed."""
    assert manager.judge_classes(read).level is level


@pytest.mark.parametrize(
    ("version", "level"),
    [("18.9-cert9", Level.FAIL), ("20.6.0~dfsg+~cs6", Level.OK), ("22.10.1+dfsg", Level.OK)],
)
def test_asterisk_version(version: str, level: Level) -> None:
    """Asterisk 20 is the oldest."""
    assert manager.judge_version(version).level is level


@pytest.mark.parametrize(
    ("module", "state", "level"),
    [
        ("app_amd.so", "Not Running", Level.FAIL),
        ("res_timing_timerfd.so", None, Level.FAIL),
        ("res_srtp.so", None, Level.WARN),
        ("res_agi.so", "Running", Level.OK),
    ],
)
def test_modules(module: str, state: str | None, level: Level) -> None:
    """A needed module that is missing or has not started is a FAIL, a useful one a warning."""
    states = {**ALL_MODULES, module: state or "gone"}
    assert manager.judge_modules(states).level is level


def test_a_module_that_does_harm_is_warned_of() -> None:
    """It is named with what it does, and with the line that mends it."""
    found = manager.judge_modules({**ALL_MODULES, "bridge_native_rtp.so": "Running"})
    assert (found.level, "bridge_native_rtp.so" in found.found) == (Level.WARN, True)
    assert "noload" in found.mend
    assert manager.judge_modules({**ALL_MODULES, "bridge_native_rtp.so": "Not Running"}).level is Level.OK


def test_dialplan_of_another_version() -> None:
    """A missing context is a FAIL; one with other steps is of another version."""
    wanted = needs.dialplan()
    assert manager.judge_dialplan(wanted, wanted, managed=False).level is Level.OK
    without = {name: steps for name, steps in wanted.items() if name != "dozvon-agent"}
    assert manager.judge_dialplan(wanted, without, managed=False).level is Level.FAIL
    other = {**wanted, "dozvon-agent": wanted["dozvon-agent"][:-1]}
    found = manager.judge_dialplan(wanted, other, managed=False)
    assert (found.level, "dozvon-agent" in found.found) == (Level.WARN, True)


@pytest.mark.parametrize(
    ("made", "level", "said"),
    [
        (Proof("h:1", ended=True, agi="SUCCESS", said="ok"), Level.OK, "reaches"),
        (Proof("h:1", ended=True, agi="FAILURE"), Level.FAIL, "does not reach agi://h:1 (FAILURE)"),
        (Proof("h:1", ended=True, agi="SUCCESS"), Level.FAIL, "something else answers"),
        (Proof("h:1", refused="no context"), Level.FAIL, "no context"),
    ],
)
def test_fastagi(made: Proof, level: Level, said: str) -> None:
    """Reached, not reached, reached another program, not even tried."""
    found = proof.judge_agi(made, served=True)
    assert (found.level, said in found.found) == (level, True)


def test_noise_that_comes_through() -> None:
    """An event that the filter should keep back is a warning."""
    assert proof.judge_filter(Proof("h:1", heard={"Newchannel"})).level is Level.OK
    assert proof.judge_filter(Proof("h:1", heard={"VarSet"})).level is Level.WARN


@pytest.mark.parametrize(
    ("endpoint", "level", "said"),
    [
        (GOOD, Level.OK, "answers in 12 ms"),
        (None, Level.FAIL, "no endpoint carrier"),
        (Endpoint(("alaw", "opus"), (), None, 30), Level.FAIL, "no address"),
        (Endpoint(("alaw", "opus"), ("Unreachable",), None, 30), Level.FAIL, "does not answer"),
        (Endpoint(("alaw", "opus"), ("Unreachable", "Reachable"), 9.0, 30), Level.OK, "in 9 ms"),
        (Endpoint(("alaw",), ("Reachable",), 1.0, 30), Level.FAIL, "not opus"),
        (Endpoint(("alaw", "opus"), ("NonQualified",), None, 0), Level.WARN, "nobody knows"),
        (Endpoint(("alaw", "opus"), ("Reachable",), 1.0, 0), Level.WARN, "not asked again"),
    ],
)
def test_trunks(endpoint: Endpoint | None, level: Level, said: str) -> None:
    """Each fault of a trunk is told apart."""
    found = lines.judge_trunk(TRUNK, endpoint, managed=False)
    assert (found.level, said in found.found) == (level, True)
    assert bool(found.mend) is (level is not Level.OK)


def test_phones() -> None:
    """An unknown phone is a FAIL, one that has not registered is worth knowing."""
    known = {"a": True, "b": False}
    assert lines.judge_phones(["a"], known, managed=False).level is Level.OK
    assert lines.judge_phones(["a", "b"], known, managed=False).level is Level.NOTE
    found = lines.judge_phones(["a", "c"], known, managed=False)
    assert (found.level, found.found) == (Level.FAIL, "Asterisk has no endpoint c")


# -- the screen --------------------------------------------------------------------------------------------


def test_line_is_a_line_for_grep() -> None:
    """Outside of a terminal a finding is one line however long, and its remedy another."""
    said = io.StringIO()
    with Screen(Console(file=said, width=40)) as screen:
        screen.line(Finding(Level.FAIL, "disk", "x" * 200, "y" * 200))
        screen.end("")
    assert said.getvalue().splitlines()[:2] == [
        f"  FAIL  disk           {'x' * 200}",
        f"  {'':4}  {'':13}  → {'y' * 200}",
    ]
    assert "1 thing must be mended." in said.getvalue()


def test_narrow_terminal_keeps_the_columns() -> None:
    """In a terminal long text is folded under its own column."""
    said = io.StringIO()
    with Screen(Console(file=said, width=50, force_terminal=True, color_system=None)) as screen:
        screen.line(Finding(Level.OK, "disk", "a" * 60))
    rows = [row for row in said.getvalue().splitlines() if "aaa" in row]
    assert len(rows) == 3
    assert all(row.index("aaa") == 23 for row in rows[1:])


def test_long_lists_are_cut() -> None:
    """Names beyond the sixth are counted."""
    assert names("hgfedcba") == "a, b, c, d, e, f and 2 more"
    assert (count(1, "phone"), count(0, "phone")) == ("1 phone", "0 phones")
