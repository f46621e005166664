"""How a URL names a Redis: one server, Sentinels that know the master, or the nodes of a cluster. Pure.

    redis://[USER@]HOST[:6379][/DB]               rediss: the same over TLS
    unix://[USER@]/PATH/redis.sock[?db=DB]
    redis+sentinel://[USER@]HOST[:26379],HOST.../SERVICE[?db=DB]    rediss+sentinel: all of them over TLS
    redis+cluster://[USER@]HOST[:6379],HOST...                      rediss+cluster: all over TLS

A password is not part of it, for a URL is shown in messages.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import parse_qs, unquote, urlsplit

from callguard.config.checks import Wrong

ALLOWED = (
    "empty, or redis://HOST:PORT/DB, rediss://USER@HOST, unix:///PATH/redis.sock?db=0, "
    "redis+sentinel://HOST:26379,HOST2:26379/SERVICE, redis+cluster://HOST:6379,HOST2:6379"
)
_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")
_PARTS = re.compile(r"(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL)
"""Host, path, options and the rest, of what comes after the scheme: every text has them."""
_REDIS_PORT = 6379
_SENTINEL_PORT = 26379
_MOST_NODES = 32


class Kind(StrEnum):
    """What stands at the other end."""

    SERVER = "server"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """A URL, taken apart."""

    kind: Kind
    tls: bool
    user: str | None
    nodes: tuple[tuple[str, int], ...]
    """Host and port: of the server, of each Sentinel, or of some nodes of the cluster. Empty for a socket."""
    path: str
    """The unix socket; empty where there are nodes."""
    service: str
    """What the Sentinels call the master; empty but for them."""
    db: int


def redis_url(text: str) -> str:
    """The text, if it is empty or a URL that can be used. Raises Wrong."""
    if text:
        read(text)
    return text


def read(text: str) -> RedisUrl:
    """Take a URL apart. Raises Wrong, which never quotes the text: there may be a password in it."""
    # urlsplit alone knows only one host, and refuses several IPv6 addresses.
    scheme, _, rest = text.partition(":")
    if scheme not in _SCHEMES:
        raise Wrong("does not begin with " + " or ".join(f"{scheme}:" for scheme in _SCHEMES), ALLOWED)
    if " " in text:
        raise Wrong("has a space in it", ALLOWED)
    netloc, path, query, fragment = _PARTS.fullmatch(rest).groups(default="")  # type: ignore[union-attr]
    user, has_user, hosts = netloc.rpartition("@")
    if ":" in user:
        raise Wrong("has a password in it", "the password in password_file or password")
    transport, _, kind = scheme.partition("+")
    options = parse_qs(query, keep_blank_values=True)
    if set(options) - {"db"} or fragment:
        raise Wrong("has options after ? or # that are not known", ALLOWED)
    if transport == "unix":
        return RedisUrl(
            kind=Kind.SERVER,
            tls=False,
            user=unquote(user) if has_user else None,
            nodes=(),
            path=_socket(hosts, path),
            service="",
            db=_db(options),
        )
    what = Kind(kind) if kind else Kind.SERVER
    return RedisUrl(
        kind=what,
        tls=transport == "rediss",
        user=unquote(user) if has_user else None,
        nodes=_nodes(hosts, what),
        path="",
        service=_service(path) if what is Kind.SENTINEL else "",
        db=_db(options) if what is Kind.SENTINEL else _db_in_path(path, options, what),
    )


def _socket(hosts: str, path: str) -> str:
    if hosts or not path.startswith("/"):
        raise Wrong("names no server", ALLOWED)
    return unquote(path)


def _nodes(hosts: str, kind: Kind) -> tuple[tuple[str, int], ...]:
    given = hosts.split(",")
    if kind is Kind.SERVER and len(given) > 1:
        raise Wrong("names several servers", "redis+sentinel: or redis+cluster: for several")
    if len(given) > _MOST_NODES:
        raise Wrong(f"names {len(given)} servers", f"up to {_MOST_NODES}")
    port = _SENTINEL_PORT if kind is Kind.SENTINEL else _REDIS_PORT
    return tuple(_node(one, port) for one in given)


def _node(text: str, port: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        found = (parts.hostname, parts.port)
    except ValueError as error:
        raise Wrong("is not a URL", ALLOWED) from error
    host, given = found
    if not host or given == 0 or parts.path:
        raise Wrong("names no server", ALLOWED)
    return host, given or port


def _service(path: str) -> str:
    service = unquote(path.removeprefix("/"))
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", service):
        raise Wrong("does not name the service that the Sentinels watch", ALLOWED)
    return service


def _db_in_path(path: str, options: dict[str, list[str]], kind: Kind) -> int:
    if not re.fullmatch(r"/?|/[0-9]{1,4}", path):
        raise Wrong("has a path that is not the number of a database", ALLOWED)
    db = _db(options) or int(path.removeprefix("/") or 0)
    if db and kind is Kind.CLUSTER:
        raise Wrong("names a database", "a cluster has only number 0")
    return db


def _db(options: dict[str, list[str]]) -> int:
    match options.get("db", ["0"]):
        case [text] if re.fullmatch(r"[0-9]{1,4}", text):
            return int(text)
        case _:
            raise Wrong("has a db that is not the number of a database", ALLOWED)
