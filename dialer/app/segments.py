"""The parts of fields, segments and grids: their routes, what serves them, and what keeps them."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from dialer.contacts import fields_http, segments_http
from dialer.contacts.fields_service import FieldService
from dialer.contacts.keeping import Keeper
from dialer.contacts.segments_service import SegmentService
from dialer.db.listen import JOBS, Listener
from dialer.db.session import Database

ROUTES = (fields_http.routes, segments_http.routes)


def services(database: Database) -> dict[web.AppKey[Any], object]:
    """What the routes ask."""
    return {
        fields_http.FIELDS: FieldService(database),
        segments_http.SEGMENTS: SegmentService(database),
    }


def keeper(database: Database, listener: Listener) -> Keeper:
    """The task of the jobs process; it is woken with the others."""
    made = Keeper(database)
    listener.subscribe(JOBS, lambda _note: made.wake())
    return made
