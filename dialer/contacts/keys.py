"""Where the routes of this room find their service, and what they share."""

from __future__ import annotations

from aiohttp import web

from dialer.contacts.service import ContactService

CONTACTS = web.AppKey("contacts", ContactService)


def only(key: tuple[int, ...] | None) -> int | None:
    """The one part of a cursor that has one."""
    return key[0] if key else None
