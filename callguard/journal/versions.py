"""The versions of the rules: written before a decision names one, and never changed.

So a decision of last year is explained by the rules of last year, whatever the files say today.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from pydantic import ValidationError
from sqlalchemy.dialects import postgresql, sqlite

from callguard.config.rulebook import rules_of
from callguard.config.sections import FailureSettings, RuleSettings, Settings
from callguard.database import from_microseconds, microseconds, snapshot, write
from callguard.errors import InputError
from callguard.journal.rows import BAD_ROW, Row
from callguard.journal.tables import rules_versions
from callguard.screening.model import Purpose
from callguard.screening.rules import Rules


@dataclass(frozen=True, slots=True)
class StoredRules:
    """A version of the rules, as a guard stored it."""

    version: str
    first_at: datetime
    """UTC. When a guard first had it in force."""
    rules: Rules


def rules_row(rules: Rules, at: datetime) -> Row:
    """The row of table `rules_versions` that holds these rules, in force from an instant (aware) on."""
    document = {
        "presets": json.loads(rules.document),
        "failure": {"default": rules.failure.default, "by_purpose": rules.failure.by_purpose},
        "purposes": sorted(rules.purposes.difference(Purpose)),
    }
    return {
        "version": rules.version,
        "first_at": microseconds(at),
        "document": json.dumps(document, separators=(",", ":"), sort_keys=True),
    }


def read_rules_row(row: Row) -> Row:
    """A row as it was made. Raises what BAD_ROW names for what is none."""
    if not (isinstance(row["version"], str) and isinstance(row["document"], str)):
        raise TypeError("no version of the rules")
    return {"version": row["version"], "first_at": int(row["first_at"]), "document": row["document"]}


def add_versions(engine: sa.Engine, rows: list[Row]) -> None:
    """Store versions; what is there already stays as it is. Raises SqlError. Blocks."""
    insert = sqlite.insert if engine.dialect.name == "sqlite" else postgresql.insert
    with write(engine) as connection:
        connection.execute(insert(rules_versions).on_conflict_do_nothing(), rows)


def find_version(engine: sa.Engine, version: str) -> StoredRules | None:
    """A stored version; None if no guard stored it. Blocks.

    Raises SqlError, and InputError for one that this version of callguard cannot read.
    """
    with snapshot(engine) as connection:
        query = sa.select(rules_versions).where(rules_versions.c.version == version)
        row = connection.execute(query).one_or_none()
    if row is None:
        return None
    try:
        rules = _rules_of(row.document)
    except (InputError, ValidationError, *BAD_ROW) as error:
        raise InputError(
            f"this callguard cannot read them: {error}", where=f"version {version} of the rules"
        ) from error
    return StoredRules(row.version, from_microseconds(row.first_at), rules)


def _rules_of(document: str) -> Rules:
    tree = json.loads(document)
    settings = Settings(
        state=Path(),
        failure=FailureSettings(**tree["failure"]),
        rules=RuleSettings(purposes=tuple(tree["purposes"])),
    )
    return rules_of(tree["presets"], settings)
