"""The prompts that a refused caller hears."""

from pathlib import Path

from callguard.config import PromptSettings
from callguard.screening.model import Reason

_SOUNDS = Path(__file__).parents[1] / "sounds"


class Prompts:
    """Finds the media of a prompt."""

    def __init__(self, settings: PromptSettings, base_url: str) -> None:
        self._settings = settings
        self._base_url = settings.base_url or base_url

    def media(self, reason: Reason, language: str) -> tuple[str, ...]:
        """The media URIs that say the reason in the channel's language."""
        return (f"sound:{self._base_url}/sounds/en/{reason}.wav",)


def sound_file(language: str, name: str) -> Path | None:
    """The file of a prompt."""
    return _SOUNDS / language / f"{name}.wav"
