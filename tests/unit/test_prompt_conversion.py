"""Uploaded audio of any common format to what Asterisk plays; what is none of it is refused in words."""

from __future__ import annotations

import asyncio
import os
import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dialer.asterisk.sound import Samples
from dialer.errors import BadSound
from dialer.prompts import conversion
from dialer.prompts.conversion import Converted, Ffmpeg
from dialer.prompts.loudness import PEAK, TARGET_DB, evened, loudness_db
from dialer.settings import load


async def convert(source: Path, out: Path, packages_dir: Path | None = None) -> Converted:
    """As the service does it."""
    return await conversion.convert(source, out, Ffmpeg(packages_dir or load().packages_dir))


def voice(rate_hz: int, seconds: float = 2.0, loud: float = 0.05) -> Samples:
    """A tone of 440 Hz that comes and goes, four times a second, as syllables do."""
    at = np.arange(round(rate_hz * seconds)) / rate_hz
    return (loud * np.sin(2 * np.pi * 440 * at) * (0.6 + 0.4 * np.sin(8 * np.pi * at))).astype(np.float32)


def read(path: Path) -> tuple[int, Samples]:
    """Rate and samples of a file that must be mono, 16 bit."""
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2") / np.float32(32768)
        return file.getframerate(), np.asarray(samples, np.float32)


def names(folder: Path) -> list[str]:
    """What is in a folder."""
    return sorted(path.name for path in folder.iterdir())


def pitch_hz(samples: Samples, rate_hz: int) -> float:
    """Where its spectrum is the highest."""
    return float(np.fft.rfftfreq(samples.size, 1 / rate_hz)[np.argmax(np.abs(np.fft.rfft(samples)))])


@pytest.mark.parametrize(
    ("kind", "subtype", "rate_hz", "channels"),
    [
        ("WAV", "PCM_16", 44100, 2),
        ("WAV", "FLOAT", 48000, 1),
        ("WAV", "ALAW", 8000, 1),
        ("MP3", "MPEG_LAYER_III", 44100, 2),
        ("OGG", "VORBIS", 44100, 1),
        ("OGG", "OPUS", 48000, 1),
        ("FLAC", "PCM_24", 96000, 2),
        ("AIFF", "PCM_16", 22050, 1),
    ],
)
async def test_common_formats_keep_length_pitch_and_get_one_loudness(
    tmp_path: Path, kind: str, subtype: str, rate_hz: int, channels: int
) -> None:
    """At 8 kHz, and at 16 kHz where the source has so much."""
    source, out = tmp_path / "upload", tmp_path / "prompt"
    sound = np.repeat(voice(rate_hz)[:, None], channels, axis=1)
    soundfile.write(source, sound, rate_hz, format=kind, subtype=subtype)
    made = await convert(source, out)
    assert made.length_s == pytest.approx(2.0, abs=0.1)  # MP3 fills its last frame
    assert made.wide == (rate_hz > 8000)
    files = {Path(f"{out}.wav"): 8000} | ({Path(f"{out}.wav16"): 16000} if made.wide else {})
    for file, wanted_hz in files.items():
        rate, samples = read(file)
        assert rate == wanted_hz
        assert pitch_hz(samples, rate) == pytest.approx(440, abs=2)
        assert loudness_db(samples, rate) == pytest.approx(TARGET_DB, abs=0.5)
    assert names(tmp_path) == sorted(["upload", *(f.name for f in files)])


@pytest.mark.parametrize(
    ("name", "codec"), [("memo.m4a", "aac"), ("browser.webm", "libopus"), ("old.wma", "wmav2")]
)
async def test_what_phones_and_browsers_record_goes_through_ffmpeg(
    tmp_path: Path, name: str, codec: str
) -> None:
    """Formats that libsndfile does not read; a file that only begins like one is no sound."""
    plain, source = tmp_path / "plain.wav", tmp_path / name
    soundfile.write(plain, voice(48000), 48000)
    program = await Ffmpeg(load().packages_dir).argv()
    await asyncio.to_thread(
        subprocess.run, [*program, "-v", "error", "-i", str(plain), "-c:a", codec, str(source)], check=True
    )
    made = await convert(source, tmp_path / "prompt")
    assert made.length_s == pytest.approx(2.0, abs=0.1)
    rate, samples = read(tmp_path / "prompt.wav16")
    assert pitch_hz(samples, rate) == pytest.approx(440, abs=2)
    assert loudness_db(samples, rate) == pytest.approx(TARGET_DB, abs=0.5)
    source.write_bytes(source.read_bytes()[:100] + b"x" * 4000)
    with pytest.raises(BadSound, match="no sound"):
        await convert(source, tmp_path / "other")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no sound"),
        (b"hello", "no sound"),
        (b"RIFF\xff\xff\xff\xffWAVEfmt ", "no sound"),
        (b"ID3\x03" + bytes(5000), "no sound"),
        (b"OggS" + bytes(range(256)) * 40, "no sound"),
        (b"#EXTM3U\nfile:///etc/passwd\n", "no sound"),
    ],
    ids=["empty", "text", "cut off", "mp3", "ogg", "playlist"],
)
async def test_what_is_no_sound_is_refused(tmp_path: Path, data: bytes, said: str) -> None:
    """With a word what to do; nothing is left of it."""
    (tmp_path / "upload").write_bytes(data)
    with pytest.raises(BadSound, match=said):
        await convert(tmp_path / "upload", tmp_path / "prompt", tmp_path / "no packages")
    assert names(tmp_path) == ["upload"]


async def test_silence_and_length_are_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A microphone that was off, a recording of an hour, a file without samples."""
    source, out = tmp_path / "upload", tmp_path / "prompt"
    soundfile.write(source, np.zeros(8000), 8000, format="WAV")
    with pytest.raises(BadSound, match="nothing can be heard"):
        await convert(source, out)
    soundfile.write(source, np.zeros(0), 8000, format="WAV")
    with pytest.raises(BadSound, match="empty"):
        await convert(source, out)
    # Ten minutes of a tone are 300 kB as FLAC: size says nothing of length.
    soundfile.write(source, np.tile([0.1, -0.1], 8000 * 301), 8000, format="FLAC")
    assert source.stat().st_size < 3_000_000
    with pytest.raises(BadSound, match="longer than 10 minutes"):
        await convert(source, out)


async def test_a_decoder_that_hangs_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The deadline ends it: the file is as good as none."""
    source = tmp_path / "upload"
    os.mkfifo(source)  # whoever opens it waits for ever
    monkeypatch.setattr(conversion, "DEADLINE_S", 3.0)
    with pytest.raises(BadSound, match="no sound"):
        await convert(source, tmp_path / "prompt")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(loud=st.floats(0.025, 1.0), rate_hz=st.sampled_from([8000, 16000]))
def test_every_prompt_is_as_loud_as_the_next(loud: float, rate_hz: int) -> None:
    """From a quiet voice to a shout, 32 dB; nothing is clipped."""
    made = evened(voice(rate_hz, loud=loud), rate_hz)
    assert made is not None
    assert np.abs(made).max() <= PEAK + 1e-6
    assert loudness_db(made, rate_hz) == pytest.approx(TARGET_DB, abs=0.3)


def test_pauses_do_not_make_a_prompt_louder() -> None:
    """Words with long pauses between them are as loud as words without."""
    words = voice(8000)
    rests = np.concatenate([words, np.zeros(40_000, np.float32), words])
    assert loudness_db(rests, 8000) == pytest.approx(loudness_db(words, 8000), abs=0.5)


def test_a_click_keeps_its_height() -> None:
    """What has a loud peak stays below full scale, quieter than the rest rather than clipped."""
    sound = voice(8000, loud=0.01)
    sound[100] = 0.9
    made = evened(sound, 8000)
    assert made is not None
    assert np.abs(made).max() == pytest.approx(PEAK)
    assert evened(np.zeros(8000, np.float32), 8000) is None
