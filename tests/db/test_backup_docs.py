"""docs/how-to/backup.md: what it says to type is typed."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from pathlib import Path

import pytest
from support import docs
from support.backups import company
from support.postgres import FreshDatabase

from dialer.db.embedded import EmbeddedPostgres, Urls

PAGE = docs.ROOT / "docs/how-to/backup.md"
#: Run by tests of their own, with an Asterisk.
ELSEWHERE = ("check", "serve")


@pytest.mark.timeout(300)  # programs start slowly on a machine that others keep busy
async def test_commands_of_the_page_work(_fresh: FreshDatabase, data_folder: Path, tmp_path: Path) -> None:
    """Each line of shell, one after another: copies of one installation, then another one made of them."""
    here = await company(tmp_path / "here", Urls(_fresh.app, _fresh.owner))
    program = tmp_path / "dozvon"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m dialer "$@"\n')
    program.chmod(0o700)
    base = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(docs.ROOT)}
    first = base | {
        "DOZVON_DATA_DIR": str(here.settings.data_dir),
        "DOZVON_DATABASE_URL": here.urls.app,
        "DOZVON_DATABASE_OWNER_URL": here.urls.owner,
    }
    second = base | {"DOZVON_DATA_DIR": str(data_folder)}
    typed = []
    fences = PAGE.read_text(encoding="utf-8").split("```")[1::2]
    for line in (line for block in fences if block.startswith("sh\n") for line in block.splitlines()[1:]):
        words = shlex.split(line, comments=True)
        assert words[0] == "dozvon"
        if words[1] in ELSEWHERE:
            continue
        process = await asyncio.create_subprocess_shell(
            line.replace("/var/backups/dozvon", f"{tmp_path}/kept"),
            env=second if words[1] == "restore" else first,
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        assert process.returncode == 0, f"{line}\n{said.decode()}"
        typed.append(words[1])
    assert typed == ["backup"] * 4 + ["restore"] + ["upgrade"] * 2
    assert EmbeddedPostgres(data_folder).pid is None
    assert len(list((tmp_path / "kept").glob("2*"))) == 2
