"""Where the application keeps what only its pages need."""

from __future__ import annotations

from aiohttp import web

from dialer.reports.live import LiveService
from dialer.web.static_files import StaticFiles

FILES = web.AppKey("static_files", StaticFiles)
LIVE = web.AppKey("live", LiveService)
