"""`dozvon dnc`: numbers, files and a question, on an installation that lies still."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from dialer.donotcall_command import add_command, check_command, import_command
from dialer.errors import BadNumber, Invalid
from dialer.settings import load


async def test_from_a_number_to_a_registry(data_folder: Path, tmp_path: Path) -> None:
    """A number is added and found, however it is written; a registry comes in, and a file of it that was cut
    short fails with the reason; what is no number is refused."""
    settings = load(data_dir=data_folder)
    file = tmp_path / "june.txt"
    file.write_text("".join(f"+7916000000{n}\n" for n in range(8)))

    async def said(command: Callable[..., Awaitable[int]], *given: Any, **more: Any) -> tuple[int, str]:
        text = io.StringIO()
        status = await command(settings, Console(file=text, width=200), *given, **more)
        return status, text.getvalue()

    status, text = await said(add_command, ["8 903 111-22-33"], ["+7495"], "by letter")
    assert (status, "2 added, 0 known" in text) == (0, True)
    status, text = await said(check_command, "+79031112233")
    assert (status, "not to be called" in text, "by letter" in text) == (1, True, True)
    assert (await said(check_command, "+7 495 000-00-00"))[0] == 1
    assert (await said(check_command, "+79160000001"))[0] == 0
    status, text = await said(import_command, file, "FTC", "", fewer=False)
    assert (status, "8 added, 0 known, 0 removed" in text) == (0, True)
    assert (await said(check_command, "+79160000001"))[0] == 1
    file.write_text("+79160000001\n")
    status, text = await said(import_command, file, "FTC", "", fewer=False)
    assert (status, "so nothing was removed" in text, "--fewer" in text) == (1, True, True)
    status, text = await said(import_command, file, "FTC", "", fewer=True)
    assert (status, "7 removed" in text) == (0, True)
    with pytest.raises(BadNumber):
        await said(check_command, "abc")
    with pytest.raises(Invalid):
        await said(add_command, [], ["+7"], "")
