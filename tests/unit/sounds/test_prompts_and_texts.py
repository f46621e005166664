"""The recordings in the repository are those of the texts in the repository."""

import array
import json
import math
import shutil
import sys
import wave
from pathlib import Path

import pytest

from callguard.asterisk.prompts import LANGUAGES
from callguard.config import PromptSettings
from callguard.sounds.make import MANIFEST, SOUNDS, Prompt, make, prompts

SAMPLES_A_SECOND = 8000

ALL = prompts()
NAMES = [prompt.file for prompt in ALL]
PROMPTS = [prompt for prompt in ALL if prompt.pause is None]
SPOKEN_PARTS = [prompt for prompt in ALL if prompt.pause is not None and prompt.text]


def samples(file: Path) -> list[int]:
    """The samples of a recording, which has to be as Asterisk plays it without conversion."""
    with wave.open(str(file)) as recording:
        assert recording.getframerate() == SAMPLES_A_SECOND
        assert recording.getnchannels() == 1
        assert recording.getsampwidth() == 2
        heard = array.array("h", recording.readframes(recording.getnframes()))
    if sys.byteorder == "big":
        heard.byteswap()
    return heard.tolist()


def test_every_prompt_has_a_text_in_every_language() -> None:
    languages = {prompt.language for prompt in ALL}
    assert languages == {"id", "en"}
    for name in {prompt.name for prompt in ALL}:
        assert {prompt.language for prompt in ALL if prompt.name == name} == languages


def test_every_text_has_its_recording_and_every_recording_its_text() -> None:
    recordings = {str(file.relative_to(SOUNDS)) for file in SOUNDS.glob("*/*.wav")}
    assert recordings == set(NAMES)


def test_no_text_was_changed_without_its_recording() -> None:
    made_from = json.loads((SOUNDS / MANIFEST).read_text("utf-8"))
    assert made_from == {prompt.file: prompt.digest for prompt in ALL}


@pytest.mark.parametrize("prompt", PROMPTS, ids=lambda prompt: prompt.file)
def test_a_prompt_begins_silent_and_then_speaks_for_a_few_seconds(prompt: Prompt) -> None:
    heard = samples(SOUNDS / prompt.file)
    assert 2 < len(heard) / SAMPLES_A_SECOND < 10
    assert max(map(abs, heard[: SAMPLES_A_SECOND // 5])) < 100
    spoken = sum(abs(sample) > 1000 for sample in heard)
    assert spoken > len(heard) / 20


@pytest.mark.parametrize("part", SPOKEN_PARTS, ids=lambda part: part.file)
def test_a_part_is_spoken_at_once_and_ends_in_its_pause(part: Prompt) -> None:
    heard = samples(SOUNDS / part.file)
    assert part.pause is not None
    pause = int(part.pause * SAMPLES_A_SECOND)
    assert max(map(abs, heard[: SAMPLES_A_SECOND // 10])) > 500
    assert max(map(abs, heard[-pause:])) < 100
    assert max(map(abs, heard[-pause - SAMPLES_A_SECOND // 10 : -pause])) > 500
    assert 0.2 < (len(heard) - pause) / SAMPLES_A_SECOND < 1.1


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_longest_refusal_ends_in_time_with_its_reference(language: str) -> None:
    def seconds(name: str) -> float:
        return len(samples(SOUNDS / language / f"{name}.wav")) / SAMPLES_A_SECOND

    longest = max(seconds(prompt.name) for prompt in PROMPTS)
    digits = 7 * max(seconds(f"digit-{digit}") for digit in range(10))
    assert longest + seconds("reference") + digits + seconds("pause") < PromptSettings().seconds - 4


def test_all_prompts_are_equally_loud() -> None:
    decibels = []
    for prompt in PROMPTS:
        heard = samples(SOUNDS / prompt.file)
        mean_square = sum(sample * sample for sample in heard) / len(heard)
        decibels.append(10 * math.log10(mean_square / 32768**2))
    assert max(decibels) - min(decibels) < 3
    assert max(abs(sample) for prompt in ALL for sample in samples(SOUNDS / prompt.file)) < 32767


@pytest.mark.skipif(
    not (shutil.which("espeak-ng") and shutil.which("sox")), reason="needs espeak-ng and sox to record anew"
)
def test_recording_twice_gives_the_same_files(tmp_path: Path) -> None:
    make(tmp_path / "first")
    make(tmp_path / "second")
    for name in [*NAMES, MANIFEST]:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
