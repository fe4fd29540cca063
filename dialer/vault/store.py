"""An S3-compatible store of files: Amazon's, MinIO, Ceph, Garage and others of that protocol.

All that is asked has a deadline; what goes wrong is StoreUnavailable with a reason, which never has a
credential in it. Files are read in pieces, each a question of its own: a long file needs no long patience.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from dialer.errors import NotFound, StoreUnavailable
from dialer.said import told
from dialer.settings import Settings

if TYPE_CHECKING:
    from obstore.store import ClientConfig

#: Read at once, bytes; written at once.
PIECE: Final = 8 << 20
#: Until there is a connection; until an answer has come, which brings or takes a piece. Seconds.
CONNECT_S, ANSWER_S = 5.0, 60.0
#: A lost packet is no lost store: the same is asked again by itself so often, for so long (seconds).
TRIES, TRY_S = 2, 20.0
#: What a store says that does not like our key: its code.
REFUSES: Final = re.compile(r"AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|\b40[13]\b")
_CODE = re.compile(r"<Code>([A-Za-z]{1,60})</Code>")


@dataclass(frozen=True, slots=True)
class Found:
    """A file as the store gives it back."""

    size: int
    #: hex
    sha256: str


class Store:
    """The files of one place, which is a bucket, or a bucket and a prefix: `talks/dozvon`."""

    def __init__(self, settings: Settings, place: str, *, answer_s: float = ANSWER_S) -> None:
        #: kept with each file that is moved there: where it is stays known when the settings change
        self.place = place
        bucket, _, prefix = place.partition("/")
        key, secret = settings.recordings_s3_key, settings.recordings_s3_secret
        assert key is not None
        assert secret is not None
        endpoint = settings.recordings_s3_endpoint
        self._store = S3Store(
            bucket,
            prefix=prefix or None,
            config={
                "region": settings.recordings_s3_region,
                "access_key_id": key.get_secret_value(),
                "secret_access_key": secret.get_secret_value(),
                **({"endpoint": endpoint.rstrip("/")} if endpoint else {}),
            },
            client_options={
                "allow_http": endpoint is not None and endpoint.startswith("http:"),
                "connect_timeout": timedelta(seconds=min(CONNECT_S, answer_s)),
                "timeout": timedelta(seconds=answer_s),
                **_authority(settings.recordings_s3_ca),
            },
            retry_config={"max_retries": TRIES, "retry_timeout": timedelta(seconds=TRY_S)},
        )

    async def put(self, file: Path, key: str) -> None:
        """Write a file, in place of one of that key. Raises StoreUnavailable; OSError of our own disk."""
        with file.open("rb") as source, _told():
            await obstore.put_async(self._store, key, source, chunk_size=PIECE, max_concurrency=2)

    async def size(self, key: str) -> int:
        """Bytes of a file. Raises NotFound, StoreUnavailable."""
        with _told(key):
            return int((await obstore.head_async(self._store, key))["size"])

    async def read(self, key: str, begin: int, end: int) -> AsyncIterator[bytes]:
        """The bytes from `begin` to before `end`, in pieces. Raises NotFound, StoreUnavailable."""
        while begin < end:
            with _told(key):
                until = min(end, begin + PIECE)
                piece = bytes(await obstore.get_range_async(self._store, key, start=begin, end=until))
            if not piece:
                raise StoreUnavailable(reason="it gives less than the whole file")
            begin += len(piece)
            yield piece

    async def found(self, key: str) -> Found:
        """A file, read from its first byte to its last. Raises NotFound, StoreUnavailable."""
        digest, size = hashlib.sha256(), await self.size(key)
        async for piece in self.read(key, 0, size):
            digest.update(piece)
        return Found(size, digest.hexdigest())

    async def delete(self, key: str) -> None:
        """Remove a file; that there is none is no error. Raises StoreUnavailable."""
        try:
            with _told(key):
                await obstore.delete_async(self._store, key)
        except NotFound:
            pass


def _authority(file: Path | None) -> ClientConfig:
    """The option by which a store of one's own is believed."""
    if file is None:
        return {}
    try:
        return {"root_certificate": file.read_bytes()}
    except OSError as error:
        raise StoreUnavailable(
            reason=told("{file} cannot be read ({why})", file=str(file), why=str(error.strerror))
        ) from None


@contextmanager
def _told(key: str = "") -> Iterator[None]:
    """What goes wrong inside, in our words: those of the store may name our key."""
    try:
        yield
    except FileNotFoundError as error:
        if key and "NoSuchBucket" not in str(error):
            raise NotFound(what="file in the store of recordings", key=key) from None
        raise StoreUnavailable(reason="there is no such bucket") from None
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise _refused(error) from None
    except (BaseError, OSError, ValueError) as error:
        if REFUSES.search(str(error)):
            raise _refused(error) from None
        if code := _code(error):
            raise StoreUnavailable(reason=told("it says {code}", code=code)) from None
        raise StoreUnavailable(reason="it does not answer") from None


def _refused(error: Exception) -> StoreUnavailable:
    return StoreUnavailable(reason=told("it refuses the key ({code})", code=_code(error) or "403"))


def _code(error: Exception) -> str:
    """What the store has called it: one word of its own; empty: nothing."""
    found = _CODE.search(str(error))
    return found[1] if found else ""
