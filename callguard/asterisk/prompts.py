"""The prompts that a refused caller hears: which one, in which language, from where."""

import re
from pathlib import Path

from callguard.config import PromptSettings
from callguard.screening.model import Reason

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
    Reason.OUTSIDE_HOURS: "outside-hours",
    Reason.HOLIDAY: "outside-hours",
    Reason.ATTEMPTS: "attempts",
}


class Prompts:
    """Finds the media of a prompt. `base_url` is where this guard serves /sounds, unless the settings say."""

    def __init__(self, settings: PromptSettings, base_url: str) -> None:
        self._from_files = settings.source == "files"
        self._default_language = settings.language
        self._base_url = (settings.base_url or base_url).rstrip("/")

    def media(self, reason: Reason, language: str) -> tuple[str, ...]:
        """Asterisk's media URIs for a refusal. `language` is the channel's: id, id_ID, en-GB, or anything.

        Of files, Asterisk itself takes those of the channel's language.
        """
        name = _NAMES.get(reason, _GENERAL)
        if self._from_files:
            return (f"sound:callguard/{name}",)
        return (f"sound:{self._base_url}/sounds/{self._spoken(language)}/{name}.wav",)

    def _spoken(self, language: str) -> str:
        primary = re.split("[-_]", language, maxsplit=1)[0].lower()
        return primary if primary in LANGUAGES else self._default_language


def sound_file(language: str, name: str) -> Path | None:
    """The recording of a prompt; None if there is none, whatever the two texts from a URL are."""
    if language not in LANGUAGES or not re.fullmatch(r"[a-z][a-z-]{0,40}", name):
        return None
    file = _SOUNDS / language / f"{name}.wav"
    return file if file.is_file() else None
