"""The files of recordings, wherever they are: read, sent away, deleted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dialer.errors import NotFound, StoreUnavailable
from dialer.said import told
from dialer.settings import Settings
from dialer.vault.store import Store

#: Read from the disk at once, bytes.
PIECE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Kept:
    """Where the file of a recording is."""

    #: below the folder; in a store the key
    path: str
    #: of the store that has it: bucket, or bucket/prefix; None: it is on the disk alone
    place: str | None = None


@dataclass(slots=True)
class Vault:
    """The folder that Asterisk writes to and, if there is one, the store that files are moved to."""

    folder: Path
    settings: Settings | None = None
    _stores: dict[str, Store] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings) -> Vault:
        """Of this installation."""
        return cls(settings.recording_dir, settings)

    @classmethod
    def at(cls, where: Path | Vault) -> Vault:
        """A folder alone is one without a store."""
        return where if isinstance(where, Vault) else cls(where)

    @property
    def store(self) -> Store | None:
        """The store that files are moved to; None: they stay on the disk."""
        place = self.settings.recordings_place if self.settings is not None else None
        return self.store_at(place) if place is not None else None

    def store_at(self, place: str) -> Store:
        """The store that has files of this place. Raises StoreUnavailable where we have no key for one."""
        known = self._stores.get(place)
        if known is None:
            if self.settings is None or self.settings.recordings_place is None:
                raise StoreUnavailable(
                    reason=told("it is set no more: {name}", name="DOZVON_RECORDINGS_S3_BUCKET")
                )
            self._stores[place] = known = Store(self.settings, place)
        return known

    def here(self, path: str) -> Path | None:
        """The file on the disk, if it is one and lies below the folder, whatever the row says."""
        root = self.folder.resolve()
        file = (root / path).resolve()
        return file if file.is_relative_to(root) and file.is_file() else None

    async def open(self, kept: Kept) -> Path | Stored:
        """The file, to be sent in parts. Raises NotFound, StoreUnavailable."""
        if (file := await asyncio.to_thread(self.here, kept.path)) is not None:
            return file
        if kept.place is None:
            raise NotFound(what="file of the recording", key=kept.path)
        store = self.store_at(kept.place)
        return Stored(store, kept.path, await store.size(kept.path))

    async def read(self, kept: Kept) -> AsyncIterator[bytes]:
        """The whole file in pieces. Raises NotFound, StoreUnavailable."""
        found = await self.open(kept)
        if isinstance(found, Stored):
            async for piece in found.read(0, found.size):
                yield piece
            return
        source = await asyncio.to_thread(found.open, "rb")
        try:
            while piece := await asyncio.to_thread(source.read, PIECE):
                yield piece
        finally:
            await asyncio.to_thread(source.close)

    async def delete(self, kept: Kept) -> None:
        """Remove the file, in the store and on the disk. Raises OSError, StoreUnavailable."""
        if kept.place is not None:
            await self.store_at(kept.place).delete(kept.path)
        if (file := await asyncio.to_thread(self.here, kept.path)) is not None:
            await asyncio.to_thread(file.unlink, missing_ok=True)


@dataclass(frozen=True, slots=True)
class Stored:
    """A file in a store, of which parts can be read."""

    store: Store
    key: str
    size: int

    def read(self, begin: int, end: int) -> AsyncIterator[bytes]:
        """The bytes from `begin` to before `end`, in pieces. Raises NotFound, StoreUnavailable."""
        return self.store.read(self.key, begin, end)
