"""Pages from templates: one Jinja environment a language, every value escaped, no inline script or style."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from dialer.clock import utc_now
from dialer.errors import DatabaseUnavailable
from dialer.httpkit.access import Actor, Right
from dialer.httpkit.i18n import LOCALES, said, translator
from dialer.httpkit.identity import csrf_token
from dialer.httpkit.keys import ACTOR
from dialer.httpkit.problems import locale_of
from dialer.httpkit.security import CONNECT_SOURCES, policy
from dialer.web import card_fields, formats, sections, words
from dialer.web.keys import FILES, LIVE

TEMPLATES = Path(__file__).parent / "templates"


@cache
def environment(locale: str) -> Environment:
    """The environment of a language."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
    )
    texts = translator(locale)
    made.install_gettext_translations(texts, newstyle=True)  # type: ignore[attr-defined]
    made.globals.update(
        locale=locale,
        locales=LOCALES,
        Right=Right,
        word=lambda kind, name: words.word(locale, kind, name),
        why=lambda pace: words.pace(locale, pace),
        tell=lambda value: said(value, locale),
        sections=sections.shown,
        told=partial(card_fields.told, locale=locale),
    )
    made.filters.update(formats.filters(locale))
    return made


async def page(
    request: web.Request,
    template: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    frames: Sequence[str] = (),
    **context: Any,
) -> web.Response:
    """A page, or a fragment of one, in the reader's language. `frames`: servers that it may frame."""
    locale = locale_of(request)
    actor = request.get(ACTOR)
    zone = await _zone(request, actor)
    text = (
        environment(locale)
        .get_template(template)
        .render(
            actor=actor,
            csrf=csrf_token(request),
            path=request.path,
            asset=request.app[FILES].url,
            now=utc_now(),
            zone=zone,
            **context,
        )
    )
    strict = policy(request.app.get(CONNECT_SOURCES, ()), frames).replace(" 'unsafe-inline'", "")
    return web.Response(
        status=status,
        # What is told of the request may hold bytes of it that were no text.
        body=text.encode(errors="replace"),
        content_type="text/html",
        charset="utf-8",
        headers={
            "Cache-Control": "no-store",
            "Content-Language": locale,
            "Content-Security-Policy": strict,
            "Vary": "HX-Request, Accept-Language",
            **(headers or {}),
        },
    )


async def _zone(request: web.Request, actor: Actor | None) -> str:
    try:
        return await request.app[LIVE].timezone(actor) if actor is not None else "UTC"
    except DatabaseUnavailable:
        # The page that tells of just that must not fall over it.
        return "UTC"


def is_fragment(request: web.Request) -> bool:
    """Whether htmx asks: it wants a part, not a page."""
    return request.headers.get("HX-Request") == "true"
