"""The parts that keep a base of contacts good: dead numbers, duplicates, cleaning."""

from __future__ import annotations

from typing import Any, Protocol

from aiohttp import web

from dialer.contacts import cleaning_http, dead_numbers_http, duplicates_http
from dialer.contacts.cleaning_service import Cleaning, CleaningService
from dialer.contacts.dead_numbers_service import DeadNumberSearch, DeadNumberService
from dialer.contacts.duplicates_search import DuplicateSearch
from dialer.contacts.duplicates_service import DuplicateService
from dialer.db.session import Database
from dialer.settings import Settings

ROUTES = (dead_numbers_http.routes, duplicates_http.routes, cleaning_http.routes)


class Job(Protocol):
    """Long work that begins again and again."""

    async def run(self) -> None:
        """Until cancelled."""


def services(database: Database, settings: Settings) -> dict[web.AppKey[Any], object]:
    """What the routes and pages ask."""
    return {
        dead_numbers_http.DEAD_NUMBERS: DeadNumberService(database, settings),
        duplicates_http.DUPLICATES: DuplicateService(database, settings),
        cleaning_http.CLEANING: CleaningService(database),
    }


def jobs(database: Database) -> tuple[Job, ...]:
    """What the process for long work does."""
    return (DeadNumberSearch(database), DuplicateSearch(database), Cleaning(database))
