"""The API of the hosts that flows may ask."""

from __future__ import annotations

from typing import Annotated, Self

from aiohttp import web
from pydantic import Field, SecretStr, StringConstraints

from dialer.errors import Conflict, InUse, Invalid, NotFound
from dialer.hosts.model import HEADER, HOST, Host
from dialer.hosts.service import HostService
from dialer.httpkit.access import Right
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import In, Line, Out, UsedQuery, form

HOSTS = web.AppKey("hosts", HostService)
routes = Routes("hosts")

Name = Annotated[
    Line,
    StringConstraints(
        max_length=260, pattern=form(HOST, "must be a host in small letters: example.org, example.org:8080")
    ),
]
Header = Annotated[
    str, StringConstraints(pattern=form(f"{HEADER[:-1]}$|^$", "must be the name of a header, or empty"))
]


class HostEdit(In):
    """What goes with requests to a host; what is left out stays."""

    inside: bool = Field(False, description="it is in your own network: private addresses are right for it")
    header: Header = Field("", description="a header that goes with each request, as Authorization")
    secret: SecretStr = Field(
        SecretStr(""), max_length=1000, description="the header's value; it is never given out"
    )

    def values(self) -> dict[str, object]:
        """The columns that were sent."""
        found = self.model_dump(include=self.model_fields_set)
        if "secret" in found:
            found["secret"] = self.secret.get_secret_value()
        return found


class HostIn(HostEdit):
    """A host that flows may ask."""

    host: Name = Field(description="as flows write it: example.org; with a port that is not the usual one")

    def values(self) -> dict[str, object]:
        """The columns of the row."""
        return {"inside": False, "header": "", "secret": "", **super().values()}


class HostOut(Out):
    """A host that flows may ask."""

    id: int
    host: str
    inside: bool
    header: str
    has_secret: bool

    @classmethod
    def of(cls, host: Host) -> Self:
        """The reply of a host."""
        return cls(
            id=host.id,
            host=host.host,
            inside=host.inside,
            header=host.header,
            has_secret=bool(host.secret),
        )


@routes.get("/allowed-hosts", right=Right.CAMPAIGNS_READ)
async def list_(call: Call) -> list[HostOut]:
    """The hosts that flows may ask, by name."""
    return [HostOut.of(one) for one in await call.app[HOSTS].hosts(call.actor)]


@routes.post(
    "/allowed-hosts", right=Right.HOSTS_EDIT, status=201, errors=(Invalid, Conflict), idempotent=False
)
async def add(call: Call, body: HostIn) -> HostOut:
    """Let flows ask a host."""
    return HostOut.of(await call.app[HOSTS].add(call.actor, body.values()))


@routes.patch("/allowed-hosts/{host_id}", right=Right.HOSTS_EDIT, errors=(Invalid, NotFound))
async def change(call: Call, host_id: int, body: HostEdit) -> HostOut:
    """Change what goes with requests to a host; fields that are left out stay."""
    return HostOut.of(await call.app[HOSTS].change(call.actor, host_id, body.values()))


@routes.delete("/allowed-hosts/{host_id}", right=Right.HOSTS_EDIT, errors=(NotFound, InUse))
async def remove(call: Call, host_id: int, query: UsedQuery) -> None:
    """Let flows ask a host no more."""
    await call.app[HOSTS].remove(call.actor, host_id, even_if_used=query.even_if_used)
