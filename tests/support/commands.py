"""`dozvon` as a process of its own, as people run it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping

from dialer.settings import load


async def dozvon(*words: str, env: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Run `dozvon` with these words to its end: its exit status and what it said on stdout.

    `env` is beside our own environment. Packages are unpacked where this run has them.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "dialer", *words),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "DOZVON_CACHE_DIR": str(load().packages_dir), **(env or {})},
    )
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, said.decode()
