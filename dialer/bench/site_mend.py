"""Waiting for a site to work again, where a part of the server may have fallen by itself.

A site has nobody who starts the server's processes again, as `dozvon serve` does: one that falls is a
finding, and the row's next run needs it all the same.
"""

from __future__ import annotations

import asyncio

from dialer.bench.site import NotInTime, Site
from dialer.errors import ProcessFell


async def until_working(site: Site, within_s: float) -> str:
    """Wait until agents are back and calls are made; what was wrong, in words (nothing: all well).

    What has fallen is started again. Raises NotInTime when that does not help either.
    """
    try:
        await _working(site, within_s)
    except (NotInTime, ProcessFell) as error:
        for part in (site.engine, site.web):
            if part.pid is None:
                await part.start()
        await site.until_working(within_s)
        return str(error)
    return ""


async def _working(site: Site, within_s: float) -> None:
    waiting = asyncio.create_task(site.until_working(within_s))
    fallen = {asyncio.create_task(part.gone(within_s)): part for part in (site.engine, site.web)}
    try:
        await asyncio.wait({waiting, *fallen}, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            for part in fallen.values():
                if part.pid is None:
                    raise ProcessFell(part.name, "it has ended", part.last_words())
        await waiting
    finally:
        for task in (waiting, *fallen):
            task.cancel()
        await asyncio.gather(waiting, *fallen, return_exceptions=True)
