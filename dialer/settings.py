"""Every setting of the server, in one place, each with its unit and default.

A setting is read from the environment (`DOZVON_HTTP_PORT`), else from the TOML file that `DOZVON_CONFIG`
names (default `/etc/dozvon/dozvon.toml` where there is one), else it has the default below. Secrets that
are not set are generated into the data folder (mode 0600), never defaulted.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
import shlex
import tempfile
import tomllib
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from dialer.errors import SettingsError
from dialer.names import NAME

CONFIG_FILE = Path("/etc/dozvon/dozvon.toml")
#: The log of changes is a proof: five years, as the United States ask of records of calls (16 CFR 310.5) and
#: Germany of consent (7a UWG), a leap year or two among them. The database refuses less.
AUDIT_LEAST_DAYS = 1827

Port = Annotated[int, Field(ge=0, le=65535)]


def default_data_dir() -> Path:
    """Where Dozvon keeps its own files: `/var/lib/dozvon` for root, else the user's data folder (XDG)."""
    if os.geteuid() == 0:
        return Path("/var/lib/dozvon")
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "dozvon"


class Settings(BaseSettings):
    """The server's settings; the names in the environment are these in capitals, after `DOZVON_`."""

    model_config = SettingsConfigDict(env_prefix="DOZVON_", extra="forbid", frozen=True)

    data_dir: Path = Field(
        default_factory=default_data_dir,
        description="folder of everything the server writes: embedded database, Asterisk's run files, "
        "recordings, prompts, generated secrets",
    )
    cache_dir: Path | None = Field(
        None, description="folder of unpacked distribution packages; default: `packages` in the data folder"
    )
    locale: Literal["ru", "en"] = Field("ru", description="language of pages before a user has chosen one")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least level logged")
    log_format: Literal["json", "console"] = Field("json", description="how a log line is written")

    database_url: SecretStr | None = Field(
        None,
        description="PostgreSQL 15 or later, as the role without rights of its own "
        "(postgresql://dozvon_app:...@host/dozvon); unset: the embedded PostgreSQL is started",
    )
    database_owner_url: SecretStr | None = Field(
        None, description="the same database as its owner, for migrations; needed with database_url"
    )
    database_pool: int = Field(10, ge=2, le=200, description="connections of each process to the database")

    server_name: str = Field(
        "main",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$",
        description="name of this server among those of one database; each has its own and keeps it",
    )
    node_name: str = Field(
        "main",
        pattern=f"^{NAME}$",
        description="name of the Asterisk server that ami_host and ami_port reach; servers of one node "
        "share it",
    )
    asterisk: Literal["managed", "external"] = Field(
        "managed", description="managed: the server starts and stops Asterisk itself; external: yours, by AMI"
    )
    ami_host: str = Field("127.0.0.1", description="host of Asterisk's manager interface")
    ami_port: Port = Field(5038, description="TCP port of Asterisk's manager interface")
    ami_user: str = Field(
        "dozvon",
        max_length=15,
        description="user of Asterisk's manager interface, 15 characters at most; each server has its own",
    )
    ami_secret: SecretStr | None = Field(
        None, description="its secret; with a managed Asterisk it is generated"
    )
    agi_host: str = Field("127.0.0.1", description="address that the FastAGI server binds")
    agi_port: Port = Field(4573, description="TCP port of the FastAGI server; 0: any free one")
    agi_address: str | None = Field(
        None, description="host:port by which Asterisk reaches the FastAGI server; default: what is bound"
    )
    hooks_agi_host: str = Field(
        "127.0.0.1", description="address that the FastAGI server of hooks (in the web process) binds"
    )
    hooks_agi_port: Port | None = Field(
        None, description="TCP port of the FastAGI server of hooks; 0: any free one; unset: there is none"
    )
    hooks_per_s: int = Field(
        200, ge=1, le=10_000, description="hooks a second that one API token is answered, each web process"
    )
    sip_host: str = Field("127.0.0.1", description="address that a managed Asterisk binds for SIP")
    sip_port: Port = Field(5060, description="UDP port of a managed Asterisk for SIP")
    asterisk_http_port: Port = Field(8088, description="TCP port of a managed Asterisk for WebSocket SIP")
    asterisk_ws_url: str | None = Field(
        None,
        pattern=r"^wss?://[^/?#]+/[^?#]*$",
        description="where Asterisk takes SIP over WebSocket, to which agents' browsers are passed on "
        "(ws://10.0.0.7:8088/ws); default: asterisk_http_port of this machine",
    )
    rtp_port_from: Port = Field(10000, description="first UDP port for voice of a managed Asterisk")
    rtp_port_to: Port = Field(19999, description="last UDP port for voice (two ports a leg)")
    external_address: str | None = Field(
        None,
        description="address by which browsers, phones and carriers outside reach the machine of a managed "
        "Asterisk, where that is not its own (behind NAT): the voice is asked for there",
    )
    local_networks: str = Field(
        "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 127.0.0.0/8",
        description="with external_address: networks whose phones and carriers use the machine's own address",
    )
    browser_codec: Literal["alaw", "opus"] = Field(
        "alaw",
        description="codec that browsers are offered first, and take: opus bears a bad network better, and "
        "costs a managed Asterisk twice as much as alaw",
    )
    stun_url: str | None = Field(
        None,
        pattern=r"^stuns?:[^\s?#]+$",
        description="STUN server that agents' browsers ask for their address (stun:stun.example.org:3478)",
    )
    turn_url: str | None = Field(
        None,
        pattern=r"^turns?:[^\s#]+$",
        description="TURN server for the voice of agents' browsers that cannot send UDP to Asterisk "
        "(turns:turn.example.org:443?transport=tcp); needs turn_secret",
    )
    turn_secret: SecretStr | None = Field(
        None,
        validate_default=True,
        description="secret shared with the TURN server (coturn: static-auth-secret), for its passwords",
    )
    sounds_dir: Path | None = Field(
        None,
        description="folder on Asterisk's machine where prompts are put for an external Asterisk "
        "(shared or synchronised); default: `sounds` in the data folder",
    )
    recordings_dir: Path | None = Field(
        None, description="folder of recordings, the same path for Asterisk; default: in the data folder"
    )
    recordings_s3_bucket: str | None = Field(
        None,
        pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
        description="bucket of an S3-compatible store: recordings are moved there when they are whole, and "
        "played from there; unset: they stay in the folder",
    )
    recordings_s3_prefix: str = Field(
        "",
        max_length=200,
        pattern=r"^([A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*)?$",
        description="what the names of recordings in the bucket begin with (dozvon/main)",
    )
    recordings_s3_endpoint: str | None = Field(
        None,
        pattern=r"^https?://[^/?#\s]+/?$",
        description="address of the store (https://s3.example.org); default: Amazon's of the region",
    )
    recordings_s3_region: str = Field(
        "us-east-1",
        pattern=r"^[A-Za-z0-9-]{1,40}$",
        description="region of the store",
    )
    recordings_s3_ca: Path | None = Field(
        None,
        description="certificates in PEM of the store's authority, where that is one of your own",
    )
    recordings_s3_key: SecretStr | None = Field(
        None,
        validate_default=True,
        description="id of the key by which the store knows the server; needed with recordings_s3_bucket",
    )
    recordings_s3_secret: SecretStr | None = Field(
        None, validate_default=True, description="the secret of that key; needed with recordings_s3_bucket"
    )

    http_host: str = Field("127.0.0.1", description="address that pages and API bind")
    http_port: Port = Field(8080, description="TCP port of pages and API; 0: any free one")
    public_url: str | None = Field(
        None,
        pattern=r"^https?://[^/?#]+/?$",
        description="address by which people reach the server through a proxy (https://dialer.example.org); "
        "decides which host names are answered, makes cookies Secure, trusts X-Forwarded-For of a local "
        "proxy",
    )
    tls_certificate: Path | None = Field(
        None,
        description="certificate, with those between it and its authority, in PEM: pages, API and phones are "
        "then served by https; a renewed one is read by itself within a minute",
    )
    tls_key: Path | None = Field(
        None, validate_default=True, description="its private key in PEM; needed with tls_certificate"
    )
    session_hours: int = Field(12, ge=1, le=168, description="hours until a person must log in again")

    asterisk_sounds_dir: Path | None = Field(
        None,
        description="folder of Asterisk's own sounds (ru/, en/ in it) as this server sees it; default: that "
        "of the managed one, or of an external one on this machine. Without it numbers are spoken",
    )
    speech_command: str | None = Field(
        None,
        min_length=1,
        max_length=1000,
        description="a program that speaks in place of espeak-ng: reads a text, writes the WAV file {out}; "
        "{language} is ru or en (piper --model /opt/voices/{language}.onnx --output_file {out})",
    )
    speech_timeout_s: float = Field(
        30.0, gt=0, le=600, description="deadline of one spoken text, seconds: then its program is killed"
    )
    speech_cache_mb: int = Field(
        500, ge=10, description="most megabytes of spoken texts that are kept; a minute is one"
    )

    smtp_host: str | None = Field(
        None,
        min_length=1,
        description="mail server that letters of scripts are given to; unset: scripts send no letters",
    )
    smtp_port: Port = Field(587, description="its TCP port")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        "starttls",
        description="starttls and tls: the connection is encrypted and the certificate checked; none: it is "
        "not, for a mail server of this machine",
    )
    smtp_user: str | None = Field(None, description="its user; unset: it asks for no log-in")
    smtp_password: SecretStr | None = Field(None, description="that user's password")
    letters_from: str | None = Field(
        None,
        pattern=r"^([^<>@\r\n]+ <[^<>@\s]+@[^<>@\s]+>|[^<>@\s]+@[^<>@\s]+)$",
        validate_default=True,
        description="sender of letters (Showroom <info@example.org>); needed with smtp_host",
    )

    default_region: str = Field(
        "RU", min_length=2, max_length=2, description="country of phone numbers written without one"
    )
    tick_ms: int = Field(250, ge=50, le=1000, description="longest time between two pacing decisions, ms")
    ami_timeout_s: float = Field(5.0, gt=0, le=60, description="deadline of one manager action, seconds")
    ami_ping_s: float = Field(1.0, gt=0, le=60, description="time between two pings of Asterisk, seconds")
    keep_customer_s: float = Field(
        15.0,
        ge=0,
        le=120,
        description="how long a talking customer is kept for an agent whose phone was lost, s",
    )
    callback_reminder_s: float = Field(
        300.0, ge=0, le=86400, description="how long before a promised call its agent is told, seconds"
    )

    keep_commands_days: int = Field(
        7, ge=1, description="days that what was asked of the engine is kept, with its replies"
    )
    keep_pacing_days: int = Field(
        90, ge=1, description="days that decisions of pacing are kept: why nothing was dialled at 10:02"
    )
    keep_agent_time_days: int = Field(
        1096, ge=31, description="days that agents' times in each state are kept: figures of shifts end there"
    )
    keep_recordings_days: int | None = Field(
        None,
        ge=1,
        description="days that recordings of talks and messages are kept, but for those on hold; default: "
        "until the person is erased",
    )
    keep_audit_days: int = Field(
        AUDIT_LEAST_DAYS,
        ge=AUDIT_LEAST_DAYS,
        description="days that the log of changes is kept; five years are the least",
    )

    @field_validator(
        "data_dir", "cache_dir", "sounds_dir", "recordings_dir", "asterisk_sounds_dir", "recordings_s3_ca"
    )
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return value.expanduser().absolute() if value is not None else None

    @field_validator("data_dir", "sounds_dir", "recordings_dir")
    @classmethod
    def _one_word_to_asterisk(cls, value: Path | None) -> Path | None:
        # MixMonitor and Playback take several things in one string.
        if value is not None and (found := set(str(value)) & set(",&|$\"'\n\r\0")):
            raise PydanticCustomError(
                "asterisk_path",
                "must hold none of , & | $ and quotes, which Asterisk reads as more than a path: {found}",
                {"found": " ".join(sorted(found))},
            )
        return value

    @field_validator("speech_command")
    @classmethod
    def _writes_somewhere(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                words = shlex.split(value)
            except ValueError as error:
                raise PydanticCustomError(
                    "command", "cannot be read as a command: {error}", {"error": str(error)}
                ) from None
            if not any("{out}" in word for word in words[1:]):
                raise PydanticCustomError(
                    "command", "must name the file that it writes, {out}", {"out": "{out}"}
                )
        return value

    @field_validator("external_address")
    @classmethod
    def _an_address(cls, value: str | None) -> str | None:
        try:
            return value and str(ipaddress.ip_address(value))
        except ValueError:
            raise PydanticCustomError("address", "must be an IP address") from None

    @field_validator("local_networks")
    @classmethod
    def _networks(cls, value: str) -> str:
        try:
            return " ".join(str(ipaddress.ip_network(one)) for one in value.split())
        except ValueError as error:
            raise PydanticCustomError(
                "networks", "must be networks like 10.0.0.0/8: {error}", {"error": str(error)}
            ) from None

    @field_validator("tls_key")
    @classmethod
    def _both_of_tls(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if (value is None) != (info.data.get("tls_certificate") is None):
            raise PydanticCustomError("tls", "and DOZVON_TLS_CERTIFICATE are set together, or neither is")
        return value

    @field_validator("letters_from")
    @classmethod
    def _both_of_letters(cls, value: str | None, info: ValidationInfo) -> str | None:
        if (value is None) != (info.data.get("smtp_host") is None):
            raise PydanticCustomError("smtp", "and DOZVON_SMTP_HOST are set together, or neither is")
        return value

    @field_validator("recordings_s3_key", "recordings_s3_secret")
    @classmethod
    def _all_of_s3(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is None and info.data.get("recordings_s3_bucket") is not None:
            raise PydanticCustomError("s3", "is missing: DOZVON_RECORDINGS_S3_BUCKET needs a key")
        return value

    @field_validator("turn_secret")
    @classmethod
    def _both_of_turn(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if (value is None) != (info.data.get("turn_url") is None):
            raise PydanticCustomError("turn", "and DOZVON_TURN_URL are set together, or neither is")
        return value

    @field_validator("rtp_port_to")
    @classmethod
    def _room_for_a_talk(cls, value: int, info: ValidationInfo) -> int:
        first = info.data.get("rtp_port_from")
        if first is not None and value < first + 3:
            raise PydanticCustomError(
                "rtp_ports",
                "must be at least 3 above DOZVON_RTP_PORT_FROM, which is {first} (a talk takes four ports)",
                {"first": first},
            )
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        file = Path(os.environ.get("DOZVON_CONFIG") or CONFIG_FILE)
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, file)

    @property
    def phone_url(self) -> str:
        """Where the phones of agents' browsers are passed on to."""
        return self.asterisk_ws_url or f"ws://127.0.0.1:{self.asterisk_http_port}/ws"

    # -- folders derived from the data folder --------------------------------------------------------

    @property
    def packages_dir(self) -> Path:
        """Where distribution packages are unpacked."""
        return self.cache_dir or self.data_dir / "packages"

    @property
    def prompts_dir(self) -> Path:
        """Where the server puts sounds for Asterisk to play."""
        return self.sounds_dir or self.data_dir / "sounds"

    @property
    def recording_dir(self) -> Path:
        """Where Asterisk writes recordings."""
        return self.recordings_dir or self.data_dir / "recordings"

    @property
    def recordings_place(self) -> str | None:
        """Where in the store recordings are moved to: bucket, or bucket/prefix; None: they are not."""
        if self.recordings_s3_bucket is None:
            return None
        return "/".join(filter(None, (self.recordings_s3_bucket, self.recordings_s3_prefix)))

    def writable_data_dir(self) -> Path:
        """The data folder, made if need be. Raises SettingsError where it cannot be written."""
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.data_dir, prefix=".check-"):
                pass
        except OSError as error:
            raise SettingsError(
                setting="DOZVON_DATA_DIR",
                reason=f"{self.data_dir} cannot be written ({error.strerror}); give the folder to the user "
                "that runs the server, or name another one",
            ) from None
        return self.data_dir

    def secret(self, name: str) -> str:
        """The secret `name` of this installation, made on first use, mode 0600 under `secrets/`."""
        path = self.data_dir / "secrets" / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return path.read_text().strip()
        with os.fdopen(fd, "w") as file:
            value = secrets.token_urlsafe(24)
            file.write(value)
        return value

    def ami_password(self) -> str:
        """The manager secret: the one that was set, else the generated one."""
        return self.ami_secret.get_secret_value() if self.ami_secret else self.secret("ami")


#: What agi_scripts/ read, where the PBX is on this machine: no settings of the server, and no mistakes.
OF_HOOKS: Final = ("DOZVON_HOOKS_FILE", "DOZVON_HOOKS_URL", "DOZVON_HOOKS_TOKEN")


def load(**overrides: object) -> Settings:
    """Read the settings; `overrides` win over everything.

    Raises SettingsError with one line that names the first wrong setting, its value and what it must be.
    """
    file = os.environ.get("DOZVON_CONFIG")
    if file and not Path(file).is_file():
        raise SettingsError(setting="DOZVON_CONFIG", reason=f"there is no file {file}")
    known = {f"DOZVON_{name.upper()}" for name in Settings.model_fields} | {"DOZVON_CONFIG", *OF_HOOKS}
    for name in sorted(os.environ):
        if name.startswith("DOZVON_") and name not in known:
            raise SettingsError(setting=name, reason="no such setting; `dozvon settings` lists them")
    source = file or str(CONFIG_FILE)
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else ""
        name = f"DOZVON_{field.upper()}" if field else "settings"
        if first["type"] == "extra_forbidden":
            # Those in the environment were looked at above.
            raise SettingsError(
                setting=f"{field} in {source}", reason="no such setting; `dozvon settings` lists them"
            ) from None
        # A secret that is wrong must not reach the log with its value.
        hidden = "secret" in field or "url" in field or field == "recordings_s3_key"
        shown = "" if hidden else f", not {first['input']!r}"
        said = first["msg"][:1].lower() + first["msg"][1:]
        raise SettingsError(setting=name, reason=said + shown) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(
            setting="DOZVON_CONFIG", reason=f"{source} is no TOML file: {str(error).rstrip('.')}"
        ) from None
    except OSError as error:
        raise SettingsError(
            setting="DOZVON_CONFIG", reason=f"{source} cannot be read ({error.strerror})"
        ) from None
