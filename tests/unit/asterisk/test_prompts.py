"""A refused caller hears why, in the channel's language."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.asterisk.prompts import LANGUAGES, Prompts, sound_file
from callguard.config import PromptSettings
from callguard.screening.model import Reason

HTTP = Prompts(PromptSettings(), "http://127.0.0.1:8089")
FILES = Prompts(PromptSettings(source="files"), "http://127.0.0.1:8089")


@pytest.mark.parametrize("reason", Reason)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_has_a_prompt_in_every_language(reason: Reason, language: str) -> None:
    (uri,) = HTTP.media(reason, language)
    prefix = f"sound:http://127.0.0.1:8089/sounds/{language}/"
    assert uri.startswith(prefix)
    file = sound_file(language, uri.removeprefix(prefix).removesuffix(".wav"))
    assert file is not None
    assert FILES.media(reason, language) == (f"sound:callguard/{file.stem}",)


@pytest.mark.parametrize(
    ("language", "spoken"),
    [("id", "id"), ("id_ID", "id"), ("ID", "id"), ("en", "en"), ("en-GB", "en"), ("en_US", "en")],
)
def test_the_prompt_is_in_the_language_of_the_channel(language: str, spoken: str) -> None:
    assert f"/sounds/{spoken}/" in HTTP.media(Reason.OPT_OUT, language)[0]


@pytest.mark.parametrize("language", ["", "fr", "../en", "idn", "e", "x" * 10_000])
def test_a_channel_of_another_language_hears_the_default(language: str) -> None:
    assert "/sounds/id/" in HTTP.media(Reason.OPT_OUT, language)[0]
    english = Prompts(PromptSettings(language="en"), "http://127.0.0.1:8089")
    assert "/sounds/en/" in english.media(Reason.OPT_OUT, language)[0]


def test_a_listed_number_an_unreadable_one_and_an_unavailable_guard_sound_different() -> None:
    reasons = (Reason.OPT_OUT, Reason.UNREADABLE_NUMBER, Reason.GUARD_UNAVAILABLE, Reason.STALE_REGISTRY)
    assert len({HTTP.media(reason, "en") for reason in reasons}) == len(reasons)


def test_the_address_of_the_settings_is_where_asterisk_fetches_prompts() -> None:
    settings = PromptSettings(base_url="https://guard.example/callguard/")
    (uri,) = Prompts(settings, "http://127.0.0.1:8089").media(Reason.ATTEMPTS, "en")
    assert uri == "sound:https://guard.example/callguard/sounds/en/attempts.wav"


@pytest.mark.parametrize(
    ("language", "name"),
    [
        ("en", "../id/listed"),
        ("en", "listed.wav"),
        ("en", "listed\n"),
        ("en", "listed\x00"),
        ("en", ""),
        ("en", "no-such-prompt"),
        ("..", "listed"),
        ("", "listed"),
        ("fr", "listed"),
        ("en/../id", "listed"),
    ],
)
def test_what_is_no_prompt_has_no_file(language: str, name: str) -> None:
    assert sound_file(language, name) is None


@given(st.text(), st.text())
def test_looking_for_a_prompt_never_raises(language: str, name: str) -> None:
    assert sound_file(language, name) is None
    assert sound_file("en", name) is None
    assert HTTP.media(Reason.OPT_OUT, language)[0].endswith("/listed.wav")
