"""Agents who ask somebody besides the customer: what no real call can be made to do in time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from dialer.calls.consulting import Consulting
from dialer.calls.model import Signal
from dialer.errors import WrongState
from dialer.ids import new_id


async def test_the_line_of_a_destination_is_given_back_when_the_customer_has_left_meanwhile() -> None:
    """The customer hangs up while a line is taken: nobody is called, and the line is free again."""
    given_back: list[Any] = []
    trunk = SimpleNamespace(id=1)

    class Gone:
        """The call has ended: no signal means anything to it."""

        watchers: list[Any] = []  # noqa: RUF012

        def apply(self, _attempt_id: UUID, _signal: Signal) -> None:
            return None

    class Way:
        """A destination over a trunk, whose line is taken."""

        async def destination(self, _line: Any, name: str) -> Any:
            return SimpleNamespace(name=name)

        async def way(self, _line: Any, _to: Any) -> tuple[str, Any]:
            return "PJSIP/1@trunk", trunk

        async def untake(self, _line: Any, taken: Any) -> None:
            given_back.append(taken)

    agent = SimpleNamespace(leg=new_id())
    steering: Any = SimpleNamespace(calls=Gone(), agent=lambda _line: agent)
    line: Any = SimpleNamespace(call=SimpleNamespace(attempt_id=new_id(), third=None))
    nobody: Any = None
    way: Any = Way()
    with pytest.raises(WrongState):
        await Consulting(nobody, steering, nobody, way).destination(line, "shop")
    assert given_back == [trunk]
