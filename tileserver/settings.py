"""Settings: one frozen record, read once. Each option is declared here; variables, file and flags derive from it."""

import difflib
import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

import platformdirs
from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from tileserver import machine
from tileserver.errors import SetupError
from tileserver.sizes import size

PREFIX: Final = "TILESERVER_"
TRUST: Final = (
    "The functions of one account could read what another's can: start the server with --isolation strict, "
    "or with --trust-authors if you trust every author as yourself."
)
"""Why there may be only one account, and what to do."""
_OTHER_VARIABLES: Final = frozenset({"TILESERVER_URL", "TILESERVER_TEST_DATA"})


def _names(value: object) -> object:
    """A tuple of the names between commas."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _network(value: str) -> str:
    ipaddress.ip_network(value, strict=False)
    return value


def _address(value: str) -> str:
    if value and not (re.fullmatch(r"https?://[^?#\s]+", value) and urlsplit(value).hostname):
        raise ValueError("should be an address as https://maps.example.org")
    return value


def _database(value: str) -> str:
    if value and not value.startswith(("postgresql://", "postgres://")):
        raise ValueError("should be an address as postgresql://user@host/name")
    return value


def _host(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", value):
        raise ValueError("should be host names as github.com")
    return value.lower()


Size = Annotated[int, BeforeValidator(size), Field(gt=0, lt=2**60)]
Room = Annotated[int, BeforeValidator(size), Field(ge=0, lt=2**60)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)]
Paths = Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_names)]
Networks = Annotated[tuple[Annotated[str, AfterValidator(_network)], ...], NoDecode, BeforeValidator(_names)]
Hosts = Annotated[tuple[Annotated[str, AfterValidator(_host)], ...], NoDecode, BeforeValidator(_names)]
Address = Annotated[str, AfterValidator(_address)]
DatabaseUrl = Annotated[str, AfterValidator(_database)]


class Settings(BaseSettings):
    """Everything that can be set, with defaults for one person on one machine."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, toml_file="tileserver.toml", frozen=True, extra="forbid", env_ignore_empty=True
    )

    host: str = Field("127.0.0.1", min_length=1, description="address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    data_dir: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("tileserver", appauthor=False)),
        description="where registry, keys and cache are kept",
    )
    database_url: DatabaseUrl = Field(
        "", description="a database that hosts share, as postgresql://user@host/name; a file in the data directory"
    )
    public_url: Address = Field(
        "", description="the address that others reach this server by, as https://maps.example.org"
    )
    allowed_hosts: Names = Field((), description="more names that a Host header may have, beside the loopback ones")
    trusted_proxies: Networks = Field((), description="addresses whose X-Forwarded-* headers count")
    root_path: str = Field("", description="path in front of all routes, as /maps")
    workers: float = Field(default_factory=machine.cores, gt=0, le=4096, description="functions that run at once")
    processes: int = Field(1, ge=1, le=64, description="server processes, which share the functions that run")
    timeout: float = Field(30, gt=0, le=3600, description="seconds that a tile's function may run")
    file_timeout: float = Field(120, gt=0, le=36000, description="seconds that a file's function may run")
    batch_timeout: float = Field(3600, gt=0, le=7 * 86400, description="seconds that a task of a batch job may run")
    worker_memory: Size = Field(2 * 10**9, description="memory of a worker above its own start, as 2GB")
    worker_disk: Size = Field(2 * 10**9, description="what a worker may write into its scratch folder")
    worker_processes: int = Field(256, ge=1, description="processes and threads of a worker")
    memory_budget: Size = Field(
        default_factory=lambda: machine.memory() * 3 // 4, description="memory that all workers together may take"
    )
    token_queue: int = Field(256, ge=1, description="tiles of one token that may wait for a worker")
    drain: float = Field(30, ge=0, le=3600, description="seconds that running functions have after SIGTERM")
    isolation: Literal["default", "strict"] = Field(
        "default", description="default guards against accidents; strict puts each function into a sandbox"
    )
    trust_authors: bool = Field(
        False, description="allow several accounts without strict isolation: the functions of each can read all"
    )
    worker_read: Paths = Field((), description="folders with data that functions may read in strict isolation")
    worker_env: Names = Field((), description="more environment variables that workers may see")
    cache_memory: Room = Field(256 * 10**6, description="memory that cached tiles may take; 0 keeps none there")
    cache_disk: Room = Field(10 * 10**9, description="disk that cached tiles may take; 0 keeps none there")
    cache: Names = Field((), description="stores that servers share, behind memory and disk, as redis://host:6379/0")
    code_mirror: Path | None = Field(
        None, description="git clones that UDFs on GitHub are read from: a folder with OWNER/NAME in it, or one clone"
    )
    code_hosts: Hosts = Field((), description="hosts that UDFs may be read from over HTTPS, as github.com")
    files_disk: Size = Field(10 * 10**9, description="what an account's files may take, and its batch jobs")
    function_cache: Size = Field(2 * 10**9, description="disk that results of @cache may take, for each account")
    secret_key_file: Path | None = Field(None, description="the master key; made in the data directory by default")

    @property
    def may_have_accounts(self) -> bool:
        """Whether there may be other accounts than the owner's."""
        return self.isolation == "strict" or self.trust_authors

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then variables, then the file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def read(flags: Mapping[str, Any]) -> Settings:
    """The settings from `flags` (None means not given), the environment and `tileserver.toml`.

    Raises:
        SetupError: a value cannot be; names it.
    """
    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        raise SetupError(f"setting '{'.'.join(map(str, first['loc']))}': {first['msg']}") from None
    except (ValueError, OSError) as error:
        raise SetupError(f"tileserver.toml cannot be read: {error}") from None


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """A warning for each `TILESERVER_...` variable that nothing reads, naming the nearest one that exists."""
    known = {PREFIX + name.upper() for name in Settings.model_fields} | _OTHER_VARIABLES
    strange = sorted(name for name in environment if name.startswith(PREFIX) and name not in known)
    return [f"unknown setting {name}; did you mean {_nearest(name, known)}?" for name in strange]


def _nearest(name: str, known: set[str]) -> str:
    return difflib.get_close_matches(name, known, n=1, cutoff=0)[0]
