"""Asterisk's sounds are found by whoever asks, also while they are read for the first time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dialer.prompts.soundset import SoundSet


def test_who_asks_while_the_folders_are_read_misses_no_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two callers at once after a start: both hear it."""
    folder = tmp_path / "en_US_f_Allison"
    folder.mkdir()
    (folder / "vm-options.wav").write_bytes(b"x")
    reading, other_has_asked = threading.Event(), threading.Event()
    read = SoundSet._read

    def slowly(sounds: SoundSet, language: str) -> dict[str, str]:
        first = not reading.is_set()
        reading.set()
        if first:
            other_has_asked.wait(5)
        return read(sounds, language)

    monkeypatch.setattr(SoundSet, "_read", slowly)
    sounds = SoundSet((tmp_path,))
    with ThreadPoolExecutor(1) as pool:
        one = pool.submit(sounds.find, "vm-options", "en")
        assert reading.wait(5)
        other = sounds.find("vm-options", "en")
        other_has_asked.set()
        assert (one.result(5), other) == ("en_US_f_Allison/vm-options",) * 2
