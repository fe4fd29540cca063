"""`dozvon import`, from the file to the summary."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from dialer.contacts.model import Wins
from dialer.contacts.reading import Reading
from dialer.contacts.service import ContactService
from dialer.db.embedded import EmbeddedPostgres
from dialer.db.session import Database
from dialer.errors import Invalid, NotFound
from dialer.httpkit.access import Actor
from dialer.import_command import Wish, bring, import_command, look, mapping_of
from dialer.settings import Settings, load

BOSS = Actor.server(1)
FILE = "Фамилия;Телефон\nИванов;89161234567\nПетров;нет\n;\nЯковлев;+79161234567\n"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with a data folder of the test's own."""
    return load(data_dir=tmp_path / "data")


@pytest.fixture
def service(database: Database, settings: Settings) -> ContactService:
    """What the command works with."""
    return ContactService(database, settings)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with each kind of row."""
    path = tmp_path / "весна.csv"
    path.write_text(FILE)
    return path


async def run(service: ContactService, file: Path, list_name: str = "Весна") -> tuple[int, list[list[str]]]:
    """Exit status, and the words of each line said."""
    said = io.StringIO()
    status = await bring(service, Console(file=said, width=200), BOSS, Wish(file, list_name))
    return status, [line.split() for line in said.getvalue().splitlines()]


def written(file: Path) -> list[Path]:
    """Files of rejects beside the file."""
    return list(file.parent.glob("*.rejects-*.csv"))


async def test_summary_and_rejects(service: ContactService, file: Path) -> None:
    """Each kind of row is counted; the bad one lies in a file beside, as the service writes it."""
    status, said = await run(service, file)
    assert status == 0
    assert [words[:2] for words in said[:7]] == [
        ["rows", "4"],
        ["loaded", "1"],
        ["known", "0"],
        ["duplicates", "1"],
        ["rejected", "1"],
        ["blank", "1"],
        ["filled", "0"],
    ]
    (rejects,) = written(file)
    assert said[7][-1] == str(rejects)
    assert rejects.read_text(encoding="utf-8-sig") == (
        "row,column,code,value\n2,Телефон,letters,нет\n4,Фамилия,differs,Яковлев\n"
    )


async def test_again_into_the_same_list(service: ContactService, file: Path) -> None:
    """The same name is the same list; no rejects of another import are written over."""
    await run(service, file)
    status, said = await run(service, file)
    assert (status, said[1][:2], said[3][:2]) == (0, ["loaded", "0"], ["duplicates", "2"])
    assert len(await service.lists(BOSS)) == 1
    assert len(written(file)) == 2


async def test_clean_file_leaves_no_rejects(service: ContactService, tmp_path: Path) -> None:
    """Nothing rejected, nothing written."""
    path = tmp_path / "clean.csv"
    path.write_text("phone\n+79161234567\n")
    _, said = await run(service, path)
    assert "rejects" not in [words[0] for words in said]
    assert not written(path)


async def test_dry_run_writes_nothing(
    service: ContactService, database: Database, settings: Settings, file: Path
) -> None:
    """It says what the import would say, how the file was read and the first of each kind; nothing is there
    afterwards, not even the list."""
    said = io.StringIO()
    console = Console(file=said, width=200)
    assert await look(service, database, settings, console, BOSS, Wish(file)) == 0
    text = said.getvalue()
    assert await service.lists(BOSS) == []
    assert await service.contacts(BOSS) == []
    assert not written(file)
    counts = [line.split()[:2] for line in text.splitlines() if line]
    _, really = await run(service, file, file.stem)
    for words in really[:7]:
        assert words[:2] in counts
    for shown in (
        "CSV, utf-8-sig, delimiter semicolon",
        "Телефон = phone",
        "Иванов",
        "not taken (differs 1, letters 1)",
        "Nothing was written",
    ):
        assert shown in text


async def test_columns_are_named_and_the_file_wins(service: ContactService, tmp_path: Path) -> None:
    """A header that means nothing to us is said to be the phone; a differing value of the file replaces."""
    path = tmp_path / "b.csv"
    mapping = mapping_of(["К=phone", "a=b=email"])
    for email in ("a@x.ru", "b@x.ru"):
        path.write_text(f"К;a=b\n+79161234567;{email}\n")
        wish = Wish(path, reading=Reading(mapping=mapping), wins=Wins.FILE)
        assert await bring(service, Console(file=io.StringIO()), BOSS, wish) == 0
    (found,) = await service.contacts(BOSS)
    assert found.email == "b@x.ru"
    with pytest.raises(Invalid, match="HEADER=FIELD"):
        mapping_of(["К"])


async def test_a_column_that_is_not_there(settings: Settings, file: Path) -> None:
    """It is refused before anything is done, with the columns that there are."""
    wish = Wish(file, reading=Reading(mapping=mapping_of(["Нет=phone"])), dry_run=True)
    with pytest.raises(Invalid, match=r"--column: Нет: .*Фамилия, Телефон"):
        await import_command(settings, Console(file=io.StringIO()), wish)


async def test_a_header_alone_is_told(service: ContactService, tmp_path: Path) -> None:
    """The import is done and says that there was nothing to do."""
    path = tmp_path / "a.csv"
    path.write_text("Фамилия;Телефон\n")
    _, said = await run(service, path)
    assert "The file has a header and no rows." in [" ".join(line) for line in said]


async def test_unknown_campaign(service: ContactService, file: Path) -> None:
    """Nothing is left of an import for a campaign that is not there, not even the new list."""
    with pytest.raises(NotFound, match="campaign 9"):
        await bring(service, Console(file=io.StringIO()), BOSS, Wish(file, "Весна", 9))
    assert await service.lists(BOSS) == []


async def test_without_a_server(data_folder: Path, file: Path) -> None:
    """On an installation that lies still the embedded database is started, brought up to date and stopped."""
    said = io.StringIO()
    settings = load(data_dir=data_folder)
    assert await import_command(settings, Console(file=said, width=200), Wish(file, "Весна")) == 0
    assert "loaded" in said.getvalue()
    assert EmbeddedPostgres(data_folder).pid is None
