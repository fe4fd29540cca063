"""What may be said of a trunk: whitelists for all that reaches Asterisk's files and dial strings."""

from __future__ import annotations

import ipaddress
import re
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from dialer.httpkit.schema import In, Line
from dialer.trunks.caps import TYPED_PER_HOUR
from dialer.trunks.model import CODECS, DIAL_FORMAT, E164, ENDPOINT, HOST, PREFIX, SIP_SECRET, SIP_USER

Codec = Literal["alaw", "ulaw", "g722", "opus", "gsm"]


def _of(form: re.Pattern[str], said: str) -> AfterValidator:
    def check(value: str) -> str:
        if not form.fullmatch(value):
            raise ValueError(said)
        return value

    return AfterValidator(check)


#: Longest name of a host: PJSIP keeps 256 characters of a contact, and Asterisk's files are checked for it.
_LONGEST_HOST = 128


def _host(value: str) -> str:
    if not HOST.fullmatch(value) or len(value) > _LONGEST_HOST:
        try:
            ipaddress.ip_address(value)
        except ValueError:
            raise ValueError("must be a host name or an address") from None
        if "%" in value:
            # Python takes anything for the zone of an address; Asterisk takes no zone.
            raise ValueError("must be a host name or an address")
    return value


def _secret(value: SecretStr) -> SecretStr:
    if not SIP_SECRET.fullmatch(value.get_secret_value()):
        raise ValueError(
            "needs 8 to 128 letters, digits or signs, not # first, without space, quotes, brackets, ; and \\"
        )
    return value


#: An amount of money, in the currency of the carrier's tariff.
Money = Annotated[Decimal, Field(ge=0, max_digits=14, decimal_places=4)]
Price = Annotated[Decimal, Field(ge=0, le=1_000_000, decimal_places=4)]


class RateIn(In):
    """What a carrier takes for a call to numbers that begin so."""

    prefix: Annotated[str, _of(PREFIX, "must be a prefix like +7")] = Field(
        description="the longest prefix that a number begins with decides"
    )
    per_minute: Price = Field(description="for a minute of talk; it is counted by the second")
    per_call: Price = Field(default=Decimal(0), description="for each answered call")


class TrunkIn(In):
    """A trunk as it is asked for.

    With `sip_host` a managed Asterisk is given the endpoint, under a name of the server's own. Without it
    `endpoint` names a PJSIP endpoint that your own Asterisk has.
    """

    name: Line = Field(min_length=1, max_length=100, description="unique name")
    endpoint: Annotated[str, _of(ENDPOINT, "may have letters, digits, _ and - (64 at most)")] | None = Field(
        default=None, description="PJSIP endpoint of your own Asterisk; null with sip_host"
    )
    caller_id: Annotated[str, _of(E164, "must be a number like +74951234567")] = Field(
        description="number shown to the called person, E.164"
    )
    max_channels: int = Field(default=30, ge=1, le=10_000, description="calls at once")
    max_cps: float = Field(default=5.0, ge=0.1, le=500, description="new calls a second")
    allowed_prefixes: list[Annotated[str, _of(PREFIX, "must be a prefix like +7")]] = Field(
        max_length=500, description="numbers must begin with one of these; an empty list allows nothing"
    )
    dial_format: Annotated[
        str, _of(DIAL_FORMAT, "must be {e164} or {digits}, with 8 digits before it at most")
    ] = Field(
        default="{e164}", description="how the carrier wants the number: {e164} is +7..., {digits} is 7..."
    )
    codecs: list[Codec] = Field(
        default=["alaw"], min_length=1, description="codecs in the order they are offered"
    )
    sip_host: Annotated[str, AfterValidator(_host)] | None = Field(
        default=None, description="the carrier's host, for a managed Asterisk"
    )
    sip_port: int | None = Field(
        default=None, ge=1, le=65535, description="the carrier's UDP port; null: 5060"
    )
    sip_user: Annotated[str, _of(SIP_USER, "may have letters, digits, . _ + - (64 at most)")] | None = Field(
        default=None, description="user at the carrier; null: the carrier knows us by our address"
    )
    sip_secret: Annotated[SecretStr, AfterValidator(_secret)] | None = Field(
        default=None, description="password at the carrier; it is never shown again"
    )
    enabled: bool = Field(default=True, description="whether calls may take it")
    max_spend_per_day: Money | None = Field(
        default=None,
        description="money a day, by the tenant's clock; null: no cap. A number without a tariff is refused "
        "where money is capped",
    )
    rates: list[RateIn] = Field(default=[], max_length=2000, description="the carrier's tariff")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.endpoint is None) == (self.sip_host is None):
            raise ValueError("name either the endpoint of your own Asterisk or the carrier's sip_host")
        if self.sip_host is None and (self.sip_port or self.sip_user or self.sip_secret):
            raise ValueError("sip_port, sip_user and sip_secret go with sip_host")
        if self.sip_secret and not self.sip_user:
            raise ValueError("sip_secret goes with sip_user")
        if len(set(self.codecs)) != len(self.codecs):
            raise ValueError("names a codec twice")
        if len({rate.prefix for rate in self.rates}) != len(self.rates):
            raise ValueError("names a prefix of the tariff twice")
        return self


class TrunkEdit(In):
    """Changes of a trunk: what is left out stays. The bounds are those of a new trunk."""

    name: str | None = None
    endpoint: str | None = None
    caller_id: str | None = None
    max_channels: int | None = None
    max_cps: float | None = None
    allowed_prefixes: list[str] | None = None
    dial_format: str | None = None
    codecs: list[Codec] | None = None
    sip_host: str | None = None
    sip_port: int | None = None
    sip_user: str | None = None
    sip_secret: SecretStr | None = Field(default=None, description="null: none any more")
    enabled: bool | None = None
    max_spend_per_day: Money | None = Field(default=None, description="null: no cap")
    rates: list[RateIn] | None = Field(default=None, description="the whole tariff, in place of the old one")


class CapsIn(In):
    """Changes of a tenant's caps over all its trunks: what is left out stays, null takes a cap away."""

    max_channels: int | None = Field(default=None, ge=0, le=100_000, description="calls at once")
    max_cps: float | None = Field(default=None, ge=0.1, le=10_000, description="new calls a second")
    max_spend_per_day: Money | None = Field(default=None, description="money a day, by the tenant's clock")
    max_typed_per_hour: int | None = Field(
        default=None,
        ge=0,
        le=10_000,
        description=f"numbers that one agent may type by hand in an hour; null: {TYPED_PER_HOUR}",
    )


assert TrunkEdit.model_fields.keys() == TrunkIn.model_fields.keys()
assert set(CODECS) == set(Codec.__args__)  # type: ignore[attr-defined]
