"""Argon2id, away from the event loop.

A hash takes tens of milliseconds and 64 MiB on purpose. Two threads do all of them, so that many log-ins at
once are slow instead of taking all memory, and nothing else waits for them.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

THREADS = 2


class Passwords:
    """Hashes and checks passwords."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="argon2")
        # Checked for a login that does not exist, so that it takes as long as one that does.
        self._nobody = self._hasher.hash("nobody has this password")

    async def hash(self, password: str) -> str:
        """The hash to keep, in PHC form with its parameters and salt."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._hasher.hash, password)

    async def check(self, kept: str | None, password: str) -> bool:
        """Whether it is the password; None (no such person) takes the same time and is False."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._check, kept, password)

    def _check(self, kept: str | None, password: str) -> bool:
        try:
            self._hasher.verify(kept or self._nobody, password)
        except (VerificationError, InvalidHashError):
            return False
        return kept is not None

    def is_old(self, kept: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(kept)

    def close(self) -> None:
        """Let the threads go."""
        self._pool.shutdown(wait=False, cancel_futures=True)
