"""An installation as a command of a person finds it: with its server running, or lying still.

Where the server runs, its parts are used as they are. Where it does not, the parts that a command needs are
started for it and stopped after it; what a killed server has left running is used and left running. A server
cannot start meanwhile: its parts would be stopped under it.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType

from dialer.asterisk.config import ManagedAsterisk
from dialer.asterisk.runtime import check_ports
from dialer.db.embedded import EmbeddedPostgres, Urls
from dialer.db.session import Database
from dialer.debian import packages
from dialer.debian.packages import Progress
from dialer.errors import SettingsError
from dialer.managed import asterisk_of
from dialer.processes import LOCK, only_one
from dialer.settings import Settings


class Installation:
    """Use it as a context; nothing is started before it is asked for."""

    def __init__(self, settings: Settings, progress: Progress = packages.silent) -> None:
        self.settings = settings
        #: Whether the server of this data folder runs.
        self.served = False
        #: What was started for us, by its name.
        self.started: list[str] = []
        self._progress = progress
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Installation:
        made = not self.settings.data_dir.exists()
        self.settings.writable_data_dir()
        try:
            self._stack.enter_context(only_one(self.settings.data_dir))
            if made:
                self._stack.callback(_unmake, self.settings.data_dir)
        except SettingsError:
            self.served = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def database(self) -> Urls:
        """The addresses of the database; the embedded one is started if need be.

        Raises SettingsError, PartMissing, DatabaseUnavailable; an external one is not asked whether it is
        there.
        """
        chosen = self.settings
        if chosen.database_url is not None:
            if chosen.database_owner_url is None:
                raise SettingsError(
                    setting="DOZVON_DATABASE_OWNER_URL",
                    reason="is needed with DOZVON_DATABASE_URL, for migrations",
                )
            return Urls(
                app=chosen.database_url.get_secret_value(),
                owner=chosen.database_owner_url.get_secret_value(),
            )
        postgres = EmbeddedPostgres(chosen.data_dir)
        if not self.served and postgres.pid is None:
            self._progress("PostgreSQL: starting the embedded one")
            self._stack.push_async_callback(postgres.stop)
            self.started.append("PostgreSQL")
        return await postgres.start()

    async def asterisk(self, database: Database | None) -> None:
        """See that the managed Asterisk runs, with the phones and trunks of `database` (None: with none).

        Raises PartMissing, SettingsError, AsteriskUnavailable. Nothing is done for an external one.
        """
        if self.settings.asterisk != "managed" or self.served:
            return
        server = await asterisk_of(self.settings, database, self._progress)
        if server.pid is None:
            check_ports(ManagedAsterisk.of(self.settings))
            self._progress(f"Asterisk {server.binary.version}: starting it")
            self._stack.push_async_callback(server.stop)
            self.started.append("Asterisk")
        await server.start()


@contextlib.asynccontextmanager
async def database_of(settings: Settings, progress: Progress) -> AsyncIterator[Database]:
    """The database of an installation, as the server sees it, for a command that migrates nothing. Raises
    SettingsError, PartMissing, DatabaseUnavailable."""
    async with contextlib.AsyncExitStack() as stack:
        if settings.database_url is not None:  # nothing is migrated: the owner's address is not needed
            url = settings.database_url.get_secret_value()
        else:
            here = await stack.enter_async_context(Installation(settings, progress))
            url = (await here.database()).app
        database = Database.open(url, pool=1)
        stack.push_async_callback(database.close)
        yield database


def _unmake(data_dir: Path) -> None:
    """Take a folder away again that was made for us, where it has nothing but the lock, which is ours."""
    if [one.name for one in data_dir.iterdir()] == [LOCK]:
        (data_dir / LOCK).unlink()
        data_dir.rmdir()
