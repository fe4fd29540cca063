"""Any WAV file to the sound of a telephone line."""

from __future__ import annotations

import array
import itertools
import math
import struct
import wave
from pathlib import Path

import numpy as np
import pytest

from dialer.asterisk.hold_music import render_hold_music
from dialer.asterisk.sound import convert, parse_wav
from dialer.errors import BadSound


def riff(
    code: int, channels: int, rate_hz: int, bits: int, body: bytes, *, extensible: bool = False
) -> bytes:
    """A WAV file, with a chunk of another kind and an odd length in front."""
    frame = channels * bits // 8
    fmt = struct.pack(
        "<HHIIHH", 0xFFFE if extensible else code, channels, rate_hz, rate_hz * frame, frame, bits
    )
    if extensible:
        fmt += struct.pack("<HHIH", 22, bits, 0, code) + bytes.fromhex("000000001000800000aa00389b71")
    chunks = b"LIST\x03\0\0\0abc\0" + b"fmt " + struct.pack("<I", len(fmt)) + fmt
    chunks += b"data" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def tone(rate_hz: int, seconds: float = 0.5) -> list[float]:
    """A tone of 440 Hz at half of full scale."""
    return [0.5 * math.sin(2 * math.pi * 440 * i / rate_hz) for i in range(round(rate_hz * seconds))]


def pack(samples: list[float], bits: int) -> bytes:
    """The samples as PCM."""
    if bits == 8:
        return bytes(round(128 + 127 * sample) for sample in samples)
    full = 2 ** (bits - 1) - 1
    return b"".join(round(sample * full).to_bytes(bits // 8, "little", signed=True) for sample in samples)


def frequency(samples: array.array[int], rate_hz: int = 8000) -> float:
    """By how often it crosses zero, Hz."""
    crossed = sum(1 for a, b in itertools.pairwise(samples) if (a < 0) != (b < 0))
    return crossed / 2 / (len(samples) / rate_hz)


def read(path: Path) -> array.array[int]:
    """The samples of a file, which must be 8 kHz mono 16 bit."""
    with wave.open(str(path), "rb") as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        return array.array("h", file.readframes(file.getnframes()))


@pytest.mark.parametrize("rate_hz", [8000, 11025, 22050, 44100, 48000])
@pytest.mark.parametrize("bits", [8, 16, 24, 32])
@pytest.mark.parametrize("extensible", [False, True])
def test_pcm_of_any_rate_and_depth_keeps_its_sound(
    tmp_path: Path, rate_hz: int, bits: int, extensible: bool
) -> None:
    """Length, loudness and pitch come through."""
    source, out = tmp_path / "a.wav", tmp_path / "out" / "b.wav"
    source.write_bytes(riff(1, 1, rate_hz, bits, pack(tone(rate_hz), bits), extensible=extensible))
    assert convert(source, out) == pytest.approx(0.5, abs=0.002)
    samples = read(out)
    assert max(samples) == pytest.approx(0.5 * 32767, rel=0.04)
    assert frequency(samples) == pytest.approx(440, rel=0.02)


def test_channels_are_mixed(tmp_path: Path) -> None:
    """Two channels become their mean, so that a voice on one of them is not lost."""
    left = tone(8000)
    body = b"".join(pack([sample, 0.0], 16) for sample in left)
    (tmp_path / "a.wav").write_bytes(riff(1, 2, 8000, 16, body))
    convert(tmp_path / "a.wav", tmp_path / "b.wav")
    assert max(read(tmp_path / "b.wav")) == pytest.approx(0.25 * 32767, rel=0.01)


@pytest.mark.parametrize(("code", "bits", "kind"), [(3, 32, "f"), (3, 64, "d")])
def test_floats_are_taken_and_clipped(tmp_path: Path, code: int, bits: int, kind: str) -> None:
    """Floats over full scale are cut off, not wrapped around; what is no number is silence."""
    body = array.array(kind, [0.5, 2.0, -2.0, math.nan]).tobytes()
    (tmp_path / "a.wav").write_bytes(riff(code, 1, 8000, bits, body))
    convert(tmp_path / "a.wav", tmp_path / "b.wav")
    assert list(read(tmp_path / "b.wav")) == [16384, 32767, -32767, 0]


@pytest.mark.parametrize(
    ("code", "octet", "sample"),
    # Ends and middles of the tables in ITU-T G.711: 13 and 14 bits, here as 16.
    [
        (6, 0xD5, 8),
        (6, 0x55, -8),
        (6, 0xAA, 32256),
        (6, 0x2A, -32256),
        (7, 0xFF, 0),
        (7, 0x80, 32124),
        (7, 0, -32124),
    ],
)
def test_telephone_codings_are_read(code: int, octet: int, sample: int) -> None:
    """A-law and mu-law, as PBXs write them."""
    samples, rate_hz = parse_wav(riff(code, 1, 8000, 8, bytes([octet])))
    assert rate_hz == 8000
    assert round(float(samples[0]) * 32768) == sample


def test_a_length_that_was_never_written_is_what_follows(tmp_path: Path) -> None:
    """A program that wrote into a pipe left the greatest length there is."""
    data = riff(1, 1, 8000, 16, pack(tone(8000), 16))
    at = data.index(b"data") + 4
    (tmp_path / "a.wav").write_bytes(data[:at] + b"\xff\xff\xff\xff" + data[at + 4 :])
    assert convert(tmp_path / "a.wav", tmp_path / "b.wav") == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no WAV"),
        (b"ID3\x04rest", "MP3"),
        (b"OggS" + bytes(20), "Ogg"),
        (b"\0\0\0\x20ftypM4A ", "M4A"),
        (riff(1, 1, 8000, 16, b""), "empty"),
        (riff(1, 1, 8000, 16, b"\1"), "empty"),
        (riff(17, 1, 8000, 4, b"abcd"), "4 bits"),
        (riff(2, 1, 8000, 16, b"abcd"), "ADPCM"),
        (riff(1, 0, 8000, 16, b"abcd"), "0 channels"),
        (riff(1, 1, 8000, 16, b"abcd")[:30], "cut off"),
        (b"RIFF\0\0\0\0WAVEdata\4\0\0\0abcd", "before"),
    ],
)
def test_what_is_no_sound_is_refused_by_name(tmp_path: Path, data: bytes, words: str) -> None:
    """The message says what the file is instead; what was there before stays."""
    source, out = tmp_path / "a.wav", tmp_path / "b.wav"
    source.write_bytes(data)
    out.write_bytes(b"before")
    with pytest.raises(BadSound, match=words):
        convert(source, out)
    assert out.read_bytes() == b"before"
    assert {path.name for path in tmp_path.iterdir()} == {"a.wav", "b.wav"}


def test_hold_music_is_soft_and_has_no_seam() -> None:
    """It never clips, and its end goes on into its beginning."""
    samples = np.frombuffer(render_hold_music(), "<i2").astype(int)
    assert 10 * 8000 < samples.size < 20 * 8000
    assert 3000 < np.abs(samples).max() <= 5000
    steps = np.abs(np.diff(samples))
    assert abs(samples[0] - samples[-1]) <= steps.max()
