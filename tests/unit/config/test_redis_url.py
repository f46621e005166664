"""A URL of Redis says what stands where, or is refused without being quoted."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.config import RedisSettings
from callguard.config.checks import Wrong
from callguard.config.redis_url import Kind, RedisUrl, read, redis_url

SERVER, SENTINEL, CLUSTER = Kind.SERVER, Kind.SENTINEL, Kind.CLUSTER


def url(kind: Kind, *nodes: tuple[str, int], tls: bool = False, user: str | None = None, path: str = "",
        service: str = "", db: int = 0) -> RedisUrl:  # fmt: skip
    return RedisUrl(kind=kind, tls=tls, user=user, nodes=nodes, path=path, service=service, db=db)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("redis://h", url(SERVER, ("h", 6379))),
        ("redis://h/", url(SERVER, ("h", 6379))),
        ("redis://h:1/15", url(SERVER, ("h", 1), db=15)),
        ("redis://h?db=3", url(SERVER, ("h", 6379), db=3)),
        ("redis://[::1]:7000", url(SERVER, ("::1", 7000))),
        ("rediss://us%40er@h", url(SERVER, ("h", 6379), tls=True, user="us@er")),
        ("unix:///run/redis.sock", url(SERVER, path="/run/redis.sock")),
        ("unix:///run/a%20b.sock?db=2", url(SERVER, path="/run/a b.sock", db=2)),
        ("redis+sentinel://a,b:1,[::1]/m",
         url(SENTINEL, ("a", 26379), ("b", 1), ("::1", 26379), service="m")),
        ("redis+cluster://[::1]:1,[::2]:2", url(CLUSTER, ("::1", 1), ("::2", 2))),
        ("rediss+sentinel://u@a/lists?db=4",
         url(SENTINEL, ("a", 26379), tls=True, user="u", service="lists", db=4)),
        ("redis+cluster://a,b:1", url(CLUSTER, ("a", 6379), ("b", 1))),
        ("rediss+cluster://u@a/0", url(CLUSTER, ("a", 6379), tls=True, user="u")),
    ],
)  # fmt: skip
def test_a_url_is_read_as_it_is_meant(text: str, meant: RedisUrl) -> None:
    assert read(text) == meant
    assert redis_url(text) == text


def test_no_url_means_the_private_redis() -> None:
    assert redis_url("") == ""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("http://h", "does not begin with redis: or rediss: or unix:"),
        ("redis+sentinels://h/m", "does not begin with"),
        ("redis:", "names no server"),
        ("redis://", "names no server"),
        ("redis://h:0", "names no server"),
        ("redis://h:99999", "is not a URL"),
        ("redis://h:x", "is not a URL"),
        ("redis://[::1", "is not a URL"),
        ("redis://a,b", "names several servers"),
        ("redis+cluster://a,,b", "names no server"),
        ("redis+cluster://a,", "names no server"),
        ("redis+cluster://" + ",".join("a" * 33), "names 33 servers"),
        ("redis+cluster://a/1", "names a database"),
        ("redis+cluster://a?db=1", "names a database"),
        ("redis+sentinel://a", "does not name the service"),
        ("redis+sentinel://a/m/0", "does not name the service"),
        ("redis+sentinel://a/m?db=x", "has a db that is not the number"),
        ("redis+sentinel://a/m?db=1&db=2", "has a db that is not the number"),
        ("redis://h/zero", "has a path that is not the number of a database"),
        ("redis://h/٣", "has a path that is not the number of a database"),
        ("redis://h?ssl_cert_reqs=none", "has options"),
        ("redis://h#x", "has options"),
        ("redis://h /1", "has a space"),
        ("unix://redis.sock", "names no server"),
        ("unix:redis.sock", "names no server"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_with_what_is_allowed(text: str, told: str) -> None:
    with pytest.raises(Wrong, match="^" + told.replace("+", r"\+")) as caught:
        redis_url(text)
    assert caught.value.allowed


@given(
    st.sampled_from(["redis", "rediss", "unix", "redis+sentinel", "rediss+cluster", "http"]),
    st.text(max_size=12),
    st.text(max_size=12),
)
def test_a_password_in_a_url_is_refused_and_never_shown(scheme: str, user: str, rest: str) -> None:
    with pytest.raises(Wrong) as caught:
        redis_url(f"{scheme}://{user}:7hush7@h{rest}")
    assert "7hush7" not in f"{caught.value.what} {caught.value.allowed}"


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    for candidate in (text, f"redis://{text}", f"redis+cluster://{text}", f"unix:///{text}"):
        try:
            found = redis_url(candidate)
        except Wrong:
            continue
        assert found == candidate


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"url": "redis://h", "tls_ca": "ca.pem"}, "is set, but redis.url is not encrypted"),
        ({"url": "redis+cluster://h", "tls_key": "key.pem"}, "is set, but redis.url is not encrypted"),
        ({"url": "rediss://h", "tls_key": "key.pem"}, "one is set without the other"),
        ({"url": "rediss://h", "sentinel_password_file": "p"}, "names no Sentinels"),
    ],
)
def test_a_setting_that_the_url_has_no_use_for_is_refused(settings: dict[str, str], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        RedisSettings.model_validate(settings)


def test_the_files_of_tls_are_taken_with_a_url_that_is_encrypted() -> None:
    settings = RedisSettings(
        url="rediss+sentinel://h/m", tls_ca=Path("ca.pem"), sentinel_password_file=Path("p")
    )
    assert settings.tls_ca == Path("ca.pem")
