"""Typed routes: the signature of a handler is its contract.

    routes = Routes("campaigns")

    @routes.post("/campaigns/{campaign_id}/start", right=Right.CAMPAIGNS_RUN, errors=(CampaignNotReady,))
    async def start(call: Call, campaign_id: int) -> CampaignOut:
        "Start a campaign."

- The first parameter is the `Call`. Others are names of the path (int, str or UUID), `body` (a pydantic
  model, read from JSON strictly) and `query` (a pydantic model, read from the query string).
- The return annotation is the reply: a model, `Page[Model]`, a list of models, or None for 204.
- Unknown fields are refused: `body` and `query` models forbid extra fields (`schema.In` does).
- `right` is what every caller needs; None: anybody who is logged in; `public=True`: nobody need be.
- `raw="text/csv"`: the handler returns a `web.StreamResponse` of its own, of that type.
- `accepts="text/csv"` (or several types): the body is not JSON; the handler reads `call.chunks()`.
- `takes={"application/yaml": "yaml"}`: a body of that type is the text of that field, and of nothing else.
- `gives="application/yaml"`: the handler returns a reply of its own where `call.wants` that type.
- A POST honours Idempotency-Key (see `idempotency`) unless `idempotent=False`: replies that hold a secret.

A wrong declaration is a TypeError when the module is imported. All paths are under `/api/v1`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import NoneType, UnionType
from typing import Any, TypedDict, TypeVar, Unpack, get_args, get_type_hints
from uuid import UUID

from aiohttp import web
from pydantic import BaseModel, TypeAdapter

from dialer.errors import DozvonError, NotLoggedIn, TooLarge
from dialer.httpkit.access import Actor, Right
from dialer.httpkit.keys import ACTOR
from dialer.httpkit.problems import locale_of

PREFIX = "/api/v1"
#: Bytes of a JSON body, unless the route says otherwise.
BODY_LIMIT = 256 * 1024
PATH_TYPES = (int, str, UUID)

Done = Callable[[web.StreamResponse], None]
F = TypeVar("F", bound=Callable[..., Awaitable[object]])


@dataclass(slots=True)
class Call:
    """One request, as its handler sees it."""

    request: web.Request
    #: The most bytes that the body may have.
    body_limit: int = BODY_LIMIT
    #: What is done to the reply before it is sent: see `finish`.
    edits: list[Done] = field(default_factory=list)

    @property
    def actor(self) -> Actor:
        """Who asks. Raises NotLoggedIn."""
        if ACTOR not in self.request:
            raise NotLoggedIn
        return self.request[ACTOR]

    @property
    def app(self) -> web.Application:
        """Where services are found, by their AppKeys."""
        return self.request.app

    @property
    def locale(self) -> str:
        """The language of the reply."""
        return locale_of(self.request)

    def wants(self, media_type: str) -> bool:
        """Whether the caller would rather have this type than JSON, by their Accept."""
        return preferred(self.request.headers.get("Accept", ""), media_type)

    def finish(self, edit: Done) -> None:
        """Have `edit` set headers or cookies of the reply."""
        self.edits.append(edit)

    def header(self, name: str, value: str) -> None:
        """Set a header of the reply."""
        self.edits.append(lambda reply: reply.headers.__setitem__(name, value))

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body of a route with `accepts`, in pieces. Raises TooLarge."""
        size = 0
        async for chunk in self.request.content.iter_any():
            size += len(chunk)
            if size > self.body_limit:
                raise TooLarge(limit=self.body_limit)
            yield chunk


def preferred(accept: str, media_type: str) -> bool:
    """Whether an Accept header names this type, and no less than JSON (RFC 9110, 12.5.1)."""
    weights: dict[str, float] = {}
    for part in accept[:500].split(","):
        name, *parameters = (word.strip().lower() for word in part.split(";"))
        weight = next((one[2:] for one in parameters if one.startswith("q=")), "1")
        weights[name] = float(weight) if re.fullmatch(r"[01](\.[0-9]{0,3})?", weight) else 0.0
    return weights.get(media_type, 0.0) > 0 and weights[media_type] >= weights.get("application/json", 0.0)


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path: all that serving it and describing it need."""

    #: GET, POST, PUT, PATCH or DELETE.
    method: str
    #: Path below `PREFIX`, with {names}.
    path: str
    #: The feature: groups routes in the documentation.
    tag: str
    #: Unique name, `campaigns_start`.
    name: str
    #: First line of the handler's docstring.
    summary: str
    #: The rest of it.
    description: str
    #: What the caller needs; None: only a log-in.
    right: Right | None
    #: No log-in is needed.
    public: bool
    #: Status of a reply that is no problem.
    status: int
    #: Writes the reply; None: no body, or a raw one.
    reply: TypeAdapter[Any] | None
    #: Content type of a handler that makes its own reply.
    raw: str | None
    #: What it may refuse with, besides what every route may.
    errors: tuple[type[DozvonError], ...]
    #: Type of each name of the path.
    path_types: Mapping[str, type]
    #: Model of the JSON body.
    body: type[BaseModel] | None
    #: Model of the query string.
    query: type[BaseModel] | None
    #: Content types of a body that is not JSON.
    accepts: tuple[str, ...]
    #: Other content types of the body -> the field that such a body is the text of.
    takes: Mapping[str, str]
    #: Content type of a reply that is given in place of JSON where it is wanted.
    gives: str | None
    #: Most bytes of the body.
    body_limit: int
    #: Whether an Idempotency-Key is honoured.
    idempotent: bool
    handler: Callable[..., Awaitable[Any]]


class Options(TypedDict, total=False):
    """What a declaration may say; the module's text says what each means."""

    right: Right | None
    public: bool
    status: int
    errors: tuple[type[DozvonError], ...]
    raw: str
    accepts: str | tuple[str, ...]
    takes: Mapping[str, str]
    gives: str
    body_limit: int
    idempotent: bool


class Routes:
    """The routes of one feature, declared by decorators; `dialer.app` mounts them."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.routes: list[Route] = []

    def __iter__(self) -> Iterator[Route]:
        return iter(self.routes)

    def get(self, path: str, **options: Unpack[Options]) -> Callable[[F], F]:
        """Declare a GET; options as in `route`."""
        return self.route("GET", path, **options)

    def post(self, path: str, **options: Unpack[Options]) -> Callable[[F], F]:
        """Declare a POST; options as in `route`."""
        return self.route("POST", path, **options)

    def put(self, path: str, **options: Unpack[Options]) -> Callable[[F], F]:
        """Declare a PUT; options as in `route`."""
        return self.route("PUT", path, **options)

    def patch(self, path: str, **options: Unpack[Options]) -> Callable[[F], F]:
        """Declare a PATCH; options as in `route`."""
        return self.route("PATCH", path, **options)

    def delete(self, path: str, **options: Unpack[Options]) -> Callable[[F], F]:
        """Declare a DELETE; options as in `route`."""
        return self.route("DELETE", path, **options)

    def route(self, method: str, path: str, **options: Unpack[Options]) -> Callable[[F], F]:
        """Declare a handler of any method."""
        raw, given_types = options.get("raw"), options.get("accepts", ())
        accepts = (given_types,) if isinstance(given_types, str) else given_types

        def declare(handler: F) -> F:
            hints = get_type_hints(handler, include_extras=True)
            names = set(re.findall(r"{(\w+)}", path))
            given = list(inspect.signature(handler).parameters)[1:]
            wrong = set(given) - names - {"body", "query"} | names - set(given)
            if wrong:
                raise TypeError(f"{method} {path}: the path and the parameters differ in {sorted(wrong)}")
            for name in names:
                if hints[name] not in PATH_TYPES:
                    raise TypeError(f"{method} {path}: {name} must be int, str or UUID")
            body, query = hints.get("body"), hints.get("query")
            fields = body.model_fields if body is not None else {}
            if not set(options.get("takes", {}).values()) <= set(fields):
                raise TypeError(f"{method} {path}: the body has no such field to take a text")
            for model in (body, query):
                _check_strict(f"{method} {path}", model)
            if body is not None and (method in {"GET", "DELETE"} or accepts):
                raise TypeError(f"{method} {path} takes no JSON body")
            text = inspect.cleandoc(handler.__doc__ or "").split("\n", maxsplit=1)
            if not text[0]:
                raise TypeError(f"{method} {path} needs a docstring: it is the documentation")
            returned = hints.get("return")
            empty = returned in (None, NoneType)
            secretless = method == "POST" and not (options.get("public") or raw or accepts)
            self.routes.append(
                Route(
                    method=method,
                    path=path,
                    tag=self.tag,
                    name=f"{self.tag}_{handler.__name__}",
                    summary=text[0].rstrip("."),
                    description=text[1].strip() if len(text) > 1 else "",
                    right=options.get("right"),
                    public=options.get("public", False),
                    status=options.get("status", 204 if empty else 200),
                    reply=None if empty or raw else TypeAdapter(_modelled(returned)),
                    raw=raw,
                    errors=options.get("errors", ()),
                    path_types={name: hints[name] for name in given if name in names},
                    body=body,
                    query=query,
                    accepts=accepts,
                    takes=options.get("takes", {}),
                    gives=options.get("gives"),
                    body_limit=options.get("body_limit", BODY_LIMIT),
                    idempotent=options.get("idempotent", secretless),
                    handler=handler,
                )
            )
            return handler

        return declare


def _modelled(returned: Any) -> Any:
    """What a handler returns as JSON, of what it may return."""
    kinds = [one for one in get_args(returned) if one is not web.StreamResponse]
    return kinds[0] if isinstance(returned, UnionType) and len(kinds) == 1 else returned


def _check_strict(where: str, model: Any) -> None:
    """Refuse a model that would let unknown fields pass, at any depth."""
    if model is None:
        return
    schema = model.model_json_schema()
    for part in (schema, *schema.get("$defs", {}).values()):
        if "properties" in part and part.get("additionalProperties") is not False:
            name = part.get("title")
            raise TypeError(f"{where}: {name} must forbid extra fields (derive it from schema.In)")
