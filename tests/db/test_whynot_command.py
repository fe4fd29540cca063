"""`dozvon why`: its answers and its exit status, on an installation that lies still."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import typer
from rich.console import Console
from support.commands import dozvon

from dialer.donotcall_command import add_command
from dialer.errors import BadNumber, NotFound
from dialer.settings import load
from dialer.whynot_cli import why
from dialer.whynot_command import why_command


async def test_a_number_at_the_command_line(data_folder: Path) -> None:
    """A number that nobody has is said to be so, however it is written; JSON is one line; what is no number
    and a campaign that there is not are refused; a campaign or a number must be named."""
    settings = load(data_dir=data_folder)

    async def said(
        number: str | None, campaign: int | None = None, *, json_line: bool = False
    ) -> tuple[int, str]:
        text = io.StringIO()
        console = Console(file=text, width=120)
        return await why_command(settings, console, number, campaign, json_line=json_line), text.getvalue()

    status, text = await said("8 (903) 111-22-33")
    assert (status, "+79031112233" in text, "Nobody has this number" in text) == (1, True, True)
    await add_command(settings, Console(file=io.StringIO()), ["8 903 111-22-33"], [], "by letter")
    status, text = await said("+79031112233", json_line=True)
    found = json.loads(text)
    assert (status, found["do_not_call"], found["dialled"], found["campaigns"]) == (1, True, False, [])
    with pytest.raises(BadNumber):
        await said("abc")
    with pytest.raises(NotFound):
        await said("+79031112233", 99)
    with pytest.raises(NotFound):
        await said(None, 99)
    with pytest.raises(typer.BadParameter):
        why(None, None)


async def test_wrong_words_have_a_status_of_their_own(data_folder: Path) -> None:
    """2 for what is no number and for a campaign that there is not; 1 says that a number is not dialled."""
    env = {"DOZVON_DATA_DIR": str(data_folder)}
    assert [
        (await dozvon("why", *words, env=env))[0]
        for words in (("abc",), ("--campaign", "99"), ("+79161234567",))
    ] == [2, 2, 1]
