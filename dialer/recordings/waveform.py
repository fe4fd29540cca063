"""What is read of a recording's file: its digest, and how loud it is along its length.

Both read the whole file: they are for threads. An hour of talk is 58 MB: its digest takes a fifth of a second
of one core, its peaks two thirds.
"""

from __future__ import annotations

import hashlib
import sys
from array import array
from pathlib import Path
from typing import Final

#: How finely the length is shown: as many points as a wide page has for it.
POINTS: Final = 1000
#: 44 bytes of header, then 16-bit samples.
HEADER: Final = 44
#: Samples that are read at once.
PIECE: Final = 1 << 16
LOUDEST: Final = 32768


def digest(file: Path) -> str:
    """The SHA-256 of the file, hex. Raises OSError."""
    with file.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def peaks(file: Path, points: int = POINTS) -> bytes:
    """The loudest sample of each of `points` equal parts of a 16-bit WAV, 0 to 255; of a file with fewer
    samples, each sample's. Raises OSError."""
    samples = max(0, file.stat().st_size - HEADER) // 2
    points = min(points, samples)
    found = bytearray()
    with file.open("rb") as source:
        source.seek(HEADER)
        for point in range(points):
            left = samples * (point + 1) // points - samples * point // points
            loudest = 0
            while left > 0 and (data := source.read(2 * min(left, PIECE))):
                piece = array("h", data[: len(data) // 2 * 2])
                if sys.byteorder == "big":
                    piece.byteswap()
                loudest = max(loudest, max(piece, default=0), -min(piece, default=0))
                left -= len(piece)
            found.append(min(255, loudest * 256 // LOUDEST))
    return bytes(found)
