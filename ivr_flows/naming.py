"""What flows name that is kept elsewhere: queues, hours, hosts, recordings, other flows."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum

from ivr_flows import hosts
from ivr_flows.model import Flow, State
from ivr_flows.properties import (
    DialProperties,
    EnqueueProperties,
    GotoFlowProperties,
    HttpRequestProperties,
    OfferProperties,
    RequestCallbackProperties,
    ScheduleProperties,
    TransferProperties,
)
from ivr_flows.spoken import prompts_of
from ivr_flows.templates import Place, parse


class Named(StrEnum):
    """What a name of a flow can be of."""

    FLOW = "flow"
    SOUND = "sound"  # known in one language alone as `ru/name`
    HOST = "host"  # `example.org`, with a port that is not the usual one
    HOURS = "hours"
    PLACE = "place"  # of offers
    DESTINATION = "destination"  # an agent or a destination of the list
    QUEUE = "queue"  # or a skill, which serves where there is no queue


@dataclass(frozen=True, slots=True)
class Naming:
    """A name in a flow."""

    kind: Named
    name: str
    #: states.sales.properties.queue
    path: str
    #: how a list may have it too
    also: str = ""
    #: of a recording: in which it is played
    language: str = ""

    @property
    def compared(self) -> str:
        """See `compared`."""
        return compared(self.kind, self.name)

    def known(self, names: Collection[str]) -> bool:
        """Whether it is among those that there are."""
        if self.kind is Named.DESTINATION:
            return self.compared in {compared(self.kind, one) for one in names}
        return self.name in names or (bool(self.also) and self.also in names)


def compared(kind: Named, name: str) -> str:
    """The name as two are compared: whom to ring is found whatever the size of letters."""
    return name.casefold() if kind is Named.DESTINATION else name


def namings(flow: Flow) -> Iterator[Naming]:
    """All names, in the order of the states. What a variable decides is not among them."""
    for state in flow.states.values():
        path = f"states.{state.name}.properties"
        for kind, of, name in _of_state(state):
            yield Naming(kind, name, f"{path}.{of}")
        if isinstance(state.properties, HttpRequestProperties):
            yield _host(state.properties.url, f"{path}.url")
        for of, said in prompts_of(state):
            for part, language in said.all(flow.language):
                if part.sound:
                    also = f"{language}/{part.sound}"
                    yield Naming(Named.SOUND, part.sound, f"{path}.{of}", also, language)


def _of_state(state: State) -> Iterator[tuple[Named, str, str]]:
    """What is named, in which property, the name."""
    match state.properties:
        case GotoFlowProperties(flow=flow):
            yield Named.FLOW, "flow", flow
        case ScheduleProperties(hours=str(hours)):
            yield Named.HOURS, "hours", hours
        case OfferProperties(place=place):
            yield Named.PLACE, "place", place
        case EnqueueProperties(queue=queue):
            yield Named.QUEUE, "queue", queue
        case RequestCallbackProperties(queue=str(queue)):
            yield Named.QUEUE, "queue", queue
        case TransferProperties(target=target) if _plain(target):
            yield Named.DESTINATION, "target", target.strip()
        case DialProperties(targets=targets):
            yield from ((Named.DESTINATION, "targets", one.strip()) for one in targets if _plain(one))


def _host(url: str, path: str) -> Naming:
    """As the list of allowed hosts has it: the usual port may be left out."""
    host, port = hosts.host_of(url)
    usual = port == (80 if url.startswith("http:") else 443)
    whole = f"{host}:{port}"
    return Naming(Named.HOST, host, path, whole) if usual else Naming(Named.HOST, whole, path)


def _plain(template: str) -> bool:
    return not any(isinstance(piece, Place) for piece in parse(template))
