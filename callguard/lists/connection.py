"""The way to Redis, as the settings name it."""

from pathlib import Path
from urllib.parse import quote

import redis.asyncio
import redis.asyncio.retry
import redis.backoff

from callguard.config import RedisSettings
from callguard.lists.embedded import socket_path


def connect(settings: RedisSettings, state: Path) -> redis.asyncio.Redis:
    """A client of the Redis that the settings name, or of the private one in the state folder.

    Nothing is sent yet. Raises ConfigurationError for a password that cannot be read.
    """
    return redis.asyncio.Redis.from_url(
        settings.url or f"unix://{quote(str(socket_path(state)))}",
        password=settings.secret(),
        # A retry inside the client would double the time before SQL is asked. Its own timeouts are off, for
        # they cost two timers a command; _bounded sets one around each.
        retry=redis.asyncio.retry.Retry(redis.backoff.NoBackoff(), 0),
        socket_timeout=None,
        socket_connect_timeout=None,
    )
