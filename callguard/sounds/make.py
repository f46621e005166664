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

# The telephone's band; then quiet parts lifted, so that all prompts are equally loud; then silence ahead,
# because the first quarter of a second of early media is often lost while the phone opens its path.
_EFFECTS = (
    *("gain", "-6", "highpass", "200", "lowpass", "3400"),
    *("compand", "0.005,0.3", "6:-70,-70,-45,-25,-25,-16,-6,-11", "-2"),
    *("gain", "-n", "-3"),
    *("pad", "0.25", "0.2"),
)


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt in one language."""

    name: str
    language: str
    text: str
    voice: str
    words_per_minute: int

    @property
    def file(self) -> str:
        """Its path below the folder of sounds."""
        return f"{self.language}/{self.name}.wav"

    @property
    def digest(self) -> str:
        """Of all that the recording is made from."""
        made_from = (self.text, self.voice, self.words_per_minute, _EFFECTS)
        return hashlib.sha256(repr(made_from).encode()).hexdigest()


def prompts(folder: Path = SOUNDS) -> list[Prompt]:
    """Every prompt in every language, from texts.toml."""
    told: dict[str, Any] = tomllib.loads((folder / "texts.toml").read_text("utf-8"))
    return [
        Prompt(
            name, language, text, told["voice"][language]["name"], told["voice"][language]["words_per_minute"]
        )
        for name, texts in told["prompt"].items()
        for language, text in texts.items()
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
        _run("espeak-ng", "-v", prompt.voice, "-s", speed, "-w", str(spoken), "--", prompt.text)
        _run("sox", "-D", str(spoken), "-r", "8000", "-c", "1", "-b", "16", str(file), *_EFFECTS)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=60)


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else SOUNDS)
