"""The sections of the settings and their defaults."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from callguard.config import checks, redis_url
from callguard.config.checks import Wrong
from callguard.control.inbound import Answered, CallbackRules
from callguard.control.model import RefusalCode, Trunk
from callguard.errors import ConfigurationError
from callguard.screening.model import DEFAULT_PURPOSE, FailurePolicy, Reason, Verdict
from callguard.screening.rules import Shortcoming

LONGEST_PASSWORD = 4096
"""Bytes read of a password file; a longer one is another kind of file."""

Seconds = Annotated[float, Field(gt=0, le=60)]
Port = Annotated[int, Field(gt=0, lt=65536)]
Word = Annotated[str, AfterValidator(checks.word)]


class Section(BaseModel):
    """The base of every section: unknown keys are errors, values are fixed once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="after")
    @classmethod
    def _usable(cls, value: object, info: ValidationInfo) -> object:
        texts = value if isinstance(value, tuple | dict) else (value,)
        for text in texts:
            if isinstance(text, str):
                checks.printable(text)
        if isinstance(value, SecretStr):
            checks.printable(value.get_secret_value())
        folder = (info.context or {}).get("folder")
        if isinstance(value, Path):
            return _placed(value, folder)
        if isinstance(value, tuple) and any(isinstance(one, Path) for one in value):
            return tuple(_placed(one, folder) for one in value)
        return value


def _placed(path: Path, folder: Path | None) -> Path:
    """A path that begins at the settings' folder, where they have one. Raises Wrong."""
    checks.printable(str(path))
    try:
        return folder / path.expanduser() if folder else path
    except RuntimeError as error:
        raise Wrong("has a ~ of a user that does not exist") from error


class SecretSection(Section):
    """A section with a password, given in the settings or (better) in a file of its own."""

    SECTION: ClassVar[str]

    password: Annotated[SecretStr, Field(min_length=1)] | None = None
    password_file: Path | None = None
    """A file that holds the password alone; a line break at its end is not part of it."""

    @model_validator(mode="after")
    def _one_password(self) -> Self:
        if self.password is not None and self.password_file is not None:
            raise Wrong("password and password_file are both set", "one of them", "password_file")
        return self

    def secret(self) -> str | None:
        """The password, read afresh from its file; None if none is set. Raises ConfigurationError."""
        if self.password_file is None:
            return self.password.get_secret_value() if self.password else None
        return read_secret(self.password_file, f"{self.SECTION}.password_file")


def read_secret(path: Path, where: str) -> str:
    """The one line that a password file holds, without its line break.

    Raises ConfigurationError, naming the setting `where`.
    """
    allowed = f"a readable file with the password in one line, not {path}"
    try:
        with path.open("rb") as file:
            content = file.read(LONGEST_PASSWORD + 1)
        secret = content.decode().rstrip("\r\n")
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}", where=where, allowed=allowed) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError("is not UTF-8", where=where, allowed=allowed) from error
    if not secret or len(content) > LONGEST_PASSWORD or not secret.isprintable():
        raise ConfigurationError("does not hold one line of text", where=where, allowed=allowed)
    return secret


class AsteriskSettings(SecretSection):
    """The Asterisk whose calls are guarded."""

    SECTION = "asterisk"

    name: Annotated[str, Field(min_length=1, max_length=64)] = "pbx"
    """How this PBX is called in the journal."""
    url: Annotated[str, AfterValidator(checks.http_url)] = "http://127.0.0.1:8088/ari"
    app: Word = "callguard"
    username: Annotated[str, AfterValidator(checks.user)] = "callguard"
    tls_ca: Path | None = None
    """A file of certificates to trust instead of the system's, for https."""
    rest_over_websocket: Literal["auto", "never"] = "auto"
    timeout: Seconds = 5.0
    """Seconds for a connection, or for the answer to one command."""


class AmiSettings(SecretSection):
    """AMI, which only `doctor` uses, to look at the dialplan. Off without a user name."""

    SECTION = "ami"

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Port = 5038
    username: str = ""
    timeout: Seconds = 5.0


class NumberSettings(Section):
    """How dialled digits are read."""

    region: Annotated[str, AfterValidator(checks.region)] = "ID"
    area_code: Annotated[str, AfterValidator(checks.area_code)] = ""
    """The area code, without trunk 0, that local numbers (dialled without one) belong to."""
    outside_line: Annotated[str, AfterValidator(checks.digit_list)] = ""
    """The digits that the agents dial first to get an outside line, such as 9; comma-separated if several."""
    international: tuple[Annotated[str, AfterValidator(checks.prefix)], ...] = ()
    """The international prefixes in use. Empty: the region's own (for Indonesia 00, 001, 007, 008, 009 and
    01017, where a number that may be read with two of them is refused)."""
    emergency: tuple[Annotated[str, AfterValidator(checks.emergency)], ...] = ()
    """Emergency numbers besides those of the region's numbering plan."""
    internal: tuple[Annotated[str, AfterValidator(checks.extension)], ...] = ()
    """The PBX's own extensions and service codes: digits, with X for any digit, such as 1XX."""


class TrunkSettings(Section):
    """A way to the carrier. Trunks are tried in order."""

    name: Word = "trunk"
    endpoint: Annotated[str, AfterValidator(checks.endpoint)] = "PJSIP/{number}@trunk"
    number_format: Literal["e164-plus", "e164", "national"] = "e164-plus"
    ring_seconds: Annotated[float, Field(ge=1, le=600)] = 45.0
    caller_id: Annotated[str, AfterValidator(checks.caller_id)] | None = None

    def trunk(self) -> Trunk:
        return Trunk(**self.model_dump())


class DefaultSettings(Section):
    """What a call is taken for where its channel does not say."""

    project: Annotated[str, Field(max_length=64)] = ""
    purpose: Annotated[str, Field(min_length=1, max_length=64)] = DEFAULT_PURPOSE


class InboundSettings(Section):
    """What an inbound call, reported by dialplan/callguard-inbound.conf, means for calling back."""

    callback_hours: Annotated[float, Field(ge=0, le=8784)] = 72.0
    """How long who reached nobody may be called back; 0: such calls exempt nobody."""
    answered: Answered = Answered.CLOSE
    """What an answered call does to the caller's window."""

    def rules(self) -> CallbackRules:
        return CallbackRules(timedelta(hours=self.callback_hours), self.answered)


class FailureSettings(Section):
    """The failure policy: what becomes of a call when callguard cannot tell."""

    default: Verdict = Verdict.REFUSE
    by_purpose: Annotated[dict[str, Verdict], Field(description="a table of purpose = allow or refuse")] = {}

    def policy(self) -> FailurePolicy:
        return FailurePolicy(self.default, dict(self.by_purpose))


class RegistrySettings(Section):
    """What registry lists do to a call where they cannot be relied upon."""

    stale: Shortcoming | None = None
    """A list whose data are older than its allowed age. None: as the presets say."""
    not_covered: Shortcoming | None = None
    """A number of an area that the list does not cover, or of a list that was never imported; likewise."""
    shrink_percent: Annotated[float, Field(ge=0, le=100)] = 10.0
    """By how much of its numbers a list may become smaller in an import, without --shrink."""
    rejected_percent: Annotated[float, Field(ge=0, le=100)] = 1.0
    """How much of a file of more than 20 lines may be of no use in an import, without --rejects."""


class RuleSettings(Section):
    """Who may be called for what, when, how often: presets of rules, and what lies over them."""

    presets: tuple[str, ...] | None = None
    """The shipped presets in use, by id; None: all of them. `base` is always among them."""
    files: Annotated[tuple[Path, ...], AfterValidator(checks.rule_files)] = ()
    """The user's own files of rules, laid over the presets in this order."""
    purposes: tuple[Annotated[str, AfterValidator(checks.purpose)], ...] = ()
    """The user's own purposes, besides those that callguard knows."""
    clock: Annotated[str, AfterValidator(checks.instant_or_empty)] = ""
    """For trials: the instant (ISO 8601, with its zone) that a guard takes for the time of its start when it
    screens. Empty: the real time."""


class ProjectSettings(Section):
    """A project (client company): what its calls are for where their channels do not say."""

    purpose: Annotated[str, Field(min_length=1, max_length=64)] | None = None


class RedisSettings(SecretSection):
    """The cache of the lists."""

    SECTION = "redis"

    url: Annotated[str, AfterValidator(redis_url.redis_url)] = ""
    """Empty: a private redis-server of callguard's own, on a unix socket in the state folder."""
    sentinel_password_file: Path | None = None
    """The password of the Sentinels themselves, where they have one."""
    tls_ca: Path | None = None
    """A file of certificates to trust besides the system's, for rediss."""
    tls_cert: Path | None = None
    """The certificate that callguard shows, where the server asks for one."""
    tls_key: Path | None = None
    """Its key."""
    key: Annotated[str, Field(min_length=1, max_length=256)] = "callguard:lists"
    """The hash that holds all lists."""
    timeout: Annotated[float, Field(gt=0, le=10)] = 0.25
    """Seconds before SQL is asked instead."""

    def sentinel_secret(self) -> str | None:
        """The Sentinels' password, read afresh; None if none is set. Raises ConfigurationError."""
        if self.sentinel_password_file is None:
            return None
        return read_secret(self.sentinel_password_file, f"{self.SECTION}.sentinel_password_file")

    @model_validator(mode="after")
    def _files_that_the_url_has_a_use_for(self) -> Self:
        if not self.url:
            return self
        url = redis_url.read(self.url)
        for key in ("tls_ca", "tls_cert", "tls_key"):
            if getattr(self, key) is not None and not url.tls:
                raise Wrong("is set, but redis.url is not encrypted", "a URL of rediss", key)
        if self.sentinel_password_file is not None and url.kind is not redis_url.Kind.SENTINEL:
            raise Wrong(
                "is set, but redis.url names no Sentinels",
                "a URL of redis+sentinel",
                "sentinel_password_file",
            )
        if (self.tls_cert is None) != (self.tls_key is None):
            raise Wrong("one is set without the other", "both tls_cert and tls_key, or neither", "tls_key")
        return self


class SqlSettings(SecretSection):
    """The database: lists and journal."""

    SECTION = "sql"

    url: Annotated[str, AfterValidator(checks.sql_url)] = ""
    """Empty: SQLite in the state folder. PostgreSQL: postgresql://user@host/database."""
    timeout: Seconds = 2.0
    """Seconds before the failure policy decides."""


class PromptSettings(Section):
    """What a refused caller hears."""

    source: Literal["http", "files"] = "http"
    """`http`: Asterisk fetches prompts from callguard; `files`: they lie in Asterisk's sounds folder."""
    base_url: Annotated[str, AfterValidator(checks.http_url_or_empty)] = ""
    """Where Asterisk finds callguard's pages; empty: http:// and the address of [http]."""
    language: Literal["id", "en"] = "id"
    """For a channel whose own language is neither."""
    answer_before_prompt: bool = False
    reference: bool = True
    """Whether the decision's number is spoken after the reason, digit by digit."""
    seconds: Annotated[float, Field(gt=0, le=120)] = 20.0
    """The longest that a prompt, the reference included, may take before the caller is hung up."""


class RefusalSettings(Section):
    """The SIP code that a refused caller's phone gets, by which a dialer knows whether to try again."""

    default: Annotated[RefusalCode, BeforeValidator(checks.whole_number)] = RefusalCode.FORBIDDEN
    by_reason: Annotated[
        dict[str, RefusalCode],
        AfterValidator(checks.refusing_reasons),
        Field(description=f"a table of reason = {' or '.join(str(code.value) for code in RefusalCode)}"),
    ] = {}
    """Reason -> its own code."""

    def code(self, reason: Reason) -> RefusalCode:
        return self.by_reason.get(reason.value, self.default)


class HttpSettings(Section):
    """Where the guard serves /healthz, /readyz, /metrics and /sounds."""

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, lt=65536)] = 8742
    """0 takes any free port. The default is none of those that Asterisk and its surfaces usually take."""


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
    trunks: Annotated[
        tuple[TrunkSettings, ...],
        AfterValidator(checks.trunks),
        Field(description=f"1 to {checks.MOST_TRUNKS} tables"),
    ] = (TrunkSettings(),)
    defaults: DefaultSettings = DefaultSettings()
    inbound: InboundSettings = InboundSettings()
    failure: FailureSettings = FailureSettings()
    registries: RegistrySettings = RegistrySettings()
    rules: RuleSettings = RuleSettings()
    projects: Annotated[dict[str, ProjectSettings], AfterValidator(checks.projects)] = {}
    redis: RedisSettings = RedisSettings()
    sql: SqlSettings = SqlSettings()
    prompts: PromptSettings = PromptSettings()
    refusals: RefusalSettings = RefusalSettings()
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()

    @model_validator(mode="after")
    def _trunks_have_names_of_their_own(self) -> Self:
        seen: set[str] = set()
        for index, trunk in enumerate(self.trunks):
            if trunk.name in seen:
                raise Wrong("another trunk has this name already", "unique names", f"trunks[{index}].name")
            seen.add(trunk.name)
        return self

    @model_validator(mode="after")
    def _redis_gives_up_before_sql(self) -> Self:
        if self.redis.timeout > self.sql.timeout:
            raise Wrong(
                "is longer than sql.timeout: the cache would be waited for longer than what stands in for it",
                f"up to {self.sql.timeout:g} seconds",
                "redis.timeout",
            )
        return self

    @model_validator(mode="after")
    def _asterisk_can_find_the_prompts(self) -> Self:
        anywhere = self.http.host in {"0.0.0.0", "::"}  # noqa: S104 - compared, not bound to
        if self.prompts.source == "http" and anywhere and not self.prompts.base_url:
            raise Wrong(
                f"must be set when http.host is {self.http.host}, which is no address to fetch prompts from",
                "the URL by which Asterisk reaches callguard, such as http://10.0.0.5:8742",
                "prompts.base_url",
            )
        return self
