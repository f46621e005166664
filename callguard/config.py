"""The settings: one typed tree, read from callguard.toml and the environment.

Every key is optional: with no file at all, callguard runs on its embedded Redis and SQLite. An environment
variable CALLGUARD_<SECTION>__<KEY> lies over the file (CALLGUARD_ASTERISK__PASSWORD); a list is given as
JSON. An error names the file and the key and says what is allowed.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from callguard.control.model import Trunk
from callguard.screening.model import DEFAULT_PURPOSE, Verdict


class Section(BaseModel):
    """The base of every section: unknown keys are errors, values are fixed once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AsteriskSettings(Section):
    """The Asterisk whose calls are guarded."""

    name: str = "pbx"
    """How this PBX is called in the journal."""
    url: str = "http://127.0.0.1:8088/ari"
    app: str = "callguard"
    username: str = "callguard"
    password: SecretStr | None = None
    password_file: Path | None = None
    tls_ca: Path | None = None
    """A file of certificates to trust instead of the system's, for https."""
    rest_over_websocket: Literal["auto", "never"] = "auto"
    timeout: Annotated[float, Field(gt=0, le=60)] = 5.0
    """Seconds for a connection, or for the answer to one command."""


class AmiSettings(Section):
    """AMI, which only `doctor` uses, to look at the dialplan. Off without a user name."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(gt=0, lt=65536)] = 5038
    username: str = ""
    password: SecretStr | None = None
    password_file: Path | None = None
    timeout: Annotated[float, Field(gt=0, le=60)] = 5.0


class NumberSettings(Section):
    """How dialled digits are read."""

    region: str = "ID"
    area_code: str = ""
    """The area code, without trunk 0, that local numbers (dialled without one) belong to."""
    outside_line: str = ""
    """The digits that the agents dial first to get an outside line, such as 9; comma-separated if several."""
    emergency: tuple[str, ...] = ()
    """Emergency numbers besides those of the region's numbering plan."""
    internal: tuple[str, ...] = ()
    """The PBX's own extensions and service codes: digits, with X for any digit, such as 1XX."""


class TrunkSettings(Section):
    """A way to the carrier. Trunks are tried in order."""

    name: str = "trunk"
    endpoint: str = "PJSIP/{number}@trunk"
    number_format: Literal["e164-plus", "e164", "national"] = "e164-plus"
    ring_seconds: Annotated[float, Field(ge=1, le=600)] = 45.0
    caller_id: str | None = None

    def trunk(self) -> Trunk:
        return Trunk(**self.model_dump())


class DefaultSettings(Section):
    """What a call is taken for where its channel does not say."""

    project: str = ""
    purpose: str = DEFAULT_PURPOSE


class FailureSettings(Section):
    """The failure policy: what becomes of a call when callguard cannot tell."""

    default: Verdict = Verdict.REFUSE
    by_purpose: dict[str, Verdict] = {}


class RedisSettings(Section):
    """The cache of the lists."""

    url: str = ""
    """Empty: a private redis-server of callguard's own, on a unix socket in the state folder."""
    password_file: Path | None = None
    key: str = "callguard:lists"
    """The hash that holds all lists."""
    timeout: Annotated[float, Field(gt=0, le=10)] = 0.25
    """Seconds before SQL is asked instead."""


class SqlSettings(Section):
    """The database: lists and journal."""

    url: str = ""
    """Empty: SQLite in the state folder. PostgreSQL: postgresql://user@host/database."""
    password_file: Path | None = None
    timeout: Annotated[float, Field(gt=0, le=60)] = 2.0
    """Seconds before the failure policy decides."""


class PromptSettings(Section):
    """What a refused caller hears."""

    source: Literal["http", "files"] = "http"
    """`http`: Asterisk fetches prompts from callguard; `files`: they lie in Asterisk's sounds folder."""
    base_url: str = ""
    """Where Asterisk finds callguard's pages; empty: http:// and the address of [http]."""
    language: Literal["id", "en"] = "id"
    """For a channel whose own language is neither."""
    answer_before_prompt: bool = False
    seconds: Annotated[float, Field(gt=0, le=120)] = 20.0
    """The longest that a prompt may take before the caller is hung up."""


class HttpSettings(Section):
    """Where the guard serves /healthz, /readyz, /metrics and /sounds."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, lt=65536)] = 8089


class LogSettings(Section):
    """Log lines, on standard error."""

    format: Literal["json", "console"] = "console"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Settings(Section):
    """All settings."""

    state: Path
    """Where the embedded SQLite and Redis and the spool lie."""
    asterisk: AsteriskSettings = AsteriskSettings()
    ami: AmiSettings = AmiSettings()
    numbers: NumberSettings = NumberSettings()
    trunks: Annotated[tuple[TrunkSettings, ...], Field(min_length=1)] = (TrunkSettings(),)
    defaults: DefaultSettings = DefaultSettings()
    failure: FailureSettings = FailureSettings()
    redis: RedisSettings = RedisSettings()
    sql: SqlSettings = SqlSettings()
    prompts: PromptSettings = PromptSettings()
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Read the settings: from `path`, else the file that CALLGUARD_CONFIG names, else the embedded defaults.

    Raises ConfigurationError.
    """
    named = path or (Path(environ["CALLGUARD_CONFIG"]) if environ.get("CALLGUARD_CONFIG") else None)
    tree = tomllib.loads(named.read_text()) if named else {}
    home = environ.get("XDG_STATE_HOME") or Path.home() / ".local/state"
    tree["state"] = environ.get("CALLGUARD_STATE") or tree.get("state") or Path(home) / "callguard"
    return Settings.model_validate(tree)
