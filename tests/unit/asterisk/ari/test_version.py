"""Which version of Asterisk has what."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.asterisk.ari.version import parse_version


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("22.10.1+dfsg+~cs6.17.60671434-1", (22, 10, 1)),
        ("16.28.0~dfsg-0+deb11u4", (16, 28, 0)),
        ("certified/18.9-cert4", (18, 9, 0)),
        ("certified-20.7-cert2", (20, 7, 0)),
        ("23.0.0-rc1", (23, 0, 0)),
        ("GIT-master-abc1234", None),
        ("", None),
    ],
)
def test_a_version_is_read_as_packages_and_builds_write_it(
    text: str, numbers: tuple[int, int, int] | None
) -> None:
    assert parse_version(text).numbers == numbers


@pytest.mark.parametrize(
    ("text", "has"),
    [
        ("16.28.0", False), ("18.26.4", False), ("20.13.9", False), ("20.14.0", True), ("21.8.0", False),
        ("21.9.0", True), ("22.3.0", False), ("22.4.0", True), ("23.0.0", True), ("24.0.0", True),
        ("19.9.9", False), ("GIT-master", False),
    ],
)  # fmt: skip
def test_rest_over_websocket_is_used_only_where_it_is_known_to_be(text: str, has: bool) -> None:
    assert parse_version(text).rest_over_websocket is has


@pytest.mark.parametrize(
    ("text", "lags"),
    [
        ("16.28.0", True), ("18.24.3", True), ("18.25.0", False), ("19.8.1", True), ("20.9.3", True),
        ("20.10.0", False), ("21.4.0", True), ("21.5.0", False), ("22.0.0", False), ("GIT-master", False),
    ],
)  # fmt: skip
def test_the_versions_whose_idle_channels_lag_are_known(text: str, lags: bool) -> None:
    assert parse_version(text).commands_may_lag is lags


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("20.19.0", "#1928"), ("22.9.0", "#1928"), ("23.3.1", "#1928"),
        ("22.10.0", "GHSA-wcvv-g26m-wx5c"), ("21.12.2", "GHSA-wcvv-g26m-wx5c"),
        ("16.28.0", "200 ms"), ("13.38.0", "older than 16"), ("GIT-master", "cannot be read"),
    ],
)  # fmt: skip
def test_a_known_bad_version_is_named(text: str, warning: str) -> None:
    assert any(warning in found for found in parse_version(text).warnings)


@pytest.mark.parametrize("text", ["22.10.1", "23.4.1", "20.20.1", "18.26.0", "24.1.0"])
def test_a_good_version_has_no_warning(text: str) -> None:
    assert parse_version(text).warnings == ()


@given(st.text(max_size=300))
def test_any_text_is_a_version_that_can_be_shown(text: str) -> None:
    version = parse_version(text)
    assert version.text.isprintable()
    assert len(version.text) <= 200
    assert all(warning.isprintable() for warning in version.warnings)
