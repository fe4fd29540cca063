"""Sounds as a telephone line takes them: any WAV file in, 8 kHz mono 16 bit out."""

from __future__ import annotations

import os
import shutil
import struct
import tempfile
import wave
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soxr

from dialer.errors import BadSound

#: Samples a second on a telephone line.
RATE_HZ = 8000
#: A longer file is no prompt; it would only fill the memory.
LARGEST_BYTES = 50_000_000

Samples = npt.NDArray[np.float32]

#: Codes of formats (mmreg.h). The last one says that the code comes later in the chunk.
_PCM, _FLOAT, _ALAW, _ULAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
#: Those that are refused by name.
_NAMES = {2: "MS ADPCM", 17: "IMA ADPCM", 49: "GSM", 85: "MP3"}


@dataclass(frozen=True, slots=True)
class _Format:
    """The `fmt ` chunk of a WAV file."""

    code: int
    channels: int
    rate_hz: int
    #: Bits of a sample of one channel.
    bits: int


def convert(source: Path, out: Path) -> float:
    """Write the WAV file `source` as `out`, 8 kHz mono 16 bit; returns its length, seconds.

    Takes PCM of 8 to 32 bits, floats, A-law and mu-law, any rate and number of channels, which are mixed.
    Raises BadSound that says what the file is instead.
    """
    with source.open("rb") as file:
        data = file.read(LARGEST_BYTES + 1)
    return write_wav(out, *parse_wav(data))


def parse_wav(data: bytes) -> tuple[Samples, int]:
    """Samples of a WAV file, mixed to one channel, -1 to 1, and their rate in Hz. Raises BadSound."""
    if len(data) > LARGEST_BYTES:
        raise BadSound(reason=f"it is longer than {LARGEST_BYTES // 1_000_000} MB")
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise BadSound(reason=f"it is {_guess(data)}; save it as WAV (PCM)")
    fmt: _Format | None = None
    at = 12
    while at + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        body = data[at + 8 : at + 8 + size]
        if name == b"fmt ":
            fmt = _parse_format(body)
        elif name == b"data":
            if fmt is None:
                raise BadSound(reason="its sound comes before the description of its format")
            # A program that wrote into a pipe could not know the length: it is then all that follows.
            return _decode(body, fmt), fmt.rate_hz
        at += 8 + size + size % 2
    raise BadSound(reason="the file is cut off: it has no sound in it")


def write_wav(path: Path, samples: Samples, rate_hz: int, *, line_hz: int = RATE_HZ) -> float:
    """Write `samples` at `rate_hz` as mono 16 bit at `line_hz`, in one step; returns the length, seconds."""
    if rate_hz != line_hz:
        samples = np.asarray(soxr.resample(samples, rate_hz, line_hz), dtype=np.float32)
    if not samples.size:
        raise BadSound(reason="it is empty")
    pcm = np.round(np.clip(samples, -1.0, 1.0) * 32767).astype("<i2")
    with _in_one_step(path) as new, wave.open(str(new), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(line_hz)
        file.writeframes(pcm.tobytes())
    return pcm.size / line_hz


def copy(source: Path, out: Path) -> float:
    """Copy a WAV file that is as it should be, in one step; returns its length, seconds."""
    with _in_one_step(out) as new:
        shutil.copyfile(source, new)
        with wave.open(str(new), "rb") as file:
            return file.getnframes() / file.getframerate()


@contextmanager
def _in_one_step(path: Path) -> Iterator[Path]:
    """A file that takes the place of `path` when it is whole: Asterisk may be playing the one before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fd, name = tempfile.mkstemp(prefix=".sound-", suffix=".wav", dir=path.parent)
    os.close(fd)
    new = Path(name)
    try:
        yield new
        new.chmod(0o644)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def _parse_format(body: bytes) -> _Format:
    if len(body) < 16:
        raise BadSound(reason="the description of its format is cut off")
    code, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", body)
    if code == _EXTENSIBLE and len(body) >= 26:
        (code,) = struct.unpack_from("<H", body, 24)
    if not 1 <= channels <= 16 or not 1000 <= rate_hz <= 384_000:
        raise BadSound(
            reason=f"it has {channels} channels at {rate_hz} Hz; 1 to 16 at 1 to 384 kHz can be used"
        )
    return _Format(code, channels, rate_hz, bits)


def _decode(body: bytes, fmt: _Format) -> Samples:
    """Samples of `body`, the channels mixed; a last sample that is cut off is left out."""
    width = fmt.bits // 8
    frame = width * fmt.channels
    if frame == 0:
        raise BadSound(reason=f"it has samples of {fmt.bits} bits")
    body = body[: len(body) // frame * frame]
    decode = _DECODERS.get((fmt.code, fmt.bits))
    if decode is None:
        name = _NAMES.get(fmt.code, f"format {fmt.code}")
        raise BadSound(reason=f"it is a WAV of {name}, {fmt.bits} bits; save it as PCM")
    mixed: Samples = decode(body).reshape(-1, fmt.channels).mean(axis=1, dtype=np.float32)
    return mixed


def _pcm8(body: bytes) -> Samples:
    return _scaled(np.frombuffer(body, np.uint8).astype(np.int16) - 128, 2**7)


def _pcm16(body: bytes) -> Samples:
    return _scaled(np.frombuffer(body, "<i2"), 2**15)


def _pcm24(body: bytes) -> Samples:
    octets = np.frombuffer(body, np.uint8).reshape(-1, 3).astype(np.int32)
    value = octets[:, 0] | (octets[:, 1] << 8) | (octets[:, 2] << 16)
    return _scaled(np.where(value < 2**23, value, value - 2**24), 2**23)


def _pcm32(body: bytes) -> Samples:
    return _scaled(np.frombuffer(body, "<i4"), 2**31)


def _float32(body: bytes) -> Samples:
    return _scaled(np.nan_to_num(np.frombuffer(body, "<f4")), 1)


def _float64(body: bytes) -> Samples:
    return _scaled(np.nan_to_num(np.frombuffer(body, "<f8")), 1)


def _alaw(body: bytes) -> Samples:
    """ITU-T G.711, A-law."""
    value = np.frombuffer(body, np.uint8).astype(np.int32) ^ 0x55
    exponent = (value >> 4) & 7
    step = ((value & 15) << 4) + 8
    linear = np.where(exponent == 0, step, (step + 256) << np.maximum(exponent - 1, 0))
    return _scaled(np.where(value & 128, linear, -linear), 2**15)


def _ulaw(body: bytes) -> Samples:
    """ITU-T G.711, mu-law."""
    value = np.frombuffer(body, np.uint8).astype(np.int32) ^ 0xFF
    linear = ((((value & 15) << 3) + 132) << ((value >> 4) & 7)) - 132
    return _scaled(np.where(value & 128, -linear, linear), 2**15)


def _scaled(values: npt.NDArray[Any], full: int) -> Samples:
    """`values` as parts of full scale."""
    return np.asarray(values / full, dtype=np.float32)


_DECODERS: Mapping[tuple[int, int], Callable[[bytes], Samples]] = {
    (_PCM, 8): _pcm8,
    (_PCM, 16): _pcm16,
    (_PCM, 24): _pcm24,
    (_PCM, 32): _pcm32,
    (_FLOAT, 32): _float32,
    (_FLOAT, 64): _float64,
    (_ALAW, 8): _alaw,
    (_ULAW, 8): _ulaw,
}


def _guess(data: bytes) -> str:
    for head, name in ((b"ID3", "MP3"), (b"\xff\xfb", "MP3"), (b"OggS", "Ogg"), (b"fLaC", "FLAC")):
        if data.startswith(head):
            return name
    return "M4A" if data[4:8] == b"ftyp" else "no WAV file"
