"""Hooks over FastAGI: the same services without a process a call.

The server is one of the web process's, on a port of its own, not the engine's: a slow database or a crowd of
lookups then delays pages, and never the answer that a customer waits for.

The API token is in the dialplan's global variable DOZVON_HOOKS_TOKEN and is asked for over the connection: in
an address it would stand in the log of calls. Whatever happens DOZVON_STATUS is set, but on a channel that
has hung up.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping

import structlog
from pydantic import ValidationError

from dialer.asterisk.fastagi import AgiCall, FastAgiServer, Handler
from dialer.errors import AgiHangup, DozvonError, NotLoggedIn
from dialer.hooks.asking import ask
from dialer.hooks.fields import FIELDS, HookIn
from dialer.hooks.model import MOST_CALLER, MOST_TOKEN, Answer, Hook, Status, from_arguments, from_query
from dialer.hooks.service import HookService
from dialer.httpkit.access import Actor
from dialer.httpkit.identity import Identities

log = structlog.get_logger(__name__)

#: How long the dialplan waits for all of a hook, seconds.
LIMIT_S = 2.0
#: Bytes of one command with several variables: Asterisk reads 2047.
_LINE = 1500
TOKEN, CALL_TOKEN, STATUS = "DOZVON_HOOKS_TOKEN", "DOZVON_CALL_TOKEN", "DOZVON_STATUS"
#: Fields that the connection itself tells.
_OF_THE_CALL = frozenset({"channel", "caller", "call_token"})


def add_routes(
    server: FastAgiServer, service: HookService, identities: Identities, limit_s: float = LIMIT_S
) -> None:
    """Have the server answer agi://host:port/hooks/<hook>?name=value&..., also under the names of the
    programs of agi_scripts/ (opt_out.py), so that a dialplan changes between the two by one variable."""
    for hook in Hook:
        handler = _handler(hook, service, identities, limit_s)
        server.route(f"hooks/{hook.value}", handler)
        server.route(f"hooks/{hook.value.replace('-', '_')}.py", handler)


class HookAgi:
    """Listens while the web process runs."""

    def __init__(
        self, host: str, port: int, service: HookService, identities: Identities, *, limit_s: float = LIMIT_S
    ) -> None:
        self._host, self._port, self._limit_s = host, port, limit_s
        self._service, self._identities = service, identities
        #: `host:port` as bound
        self.address = ""
        #: set when it listens
        self.listening = asyncio.Event()

    async def run(self) -> None:
        """Serve until it is cancelled. Raises AsteriskUnavailable when the port cannot be bound."""
        server = FastAgiServer(
            self._host, self._port, env_timeout_s=self._limit_s, command_timeout_s=self._limit_s
        )
        add_routes(server, self._service, self._identities, self._limit_s)
        await server.start()
        self.address = server.address
        self.listening.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.listening.clear()
            await server.close()


def _handler(hook: Hook, service: HookService, identities: Identities, limit_s: float) -> Handler:
    async def handle(call: AgiCall) -> None:
        status, told = Status.UNAVAILABLE, dict[str, str]()
        try:
            async with asyncio.timeout(limit_s):
                answer = await _answer(hook, service, identities, call)
            status, told = answer.status, {**answer.variables, CALL_TOKEN: answer.call_token}
        except AgiHangup:
            raise
        except (ValidationError, DozvonError) as error:
            refused = isinstance(error, ValidationError) or error.status < 500
            status = Status.REFUSED if refused else Status.UNAVAILABLE
            reason = "fields" if isinstance(error, ValidationError) else error.id
            log.info("hook_refused", hook=hook.value, reason=reason)
        except TimeoutError:
            log.warning("hook_late", hook=hook.value, seconds=limit_s)
        except Exception:
            log.exception("hook_failed", hook=hook.value)
        for line in lines({**told, STATUS: status.value}):
            await call.command("EXEC", "MSet", line)

    return handle


async def _answer(hook: Hook, service: HookService, identities: Identities, call: AgiCall) -> Answer:
    actor = await _actor(identities, await call.get_variable(TOKEN))
    before = await call.get_variable(CALL_TOKEN)
    given = {**call.query, **from_arguments(call.args)}
    return await ask(service, actor, hook, read(hook, given, call.env, before or ""))


async def _actor(identities: Identities, token: str | None) -> Actor:
    if not token or len(token) > MOST_TOKEN or not token.isascii():
        raise NotLoggedIn
    found = await identities.by_api_token(token)
    if found is None:
        raise NotLoggedIn
    return found.actor


def read(hook: Hook, query: Mapping[str, str], env: Mapping[str, str], before: str) -> HookIn:
    """The fields of a hook from the address and the connection. Raises ValidationError, Invalid."""
    model = FIELDS[hook]
    given = {name: text for name, text in query.items() if name not in _OF_THE_CALL}
    values = from_query(given, *_kinds(model))
    caller = env.get("callerid", "")
    said = {
        **values,
        "channel": env.get("uniqueid", ""),
        "caller": "" if caller == "unknown" else caller[:MOST_CALLER],
        "call_token": before[:MOST_TOKEN],
    }
    # As HTTP reads it: strictly, from JSON.
    return model.model_validate_json(json.dumps(said), strict=True)


def _kinds(model: type[HookIn]) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """Names of the fields that are numbers, of those that are yes or no, and of those that are lists."""
    schema = model.model_json_schema()["properties"]

    def kind(name: str) -> set[str]:
        said = schema[name]
        return {one.get("type", "") for one in (said, *said.get("anyOf", ()))}

    return (
        frozenset(name for name in schema if "integer" in kind(name)),
        frozenset(name for name in schema if "boolean" in kind(name)),
        frozenset(name for name in schema if "array" in kind(name)),
    )


def lines(values: Mapping[str, str]) -> Iterable[str]:
    """The arguments of MSet: variables whose values hold no comma, as many as a line of AGI takes."""
    line = ""
    for name, value in values.items():
        one = f"{name}={value}"
        if line and len(f"{line},{one}".encode()) > _LINE:
            yield line
            line = ""
        line = f"{line},{one}" if line else one
    yield line
