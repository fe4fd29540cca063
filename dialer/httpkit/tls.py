"""https by the server itself: its certificate, read again when its file is another one."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from dialer.errors import SettingsError
from dialer.settings import Settings

log = structlog.stdlib.get_logger(__name__)

#: Between two looks at the files: who renews certificates puts new ones in their place, and tells nobody.
LOOK_S: Final = 60.0


@dataclass(slots=True)
class Certificate:
    """A certificate with its key, for the connections that come."""

    certificate: Path
    key: Path
    context: ssl.SSLContext = field(init=False)
    _stamp: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.read()

    @classmethod
    def of(cls, settings: Settings) -> Certificate | None:
        """The one that the settings name, if any. Raises SettingsError."""
        if settings.tls_certificate is None or settings.tls_key is None:
            return None
        return cls(settings.tls_certificate, settings.tls_key)

    def read(self) -> bool:
        """Read it where it has changed; whether it had. Raises SettingsError for one that cannot be used: the
        one before it stays."""
        try:
            stamp = (self.certificate.stat().st_mtime, self.key.stat().st_mtime)
            if stamp == self._stamp:
                return False
            # Tried on a context of its own: half of a new pair must not replace half of the old one.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.certificate, self.key)
            self.context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(
                setting="DOZVON_TLS_CERTIFICATE",
                reason=f"{self.certificate} with the key {self.key} cannot be used: {error}",
            ) from None
        self._stamp = stamp
        return True

    async def keep(self) -> None:
        """Follow the files until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                if self.read():
                    log.info("certificate_read", file=str(self.certificate))
            except SettingsError as error:  # it may be half written: looked at again
                log.warning("certificate_not_read", reason=str(error))
