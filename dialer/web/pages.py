"""The pages: which address shows what. `add_pages(app)` is all that the application calls."""

from __future__ import annotations

from aiohttp import web

from dialer.errors import DatabaseFull, DatabaseUnavailable, DozvonError, Merged
from dialer.httpkit.access import Right
from dialer.httpkit.identity import page_actor
from dialer.httpkit.keys import DATABASE
from dialer.httpkit.problems import ERROR_PAGE, RETRY_AFTER_S
from dialer.reports.live import LiveService, Trouble
from dialer.web import phone
from dialer.web.keys import FILES, LIVE
from dialer.web.render import is_fragment, page
from dialer.web.segment_pages import SEGMENT_VIEWS
from dialer.web.static_files import StaticFiles
from dialer.web.views import (
    agents,
    alerts,
    board,
    callbacks,
    calls,
    campaigns,
    contact_refusals,
    contacts,
    desk,
    desk_person,
    desk_script,
    destinations,
    donotcall,
    door,
    flow_editor,
    flows,
    hosts,
    hours,
    imports,
    incoming,
    knowledge,
    lists,
    mappings,
    numbers,
    offers,
    pace,
    policies,
    prompts,
    quality,
    queue,
    queue_figures,
    queues,
    reasons,
    recordings,
    reviews,
    scripts,
    surveys,
    trunks,
    users,
    visits,
    voicemail,
    what_if,
    whynot,
)


def add_pages(app: web.Application) -> None:
    """Add all pages to an application that has the services of the features.

    Raises PartMissing when the front-end packages are not installed.
    """
    app[FILES] = StaticFiles()
    app[LIVE] = LiveService(app[DATABASE])
    app[ERROR_PAGE] = error_page
    app.router.add_get("/static/{name:[a-z0-9_./-]+}", app[FILES].serve, name="static")
    app.router.add_get("/favicon.ico", favicon)
    app.router.add_get("/", home)
    app.router.add_get("/status", status)
    for view in (
        door,
        quality,
        campaigns,
        pace,
        queue,
        queue_figures,
        queues,
        incoming,
        flows,
        flow_editor,
        scripts,
        numbers,
        hours,
        offers,
        hosts,
        destinations,
        reasons,
        donotcall,
        callbacks,
        calls,
        recordings,
        reviews,
        surveys,
        contacts,
        contact_refusals,
        lists,
        mappings,
        imports,
        agents,
        alerts,
        board,
        desk,
        desk_person,
        desk_script,
        trunks,
        policies,
        prompts,
        users,
        knowledge,
        visits,
        voicemail,
        what_if,
        whynot,
    ):
        app.router.add_routes(view.routes)
    phone.add(app)
    for more in SEGMENT_VIEWS:
        app.router.add_routes(more)


async def home(request: web.Request) -> web.StreamResponse:
    """Where one's work is."""
    actor = page_actor(request)
    for right, path in (
        (Right.CAMPAIGNS_RUN, "/campaigns"),
        (Right.REVIEWS_SCORE, "/reviews"),
        (Right.REPORTS_READ, "/board"),
    ):
        if actor.may(right):
            return web.Response(status=303, headers={"Location": path})
    return web.Response(status=303, headers={"Location": "/desk"})


async def favicon(request: web.Request) -> web.StreamResponse:
    """For browsers that ask without being told."""
    return web.Response(status=303, headers={"Location": request.app[FILES].url("icon.svg")})


async def status(request: web.Request) -> web.StreamResponse:
    """What keeps the server from calling; empty when all is well."""
    page_actor(request)
    return await page(request, "parts/status.html", troubles=await request.app[LIVE].troubles())


async def error_page(request: web.Request, error: DozvonError, title: str, detail: str) -> web.StreamResponse:
    """An error, for a person: a page, or a notice on the page that asked for a part."""
    code = error.status
    if isinstance(error, DatabaseUnavailable):
        return await _without_database(request, error)
    if is_fragment(request):
        return await page(
            request,
            "parts/notice.html",
            status=code,
            headers={"HX-Retarget": "#notices", "HX-Reswap": "beforeend"},
            text=detail,
        )
    merged = error.details["merged_into"] if isinstance(error, Merged) else None
    return await page(
        request, "error.html", status=code, code=code, title=title, detail=detail, merged=merged
    )


async def _without_database(request: web.Request, error: DatabaseUnavailable) -> web.StreamResponse:
    """What is away, what goes on all the same and what to do; looked at, the page comes back by itself.

    A part of a page becomes the strip on top, once, however many parts ask; what a person wanted to be done
    is answered with a notice, since it was not done.
    """
    kind = "disk_full" if isinstance(error, DatabaseFull) else "database_down"
    trouble = Trouble(kind, request.app[DATABASE].silent_since)
    looked = request.method in {"GET", "HEAD"}
    headers = {"Retry-After": str(RETRY_AFTER_S)}
    if not is_fragment(request):
        return await page(
            request, "away.html", status=error.status, headers=headers, trouble=trouble, looked=looked
        )
    if looked:
        headers |= {"HX-Retarget": "#status", "HX-Reswap": "morph:innerHTML"}
        return await page(
            request, "parts/status.html", status=error.status, headers=headers, troubles=[trouble]
        )
    headers |= {"HX-Retarget": "#notices", "HX-Reswap": "innerHTML"}
    return await page(request, "parts/not_saved.html", status=error.status, headers=headers, trouble=trouble)
