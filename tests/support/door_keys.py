"""How a route is asked for: what stands at the names of its path, and a body that it takes."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from aiohttp import web

from dialer.clock import utc_now
from dialer.httpkit import openapi
from support.one_of_each import OneOfEach

#: What stands at a name of a path of routes, given as (name, the route's path).
Value = Callable[[str, str], Awaitable[Any]]

#: name -> the table whose row it is.
TABLES: Final[Mapping[str, str]] = {
    "agent_id": "agent", "article_id": "article", "attempt_id": "attempt", "call_id": "attempt",
    "calibration_id": "calibration", "callback_id": "callback", "campaign_id": "campaign",
    "cleaning_id": "cleaning_run", "consent_id": "consent", "contact_id": "contact",
    "destination_id": "destination", "entry_id": "do_not_call", "field_id": "custom_field",
    "flow_id": "flow", "form_id": "review_form", "grid_id": "rfm_grid", "host_id": "allowed_host",
    "hours_id": "opening_hours", "import_id": "import_job", "lead_id": "lead", "list_id": "contact_list",
    "mapping_id": "import_mapping", "mark_id": "recording_mark", "merge_id": "contact_merge",
    "message_id": "agent_message", "number_id": "inbound_number", "offer_id": "offer",
    "pair_id": "duplicate_pair", "phone_id": "contact_phone", "plan_id": "review_plan",
    "prompt_id": "prompt", "queue_id": "queue", "recording_id": "recording", "rule_id": "alert_rule",
    "script_id": "script", "segment_id": "segment", "token_id": "api_token", "trunk_id": "trunk",
    "user_id": "app_user", "visit_id": "visit",
}  # fmt: skip
#: Where a name is of another table: (how the route's path begins, the name) -> the table.
ELSEWHERE: Final[Mapping[tuple[str, str], str]] = {
    ("/inbound/calls", "call_id"): "inbound_call",
    ("/queues", "call_id"): "kept_place.call_id",
    ("/voicemail", "message_id"): "voicemail",
    ("/do-not-call/imports", "import_id"): "do_not_call_import",
    ("/inbound/flows", "name"): "flow.name",
    ("/scripts", "name"): "script.name",
    ("/policies", "code"): "policy.code",
    ("/hours", "key"): "opening_hours",
    ("/offers", "key"): "offer",
    ("/hosts", "key"): "allowed_host",
    ("/destinations", "key"): "destination",
}
#: What a row is not seen without: made with it.
WITH: Final[Mapping[str, tuple[str, ...]]] = {
    "flow": ("flow_version",),
    "script": ("script_version",),
    "review_form": ("review_form_version",),
    "calibration": ("review_form_version",),
    "attempt": ("recording", "review", "script_run"),
    "contact": ("contact_phone",),
}
NO_UUID: Final = "00000000-0000-7000-8000-000000000000"
NO_ID: Final = 999_999_999
_UUIDS: Final = ("attempt_id", "call_id", "listening_id")


async def nobody(name: str, _path: str) -> Any:
    """What names nothing."""
    if name in _UUIDS:
        return NO_UUID
    return "nothing" if name in ("name", "code") else 1 if name == "version" else NO_ID


class Things:
    """What is there."""

    def __init__(self, rows: OneOfEach) -> None:
        self.rows = rows

    async def value(self, name: str, path: str) -> Any:
        """Of the tenant's row that the name means."""
        if name in ("version", "listening_id"):
            return 1 if name == "version" else NO_UUID
        short = path.removeprefix("/api/v1")
        found = [
            table for (begins, one), table in ELSEWHERE.items() if one == name and short.startswith(begins)
        ]
        table, _, column = (found[0] if found else TABLES[name]).partition(".")
        row = await self.rows.row(table)
        for beside in WITH.get(table, ()):
            await self.rows.row(beside)
        return row[column or "id"]


class Keys:
    """How the routes of an application are asked for."""

    #: These find nothing, or no file, also where all is well: who asks is no agent, has nobody on the line.
    EMPTY: Final = frozenset(
        {
            "/api/v1/calls/{attempt_id}/survey", "/api/v1/callbacks/outlook",
            *(f"/api/v1/agents/me{one}" for one in ("", "/card", "/figures", "/transfer-targets")),
            *(f"/api/v1/recordings/{{recording_id}}/{one}" for one in ("peaks", "checksum")),
            "/api/v1/calls/{attempt_id}/recording", "/api/v1/voicemail/{message_id}/sound",
            "/api/v1/prompts/{prompt_id}/sound", "/api/v1/calls/{attempt_id}/consultation",
            "/api/v1/imports/{import_id}/preview", "/api/v1/imports/{import_id}/rejects.csv",
            "/static/{name}", "/healthz", "/desk", "/desk/panel", "/desk/own", "/login", "/metrics",
        }
    )  # fmt: skip
    #: These give a list of what belongs to something: of what is not there it is empty.
    EMPTY_LISTS: Final = frozenset({"/queues/{queue_id}/places", "/contacts/{contact_id}/callbacks"})

    def __init__(self, app: web.Application) -> None:
        self._document = app[openapi.DOCUMENT]
        #: (method, path) -> name -> the words that the route knows for it
        self._words: dict[tuple[str, str], dict[str, list[str]]] = {}
        for route in app.router.routes():
            pattern = route.resource.get_info().get("pattern") if route.resource else None
            if route.resource is not None and pattern is not None:
                words = re.findall(r"\(\?P<(\w+)>([\w|-]+)\)", pattern.pattern)
                known = {name: listed.split("|") for name, listed in words}
                self._words[route.method, route.resource.canonical] = known

    async def paths(self, method: str, path: str, value: Value) -> list[str]:
        """The addresses of a route: one, or one for each word that it knows."""
        words = self._words.get((method, path), {})
        made = [path]
        for name in re.findall(r"{(\w+)}", path):
            if name in words:
                choices = words[name]
            elif path.startswith("/static/"):
                choices = ["app.css"]
            else:
                choices = [str(await value(name, path))]
            made = [one.replace(f"{{{name}}}", choice) for one in made for choice in choices]
        query = QUERIES.get(path, {})
        for one in self._operation(method, path).get("parameters", ()):
            if one["in"] == "query" and one.get("required") and one["name"] not in query:
                query = {**query, one["name"]: self._sample(one["schema"])}
        if query:
            resolved = urlencode({name: await _resolved(said, value, path) for name, said in query.items()})
            made = [f"{one}?{resolved}" for one in made]
        return made

    async def body(self, method: str, path: str, value: Value) -> tuple[str, Any]:
        """Its type (`json`, another one, or none of a form) and the body."""
        written = await _resolved(BODIES.get(f"{method} {path}"), value, path)
        if not path.startswith("/api/v1/"):
            return "", written or {}
        content = self._operation(method, path).get("requestBody", {}).get("content", {})
        if "application/json" in content:
            sample = self._sample(content["application/json"]["schema"])
            return "json", sample if written is None else written
        kind = next(iter(content), "")
        return kind, b"-" if kind else None

    def _operation(self, method: str, path: str) -> dict[str, Any]:
        found: dict[str, Any] = self._document["paths"].get(path, {}).get(method.lower(), {})
        return found

    def _sample(self, schema: Mapping[str, Any]) -> Any:
        """A value that the schema takes, with what is required only."""
        if "$ref" in schema:
            found: Any = self._document
            for part in schema["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            return self._sample(found)
        for several in ("anyOf", "oneOf", "allOf"):
            if several in schema:
                return self._sample(schema[several][0])
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return schema["enum"][0]
        match schema.get("type"):
            case "object":
                inner = schema.get("properties", {})
                return {name: self._sample(inner[name]) for name in schema.get("required", ())}
            case "array":
                return [self._sample(schema["items"])] * schema.get("minItems", 0)
            case "integer" | "number":
                return schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
            case "boolean":
                return False
            case "string":
                return _text(schema)
        return {}


def _text(schema: Mapping[str, Any]) -> str:
    match schema.get("format"):
        case "date-time":
            return utc_now().isoformat()
        case "date":
            return utc_now().date().isoformat()
        case "uuid":
            return NO_UUID
    least: int = schema.get("minLength", 1)
    return "x" * max(1, least)


class At(str):
    """In a body: what the path would have at this name."""


async def _resolved(said: Any, value: Value, path: str) -> Any:
    if isinstance(said, At):
        found = await value(str(said), path)
        return str(found) if isinstance(found, UUID) else found
    if isinstance(said, Mapping):
        return {name: await _resolved(one, value, path) for name, one in said.items()}
    if isinstance(said, list):
        return [await _resolved(one, value, path) for one in said]
    return said


#: Queries without which a route answers nothing.
QUERIES: Final[Mapping[str, Mapping[str, Any]]] = {
    "/why-not": {"number": "+79160000001"},
    "/api/v1/why-not": {"number": "+79160000001"},
    "/api/v1/do-not-call/check": {"number": "+79160000001"},
    "/api/v1/contacts/search": {"text": "Петров"},
}
#: Bodies that a schema does not tell, and forms.
BODIES: Final[Mapping[str, Any]] = {
    "POST /api/v1/callbacks/change": {"ids": [At("callback_id")], "cancel": "x"},
    "POST /api/v1/calls/{attempt_id}/consultation": {"agent_id": At("agent_id")},
    "POST /api/v1/calls/{attempt_id}/dtmf": {"digits": "1"},
    "POST /api/v1/calls/{attempt_id}/transfers": {"agent_id": At("agent_id")},
    "POST /api/v1/campaigns/{campaign_id}/leads/priority": {"priority": 1, "leads": [At("lead_id")]},
    "POST /api/v1/contacts/{contact_id}/numbers": {"number": "+79161112233"},
}
