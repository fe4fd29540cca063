"""The files of tenants' prompts: below the prompts folder, under names that the server makes."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from dialer.errors import TooLarge

#: Bytes of an uploaded file.
MOST_BYTES = 10_000_000
#: What of the prompts folder is the tenants'.
OWN = "own"
#: A file that no row names is swept when it is so old: a call may be playing it, or about to.
_SWEEP_AFTER_S = 24 * 3600.0


def new_path(folder: Path, tenant_id: int) -> str:
    """A path below the prompts folder, without an ending, for a new sound; its folder is made."""
    (folder / OWN / str(tenant_id)).mkdir(parents=True, exist_ok=True)
    return f"{OWN}/{tenant_id}/{uuid4()}"


@contextmanager
def arriving(folder: Path) -> Iterator[Path]:
    """A place on the same disk for a file that comes in; it is gone afterwards."""
    (folder / OWN).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".arriving-", dir=folder / OWN) as place:
        yield Path(place, "file")


async def take(path: Path, chunks: AsyncIterator[bytes]) -> str:
    """Write what comes to `path`; its SHA-256, hex. Raises TooLarge."""
    digest, size = hashlib.sha256(), 0
    file = await asyncio.to_thread(path.open, "xb")
    try:
        async for chunk in chunks:
            size += len(chunk)
            if size > MOST_BYTES:
                raise TooLarge(limit=MOST_BYTES)
            digest.update(chunk)
            await asyncio.to_thread(file.write, chunk)
    finally:
        await asyncio.to_thread(file.close)
    return digest.hexdigest()


def sweep(folder: Path, tenant_id: int, kept: frozenset[str]) -> None:
    """Remove files of the tenant that no row names any more."""
    old = time.time() - _SWEEP_AFTER_S
    for file in (folder / OWN / str(tenant_id)).glob("*.wav*"):
        name = file.relative_to(folder).with_suffix("").as_posix()
        if name not in kept and file.stat().st_mtime < old:
            file.unlink(missing_ok=True)
