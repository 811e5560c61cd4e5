"""What may be a secret in a URL is refused where it is kept, and left out where it is shown."""

from __future__ import annotations

import pytest

from lume_dagster.urls import checked_base_url

EXAMPLE = "https://lume.example.com"


@pytest.mark.parametrize(
    ("given_url", "kept"),
    [
        ("https://lume.example.com", "https://lume.example.com"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("https://example.com/lume/", "https://example.com/lume"),
    ],
)
def test_good_base_urls(given_url: str, kept: str) -> None:
    assert checked_base_url(given_url, EXAMPLE) == kept


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "lume.example.com",
        "ftp://lume.example.com",
        "https://",
        "https://lume.example.com:port",
        "https://lume.example.com:99999",
        "https://lume.example.com/?a=1",
        "https://lume.example.com/#top",
        "https://lume.example.com/a b",
        "https://lume.example.com\n",
        "https://[::1",
        "https://lume..example.com",
        f"https://{'a' * 64}.example.com",
    ],
)
def test_bad_base_urls(wrong: str) -> None:
    with pytest.raises(ValueError, match="base_url"):
        checked_base_url(wrong, EXAMPLE)


@pytest.mark.parametrize(
    "wrong",
    [
        "https://user:s3cret@lume.example.com",
        "https://s3cret@lume.example.com",
        "https://user:s3cret/x@lume.example.com",
        "ftp://user:s3cret@lume.example.com",
        "https://user:s3cret@lume example",
        "user:s3cret@lume.example.com",
        "https://lume.example.com?api_key=s3cret",
        "ftp://lume.example.com?api_key=s3cret",
        "https://lume.example.com#s3cret",
    ],
)
def test_credentials_in_a_base_url_are_refused_and_not_shown(wrong: str) -> None:
    with pytest.raises(ValueError, match="base_url") as refused:
        checked_base_url(wrong, EXAMPLE)
    assert "s3cret" not in str(refused.value)
    assert refused.value.__cause__ is None
