"""A managed Asterisk: the server's own, started before the engine and outliving it.

It is started in its own run folder and left running when the server dies, so that talks go on and the next
server takes them over; only a regular stop ends it.
"""

from __future__ import annotations

import structlog
from sqlalchemy import select

import asterisk_conf
from dialer.agents import people
from dialer.asterisk.browsers import endpoint_of
from dialer.asterisk.config import AgentPhone, ManagedAsterisk, TrunkLine, render_managed
from dialer.asterisk.runtime import AsteriskServer, find_asterisk
from dialer.db.session import Database
from dialer.db.tables import trunk
from dialer.debian import packages
from dialer.debian.packages import Progress
from dialer.settings import Settings

log = structlog.get_logger(__name__)

RELOAD = "module reload res_pjsip.so"


async def generated_files(settings: Settings, database: Database | None) -> dict[str, str]:
    """The files that say which phones and trunks there are, over all tenants; none without a database."""
    if database is None:
        return render_managed(ManagedAsterisk.of(settings), (), ())
    phones: list[AgentPhone] = []
    lines: list[TrunkLine] = []
    browsers: list[str] = []
    for tenant_id in await database.tenants():
        async with database.tenant(tenant_id) as conn:
            phones += [AgentPhone(*phone) for phone in await people.phones(conn, tenant_id)]
            browsers += map(endpoint_of, await people.at_browsers(conn, tenant_id))
            rows = await conn.execute(
                select(trunk).where(trunk.c.tenant_id == tenant_id, trunk.c.sip_host.is_not(None))
            )
            lines += [
                TrunkLine(
                    endpoint=row.endpoint,
                    host=row.sip_host,
                    port=row.sip_port or 5060,
                    user=row.sip_user,
                    secret=row.sip_secret,
                    codecs=tuple(row.codecs),
                    max_channels=row.max_channels,
                )
                for row in rows
            ]
    return render_managed(ManagedAsterisk.of(settings), phones, lines, browsers)


async def asterisk_of(
    settings: Settings, database: Database | None, progress: Progress = packages.silent
) -> AsteriskServer:
    """The installation's Asterisk, with its phones and trunks as the database has them; not started.

    Raises PartMissing where no Asterisk can be had.
    """
    binary = await find_asterisk(settings.packages_dir, progress)
    settings.prompts_dir.mkdir(parents=True, exist_ok=True)
    settings.recording_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    if settings.recordings_dir is None:
        # Our own folder, whoever made it before; one that was named is as open as its owner made it.
        settings.recording_dir.chmod(0o700)
    return AsteriskServer(
        binary,
        settings.data_dir / "asterisk",
        (asterisk_conf.FOLDER,),
        await generated_files(settings, database),
        listens=ManagedAsterisk.of(settings),
        language=settings.locale,
    )


class Renderer:
    """Brings a running Asterisk up to date with the phones and trunks in the database."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._server: AsteriskServer | None = None
        #: files were written that Asterisk has not read yet
        self._unread = False

    async def __call__(self) -> None:
        """Write the files anew and have Asterisk read them, if anything changed."""
        if self._server is None:
            self._server = await asterisk_of(self._settings, self._database)
        files = await generated_files(self._settings, self._database)
        self._unread = self._server.write_generated(files) or self._unread
        if self._unread:
            await self._server.cli(RELOAD)
            self._unread = False
            log.info("asterisk_reloaded")
