"""What is read of a recording's file."""

from __future__ import annotations

import hashlib
from array import array
from pathlib import Path

import pytest

from dialer.demo.voices import write_wav
from dialer.recordings import waveform


def written(folder: Path, samples: array[int]) -> Path:
    """A WAV of these samples."""
    file = folder / "talk.wav"
    write_wav(file, samples.tobytes())
    return file


@pytest.mark.parametrize(
    ("samples", "points", "found"),
    [
        ([0, 0, 256, 0, 0, -512, 0, 0], 4, [0, 2, 4, 0]),
        ([32767, -32768, 128, 127], 2, [255, 1]),
        ([256, 512, 768], 1000, [2, 4, 6]),  # fewer samples than points
        ([256, 0, 0, 512, 0, 0, 768], 3, [2, 4, 6]),  # parts that differ by a sample
        ([], 10, []),
    ],
)
def test_each_part_is_as_loud_as_its_loudest_sample(
    tmp_path: Path, samples: list[int], points: int, found: list[int]
) -> None:
    """Up or down, 0 to 255."""
    assert list(waveform.peaks(written(tmp_path, array("h", samples)), points)) == found


def test_a_part_longer_than_what_is_read_at_once_is_read_to_its_end(tmp_path: Path) -> None:
    """The loudest sample of an hour may be its last one."""
    samples = array("h", [256]) * (2 * waveform.PIECE) + array("h", [5120])
    assert list(waveform.peaks(written(tmp_path, samples), 1)) == [40]


def test_a_digest_is_of_the_whole_file(tmp_path: Path) -> None:
    """Header and all: as `sha256sum` says it."""
    file = written(tmp_path, array("h", [1, 2, 3]))
    assert waveform.digest(file) == hashlib.sha256(file.read_bytes()).hexdigest()
