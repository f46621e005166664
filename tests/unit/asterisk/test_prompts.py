"""A refused caller hears why, and the number of the decision, in the channel's language."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.asterisk.prompts import LANGUAGES, Prompts, sound_file
from callguard.config import PromptSettings
from callguard.numbers import Number, NumberKind
from callguard.screening.model import ALLOWING, CallFacts, Decision, Mode, Reason, Screened, Verdict

BASE = "http://127.0.0.1:8089"
HTTP = Prompts(PromptSettings(), BASE)
FILES = Prompts(PromptSettings(source="files"), BASE)
BRIEF = Prompts(PromptSettings(reference=False), BASE)


def refused(reason: Reason = Reason.OPT_OUT, language: str = "en", reference: str = "0415926") -> Decision:
    facts = CallFacts(
        datetime(2026, 11, 22, tzinfo=UTC),
        "0812",
        Number(NumberKind.SUBSCRIBER, "+62812"),
        Mode.BRIDGE,
        language=language,
    )
    return Decision("d1", reference, facts, Screened(Verdict.REFUSE, reason, (), "rules"), 1, "redis")


def names(media: tuple[str, ...], language: str) -> list[str]:
    """What is played, as served; each has to be there."""
    prefix = f"sound:{BASE}/sounds/{language}/"
    found = [uri.removeprefix(prefix).removesuffix(".wav") for uri in media]
    assert all(sound_file(language, name) for name in found)
    return found


@pytest.mark.parametrize("reason", Reason)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_has_a_prompt_in_every_language(reason: Reason, language: str) -> None:
    why = names(HTTP.media(refused(reason, language)), language)
    assert FILES.media(refused(reason, language)) == tuple(f"sound:callguard/{name}" for name in why)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_seven_digits_of_the_reference_follow_in_two_groups(language: str) -> None:
    assert names(HTTP.media(refused(language=language)), language) == [
        "listed", "reference",
        "digit-0", "digit-4", "digit-1", "pause", "digit-5", "digit-9", "digit-2", "digit-6",
    ]  # fmt: skip


def test_without_the_reference_only_the_reason_is_spoken() -> None:
    assert names(BRIEF.media(refused()), "en") == ["listed"]


@pytest.mark.parametrize(
    ("language", "spoken"),
    [("id", "id"), ("id_ID", "id"), ("ID", "id"), ("en", "en"), ("en-GB", "en"), ("en_US", "en")],
)
def test_the_prompt_is_in_the_language_of_the_channel(language: str, spoken: str) -> None:
    assert all(f"/sounds/{spoken}/" in uri for uri in HTTP.media(refused(language=language)))


@pytest.mark.parametrize("language", ["", "fr", "../en", "idn", "e", "x" * 10_000])
def test_a_channel_of_another_language_hears_the_default(language: str) -> None:
    assert all("/sounds/id/" in uri for uri in HTTP.media(refused(language=language)))
    english = Prompts(PromptSettings(language="en"), BASE)
    assert all("/sounds/en/" in uri for uri in english.media(refused(language=language)))


def test_each_kind_of_refusal_sounds_different() -> None:
    kinds = (
        Reason.OPT_OUT,
        Reason.OUTSIDE_HOURS,
        Reason.HOLIDAY,
        Reason.ATTEMPTS,
        Reason.UNREADABLE_NUMBER,
        Reason.GUARD_UNAVAILABLE,
        Reason.STALE_REGISTRY,
        Reason.NOT_COVERED,
    )
    assert len({BRIEF.media(refused(reason)) for reason in kinds}) == len(kinds)
    # The bare "cannot be placed", for reasons that are not foreseen, is said of none that is.
    spoken = {BRIEF.media(refused(reason)) for reason in Reason if reason not in ALLOWING}
    assert BRIEF.media(refused(Reason.BYPASS)) not in spoken


def test_the_address_of_the_settings_is_where_asterisk_fetches_prompts() -> None:
    settings = PromptSettings(base_url="https://guard.example/callguard/", reference=False)
    (uri,) = Prompts(settings, BASE).media(refused(Reason.ATTEMPTS))
    assert uri == "sound:https://guard.example/callguard/sounds/en/attempts.wav"


@pytest.mark.parametrize("prompts", [HTTP, FILES, BRIEF])
@given(reason=st.sampled_from(Reason), language=st.sampled_from(LANGUAGES), number=st.integers(0, 9_999_999))
def test_whatever_is_played_is_among_what_the_doctor_looks_for(
    prompts: Prompts, reason: Reason, language: str, number: int
) -> None:
    assert set(prompts.media(refused(reason, language, f"{number:07}"))) <= set(prompts.every_media())


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
    assert HTTP.media(refused(language=language))[0].endswith("/listed.wav")
