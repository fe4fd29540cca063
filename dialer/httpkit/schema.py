"""The two kinds of models of the API: what comes in is strict, what goes out is plain."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

#: Moments that a call can be about. Those near the ends of the calendar cannot be told in every time zone.
FIRST_YEAR, LAST_YEAR = 2000, 2100
#: One line without control characters.
LINE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
#: What fits a pattern, as whoever sent something else is told.
FORMS: Final[dict[str, str]] = {LINE: "may have no line breaks and no control characters"}


def form(pattern: str, words: str) -> str:
    """The pattern of a field; `words` say what fits it, "must be ..."."""
    FORMS[pattern] = words
    return pattern


def near(moment: datetime) -> datetime:
    """The moment, if it is of our time. Raises ValueError."""
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ValueError("must be of the years 2000 to 2100")
    return moment


#: An aware moment that a request may name.
Moment = Annotated[AwareDatetime, AfterValidator(near)]
#: A name or a label: what is shown in a row, written into configuration and spoken of in logs.
Line = Annotated[str, StringConstraints(pattern=LINE)]


class In(BaseModel):
    """A body or a query string: fields that are not known are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class UsedQuery(In):
    """Whether what flows name may go, or have another name."""

    even_if_used: bool = Field(False, description="also where flows that callers are led by name it")


class Out(BaseModel):
    """A reply; made from rows and dataclasses with `model_validate`."""

    model_config = ConfigDict(frozen=True, from_attributes=True)
