"""The language model over HTTP: what is sent, and what becomes of answers of all kinds."""

from __future__ import annotations

import gzip
import json
import logging
import traceback
from collections.abc import Callable

import pytest
from pydantic import SecretStr, ValidationError

from lume_dagster.generator.advice import AdviserError
from lume_dagster.service import language_model
from lume_dagster.service.language_model import MOST_BYTES, LanguageModel
from lume_dagster.service.settings import LanguageModelSettings, ServiceSettings
from tests.scripted_model import Reply, says, scripted_model

KEY = "sk-0123456789abcdef"
AGAIN = {"retry-after": "0"}


def model_at(url: str, **told: object) -> LanguageModel:
    return LanguageModel(
        LanguageModelSettings.model_validate({"base_url": url, "model": "m-1", "api_key": KEY, **told})
    )


def test_what_is_sent_and_what_is_answered() -> None:
    with scripted_model(says('{"fields": []}')) as endpoint:
        assert model_at(f"{endpoint.url}/").answer("do", "what?") == '{"fields": []}'
        ((path, headers, body),) = endpoint.requests
        assert path == "/v1/chat/completions"
        assert headers["authorization"] == f"Bearer {KEY}"
        assert KEY.encode() not in body
        sent = json.loads(body)
        assert set(sent) == {"model", "messages", "response_format"}
        assert sent["model"] == "m-1"
        assert sent["messages"] == [
            {"role": "system", "content": "do"},
            {"role": "user", "content": "what?"},
        ]
        model_at(endpoint.url, api_key=None).answer("do", "what?")
        assert "authorization" not in endpoint.requests[1][1]


@pytest.mark.parametrize(
    ("replies", "told", "requests"),
    [
        ([Reply(f"wrong key {KEY}".encode(), 401)], "401 Unauthorized: check the API key", 1),
        ([Reply(b"{}", 403)], "403 Forbidden: check the API key", 1),
        ([Reply(b'{"error": "no model m-1"}', 404)], '404 Not Found: \'{"error": "no model m-1"}\'', 1),
        ([Reply(b"slow down", 429, AGAIN)], "429 Too Many Requests: 'slow down'", 3),
        ([Reply(f"oh {KEY}".encode() * 99, 500, AGAIN)], "500 Internal Server Error: 'oh ***oh", 3),
        ([Reply(b"", 503, {"retry-after": "9999"})], "503 Service Unavailable", 1),
        ([Reply(b"", 599)], "answered 599", 1),
        ([Reply(b"<html>sign in</html>")], "none of an OpenAI-compatible API", 1),
        ([Reply(b'{"choices": []}')], "none of an OpenAI-compatible API", 1),
        ([Reply(b'{"choices": [{"message": {"content": null}}]}')], "none of an OpenAI-compatible API", 1),
        ([Reply(b"\xff\xfe")], "none of an OpenAI-compatible API", 1),
        ([Reply(b"[" * 100_000)], "none of an OpenAI-compatible API", 1),
        ([Reply(b"", is_endless=True)], f"longer than {MOST_BYTES} bytes", 1),
        ([Reply(b"x", 500, AGAIN, is_endless=True)], f"longer than {MOST_BYTES} bytes", 1),
        ([Reply(gzip.compress(b"x" * 9), 200, {"content-encoding": "gzip"})], "compressed", 1),
        ([says(f'{{"fields": [], "key": "{KEY}"}}')], "holds the key", 1),
    ],
)
def test_an_answer_that_is_none_is_told(
    replies: list[Reply], told: str, requests: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with scripted_model(*replies) as endpoint:
        with pytest.raises(AdviserError) as raised:
            model_at(endpoint.url).answer("do", "what?")
        assert len(endpoint.requests) == requests
    assert told in str(raised.value)
    assert len(str(raised.value)) < 500
    assert KEY not in "".join(traceback.format_exception(raised.value))
    assert KEY not in caplog.text


def test_an_overloaded_model_is_asked_again() -> None:
    with scripted_model(Reply(b"", 429, AGAIN), Reply(b"", 502, AGAIN), says("{}")) as endpoint:
        assert model_at(endpoint.url).answer("do", "what?") == "{}"
        assert len(endpoint.requests) == 3


@pytest.mark.parametrize("replies", [[], [Reply(b"{", drips=True)]], ids=["silent", "dripping"])
def test_a_model_that_takes_too_long_is_given_up(replies: list[Reply]) -> None:
    with (
        scripted_model(*replies) as endpoint,
        pytest.raises(AdviserError, match="no answer within"),
    ):
        model_at(endpoint.url, timeout_seconds=0.3).answer("do", "what?")


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language_model, "_PAUSE_SECONDS", 0.0)
    with scripted_model() as endpoint:
        url = endpoint.url
    with pytest.raises(AdviserError, match="cannot be reached"):
        model_at(url).answer("do", "what?")


def test_a_proxy_whose_host_cannot_be_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language_model, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy..example.com:1")
    monkeypatch.delenv("https_proxy", raising=False)
    with pytest.raises(AdviserError, match="cannot be reached"):
        model_at("https://llm.example.com/v1").answer("do", "what?")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    with scripted_model(says("{}")) as elsewhere:
        moved = Reply(b"", status, {"location": f"{elsewhere.url}/chat/completions"})
        with (
            scripted_model(moved) as endpoint,
            pytest.raises(AdviserError, match="redirects are not followed"),
        ):
            model_at(endpoint.url).answer("do", "what?")
        assert elsewhere.requests == []


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        lambda model: repr(vars(model)["_settings"]),
        lambda model: vars(model)["_settings"].model_dump_json(),
    ],
)
def test_the_key_is_not_shown(show: Callable[[LanguageModel], str]) -> None:
    assert KEY not in show(model_at("https://llm.example.com/v1"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("base_url", f"https://user:{KEY}@llm.example.com/v1"),
        ("base_url", f"https://llm.example.com/v1?key={KEY}"),
        ("base_url", f"ftp://llm.example.com/{KEY}"),
        ("base_url", f"http://[::1/{KEY}"),
        ("base_url", KEY),
        ("base_url", "https://llm..example.com/v1"),
        ("base_url", f"https://{'a' * 64}.example.com/v1"),
        ("api_key", f"{KEY}\n"),
        ("api_key", f"{KEY}ü"),
        ("model", ""),
        ("sample_values", 51),
        ("sample_values", -1),
        ("timeout_seconds", 0),
    ],
)
def test_a_setting_that_cannot_be_is_told_without_what_it_holds(name: str, value: object) -> None:
    with pytest.raises(ValidationError, match=name) as raised:
        model_at("https://llm.example.com/v1", **{name: value})
    assert KEY not in str(raised.value)


def test_settings_with_a_model_are_a_key_of_the_embedded_service() -> None:
    model = LanguageModelSettings(base_url="http://localhost:1/v1", model="m", api_key=SecretStr(KEY))
    assert hash(ServiceSettings(language_model=model)) == hash(ServiceSettings(language_model=model))
    assert KEY not in repr(ServiceSettings(language_model=model))
