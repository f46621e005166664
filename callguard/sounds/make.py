"""Make the prompts' recordings from their texts: python -m callguard.sounds.make [FOLDER]

Needs espeak-ng and sox. The recordings are what Asterisk plays everywhere without conversion: WAV, 8 kHz,
mono, 16 bits. The same versions of both programs make the same files, byte for byte; manifest.json keeps a
digest of what each was made from, so that a text that was changed without its recordings does not go unseen.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOUNDS = Path(__file__).parent
MANIFEST = "manifest.json"

# The telephone's band; then quiet parts lifted, so that all prompts are equally loud.
_EFFECTS = (
    *("gain", "-6", "highpass", "200", "lowpass", "3400"),
    *("compand", "0.005,0.3", "6:-70,-70,-45,-25,-25,-16,-6,-11", "-2"),
    *("gain", "-n", "-3"),
)
# Silence ahead of a prompt, because the first quarter of a second of early media is often lost while the
# phone opens its path; and behind it.
_PROMPT = (*_EFFECTS, "pad", "0.25", "0.2")
# A part follows at once on what was said before: the voice's own silence is cut off at both ends, which begin
# softly, for a cut is heard as a click.
_CUT = ("silence", "1", "0.01", "0.5%", "fade", "t", "0.01", "reverse")
_PART = (*_EFFECTS, *_CUT, *_CUT)


@dataclass(frozen=True, slots=True)
class Prompt:
    """One recording in one language: a prompt, or a part of what follows it."""

    name: str
    language: str
    text: str
    """Empty for silence."""
    voice: str
    words_per_minute: int
    pause: float | None = None
    """Of a part: seconds of silence at its end."""

    @property
    def file(self) -> str:
        """Its path below the folder of sounds."""
        return f"{self.language}/{self.name}.wav"

    @property
    def effects(self) -> tuple[str, ...]:
        """What sox makes of the spoken text; of no text, of nothing."""
        if self.pause is None:
            return _PROMPT
        pad = ("pad", "0", str(self.pause))
        return (*_PART, *pad) if self.text else pad

    @property
    def digest(self) -> str:
        """Of all that the recording is made from."""
        made_from = (self.text, self.voice, self.words_per_minute, self.effects)
        return hashlib.sha256(repr(made_from).encode()).hexdigest()


def prompts(folder: Path = SOUNDS) -> list[Prompt]:
    """Every prompt and part in every language, from texts.toml."""
    told: dict[str, Any] = tomllib.loads((folder / "texts.toml").read_text("utf-8"))
    return [
        Prompt(name, language, texts[language], voice["name"], voice["words_per_minute"], texts.get("pause"))
        for name, texts in (told["prompt"] | told["part"]).items()
        for language, voice in told["voice"].items()
    ]


def make(folder: Path) -> None:
    """Write all recordings and the manifest to a folder. Raises CalledProcessError, FileNotFoundError."""
    all_prompts = prompts()
    for prompt in all_prompts:
        file = folder / prompt.file
        file.parent.mkdir(parents=True, exist_ok=True)
        _record(prompt, file)
    digests = {prompt.file: prompt.digest for prompt in all_prompts}
    (folder / MANIFEST).write_text(json.dumps(digests, indent=2, sort_keys=True) + "\n", "utf-8")


def _record(prompt: Prompt, file: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        spoken = Path(scratch) / "spoken.wav"
        speed = str(prompt.words_per_minute)
        if prompt.text:
            _run("espeak-ng", "-v", prompt.voice, "-s", speed, "-w", str(spoken), "--", prompt.text)
        else:
            _run("sox", "-n", "-r", "8000", "-c", "1", "-b", "16", str(spoken), "trim", "0", "0")
        _run("sox", "-D", str(spoken), "-r", "8000", "-c", "1", "-b", "16", str(file), *prompt.effects)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=60)


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else SOUNDS)
