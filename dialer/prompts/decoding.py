"""A program of its own that turns one uploaded file into sounds for Asterisk.

Files of strangers are read by libraries in C. What one of them does to the process, or how long it takes,
must not be the server's: here it has little memory, a minute of processor, and nothing to lose.

    python -m dialer.prompts.decoding SOURCE NARROW WIDE MOST_SECONDS
    {"seconds": 3.2, "wide": true} or {"wrong": "too-long"}
"""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path

#: What the process may have: bytes of address space (libraries take most of it), seconds of processor.
MEMORY_BYTES, CPU_S = 2_000_000_000, 60
#: Rates of the two files, Hz.
NARROW_HZ, WIDE_HZ = 8000, 16000
_BLOCK = 1 << 16


def main(source: Path, narrow: Path, wide: Path, most_s: float) -> dict[str, object]:
    """Do it; what is wrong with the file is told by a code of `dialer.prompts.conversion.WRONG`."""
    import numpy as np
    import soundfile
    import soxr

    from dialer.asterisk.sound import write_wav
    from dialer.prompts.loudness import evened

    pieces = []
    try:
        with soundfile.SoundFile(source) as file:
            rate_hz, frames = file.samplerate, 0
            if not 1000 <= rate_hz <= 384_000 or not 1 <= file.channels <= 32:
                return {"wrong": "unreadable"}
            while (block := file.read(_BLOCK, dtype="float32", always_2d=True)).size:
                frames += len(block)
                if frames > most_s * rate_hz:
                    return {"wrong": "too-long"}
                pieces.append(np.nan_to_num(block).mean(axis=1, dtype=np.float32))
    except soundfile.LibsndfileError:
        return {"wrong": "unreadable"}
    if not pieces:
        return {"wrong": "empty"}
    samples = np.concatenate(pieces)
    if rate_hz > WIDE_HZ:
        samples, rate_hz = np.asarray(soxr.resample(samples, rate_hz, WIDE_HZ), dtype=np.float32), WIDE_HZ
    loud = evened(samples, rate_hz) if samples.size else None
    if loud is None:
        return {"wrong": "silent"}
    seconds = write_wav(narrow, loud, rate_hz, line_hz=NARROW_HZ)
    if rate_hz > NARROW_HZ:
        write_wav(wide, loud, rate_hz, line_hz=WIDE_HZ)
    return {"seconds": seconds, "wide": rate_hz > NARROW_HZ}


if __name__ == "__main__":
    # One thread: others would take address space, and there is nothing for them to do.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), float(sys.argv[4]))))
