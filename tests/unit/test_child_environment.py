"""What the processes of the server are told of its settings."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from dialer import processes
from dialer.db.embedded import Urls
from dialer.errors import ProcessFell
from dialer.httpkit.i18n import message
from dialer.processes import Child, child_environment
from dialer.settings import Settings, load

URLS = Urls(
    app="postgresql://dozvon_app:app-password@db/dozvon", owner="postgresql://dozvon_owner:key@db/dozvon"
)


def settings(tmp_path: Path) -> Settings:
    """Settings that are none of the defaults."""
    return load(
        data_dir=tmp_path,
        database_url=SecretStr(URLS.app),
        database_owner_url=SecretStr(URLS.owner),
        http_port=18080,
        ami_timeout_s=2.5,
        public_url="https://dialer.example.org",
        log_level="warning",
    )


def test_children_never_get_the_owners_key(tmp_path: Path) -> None:
    """The owner's credentials are in no child's environment, wherever the server had them from."""
    inherited = {"PATH": "/bin", "DOZVON_DATABASE_OWNER_URL": URLS.owner}
    given = child_environment(settings(tmp_path), URLS, inherited)
    assert [name for name, value in given.items() if "key@" in value] == []
    assert given["DOZVON_DATABASE_URL"] == URLS.app
    assert given["PATH"] == "/bin"


def test_children_have_the_servers_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that reads its environment has what the server has, but for that key; what the server was told
    otherwise by its own environment does not come through."""
    ours = settings(tmp_path)
    inherited = {"DOZVON_HTTP_PORT": "1", "DOZVON_AGI_ADDRESS": "elsewhere:1"}
    for name, value in child_environment(ours, URLS, inherited).items():
        if name.startswith("DOZVON_"):
            monkeypatch.setenv(name, value)
    assert load().model_dump(exclude={"database_owner_url"}) == ours.model_dump(
        exclude={"database_owner_url"}
    )
    assert load().database_owner_url is None


async def test_who_is_late_at_a_start_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the processes only those that have not said they are ready."""
    monkeypatch.setattr(processes, "READY_S", 0.01)
    children = {name: Child(name, {}) for name in ("engine", "web", "jobs")}
    children["web"].ready.set_result({})
    with pytest.raises(ProcessFell, match="process engine, jobs does not start"):
        await processes._all_ready(children)


async def test_a_log_that_is_a_file_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bench's log goes with its folder, so what it ends with is told with the error, in either language."""
    monkeypatch.setattr(processes, "READY_S", 0.01)
    with (tmp_path / "server.log").open("w+", encoding="utf-8") as file:
        file.write("begun\n" * 10 + "no room on the disk\n")
        file.flush()
        with pytest.raises(ProcessFell, match=r"the end of its log: (begun\s)+no room") as caught:
            await processes._all_ready({"engine": Child("engine", {}, file)})
    assert str(caught.value).count("begun") == 4
    assert "конец его журнала: begun" in message(caught.value, "ru")
