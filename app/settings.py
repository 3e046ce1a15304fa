"""One frozen object of settings: ``keel.toml`` < ``KEEL_*`` environment < flags, in rising order of precedence.

The file is the user's own or one that is named. A file that merely lies in the current folder is not read: it may come
from somebody else, and could send the key elsewhere.
"""

import os
from difflib import get_close_matches
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from elicitation.errors import InvalidInput

Port = Annotated[int, Field(ge=1, le=65535)]
Count = Annotated[int, Field(ge=1)]
Folder = Annotated[Path, AfterValidator(Path.expanduser)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(lambda v: v.split(",") if isinstance(v, str) else v)]
Networks = Annotated[Names, AfterValidator(lambda networks: tuple(str(ip_network(n, strict=False)) for n in networks))]
PREFIX = "KEEL_"
FILE = "keel.toml"
CONFIGURATION = f"{PREFIX}CONFIG"
"""Variable that names the file; ``keel --config FILE`` sets it."""
OWN_NAMES = ("localhost", "127.0.0.1", "::1")
LOOPBACK = ("127.0.0.1/32", "::1/128")


class Settings(BaseSettings):
    """The settings in force. Every field has a ``KEEL_`` variable; ``/info`` shows the limits."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    host: str = Field(default="127.0.0.1", description="address the service binds to")
    port: Port = Field(default=8765, description="port of the HTTP service")
    ui_port: Port = Field(default=8501, description="port of the web page")
    url: str = Field(default="", description="URL at which commands find the service; empty means http://host:port")
    key: SecretStr | None = Field(
        default=None, description="key that the commands and the web page send to the service"
    )
    allowed_hosts: Names = Field(
        default=(), description="further host names that requests may address, comma-separated"
    )
    login: Literal["token", "header", "oidc"] = Field(
        default="token",
        description="how people log in to the web page: token in the printed address (only without keys), header of a "
        "trusted proxy, or OpenID Connect",
    )
    identity_header: str = Field(
        default="X-Forwarded-User",
        pattern=r"^[A-Za-z0-9-]+$",
        description="header in which the proxy names the person who is logged in, for login = header",
    )
    trusted_proxies: Networks = Field(
        default=LOOPBACK,
        description="addresses or networks of the proxies whose header is believed, comma-separated",
    )
    oidc_file: Folder | None = Field(
        default=None, description="TOML file with the provider, in a section [auth], for login = oidc"
    )
    auditors: Names = Field(
        default=(), description="identities that see the audit page where people log in, comma-separated"
    )
    data_dir: Path = Field(
        default=Path("~/.local/share/keel"), description="data folder, which holds the database; created on start"
    )
    basis: Folder | None = Field(default=None, description="folder of a trained basis; default: the shipped basis")
    metrics: Literal["loopback", "keyed", "off"] = Field(
        default="loopback",
        description="who reads /metrics: this machine without a key (not through a proxy), holders of a key, or nobody",
    )
    otlp_url: Annotated[str, Field(pattern=r"^(https?://[^\s/]+.*)?$")] = Field(
        default="",
        description="URL of an OpenTelemetry collector, such as http://127.0.0.1:4318, that gets a span of each "
        "request and stage as OTLP over HTTP; needs the extra otel",
    )
    erasure_days: Annotated[int, Field(ge=0)] = Field(
        default=30, description="days from an erasure until a population learned with the person is retired"
    )
    smallest_cohort: Count = Field(
        default=5, description="number of people below which an audit shows no figure of a group"
    )
    visit_hours: Annotated[float, Field(gt=0, le=8_760)] = Field(
        default=24,
        description="hours for which somebody who was asked and has answered nothing is known; then their question is "
        "deleted",
    )
    max_visits: Count = Field(
        default=10_000,
        description="number of people of one tenant who were asked and have answered nothing; the oldest of more are "
        "forgotten",
    )
    traffic_days: Annotated[int, Field(ge=0)] = Field(
        default=0, description="days for which numbers about served rankings are kept for audits; 0: none are kept"
    )
    explore_rate: Annotated[float, Field(ge=0, le=0.5)] = Field(
        default=0.0,
        description="share of rankings, at random, that the aggregate serves; 0.02 to 0.05 makes audits causal",
    )
    max_body_bytes: Count = Field(default=4 * 2**20, description="largest request body, in bytes")
    max_values: Count = Field(default=100_000, description="largest number of JSON values in one request body")
    max_items: Count = Field(default=1024, description="largest number of responses in one scoring request")
    max_candidates: Count = Field(default=256, description="largest number of candidates in one ranking request")
    max_people: Count = Field(default=256, description="largest number of different people in one scoring request")
    max_text_chars: Count = Field(default=100_000, description="longest prompt or response, in characters")
    max_messages: Count = Field(default=200, description="largest number of messages in one conversation")
    max_note_chars: Count = Field(default=2_000, description="longest note kept with an answer, in characters")
    max_waiting_texts: Count = Field(default=4_096, description="number of waiting texts at which requests get 503")
    max_waiting_tokens: Count = Field(
        default=262_144, description="number of waiting tokens, as estimated, at which requests get 503"
    )
    max_waiting_seconds: Annotated[float, Field(gt=0)] = Field(
        default=10, description="seconds of waiting work, as measured, at which requests get 503"
    )
    max_tenant_tokens: Count | None = Field(
        default=None, description="number of waiting tokens of one tenant at which its requests get 429; default: none"
    )
    max_connections: Count = Field(
        default=512, description="largest number of open connections; the one idle for longest gives way to a new one"
    )
    head_seconds: Annotated[float, Field(gt=0)] = Field(
        default=10, description="time in which a client must send the head of a request, in seconds"
    )
    body_seconds: Annotated[float, Field(gt=0)] = Field(
        default=60, description="time in which a client must send a body or read a reply, in seconds"
    )
    idle_seconds: Count = Field(default=5, description="seconds for which a connection is kept for another request")
    unknown_person: Literal["refuse", "aggregate"] = Field(
        default="refuse",
        description="reply to an unknown person on compatible endpoints: 404 (refuse) or the aggregate",
    )
    rubrics: Names = Field(
        default=(), description="your own checks before scoring, package.module:function, comma-separated"
    )
    share_caches: bool = Field(
        default=False,
        description="let all tenants share cached texts. It saves work, and a quick reply then tells a tenant that "
        "another one scored the same text. One tenant alone gains nothing",
    )
    cache_vectors: Count = Field(default=20_000, description="number of encoder vectors kept in memory")
    cache_items: Count = Field(default=100_000, description="number of rows of base rewards kept in memory")
    cache_profiles: Count = Field(default=4_096, description="number of fitted profiles kept in memory")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, configuration_file())

    @model_validator(mode="after")
    def exploring_is_logged(self) -> Self:
        if self.explore_rate and not self.traffic_days:
            raise ValueError("explore_rate without traffic_days serves people worse and learns nothing; set both")
        return self

    @property
    def address(self) -> str:
        """URL of the HTTP service."""
        return f"http://{_literal(self.host)}:{self.port}"

    @property
    def ui_address(self) -> str:
        """URL of the web page."""
        return f"http://{_literal(self.page_host)}:{self.ui_port}"

    @property
    def base_url(self) -> str:
        """URL at which the commands look for a service."""
        return self.url or self.address

    @property
    def database(self) -> Path:
        return self.data_dir.expanduser() / "keel.db"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the host."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def hosts(self) -> frozenset[str] | None:
        """The names under which requests may address the service; None for any."""
        if not self.loopback and not self.allowed_hosts:
            return None
        return frozenset({*OWN_NAMES, self.host, *self.allowed_hosts})

    @property
    def page_host(self) -> str:
        """Address of the web page: other machines reach it only where its login keeps strangers out."""
        guarded = self.login == "oidc" or (self.login == "header" and not all(map(_loopback, self.trusted_proxies)))
        return self.host if self.loopback or guarded else "127.0.0.1"

    @property
    def page_hosts(self) -> frozenset[str]:
        """The names under which requests may address the web page."""
        return self.hosts or frozenset({*OWN_NAMES, self.host})

    @property
    def shown_key(self) -> str | None:
        """The key in clear, for a client."""
        return None if self.key is None else self.key.get_secret_value()

    def limits(self) -> dict[str, float | None]:
        """The bounds on a request, by name."""
        return {name: getattr(self, name) for name in type(self).model_fields if name.startswith("max_")}

    def require_database(self) -> Path:
        """The database of a service; InvalidInput if it does not exist."""
        if not self.database.is_file():
            raise InvalidInput(f"{self.database} is missing; name the folder that keel serve --data-dir had")
        return self.database


def _loopback(network: str) -> bool:
    return ip_network(network).is_loopback


def _literal(host: str) -> str:
    """A host as it stands in a URL."""
    return f"[{host}]" if ":" in host else host


def configuration_file() -> Path | None:
    """The file of settings to read: the one named, else the user's own; None where there is none.

    Raises InvalidInput where the one named is missing. The user's own is that of the XDG Base Directory Specification.
    """
    named = os.environ.get(CONFIGURATION)
    if not named:
        return own_file() if own_file().is_file() else None
    if not Path(named).expanduser().is_file():
        raise InvalidInput(f"the configuration {named} is missing; correct --config or {CONFIGURATION}")
    return Path(named).expanduser()


def own_file() -> Path:
    """Place of the user's own file of settings."""
    folder = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    return (folder if folder.is_absolute() else Path("~/.config").expanduser()) / "keel" / FILE


def unread_file() -> str | None:
    """What to do about a file of settings in the current folder that is not read; None where there is none."""
    here, read = Path(FILE).resolve(), configuration_file()
    if not here.is_file() or (read is not None and here.samefile(read)):
        return None
    return f"{here} is not read; to read it: keel --config {FILE} COMMAND, or move it to {own_file()}"


def misspelt_variables() -> dict[str, str | None]:
    """Variables that begin like a setting and are none, each with the nearest name, if any is near."""
    known = [CONFIGURATION, *(f"{PREFIX}{name.upper()}" for name in Settings.model_fields)]
    strange = sorted(name for name in os.environ if name.upper().startswith(PREFIX) and name.upper() not in known)
    return {name: next(iter(get_close_matches(name.upper(), known, 1)), None) for name in strange}


def notices() -> list[str]:
    """What a user may have meant as a setting and is none, a sentence each."""
    unread = unread_file()
    misspelt = [
        f"{name} is no setting; " + (f"did you mean {near}?" if near else "docs/settings.md lists them")
        for name, near in misspelt_variables().items()
    ]
    return [*([unread] if unread else []), *misspelt]
