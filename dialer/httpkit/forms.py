"""Forms as browsers send them, read without trust."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from multidict import MultiMapping

from dialer.errors import BadRequest


async def read_form(request: web.Request) -> MultiMapping[Any]:
    """The fields and files of a form. Raises BadRequest for a body that is none, TooLarge as aiohttp does.

    aiohttp raises a ValueError for parts without their boundary, for bytes that are not of the charset, a
    LookupError for a charset that nobody knows.
    """
    try:
        return await request.post()
    except (ValueError, LookupError):
        raise BadRequest(reason="the form cannot be read") from None
