"""The keys under which the application and its requests keep what every http.py needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from dialer.httpkit.access import Actor
from dialer.settings import Settings

if TYPE_CHECKING:
    from dialer.db.session import Database

SETTINGS = web.AppKey("settings", Settings)
DATABASE: web.AppKey[Database] = web.AppKey("database")

#: Id of the request: in the log, in the reply's X-Request-Id, in a problem of status 500.
REQUEST_ID = web.RequestKey("request_id", str)
#: Who asks; absent before a log-in.
ACTOR = web.RequestKey("actor", Actor)
#: The CSRF token of the browser's session; absent for API tokens and before a log-in.
CSRF = web.RequestKey("csrf", str)
#: The language of the reply.
LOCALE = web.RequestKey("locale", str)
