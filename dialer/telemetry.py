"""How the server logs: structlog, one event a line, phone numbers and digits masked."""

from __future__ import annotations

import logging
import sys
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

#: Fields whose value is a phone number: all but the last two digits are masked.
NUMBER_FIELDS = frozenset({"number", "e164", "caller_id", "did"})
#: Fields whose value is never written at all.
SECRET_FIELDS = frozenset({"digits", "dtmf", "password", "secret", "token"})

#: Without local variables: they hold numbers and names.
_TRACEBACK = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)


def mask_number(number: str) -> str:
    """`+79161234567` -> `+*********67`: enough to tell two calls apart, not enough to call."""
    head = "+" if number.startswith("+") else ""
    body = number.removeprefix("+")
    return head + "*" * max(0, len(body) - 2) + body[-2:]


def mask_fields(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Mask marked fields; messages never hold numbers or digits, fields do."""
    for name in NUMBER_FIELDS & event.keys():
        event[name] = mask_number(str(event[name]))
    for name in SECRET_FIELDS & event.keys():
        event[name] = "***"
    return event


def configure(
    level: str, fmt: Literal["json", "console"], process: str, stream: TextIO | None = None
) -> None:
    """Set up logging to stderr or `stream`; `process` (engine, web, jobs) is on each line."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        mask_fields,
    ]
    render: list[structlog.typing.Processor] = (
        [
            structlog.processors.ExceptionRenderer(_TRACEBACK),
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ]
        if fmt == "json"
        else [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("asyncio", "panoramisk.manager", "panoramisk.ami_protocol"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.contextvars.bind_contextvars(process=process)
