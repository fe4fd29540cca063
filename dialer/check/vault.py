"""Looks at the store of recordings: writes, reads and deletes a small file there."""

from __future__ import annotations

import tempfile
from pathlib import Path
from secrets import token_hex

from dialer.check.model import Findings, fail, ok
from dialer.errors import NotFound, StoreUnavailable
from dialer.settings import Settings
from dialer.vault.store import Store

NAME = "store"
#: The store is asked for no longer, seconds.
ANSWER_S = 10.0


async def look(settings: Settings) -> Findings:
    """One line, if there is a store."""
    place = settings.recordings_place
    if place is None:
        return
    where = f"{place} at {settings.recordings_s3_endpoint or 'Amazon'}"
    store, key = Store(settings, place, answer_s=ANSWER_S), f".check-{token_hex(8)}"
    try:
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"dozvon check")
            file.flush()
            await store.put(Path(file.name), key)
        whole = (await store.found(key)).size == len(b"dozvon check")
        await store.delete(key)
    except StoreUnavailable as error:
        reason = str(error.details["reason"])
        yield fail(NAME, f"{where}: {reason}", _mend(reason))
    except NotFound:
        yield fail(NAME, f"{where} does not give back what it has taken", "look into the store's own log")
    else:
        if whole:
            yield ok(NAME, f"{where} takes, gives and deletes files")
        else:
            yield fail(NAME, f"{where} gives back other bytes", "look into the store's own log")


def _mend(reason: str) -> str:
    if "bucket" in reason.lower():
        return "make the bucket, or set DOZVON_RECORDINGS_S3_BUCKET to one that is there"
    if "key" in reason:
        return (
            "set DOZVON_RECORDINGS_S3_KEY and _SECRET to a key that may read, write and delete there, and "
            "DOZVON_RECORDINGS_S3_REGION to the store's region"
        )
    return "set DOZVON_RECORDINGS_S3_ENDPOINT to the store's address, and see that this machine reaches it"
