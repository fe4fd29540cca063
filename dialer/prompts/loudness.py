"""How loud a prompt is, and one loudness for all of them: nobody should reach for the volume between two."""

from __future__ import annotations

import numpy as np

from dialer.asterisk.sound import Samples

#: Loudness of a prompt, dB below full scale: that of Asterisk's own sounds (their median).
TARGET_DB = -20.0
#: No more than this is added: a whisper in a noisy room becomes noise.
MOST_GAIN_DB = 20.0
#: The loudest sample that is left, of full scale.
PEAK = 0.95
#: Blocks that are quieter are silence, dB.
SILENCE_DB = -70.0
_BLOCK_S, _HOP_S, _GATE_DB = 0.4, 0.1, 10.0


def loudness_db(samples: Samples, rate_hz: int) -> float | None:
    """Mean power of what is not a pause, dB of full scale; None: nothing can be heard.

    Blocks of 400 ms, three quarters in common with the next, gated as in ITU-R BS.1770-5 (annex 1): first
    what is silent goes, then what is 10 dB below the mean of the rest. Without its filter of frequencies,
    which is for music in a room.
    """
    block, hop = round(_BLOCK_S * rate_hz), round(_HOP_S * rate_hz)
    padded = np.pad(samples.astype(np.float64), (0, max(0, block - samples.size)))
    sums = np.concatenate(([0.0], np.cumsum(padded**2)))
    starts = np.arange(0, padded.size - block + 1, hop)
    power = (sums[starts + block] - sums[starts]) / block
    power = power[power > 10 ** (SILENCE_DB / 10)]
    if not power.size:
        return None
    power = power[power > power.mean() * 10 ** (-_GATE_DB / 10)]
    return float(10 * np.log10(power.mean()))


def evened(samples: Samples, rate_hz: int) -> Samples | None:
    """The same at `TARGET_DB`, or as near as its loudest sample allows; None: nothing can be heard."""
    loud = loudness_db(samples, rate_hz)
    if loud is None:
        return None
    gain = 10 ** (min(TARGET_DB - loud, MOST_GAIN_DB) / 20)
    gain = min(gain, PEAK / float(np.abs(samples).max()))
    return (samples * gain).astype(np.float32)
