"""The tree itself: what is in it, what is packed of it, and what must never be in it."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
#: What tools leave in the tree; all of it stands in .gitignore.
NOT_OURS = re.compile(
    r"\.git|\.venv|node_modules|build|dist|__pycache__|.*\.egg-info|\.\w+_cache|\.hypothesis|\.import_linter_cache"
)
PACKAGES = ("dialer", "scheduler", "ivr_flows", "agi_scripts", "asterisk_conf")
MOST_LINES = 500

#: Files that are longer, each with its reason.
LONGER = {
    "docs/reference/api.md": "half of it is made by a program: a route a line",
    "docs/bench/faults.jsonl": "made by a program: a run a line",
    "tests/db/doors.txt": "a table: a route a line",
    "requirements.lock": "made by a program",
    "dialer/web/package-lock.json": "made by a program",
    "dialer/db/migrations/versions/0001_tables.sql": "made by a program",
    "dialer/web/locale/ru/LC_MESSAGES/pages.po": "a catalogue: a message and its translation a pair of lines",
}


def ours() -> Iterator[Path]:
    """Every file of ours."""
    for folder, names, files in os.walk(ROOT):
        names[:] = [name for name in names if not NOT_OURS.fullmatch(name)]
        for name in files:
            if not NOT_OURS.fullmatch(name):
                yield Path(folder, name)


def path_of(file: Path) -> str:
    """The file's path in the repository."""
    return file.relative_to(ROOT).as_posix()


#: Files that are not UTF-8, each with its reason.
ENCODINGS = {"docs/samples/dirty.csv": "cp1251"}  # as a spreadsheet set to Russian writes it
TEXTS = {
    path_of(file): file.read_text(encoding=ENCODINGS.get(path_of(file), "utf-8"))
    for file in ours()
    if file.suffix not in {".png", ".webp", ".wav", ".ico", ".swp", ".pyc"}
}
PYTHON = {path: text for path, text in TEXTS.items() if path.endswith(".py")}


def test_no_file_is_too_long_to_be_read() -> None:
    """A file has 500 lines at most, but for those listed with a reason; the list is not out of date."""
    long = {path for path, text in TEXTS.items() if text.count("\n") > MOST_LINES}
    assert long == set(LONGER)


def test_every_module_says_what_it_is() -> None:
    """Each file of Python begins with a docstring; only an empty `__init__.py` needs none."""
    silent = [path for path, text in PYTHON.items() if text and not ast.get_docstring(ast.parse(text))]
    assert silent == []


def test_test_files_have_names_of_their_own() -> None:
    """Two test files of one name would hide each other: the folders of tests are no packages."""
    names = Counter(Path(path).name for path in PYTHON if path.startswith("tests/"))
    del names["conftest.py"]
    assert [name for name, count in names.items() if count > 1] == []
    packages = [path for path in PYTHON if path.startswith("tests/") and path.endswith("__init__.py")]
    assert packages == ["tests/support/__init__.py"]


def imported_by(path: str) -> set[str]:
    """The modules that a file imports by name."""
    found = set()
    for node in ast.walk(ast.parse(PYTHON[path])):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def test_every_rule_has_a_test_that_knows_it() -> None:
    """Each module of rules (the contract "pure") is named by a test, or by a neighbour that one names."""
    contracts = PYPROJECT["tool"]["importlinter"]["contracts"]
    (pure,) = (one["source_modules"] for one in contracts if one["id"] == "pure")
    patterns = [re.compile(re.escape(name).replace(r"\*", r"\w+") + r"(\.\w+)?") for name in pure]
    rules = {
        module: path
        for path, text in PYTHON.items()
        for module in [path.removesuffix(".py").replace("/", ".")]
        if text
        and module not in ("dialer.errors", "ivr_flows.__init__")
        and any(one.fullmatch(module) for one in patterns)
    }
    assert len(rules) > 10
    known = set[str]()
    for path in PYTHON:
        if path.startswith("tests/"):
            known |= imported_by(path)
    for module in known & rules.keys():
        # A neighbour's names may be handed on: `compliance.model` speaks for its policies.
        room = module.split(".")[: 1 if module.startswith("ivr_flows.") else 2]
        known |= {name for name in imported_by(rules[module]) if name.split(".")[: len(room)] == room}
    assert sorted(rules.keys() - known) == []


def test_every_part_has_its_place_in_the_order() -> None:
    """A new folder or module of `dialer/` stands in the contract that orders them, else nothing holds it."""
    contracts = PYPROJECT["tool"]["importlinter"]["contracts"]
    (order,) = (one["layers"] for one in contracts if one["id"] == "order")
    placed = {name.strip("() ") for layer in order for name in layer.split("|")}
    parts = {
        ".".join(path.removesuffix(".py").split("/")[:2])
        for path, text in PYTHON.items()
        if path.startswith("dialer/") and path != "dialer/__init__.py"
    }
    assert placed - {"scheduler", "ivr_flows", "asterisk_conf"} == parts


def test_every_feature_is_held_to_the_order_of_its_rooms() -> None:
    """A folder that has two of the rooms stands in the contract that orders rooms."""
    contracts = PYPROJECT["tool"]["importlinter"]["contracts"]
    (rooms,) = (one["containers"] for one in contracts if one["id"] == "rooms")
    has = Counter(
        path.split("/")[1]
        for path in PYTHON
        if re.fullmatch(r"dialer/\w+/(http|service|store|model)\.py", path)
    )
    assert {f"dialer.{name}" for name, count in has.items() if count > 1} <= set(rooms)


def test_what_pyproject_names_is_there() -> None:
    """Each folder that is checked for types or packed has Python in it: git keeps no empty folders."""
    named = {*PYPROJECT["tool"]["mypy"]["files"], *PACKAGES}
    packed = {name.rstrip("*") for name in PYPROJECT["tool"]["setuptools"]["packages"]["find"]["include"]}
    assert packed == set(PACKAGES)
    assert {name for name in named if not any(path.startswith(f"{name}/") for path in PYTHON)} == set()


# -- what must never be in it ------------------------------------------------------------------------------

#: A place on somebody's machine. `/home/` of an example in the documentation would be one too.
SOMEBODYS_FOLDER = re.compile(r"(?<![\w.~-])/(?:home|Users|work|workspace|builds|mnt|media)/\w")
#: Locks and settings of tools take packages from wherever the machine is told to, not from a host of ours.
TOOLS_FILES = re.compile(
    r"(^|/)(requirements\.lock|package(-lock)?\.json|\.npmrc|pyproject\.toml|Makefile)$|^\.ci/"
)
SECRET = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY|\b(?:ghp|gho|glpat|xox[bp])[_-]\w{16,}|\bAKIA[0-9A-Z]{16}\b"
    r"|\bdzv_[\w-]{30,}"
)


@pytest.mark.parametrize("pattern", [SOMEBODYS_FOLDER, SECRET], ids=["folder", "secret"])
def test_nobodys_machine_and_no_secret_is_in_the_tree(pattern: re.Pattern[str]) -> None:
    """No path of one person's machine, no private key and no token stands in any file."""
    found = [
        f"{path}: {match[0]}" for path, text in TEXTS.items() for match in pattern.finditer(text)
        if path != "tests/unit/test_tree.py"
    ]  # fmt: skip
    assert found == []


def test_no_registry_is_named() -> None:
    """No lock file and no setting of a tool says from which host packages come."""
    found = [
        f"{path}: {match[0]}"
        for path, text in TEXTS.items()
        if TOOLS_FILES.search(path)
        for match in re.finditer(r"\b(?:https?|git\+\w+)://[^\s\"']+|--(?:extra-)?index-url", text)
    ]
    assert found == []


def test_nothing_is_left_for_later_without_a_word() -> None:
    """No marks of unfinished work: what is not done stands in the documentation."""
    marks = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|X" + r"XX)\b")
    assert [path for path, text in PYTHON.items() if marks.search(text)] == []


def test_tests_are_not_skipped() -> None:
    """Where a part cannot be had a test fails and says which; none is passed over."""
    marks = re.compile(r"pytest\.(?:mark\.)?(?:skip|skipif|xfail|importor" + r"skip)\b")
    assert [path for path, text in PYTHON.items() if marks.search(text)] == []


def test_no_wait_can_lose_its_end() -> None:
    """Nothing that runs uses `asyncio.wait_for`: on Python 3.11 it returns as if nobody had cancelled it when
    the cancellation comes in one turn of the loop with what it waits for. `asyncio.timeout` does not."""
    used = [
        f"{path}:{node.lineno}"
        for path, text in PYTHON.items()
        if path.startswith(tuple(f"{name}/" for name in PACKAGES))
        for node in ast.walk(ast.parse(text))
        # The `wait_for` of a condition is another one.
        if (isinstance(node, ast.Attribute) and ast.unparse(node) == "asyncio.wait_for")
        or (isinstance(node, ast.ImportFrom) and "wait_for" in {alias.name for alias in node.names})
    ]
    assert used == []


def test_the_gpl_is_kept_out_of_the_server() -> None:
    """One module names PJSUA2's package in an import: the demo's softphone."""
    users = [path for path in PYTHON if any(name.split(".")[0] == "pjsua2" for name in imported_by(path))]
    assert users == ["dialer/demo/softphone.py"]


# -- what is packed of it ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names in a wheel that is built of the tree as it is."""
    copy, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wheel")
    for file in ours():
        path = path_of(file)
        if path.startswith((*(f"{name}/" for name in PACKAGES), "pyproject.toml", "README.md", "LICENSE")):
            (copy / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, copy / path)
    build = "import setuptools.build_meta as b, sys; b.build_wheel(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", build, str(out)], cwd=copy, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    (made,) = out.glob("*.whl")
    with zipfile.ZipFile(made) as packed:
        return set(packed.namelist())


def test_a_wheel_has_all_that_runs(wheel: set[str]) -> None:
    """Everything in the packages is in the wheel: code, dialplan, SQL, templates, catalogues, styles."""
    wanted = {
        path_of(file)
        for file in ours()
        if path_of(file).split("/")[0] in PACKAGES and file.name not in {".npmrc", "README.md"}
    }
    assert wanted - wheel == set()
    assert {Path(path).suffix for path in wanted} >= {".py", ".conf", ".sql", ".po", ".html", ".css", ".js"}


def test_a_wheel_has_nothing_else(wheel: set[str]) -> None:
    """Tests, documentation and front-end packages of others stay out of the wheel."""
    tops = {name.split("/")[0] for name in wheel} - set(PACKAGES)
    assert {top for top in tops if not top.endswith(".dist-info")} == set()
    assert [name for name in wheel if "node_modules" in name] == []
