"""What protects a browser's user: host names, origins, CSRF tokens, headers.

- The Host header must be ours (`allowed_host`): a page of another site that makes its own name point to this
  machine (DNS rebinding) is not answered.
- What changes something and comes from a browser must come from a page of this server: Sec-Fetch-Site or
  Origin say so, and a request with a session's cookie also carries the session's CSRF token, in
  X-CSRF-Token or in the form field `csrf_token`. API tokens need none: no browser sends them by itself.
- Every reply forbids inline scripts, framing and guessing of types.
"""

from __future__ import annotations

from collections.abc import Sequence
from hmac import compare_digest
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from dialer.errors import BadCsrfToken, BadRequest, TooLarge, WrongHost
from dialer.httpkit.forms import read_form
from dialer.httpkit.identity import is_loopback, is_secure
from dialer.httpkit.keys import CSRF, SETTINGS
from dialer.settings import Settings

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})
#: Before a log-in there is no session to take a token from; the origin is checked all the same.
LOGIN_PATHS = frozenset({"/login", "/api/v1/session"})
#: Bytes of a body from somebody who is not logged in.
STRANGER_LIMIT = 16 * 1024

#: Further sources of `connect-src`: where the browser's phone reaches Asterisk (wss://...).
CONNECT_SOURCES: web.AppKey[tuple[str, ...]] = web.AppKey("connect_sources")


def policy(connect_sources: tuple[str, ...], frame_sources: Sequence[str] = ()) -> str:
    """The Content-Security-Policy: everything from this server, no inline script; only these in frames."""
    return "; ".join(
        (
            "default-src 'self'",
            "script-src 'self'",
            # ECharts and htmx set style attributes.
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data:",
            "media-src 'self' blob:",
            " ".join(("connect-src 'self'", *connect_sources)),
            *([" ".join(("frame-src", *frame_sources))] if frame_sources else ()),
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


async def add_headers(request: web.Request, reply: web.StreamResponse) -> None:
    """A signal of aiohttp, so that streams have the headers too."""
    headers = reply.headers
    headers.setdefault("Content-Security-Policy", policy(request.app.get(CONNECT_SOURCES, ())))
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("X-Frame-Options", "DENY")
    headers.setdefault("Referrer-Policy", "same-origin")
    headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    headers.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=(self)")
    if is_secure(request.app[SETTINGS]):
        headers.setdefault("Strict-Transport-Security", "max-age=31536000")


def allowed_host(host: str, settings: Settings) -> bool:
    """Whether the server answers to this Host header.

    The name of `public_url` always; this machine's own names always. Bound to loopback, nothing else; bound
    to a network without a `public_url`, any, as nobody has said what the names are.
    """
    try:
        read = urlsplit(f"//{host}")
        name, _ = read.hostname or "", read.port
    except ValueError:  # also for a port that is none, over which `request.url` would fall
        return False
    if is_loopback(name):
        return True
    if settings.public_url:
        return name == urlsplit(settings.public_url).hostname
    return bool(name) and not is_loopback(settings.http_host)


@web.middleware
async def check_host(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer only to our own names."""
    if not allowed_host(request.host, request.app[SETTINGS]):
        raise WrongHost(host=request.host[:100])
    return await handler(request)


@web.middleware
async def check_query(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a NUL, which PostgreSQL keeps in no text, before any route and any page reads it."""
    if any("\0" in text for pair in request.query.items() for text in pair):
        raise BadRequest(reason="the query string holds a NUL character")
    return await handler(request)


def same_origin(request: web.Request) -> bool:
    """Whether a browser says that a page of this server sent the request; programs say nothing and may."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    ours = {request.host}
    public = request.app[SETTINGS].public_url
    if public:
        ours.add(urlsplit(public).netloc)
    try:
        return urlsplit(origin).netloc in ours
    except ValueError:  # a bracket that is not closed, letters that are no host's
        return False


@web.middleware
async def check_csrf(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what another site's page made the browser send."""
    if request.method in SAFE or "Authorization" in request.headers:
        return await handler(request)
    if not same_origin(request):
        raise BadCsrfToken
    expected = request.get(CSRF)
    if expected is None:
        # A stranger may log in; that takes few bytes, and their number must be known before.
        if request.can_read_body and request.content_length is None:
            raise BadRequest(reason="the Content-Length is missing")
        if (request.content_length or 0) > STRANGER_LIMIT:
            raise TooLarge(limit=STRANGER_LIMIT)
    elif request.path not in LOGIN_PATHS or request.method != "POST":
        given = request.headers.get("X-CSRF-Token")
        if given is None and request.content_type in FORMS:
            # aiohttp keeps what it has read: the page's handler reads the form again for nothing.
            field = (await read_form(request)).get("csrf_token")
            given = field if isinstance(field, str) else None
        if given is None or not compare_digest(given.encode(errors="replace"), expected.encode()):
            raise BadCsrfToken
    return await handler(request)
