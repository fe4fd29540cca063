"""The FastAGI server: the dialplan asks, a handler answers, the call goes on.

A session is one TCP connection that Asterisk opens when a channel reaches AGI(agi://...). Its bytes are
read by a protocol object as they come, whatever the handler is doing, so a hang-up is known at once; its
handler is the session's only task, and the server owns it.

A session that cannot be served (no such route, a handler that failed, a server that closes) ends with the
line `failure`, which Asterisk understands: AGISTATUS becomes FAILURE and the dialplan goes on. A connection
that closes without it counts as SUCCESS.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import cast

import structlog

from dialer.asterisk.agi_codec import (
    AgiDecoder,
    AgiLimits,
    AgiReply,
    AgiRequest,
    command_name,
    encode_command,
    quote,
    variable_name,
)
from dialer.errors import (
    ActionFailed,
    ActionTimeout,
    AgiHangup,
    AsteriskUnavailable,
    BadAgi,
    DozvonError,
    Invalid,
)

log = structlog.get_logger(__name__)

#: Asterisk sets AGISTATUS=FAILURE on this line (res_agi.c, run_agi).
FAILURE = b"failure\n"
#: A value that MSet takes for nothing else.
_WORD = re.compile(r"[A-Za-z0-9_-]+")
#: How long bytes that the peer does not read may hold a finished session, seconds.
LINGER_S = 1.0
#: How long `close` waits for handlers that clean up after their cancellation, seconds.
CLOSE_S = 5.0


class AgiCall:
    """One call that waits in the dialplan for our answer, as its handler sees it."""

    def __init__(self, request: AgiRequest, session: _Session) -> None:
        self._request = request
        self._session = session

    def __repr__(self) -> str:
        return f"<AgiCall {self.channel_id}>"

    @property
    def script(self) -> str:
        """The path of the address: the route's name."""
        return self._request.script

    @property
    def query(self) -> Mapping[str, str]:
        """The fields of the address's query string."""
        return self._request.query

    @property
    def args(self) -> list[str]:
        """The arguments of AGI() after the address."""
        return list(self._request.args)

    @property
    def env(self) -> Mapping[str, str]:
        """Asterisk's environment, keys without `agi_`. It holds phone numbers: never log it."""
        return self._request.env

    @property
    def channel_id(self) -> str:
        """The channel's Uniqueid: for our own calls the attempt's id."""
        return self._request.channel_id

    @property
    def hung_up(self) -> asyncio.Event:
        """Set when the channel has hung up or the connection has ended, whatever the handler waits for."""
        return self._session.hung_up

    async def command(self, *words: str, timeout_s: float | None = None) -> AgiReply:
        """Send one command and wait for its reply; a second one waits until the first has its reply.

        `timeout_s` is the deadline of the reply (default: the server's), to be given for commands that take
        long, such as STREAM FILE. Raises AgiHangup; ActionTimeout, after which the session is over;
        ActionFailed when Asterisk refuses the command; UnsafeValue and Invalid when it cannot be sent.
        """
        return await self._session.command(words, timeout_s)

    async def set_variable(self, name: str, value: str) -> None:
        """Set the channel variable `name`. Raises as `command` does."""
        quote(value, what=variable_name(name))  # an unsafe value is named by its variable, not by its place
        await self.command("SET", "VARIABLE", name, value)

    async def set_words(self, **values: str) -> None:
        """Set channel variables in one question, to values that are words: letters, digits, hyphens and
        underscores. Raises Invalid for another, and as `command` does."""
        for name, value in values.items():
            if not _WORD.fullmatch(value):  # a comma would begin another variable
                raise Invalid(field=variable_name(name), reason="it must be a word")
        await self.command("EXEC", "MSet", ",".join(f"{name}={value}" for name, value in values.items()))

    async def get_variable(self, name: str) -> str | None:
        """The value of the channel variable `name`, None where it is not set; Asterisk cuts it at 1023 bytes.

        Raises as `command` does.
        """
        reply = await self.command("GET", "VARIABLE", variable_name(name))
        return reply.value if reply.result == "1" else None

    async def evaluate(self, expression: str) -> str:
        """What the dialplan makes of a text with `${...}` of ours in it: several variables in one question.
        Never put in what somebody else has written. Raises as `command` does."""
        return (await self.command("GET", "FULL", "VARIABLE", expression)).value or ""


Handler = Callable[[AgiCall], Awaitable[None]]


class FastAgiServer:
    """Listens for Asterisk and runs a handler for each call that asks.

    `host`, `port` are what is bound (port 0: any free one). `env_timeout_s` is how long a connection may take
    to say what it wants, `command_timeout_s` the default deadline of a command, `max_sessions` how many
    connections are served at once: one more is told `failure`.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        env_timeout_s: float = 5.0,
        command_timeout_s: float = 5.0,
        max_sessions: int = 2_000,
        limits: AgiLimits | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self.env_timeout_s = env_timeout_s
        self.command_timeout_s = command_timeout_s
        self.max_sessions = max_sessions
        self.limits = limits or AgiLimits()
        self._routes: dict[str, Handler] = {}
        self._server: asyncio.Server | None = None
        self._address = ""
        self._sessions: set[_Session] = set()  # every connection, until it and its handler have ended
        self._served = 0  # those of them that were admitted
        self._closing = False
        self._full = False
        #: connections refused since the start because `max_sessions` were open
        self.refused = 0

    def route(self, name: str, handler: Handler) -> None:
        """Let `handler` answer agi://host:port/`name`; ValueError if the name has a handler already."""
        if name in self._routes:
            raise ValueError(f"the route {name} has a handler already")
        self._routes[name] = handler

    async def start(self) -> None:
        """Bind and listen. Raises AsteriskUnavailable, naming the address, when it cannot be bound."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                lambda: _Session(self), self._host, self._port, backlog=1024
            )
        except OSError as error:
            where = f"{self._host}:{self._port}"
            raise AsteriskUnavailable(
                reason=f"FastAGI cannot listen on {where} ({error.strerror})"
            ) from error
        host, port = self._server.sockets[0].getsockname()[:2]
        self._address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    @property
    def address(self) -> str:
        """`host:port` as bound, for the dialplan's agi:// address. Only after `start`."""
        assert self._address, "the server has not been started"
        return self._address

    @property
    def sessions(self) -> int:
        """How many connections are open or still have a handler at work."""
        return len(self._sessions)

    async def close(self) -> None:
        """Stop listening, cancel every handler, end every session; nothing is left when this returns."""
        self._closing = True
        if self._server is not None:
            self._server.close()
        # A connection just accepted may still become a session here: hence the loop, within one deadline.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                while self._sessions:
                    session = next(iter(self._sessions))
                    for each in self._sessions:
                        each.stop()
                    await session.over.wait()
        for session in self._sessions:
            log.error("agi_handler_not_ended", channel=session.channel_id)
            session.lose()
        if self._server is not None:
            # Python 3.12 and later also wait here for the transports; all of them are closed or aborted.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LINGER_S):
                    await self._server.wait_closed()

    # -- called by the sessions ------------------------------------------------------------------------

    def admit(self, session: _Session) -> bool:
        """Whether the new session may be served; every session is remembered until it is over."""
        self._sessions.add(session)
        if self._closing:
            return False
        if self._served >= self.max_sessions:
            self.refused += 1
            if not self._full:  # one line for each time it fills, however many knock
                self._full = True
                log.error("agi_sessions_refused", limit=self.max_sessions)
            return False
        self._served += 1
        return True

    def forget(self, session: _Session, *, admitted: bool) -> None:
        """The session is over."""
        self._sessions.discard(session)
        if admitted:
            self._served -= 1
            if self._served <= self.max_sessions // 2:
                self._full = False

    def handler(self, script: str) -> Handler | None:
        """The handler of the route `script`."""
        return self._routes.get(script)


class _Session(asyncio.Protocol):
    """One connection: decodes what comes, pairs replies with commands, runs the handler.

    It is over when the connection is gone and the handler's task, if there ever was one, is done.
    """

    _transport: asyncio.Transport

    def __init__(self, server: FastAgiServer) -> None:
        self._server = server
        self._decoder = AgiDecoder(server.limits)
        self._loop = asyncio.get_running_loop()
        self._admitted = False
        self._deadline: asyncio.TimerHandle | None = None  # of the request; once closing, of the closing
        self._task: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        # The one command that has no reply yet, and its deadline. It outlives a caller that was cancelled:
        # the reply still comes, and must not be taken for the next command's.
        self._awaited: asyncio.Future[AgiReply | DozvonError] | None = None
        self._reply_deadline: asyncio.TimerHandle | None = None
        self._ended = False  # nothing is read or written any more
        self._gone = False  # the connection is
        self.channel_id = ""
        self.hung_up = asyncio.Event()
        self.over = asyncio.Event()

    # -- the connection ----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection in, or refuse it."""
        # uvloop's transports are none by class, only by what they do.
        self._transport = cast(asyncio.Transport, transport)
        self._admitted = self._server.admit(self)
        if not self._admitted:
            self._end(failed=True)
            return
        _keep_alive(self._transport)
        self._deadline = self._loop.call_later(self._server.env_timeout_s, self._silent)

    def data_received(self, data: bytes) -> None:
        """Decode what came; runs whatever the handler waits for, so a hang-up is never seen late."""
        if self._ended:
            return
        self._decoder.receive(data)
        try:
            while not self._ended and (message := self._decoder.next_message()) is not None:
                if isinstance(message, AgiRequest):
                    self._begin(message)
                elif isinstance(message, AgiReply):
                    self._answer(message)
                else:
                    self.hung_up.set()
        except BadAgi as error:
            log.warning(
                "agi_garbled",
                reason=error.details["reason"],
                channel=self.channel_id,
            )
            self.lose()

    def eof_received(self) -> bool:
        """The peer is gone. Asterisk never closes one half only: the transport closes the other."""
        if self._decoder.mid_message and not self._ended:
            log.warning("agi_torn", channel=self.channel_id)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the handler, and whoever waits for a reply."""
        self._gone = self._ended = True
        self._stop_timer()
        self.hung_up.set()
        self._resolve(AgiHangup(command="the command"))
        self._check_over()

    def lose(self) -> None:
        """End the connection at once; `connection_lost` follows."""
        self._ended = True
        self._transport.abort()

    def stop(self) -> None:
        """End the session because the server closes; its handler, if any, first."""
        if self._task is None or self._task.done():
            self._end(failed=True)
        elif not self._task.cancelling():
            self._task.cancel()

    def _silent(self) -> None:
        log.warning("agi_request_late", seconds=self._server.env_timeout_s)
        self.lose()

    def _end(self, *, failed: bool) -> None:
        if self._ended:
            return
        self._ended = True
        if failed:
            self._transport.write(FAILURE)
        self._transport.close()
        # A peer that does not read must not keep the transport for ever.
        self._stop_timer()
        self._deadline = self._loop.call_later(LINGER_S, self._transport.abort)

    def _stop_timer(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _check_over(self) -> None:
        if self._gone and (self._task is None or self._task.done()) and not self.over.is_set():
            self.over.set()
            self._server.forget(self, admitted=self._admitted)

    # -- the handler -------------------------------------------------------------------------------------

    def _begin(self, request: AgiRequest) -> None:
        self._stop_timer()
        self.channel_id = request.channel_id
        handler = self._server.handler(request.script)
        if handler is None:
            # What the dialplan put into the path may be a phone number.
            route = re.sub(r"\d", "#", request.script)[:64]
            log.warning("agi_unknown_route", route=route, channel=self.channel_id)
            self._end(failed=True)
            return
        call = AgiCall(request, self)
        self._task = self._loop.create_task(self._handle(handler, call), name=f"agi {self.channel_id}")
        self._task.add_done_callback(self._handled)

    async def _handle(self, handler: Handler, call: AgiCall) -> None:
        with structlog.contextvars.bound_contextvars(channel=call.channel_id):
            try:
                await handler(call)
            except AgiHangup:
                log.debug("agi_hung_up", channel=call.channel_id)
            except (ActionFailed, ActionTimeout) as error:  # the peer's doing: no traceback of ours
                log.warning("agi_not_carried_out", channel=call.channel_id, reason=str(error))
                self._end(failed=True)
            except Exception:
                log.exception("agi_handler_failed", channel=call.channel_id)
                self._end(failed=True)

    def _handled(self, task: asyncio.Task[None]) -> None:
        """The handler is done, also when it was cancelled before its first step."""
        self._end(failed=task.cancelled())
        self._check_over()

    # -- commands and replies ------------------------------------------------------------------------------

    async def command(self, words: tuple[str, ...], timeout_s: float | None) -> AgiReply:
        """See AgiCall.command."""
        line, name = encode_command(*words), command_name(words)
        # One at a time: Asterisk waits on the socket, so of two commands in one segment the second would lie
        # in its read buffer until something else arrives.
        async with self._turn:
            if self._awaited is not None:  # its caller was cancelled; it has a deadline of its own
                await asyncio.shield(self._awaited)
            if self.hung_up.is_set() or self._ended:
                raise AgiHangup(command=name)
            seconds = self._server.command_timeout_s if timeout_s is None else timeout_s
            self._awaited = self._loop.create_future()
            self._reply_deadline = self._loop.call_later(seconds, self._unanswered, name, seconds)
            self._transport.write(line)
            reply = await asyncio.shield(self._awaited)
        if isinstance(reply, AgiHangup) or (isinstance(reply, AgiReply) and reply.status == 511):
            self.hung_up.set()  # 511: the channel is dead, even where HANGUP lines are switched off
            raise AgiHangup(command=name)
        if isinstance(reply, DozvonError):
            raise reply
        if not reply.ok:
            reason = f"{reply.status} {reply.text.partition(chr(10))[0]}".strip()
            raise ActionFailed(action=name, reason=reason)
        return reply

    def _answer(self, reply: AgiReply) -> None:
        if self._awaited is None:
            raise BadAgi(reason="a reply came that answers no command")
        self._resolve(reply)

    def _unanswered(self, name: str, seconds: float) -> None:
        if self.hung_up.is_set():
            self._resolve(AgiHangup(command=name))
        else:
            log.warning("agi_command_unanswered", command=name, seconds=seconds, channel=self.channel_id)
            self._resolve(ActionTimeout(action=name, seconds=seconds))
        self.lose()  # a late reply would be taken for the next command's

    def _resolve(self, outcome: AgiReply | DozvonError) -> None:
        awaited, self._awaited = self._awaited, None
        if self._reply_deadline is not None:
            self._reply_deadline.cancel()
            self._reply_deadline = None
        if awaited is not None:
            awaited.set_result(outcome)


def _keep_alive(transport: asyncio.Transport) -> None:
    """Notice within half a minute that a remote Asterisk has vanished without closing."""
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):  # not every platform names them so
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
