"""The two kinds of models of the API: what comes in is strict, what goes out is plain."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class In(BaseModel):
    """A body or a query string: fields that are not known are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class Out(BaseModel):
    """A reply; made from rows and dataclasses with `model_validate`."""

    model_config = ConfigDict(frozen=True, from_attributes=True)
