"""One of each of what is kept under a name and named by flows."""

from __future__ import annotations

from aiohttp import web

from dialer.destinations.http import DESTINATIONS
from dialer.hosts.http import HOSTS
from dialer.hours.http import HOURS
from dialer.offers.http import OFFERS
from support.flow_pages import BOSS


async def kept_things(app: web.Application) -> None:
    """Hours `Salon`, a Russian offer at `after`, the host `crm.example.org` with its secret, a number and a
    phone under names."""
    week = {"mon-fri": "09:00-13:00, 14:00-18:00", "sat": "24h"}
    exceptions = {"2026-12-31": "closed"}
    await app[HOURS].add(
        BOSS, {"name": "Salon", "week": week, "exceptions": exceptions, "holidays": "RU", "zone": ""}
    )
    offer = {"place": "after", "name": "Tyres", "text_ru": "Шины", "text_en": "", "active": True}
    await app[OFFERS].add(BOSS, {**offer, "active_from": None, "active_until": None, "position": 100})
    secret = {"header": "X-Api-Key", "secret": "s3cret-word"}
    await app[HOSTS].add(BOSS, {"host": "crm.example.org", "inside": False, **secret})
    for name, kind, value in (("Head office", "number", "+74957770199"), ("Guard", "phone", "guard-1")):
        await app[DESTINATIONS].add(BOSS, {"name": name, "kind": kind, "value": value})
