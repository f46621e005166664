"""What a call is for, and for whom, where nobody says."""

from pathlib import Path
from typing import Any

import pytest

from callguard.config import Settings
from callguard.config.purposes import call_project, call_purpose


def settings(**sections: Any) -> Settings:
    return Settings.model_validate({"state": Path("/nowhere"), **sections})


SETTINGS = settings(
    defaults={"project": "house", "purpose": "survey"},
    projects={"bank": {"purpose": "collection"}, "shop": {}},
)


@pytest.mark.parametrize(
    ("said", "project", "purpose"),
    [
        ("service", "bank", "service"),
        (" Service\t", "bank", "service"),
        ("", "bank", "collection"),
        (None, "bank", "collection"),
        ("  ", "bank", "collection"),
        ("", "shop", "survey"),
        ("", "Bank", "survey"),
        ("", "nobody", "survey"),
        ("", None, "survey"),
        ("no such purpose", "bank", "no such purpose"),
    ],
)
def test_the_call_says_its_purpose_else_its_project_else_the_defaults(
    said: str | None, project: str | None, purpose: str
) -> None:
    assert call_purpose(SETTINGS, said, project) == purpose


def test_without_settings_a_call_is_one_of_marketing_for_no_project() -> None:
    nothing = settings()
    assert call_project(nothing, None) is None
    assert call_purpose(nothing, None, None) == "marketing"


@pytest.mark.parametrize(("said", "project"), [(None, "house"), ("bank", "bank"), ("", None)])
def test_the_call_says_its_project_else_the_defaults(said: str | None, project: str | None) -> None:
    assert call_project(SETTINGS, said) == project
