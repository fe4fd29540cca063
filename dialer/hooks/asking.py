"""One way into the service for both wires: a hook and its fields, read; the answer."""

from __future__ import annotations

from typing import Any

from dialer.hooks.fields import HookIn
from dialer.hooks.model import Answer, Hook
from dialer.hooks.service import HookService
from dialer.httpkit.access import Actor


async def ask(service: HookService, actor: Actor, hook: Hook, said: HookIn) -> Answer:
    """Ask the service's function of this hook. Raises what that raises."""
    own: dict[str, Any] = {
        name: getattr(said, name) for name in type(said).model_fields if name not in _OF_THE_CALL
    }
    function = getattr(service, hook.value.replace("-", "_"))
    answer: Answer = await function(actor, said.asker(), **own)
    return answer


#: Fields that are not the function's: they make the `Asker`.
_OF_THE_CALL = frozenset(HookIn.model_fields) - {"number"}
