"""The tree of errors. Each carries data (what, where, what would be right), not only a sentence.

CallguardError
├── InputError                  a person, a file or an argument gave something that cannot be used
│   └── ConfigurationError      a setting; `key` is its path, `allowed` says what would be right
└── ServiceError                a service did not do what was asked; `service` names it
    ├── SqlError                the database: unreachable, too slow, or refusing
    ├── CacheError              Redis: unreachable, too slow, or refusing
    │   ├── CacheCold           Redis answered, but not with lists that may be trusted
    │   └── CacheEvicts         Redis is set to throw keys away
    └── AsteriskError           ARI or AMI
        ├── AsteriskUnreachable no connection, or no answer in time
        ├── AsteriskForbidden   the user or the password is refused
        ├── NotFound            the channel, bridge or playback is gone (404)
        ├── Conflict            the id is taken, or the channel is not in Stasis (409)
        └── Rejected            any other refusal of a request

The command line turns InputError into exit code 2 and ServiceError into 4.
"""


class CallguardError(Exception):
    """The root: every error that callguard raises on purpose."""


class InputError(CallguardError):
    """Something given from outside cannot be used."""

    def __init__(self, what: str, *, where: str | None = None, allowed: str | None = None) -> None:
        self.what = what
        self.where = where
        self.allowed = allowed
        super().__init__(what, where, allowed)

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        right = f" (allowed: {self.allowed})" if self.allowed else ""
        return f"{place}{self.what}{right}"


class ConfigurationError(InputError):
    """A setting is wrong. `where` is the file or the environment variable, and the key's path, such as
    `callguard.toml: redis.url`. `others` are further wrong settings, found in the same reading."""

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        allowed: str | None = None,
        others: "tuple[ConfigurationError, ...]" = (),
    ) -> None:
        super().__init__(what, where=where, allowed=allowed)
        self.others = others


class ServiceError(CallguardError):
    """A service that callguard rests on did not do what was asked."""

    def __init__(self, service: str, what: str, *, remedy: str | None = None) -> None:
        self.service = service
        self.what = what
        self.remedy = remedy
        super().__init__(service, what, remedy)

    def __str__(self) -> str:
        remedy = f" ({self.remedy})" if self.remedy else ""
        return f"{self.service}: {self.what}{remedy}"


class SqlError(ServiceError):
    """The database cannot be reached, is too slow, or refuses."""

    def __init__(self, what: str, *, remedy: str | None = None) -> None:
        super().__init__("SQL", what, remedy=remedy)


class CacheError(ServiceError):
    """Redis cannot be reached, is too slow, or refuses."""

    def __init__(self, what: str, *, remedy: str | None = None) -> None:
        super().__init__("Redis", what, remedy=remedy)


class CacheCold(CacheError):
    """Redis answered, but its lists are missing, partial or older than SQL's: not to be trusted."""


class CacheEvicts(CacheError):
    """Redis is set to throw keys away when its memory is full: lists would vanish."""


class AsteriskError(ServiceError):
    """Asterisk did not do what was asked. `status` is the HTTP status, where there was one."""

    def __init__(self, what: str, *, status: int | None = None, remedy: str | None = None) -> None:
        self.status = status
        super().__init__("Asterisk", what, remedy=remedy)


class AsteriskUnreachable(AsteriskError):
    """No connection, or no answer in time."""


class AsteriskForbidden(AsteriskError):
    """The user name or the password is refused (401, 403)."""


class NotFound(AsteriskError):
    """The channel, bridge or playback does not exist (any more)."""


class Conflict(AsteriskError):
    """The id exists already, or the channel is not in Stasis."""


class Rejected(AsteriskError):
    """Any other refusal of a request."""
