"""The prompts that a refused caller hears: which ones, in which language, from where."""

import re
from collections.abc import Sequence
from pathlib import Path

from callguard.config import PromptSettings
from callguard.screening.model import Decision, Reason

LANGUAGES = ("id", "en")

_SOUNDS = Path(__file__).parents[1] / "sounds"

_GENERAL = "not-allowed"

_NAMES = {
    Reason.OPT_OUT: "listed",
    Reason.REGISTRY: "listed",
    Reason.INACTIVE_CUSTOMER: "listed",
    Reason.INVALID_CONTACT: "listed",
    Reason.AFTER_TRANSACTION: "listed",
    Reason.CATEGORY: "listed",
    Reason.UNREADABLE_NUMBER: "unreadable-number",
    Reason.GUARD_UNAVAILABLE: "guard-unavailable",
    Reason.STALE_REGISTRY: "stale-registry",
    Reason.NOT_COVERED: "not-covered",
    Reason.OUTSIDE_HOURS: "outside-hours",
    Reason.HOLIDAY: "holiday",
    Reason.ATTEMPTS: "attempts",
}

_REFERENCE = "reference"
_PAUSE = "pause"
_DIGITS = tuple(f"digit-{digit}" for digit in range(10))
_FIRST_GROUP = 3
"""Seven digits are heard and written down as three and four, like a telephone number."""


class Prompts:
    """Finds the media of a prompt. `base_url` is where this guard serves /sounds, unless the settings say."""

    def __init__(self, settings: PromptSettings, base_url: str) -> None:
        self._from_files = settings.source == "files"
        self._default_language = settings.language
        self._reference = settings.reference
        self._base_url = (settings.base_url or base_url).rstrip("/")

    def media(self, decision: Decision) -> tuple[str, ...]:
        """Asterisk's media URIs for a refusal, in order: why, and then the decision's reference.

        The language is the channel's: id, id_ID, en-GB, or anything. Of files, Asterisk itself takes those
        of the channel's language.
        """
        names = [_NAMES.get(decision.reason, _GENERAL)]
        if self._reference:
            digits = [_DIGITS[int(digit)] for digit in decision.reference]
            names += [_REFERENCE, *digits[:_FIRST_GROUP], _PAUSE, *digits[_FIRST_GROUP:]]
        return self._uris(names, self._spoken(decision.facts.language))

    def every_media(self) -> tuple[str, ...]:
        """All URIs that Asterisk may be given, in every language, without repetitions."""
        names = {_GENERAL, *_NAMES.values()}
        if self._reference:
            names |= {_REFERENCE, _PAUSE, *_DIGITS}
        found = {uri for language in LANGUAGES for uri in self._uris(sorted(names), language)}
        return tuple(sorted(found))

    def _uris(self, names: Sequence[str], language: str) -> tuple[str, ...]:
        if self._from_files:
            return tuple(f"sound:callguard/{name}" for name in names)
        return tuple(f"sound:{self._base_url}/sounds/{language}/{name}.wav" for name in names)

    def _spoken(self, language: str) -> str:
        primary = re.split("[-_]", language, maxsplit=1)[0].lower()
        return primary if primary in LANGUAGES else self._default_language


def sound_file(language: str, name: str) -> Path | None:
    """The recording of a prompt; None if there is none, whatever the two texts from a URL are."""
    if language not in LANGUAGES or not re.fullmatch(r"[a-z][a-z0-9-]{0,40}", name):
        return None
    file = _SOUNDS / language / f"{name}.wav"
    return file if file.is_file() else None
