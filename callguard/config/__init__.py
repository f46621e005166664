"""The settings: one typed tree, read from callguard.toml and the environment.

Every key is optional: with no file at all, callguard runs on its embedded Redis and SQLite.
"""

from callguard.config.reading import SYSTEM_FILE, advice, load
from callguard.config.sections import (
    AmiSettings,
    AsteriskSettings,
    DefaultSettings,
    FailureSettings,
    HttpSettings,
    LogSettings,
    NumberSettings,
    PromptSettings,
    RedisSettings,
    SecretSection,
    Section,
    Settings,
    SqlSettings,
    TrunkSettings,
)

__all__ = [
    "SYSTEM_FILE",
    "AmiSettings",
    "AsteriskSettings",
    "DefaultSettings",
    "FailureSettings",
    "HttpSettings",
    "LogSettings",
    "NumberSettings",
    "PromptSettings",
    "RedisSettings",
    "SecretSection",
    "Section",
    "Settings",
    "SqlSettings",
    "TrunkSettings",
    "advice",
    "load",
]
