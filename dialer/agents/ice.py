"""Helpers on the way of a browser's voice: a STUN server, and a TURN server with a password of a day."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from dialer.settings import Settings

#: The longest shift; a talk whose password is over meanwhile goes on for as long as its TURN server lets it.
LASTS: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class IceServer:
    """One of them, as browsers take it (RTCIceServer)."""

    urls: str
    username: str | None = None
    credential: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class IceServers:
    """Those of the installation."""

    stun_url: str | None = None
    turn_url: str | None = None
    #: known to the TURN server too (coturn's static-auth-secret)
    turn_secret: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, settings: Settings) -> IceServers:
        """What the settings say."""
        secret = settings.turn_secret.get_secret_value() if settings.turn_secret else None
        return cls(settings.stun_url, settings.turn_url, secret)

    def for_user(self, user: str, now: datetime) -> list[IceServer]:
        """What this user's browser is given now.

        The password is HMAC-SHA1 of the name, which says until when it is good, by the shared secret ("A REST
        API for access to TURN services", draft-uberti-behave-turn-rest-00).
        """
        found = [IceServer(self.stun_url)] if self.stun_url else []
        if self.turn_url and self.turn_secret:
            name = f"{int((now + LASTS).timestamp())}:{user}"
            digest = hmac.new(self.turn_secret.encode(), name.encode(), hashlib.sha1).digest()
            found.append(IceServer(self.turn_url, name, base64.b64encode(digest).decode()))
        return found
