"""Rules for tests: the shipped base preset, with what a test lays over it."""

import tomllib
from pathlib import Path
from typing import Any

from callguard.config.presets import Document, lay_over
from callguard.config.rulebook import SHIPPED, rules_of
from callguard.config.sections import FailureSettings, RegistrySettings, RuleSettings, Settings
from callguard.screening.model import FailurePolicy
from callguard.screening.rules import Rules, Shortcoming


def preset(name: str) -> Document:
    """A shipped preset, as its file has it."""
    return tomllib.loads((SHIPPED / f"{name}.toml").read_text("utf-8"))


def rules(
    failure: FailurePolicy | None = None,
    stale_registry: Shortcoming = Shortcoming.WARN,
    not_covered: Shortcoming = Shortcoming.WARN,
    *,
    over: str = "",
    presets: tuple[str, ...] = (),
    **settings: Any,
) -> Rules:
    """The base preset, with the TOML `over` laid over it, and some shipped `presets`. `settings` are those of
    [rules]."""
    base = lay_over(preset("base"), tomllib.loads(over))
    for key, does in (("stale-registry", stale_registry), ("not-covered", not_covered)):
        base["rule"][key] = {**base["rule"][key], "does": str(does)}
    policy = failure or FailurePolicy()
    return rules_of(
        [base, *map(preset, presets)],
        Settings(
            state=Path("/nowhere"),
            failure=FailureSettings(default=policy.default, by_purpose=policy.by_purpose),
            registries=RegistrySettings(),
            rules=RuleSettings(**settings),
        ),
    )
