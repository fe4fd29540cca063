"""The documentation is true: what it shows is run, what it names exists, its tables are made of the code."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import subprocess
import textwrap
import tomllib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import typer
from aiohttp import ClientResponse, ClientSession, ClientTimeout, CookieJar, web
from support import docs

from dialer.app.web import build_web
from dialer.calls import causes
from dialer.campaigns.http import CAMPAIGNS
from dialer.campaigns.service import CampaignService
from dialer.cli import app as commands
from dialer.contacts.importing import run_next_import
from dialer.db.session import Database
from dialer.httpkit import openapi
from dialer.httpkit.application import serve
from dialer.httpkit.routes import PREFIX
from dialer.settings import Settings, load
from dialer.users.service import ensure_administrator

PAGES = sorted(
    page
    for page in (*docs.ROOT.glob("*.md"), *docs.ROOT.glob("docs/**/*.md"))
    if page.is_file()  # a reader may have opened one with an editor that keeps others beside it
)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^[ ]*```(\w*)[ ]*(\d*)\n(.*?)^[ ]*```", re.MULTILINE | re.DOTALL)


def named(page: Path) -> str:
    """A page's path for a test's name."""
    return str(page.relative_to(docs.ROOT))


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page."""

    language: str
    #: the status that its last request is answered with; 0: any that is no refusal
    status: int
    text: str


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    return [
        Block(m[1], int(m[2] or 0), textwrap.dedent(m[3]))
        for m in FENCE.finditer(page.read_text(encoding="utf-8"))
    ]


# -- what is made from the code ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", docs.PARTS)
def test_what_is_made_from_the_code_is_up_to_date(name: str) -> None:
    """A table that is made from the code stands on its page as the code is now."""
    page, make = docs.PARTS[name]
    found = docs.part(name).search(page.read_text(encoding="utf-8"))
    assert found is not None, f"{named(page)} has no part {name}"
    assert found[2] == make() + "\n", "run: PYTHONPATH=tests python -m support.docs"


def test_the_table_of_results_is_what_the_code_does() -> None:
    """Each row of the table of unanswered calls gives the result that the code gives."""
    text = docs.ARCHITECTURE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d{3}|none) \| (\d+) \| (\w+|none) \| `(\w+)` \|", text, re.MULTILINE)
    assert len(rows) > 10
    for code, cause, dial_end, result in rows:
        given = None if code == "none" else int(code)
        refused = dial_end != "none"
        # Without a DialEnd Asterisk gave up by itself: after ringing, or because nobody was there.
        rang = refused or result == "no_answer"
        assert causes.unanswered(given, int(cause), rang=rang, refused=refused) == result, (code, cause)


def test_the_order_of_the_rooms_is_the_one_that_is_checked() -> None:
    """The picture of who may import whom holds every part of the contract, in its order."""
    pyproject = tomllib.loads((docs.ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    order = next(one for one in pyproject["tool"]["importlinter"]["contracts"] if one["id"] == "order")
    text = docs.ARCHITECTURE.read_text(encoding="utf-8")
    picture = text[text.index("```text\n    __main__") :].split("```")[1]
    above = -1
    for layer in order["layers"]:
        lines = set()
        for module in re.findall(r"[\w.]+", layer):
            found = re.search(rf"(?m)^ .*\b{module.removeprefix('dialer.')}\b", picture)
            assert found, f"the picture does not show {module}"
            lines.add(picture[: found.end()].count("\n"))
        assert len(lines) == 1, f"{layer}: not on one line"
        assert min(lines) > above, f"{layer}: too high in the picture"
        above = min(lines)


# -- what is named -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_leads_somewhere(page: Path) -> None:
    """A link to a file of the repository leads to a file, one to a heading leads to a heading."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in LINK.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{target} is not there"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in anchors, f"{target}: there is no such heading"


def test_every_page_is_found_from_the_index() -> None:
    """docs/index.md leads to every page of docs/."""
    index = docs.ROOT / "docs/index.md"
    linked = {(index.parent / target).resolve() for target in LINK.findall(index.read_text(encoding="utf-8"))}
    missing = [page for page in PAGES if (docs.ROOT / "docs") in page.parents and page not in linked]
    assert missing == [index]


def shell_lines(page: Path) -> Iterator[list[str]]:
    """The words of each command in the page's shell blocks (joined lines, comments and heredocs gone)."""
    for block in blocks(page):
        if block.language != "sh":
            continue
        text = re.sub(r"<<'(\w+)'.*?^\1$", "", block.text, flags=re.DOTALL | re.MULTILINE)
        for line in text.replace("\\\n", " ").splitlines():
            if "'" in line and line.count("'") % 2:
                continue  # a quoted body over several lines: run as a whole elsewhere
            words = shlex.split(line, comments=True)
            if words[:1] == ["sudo"]:
                words = words[3:] if words[1] == "-u" else words[1:]
            while words and re.fullmatch(r"env|\w+=.*", words[0]):
                words = words[1:]
            if words:
                yield words


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_command_of_ours_exists(page: Path) -> None:
    """A `make` target, a `dozvon` command and its options, as a page writes them, are there."""
    made = set(re.findall(r"^([a-z-]+):", (docs.ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    click = typer.main.get_command(commands)
    known: Mapping[str, Any] = click.commands  # type: ignore[attr-defined]
    for words in shell_lines(page):
        program = Path(words[0]).name
        if program == "make":
            rest = words[3:] if words[1] == "-C" else words[1:]
            targets = [word for word in rest if "=" not in word]
            assert set(targets) <= made, f"make {targets}: no such target"
            arguments = next((word.removeprefix("ARGS=") for word in words if word.startswith("ARGS=")), "")
            if arguments and targets in (["demo"], ["serve"]):
                check_options(known[targets[0]], shlex.split(arguments))
        elif program == "dozvon" and not words[1].startswith("-"):
            assert words[1] in known, f"dozvon {words[1]}: no such command"
            check_options(known[words[1]], words[2:])


def check_options(command: Any, words: list[str]) -> None:
    """Each `--option` among the words is one of the command's, or of its sub-command's."""
    command = getattr(command, "commands", {}).get(words[0], command) if words else command
    options = {name for param in command.params for name in (*param.opts, *param.secondary_opts)} | {"--help"}
    for word in words:
        if word.startswith("--"):
            assert word.partition("=")[0] in options, f"{command.name} has no option {word}"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_setting_exists(page: Path) -> None:
    """A setting that a page names is one that the server reads."""
    known = {f"DOZVON_{name.upper()}" for name in Settings.model_fields} | {"DOZVON_CONFIG"}
    # Variables of the dialplan are no settings.
    known |= set(
        re.findall(
            r"DOZVON_[A-Z0-9_]*[A-Z0-9]",
            "".join(
                file.read_text(encoding="utf-8")
                for files in ("asterisk_conf/**/*.conf", "agi_scripts/*.py", "dialer/hooks/*.py")
                for file in docs.ROOT.glob(files)
            ),
        )
    )
    named_here = set(re.findall(r"\bDOZVON_[A-Z0-9_]*[A-Z0-9]", page.read_text(encoding="utf-8")))
    assert named_here <= known


def test_the_files_that_pages_name_exist() -> None:
    """A path in code marks that looks like one of the repository's is one."""
    roots = ("dialer/", "scheduler/", "asterisk_conf/", "tests/", "docs/", ".ci/")
    for page in PAGES:
        text = FENCE.sub("", page.read_text(encoding="utf-8"))
        for name in re.findall(r"`([\w./-]+)`", text):
            if name.startswith(roots):
                assert (docs.ROOT / name).exists(), f"{named(page)}: there is no {name}"


def test_every_proof_of_the_threat_model_is_a_test() -> None:
    """Each test that the threat model names is there."""
    text = (docs.ROOT / "THREAT_MODEL.md").read_text(encoding="utf-8")
    there = set()
    for file in docs.ROOT.glob("tests/*/test_*.py"):
        there |= set(re.findall(r"def (test_\w+)\(", file.read_text(encoding="utf-8")))
    claimed = set(re.findall(r"`(test_\w+)`", text))
    assert len(claimed) > 40
    assert claimed - there == set()


def test_both_languages_of_the_front_page_show_the_same_commands() -> None:
    """README.md and README.ru.md have the same commands and lead to the same places."""
    english, russian = (docs.ROOT / name for name in ("README.md", "README.ru.md"))
    assert list(shell_lines(english)) == list(shell_lines(russian))

    def leads(page: Path) -> list[str]:
        links = LINK.findall(page.read_text(encoding="utf-8"))
        return sorted(
            link.replace(".ru.", ".").replace("live.en", "live") for link in links if "README" not in link
        )

    assert leads(english) == leads(russian)


# -- what is run ---------------------------------------------------------------------------------------------


class NoVoice:
    """Sounds of messages where the test is not about them."""

    async def message(self, tenant_id: int, campaign_id: int, words: str) -> str:
        """A path that nothing is at."""
        return f"messages/{tenant_id}-{campaign_id}"


@dataclass(slots=True)
class Reader:
    """Somebody who types what a page says, word for word, into an empty folder."""

    folder: Path
    http: ClientSession
    #: what the page says in place of what only this server knows
    given: Mapping[str, str]
    #: what the server's other processes do between two requests
    meanwhile: Callable[[], Awaitable[object]]
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": os.environ["PATH"]})
    status: int = 0
    body: str = ""

    def run(self, command: str) -> bytes:
        """What a command of the shell says."""
        return subprocess.run(
            ["sh", "-c", command], env=self.environment, cwd=self.folder, capture_output=True, check=True
        ).stdout

    def words(self, command: str) -> list[str]:
        """The arguments that the shell would give to the command's program."""
        said = self.run(f'curl() {{ printf "%s\\0" "$@"; }}\n{command}')
        return said.decode().split("\0")[:-1]

    async def type_in(self, block: Block) -> None:
        """Do all that stands in a block of shell; its last request may be meant to be refused."""
        self.status = 0
        for command in _commands(block.text):
            assert self.status < 400, f"{block.text}\n{self.body}"
            words = [word for word in shlex.split(command) if not re.fullmatch(r"[A-Z_]+=.*", word)]
            program = words[0]
            if program == "curl":
                await self.request(self.words(command))
                await self.meanwhile()
            elif program == "export":
                name, _, value = command.removeprefix("export ").partition("=")
                self.environment[name] = self.value(name, value)
            elif program == "cat":
                self.run(command)
            else:
                # That it exists is looked at elsewhere; what it starts is running here already.
                assert words in (["make", "demo"], ["make", "serve"]), f"nobody runs this here: {command}"

    def value(self, name: str, written: str) -> str:
        """What a reader would put there."""
        if name in self.given:
            return self.given[name]
        if found := re.fullmatch(r"'(\w+) of the reply'", written):
            return str(json.loads(self.body)[found[1]])
        # Double quotes: a variable in it is that variable.
        return re.sub(r"\$(\w+)", lambda m: self.environment[m[1]], written.strip("\"'"))

    async def request(self, words: list[str]) -> None:
        """What curl would do; an option that is not known here fails the test."""
        method, headers, data, url, output, endless = "", {}, None, "", "", False
        rest = iter(words)
        for word in rest:
            match word:
                case "-X":
                    method = next(rest)
                case "-H":
                    name, _, value = next(rest).partition(": ")
                    headers[name] = value
                case "--json":
                    data = next(rest).encode()
                    headers |= {"Content-Type": "application/json", "Accept": "application/json"}
                case "--data-binary":
                    data = (self.folder / next(rest).removeprefix("@")).read_bytes()
                case "-o":
                    output = next(rest)
                case "-b" | "-c":
                    assert next(rest) == "cookies"  # the session keeps them
                case "-N":
                    endless = True
                case _:
                    assert word.startswith("http"), f"curl has an option here that no test knows: {word}"
                    url = word
        if "Authorization" in headers:
            self.http.cookie_jar.clear()  # a program has no cookies
        method = method or ("POST" if data is not None else "GET")
        async with self.http.request(method, url, data=data, headers=headers) as reply:
            self.status = reply.status
            self.body = await (_first_event(reply) if endless else reply.text())
        if output:
            (self.folder / output).write_text(self.body, encoding="utf-8")


def _commands(text: str) -> Iterator[str]:
    """The commands of a block: lines that belong together, as the shell reads them."""
    lines = iter(text.splitlines())
    for first in lines:
        command = first
        if not first.strip() or first.startswith("#"):
            continue
        if heredoc := re.search(r"<<'(\w+)'", first):
            for line in lines:
                command += "\n" + line
                if line == heredoc[1]:
                    break
            yield command
            continue
        while command.endswith("\\") or command.count("'") % 2:
            command = command.removesuffix("\\") + ("" if command.endswith("\\") else "\n") + next(lines)
        yield command


async def _first_event(reply: ClientResponse) -> str:
    """The data of a stream's first event that is not its own."""
    kind = ""
    async with asyncio.timeout(10):
        async for raw in reply.content:
            line = raw.decode().strip()
            if line.startswith("event:"):
                kind = line.removeprefix("event:").strip()
            elif line.startswith("data:") and kind not in ("alive", "reset"):
                return line.removeprefix("data:").strip()
    raise AssertionError("the stream ended")


def holds(shown: Any, came: Any, where: str = "the reply") -> None:
    """All that is shown came; `…` is anything."""
    if shown == "…":
        assert came, f"{where} is empty"
    elif isinstance(shown, dict):
        for name, value in shown.items():
            assert name in came, f"{where} has no {name}: {came}"
            holds(value, came[name], f"{where}.{name}")
    elif isinstance(shown, list):
        assert len(came) == len(shown), f"{where}: {came}"
        for n, value in enumerate(shown):
            holds(value, came[n], f"{where}[{n}]")
    else:
        assert came == shown, f"{where}: {came!r}, not {shown!r}"


@dataclass(slots=True)
class Installation:
    """A server as it is after its first start."""

    url: str
    app: web.Application
    database: Database
    settings: Settings
    password: str

    async def import_files(self) -> None:
        """What the jobs process does."""
        while await run_next_import(self.database, self.settings):
            pass


@pytest.fixture
async def installation(
    database: Database, database_url: str, data_folder: Path
) -> AsyncIterator[Installation]:
    """The real web process on an empty database; messages are not spoken."""
    settings = load(data_dir=data_folder, http_port=0)
    password = await ensure_administrator(database)
    assert password is not None
    app = build_web(settings, database_url)
    app[CAMPAIGNS] = CampaignService(database, NoVoice())
    running = await serve(app, "127.0.0.1", 0)
    try:
        yield Installation(running.url, app, database, settings, password)
    finally:
        await running.close()


@pytest.mark.parametrize(
    "page",
    [
        docs.API,
        docs.ROOT / "docs/tutorial.md",
        *(docs.ROOT / f"docs/how-to/first-{what}.md" for what in ("campaign", "inbound")),
    ],
    ids=named,
)
async def test_examples_work(installation: Installation, tmp_path: Path, page: Path) -> None:
    """Every example of a page, typed in one after another, gives the reply that is shown."""
    async with ClientSession(cookie_jar=CookieJar(unsafe=True), timeout=ClientTimeout(30)) as http:
        given = {"DOZVON": installation.url, "PASSWORD": installation.password}
        (tmp_path / "docs").symlink_to(docs.ROOT / "docs")  # a reader of a checkout stands in it
        reader = Reader(tmp_path, http, given, installation.import_files)
        shown = 0
        for block in blocks(page):
            if block.language == "sh":
                await reader.type_in(block)
                refused = reader.status if reader.status >= 400 else 0
                assert refused == block.status, f"{block.text}\n{reader.body}"
            elif block.language == "json":
                holds(json.loads(block.text), json.loads(reader.body))
                shown += 1
    assert shown > 5


async def test_every_route_of_the_server_is_in_the_table(installation: Installation) -> None:
    """The table of routes has all that the running server answers to, and nothing else."""
    served = {
        (method.upper(), path.removeprefix(PREFIX))
        for path, methods in installation.app[openapi.DOCUMENT]["paths"].items()
        for method in methods
    }
    assert {(route.method, route.path) for route in docs.all_routes()} == served
