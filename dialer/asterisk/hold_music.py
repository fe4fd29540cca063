"""Hold music that is nobody's but ours: slow broken chords, computed once."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

#: Samples a second of everything that Asterisk plays on a telephone line.
RATE_HZ = 8000

#: Semitones from A (220 Hz) of four chords, each played as eight soft notes.
_CHORDS = ((0, 7, 12, 16), (-4, 3, 8, 12), (-9, 3, 7, 12), (-2, 5, 10, 14))
_NOTE_S = 0.4
_PEAK = 5000  # of 32767: in the background


def render_hold_music() -> bytes:
    """About 13 s of sound that ends where it begins: samples of 16 bits, little end first, 8 kHz mono."""
    per_note = int(_NOTE_S * RATE_HZ)
    notes = [chord[step] for chord in _CHORDS for step in (0, 1, 2, 3, 2, 1, 2, 3)]
    sound = np.zeros(per_note * len(notes))
    # Each note fades over four, the last ones into the beginning: repeated, it has no seam.
    time_s = np.arange(per_note * 4) / RATE_HZ
    envelope = np.minimum(time_s / 0.02, 1.0) * np.exp(-2.5 * time_s)
    for index, semitone in enumerate(notes):
        hertz = 220.0 * 2 ** (semitone / 12)
        tone = np.sin(2 * np.pi * hertz * time_s) + 0.3 * np.sin(4 * np.pi * hertz * time_s)
        places = (index * per_note + np.arange(tone.size)) % sound.size
        np.add.at(sound, places, tone * envelope)
    samples: bytes = (sound / np.abs(sound).max() * _PEAK).astype("<i2").tobytes()
    return samples


def write_hold_music(path: Path) -> None:
    """Write it as a WAV file, once."""
    if path.is_file():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    with wave.open(str(new), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(render_hold_music())
    new.replace(path)
