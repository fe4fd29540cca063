"""Files that people send: taken in pieces, under a name of their own, until they are queued or gone."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from dialer.errors import TooLarge

#: Most bytes of a file: some four million rows.
MAX_FILE_BYTES = 1 << 30
MAX_FILENAME = 200
#: An upload that has not grown for so long is nobody's.
ABANDONED_AFTER_S = 24 * 3600.0
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that has come whole."""

    #: SHA-256, hex
    fingerprint: str
    #: by its line ends: a quoted cell with line breaks counts for more than one
    about_rows: int


@asynccontextmanager
async def spooled(folder: Path, chunks: AsyncIterator[bytes]) -> AsyncIterator[tuple[Path, Upload]]:
    """The file in `folder` under a name of its own; removed unless it was renamed. Raises TooLarge."""
    await asyncio.to_thread(_prepare, folder)
    path = folder / f"{uuid4()}.part"
    try:
        yield path, await _spool(path, chunks)
    finally:
        await asyncio.to_thread(path.unlink, missing_ok=True)


def _prepare(folder: Path) -> None:
    """The folder of files under way, without what a killed server left of uploads: it is people's data."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for part in folder.glob("*.part"):
        with contextlib.suppress(FileNotFoundError):  # another upload has just ended
            if time.time() - part.stat().st_mtime > ABANDONED_AFTER_S:
                part.unlink()


async def _spool(path: Path, chunks: AsyncIterator[bytes]) -> Upload:
    digest, size, lines = hashlib.sha256(), 0, 0
    file = await asyncio.to_thread(path.open, "xb")
    try:
        async for chunk in chunks:
            size += len(chunk)
            if size > MAX_FILE_BYTES:
                raise TooLarge(limit=MAX_FILE_BYTES)
            digest.update(chunk)
            lines += chunk.count(b"\n")
            await asyncio.to_thread(file.write, chunk)
    finally:
        await asyncio.to_thread(file.close)
    return Upload(digest.hexdigest(), max(1, lines - 1))


async def pieces(path: Path) -> AsyncIterator[bytes]:
    """A file of this machine as it comes from elsewhere. Raises OSError."""
    file = await asyncio.to_thread(path.open, "rb")
    try:
        while chunk := await asyncio.to_thread(file.read, _CHUNK):
            yield chunk
    finally:
        await asyncio.to_thread(file.close)


def plain_filename(name: str) -> str:
    """The last part of a path, without control characters: it is shown, never opened."""
    last = re.split(r"[\\/]", name)[-1]
    return re.sub(r"[\x00-\x1f\x7f]", "", last)[:MAX_FILENAME].strip() or "contacts.csv"
