from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from lume_dagster.client import (
    AlreadySucceededError,
    ApiError,
    AuthenticationError,
    InvalidRequestError,
    LumeRun,
    NotFoundError,
)
from lume_dagster.client.answers import Redactor, error_of, read_answer
from lume_dagster.client.effects import HttpReply, HttpRequest

ASKED = HttpRequest("GET", "http://lume/v1/runs/run_1", 60.0)
RUN: TypeAdapter[LumeRun] = TypeAdapter(LumeRun)
GOOD = {"id": "run_1", "flow_version": "f:v1", "source_path": "s", "status": "CREATED", "metadata": {}}
JSON = {"content-type": "application/json"}


def reply(code: int, body: Any, **headers: str) -> HttpReply:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpReply(code, {**JSON, **{k.replace("_", "-"): v for k, v in headers.items()}}, raw)


def read(answer: HttpReply, key: str | None = None) -> LumeRun:
    return read_answer(answer, ASKED, RUN, Redactor(key))


def test_a_good_answer_is_read() -> None:
    assert read(reply(200, GOOD)).id == "run_1"
    assert read(HttpReply(200, {}, json.dumps(GOOD).encode())).id == "run_1"
    assert read(reply(201, GOOD, content_type="application/vnd.lume+json; charset=utf-8")).id == "run_1"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (reply(200, b"<html>hello</html>", content_type="text/html"), "text/html"),
        (reply(200, GOOD, content_type="text/plain"), "text/plain"),
        (reply(200, json.dumps(GOOD).encode()[:40]), "not JSON"),
        (reply(200, b""), "not JSON"),
        (reply(204, b""), "not JSON"),
        (reply(200, b"\xff\xfe\x00"), "not JSON"),
        (reply(200, b"[" * 200_000), ""),
        (reply(200, b"9" * 10_000), ""),
        (reply(200, {**GOOD, "id": None}), "id"),
        (reply(200, {n: v for n, v in GOOD.items() if n != "id"}), "id"),
        (reply(200, {**GOOD, "status": 7}), "status"),
        (reply(200, {**GOOD, "metadata": "none"}), "metadata"),
        (reply(200, [GOOD]), "the answer"),
        (reply(200, None), "the answer"),
    ],
)
def test_a_malformed_answer_is_an_api_error_that_says_what_came(answer: HttpReply, says: str) -> None:
    with pytest.raises(ApiError) as error:
        read(answer)
    text = str(error.value)
    assert says in text
    assert f"GET {ASKED.url} answered {answer.status_code}" in text
    assert error.value.status_code == answer.status_code
    assert len(text) < 1_500


@given(
    code=st.integers(200, 599),
    body=st.binary(max_size=300) | st.sampled_from([b"{}", b"[]", b"null", b'{"id": {}}']),
    media_type=st.sampled_from(["application/json", "application/problem+json", "text/html", ""]),
)
def test_no_answer_raises_anything_but_an_api_error(code: int, body: bytes, media_type: str) -> None:
    with pytest.raises(ApiError):
        read(reply(code, body, content_type=media_type))


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (400, InvalidRequestError),
        (401, AuthenticationError),
        (403, AuthenticationError),
        (404, NotFoundError),
        (409, InvalidRequestError),
        (418, InvalidRequestError),
        (422, InvalidRequestError),
    ],
)
def test_codes_become_errors(code: int, kind: type[ApiError]) -> None:
    body = {"type": "about:blank", "title": "No", "status": code, "detail": "because", "field": "x"}
    error = error_of(reply(code, body), ASKED, Redactor())
    assert type(error) is kind
    assert (error.status_code, error.method, error.url) == (code, "GET", ASKED.url)
    assert error.problem
    assert (error.problem.title, error.problem.detail) == ("No", "because")
    assert error.problem.members == {"field": "x"}
    assert "No: because (" in str(error)


def test_an_authentication_error_names_the_setting() -> None:
    text = str(error_of(reply(401, b""), ASKED, Redactor("s3cret")))
    assert "api_key" in text
    assert "LUME_API_KEY" in text
    assert "s3cret" not in text


def test_already_succeeded_carries_the_run() -> None:
    body = {"type": "urn:lume:problem:already-succeeded", "title": "Done", "run_id": "run_0"}
    error = error_of(reply(409, body, content_type="application/problem+json"), ASKED, Redactor())
    assert isinstance(error, AlreadySucceededError)
    assert error.run_id == "run_0"
    assert "force_rerun=True" in str(error)


@pytest.mark.parametrize(
    "body", [b"", b"<html>gone</html>", b"[1]", {"title": 1, "detail": []}, {"error": "no"}]
)
def test_an_error_body_of_any_shape_is_borne(body: Any) -> None:
    error = error_of(reply(404, body), ASKED, Redactor())
    assert isinstance(error, NotFoundError)
    assert error.problem
    assert error.problem.title == "Not Found"


def test_an_error_without_words_is_told_once() -> None:
    assert str(error_of(reply(404, b""), ASKED, Redactor())) == f"GET {ASKED.url} answered 404 Not Found."


def test_the_words_of_an_error_have_an_end() -> None:
    assert len(str(error_of(reply(422, {"title": "No", "detail": "x" * 10_000}), ASKED, Redactor()))) < 2_200


@pytest.mark.parametrize("pad", [0, 180, 195])
def test_a_key_that_an_answer_echoes_is_not_shown(pad: int) -> None:
    page = b"x" * pad + b"lume-api-key: s3cret-key" + b"y" * 300
    for answer in (
        reply(200, page, content_type="text/html"),
        reply(500, page),
        reply(401, {"detail": "s3cret-key"}),
    ):
        with pytest.raises(ApiError) as error:
            read(answer, key="s3cret-key")
        assert "s3c" not in str(error.value)
        assert "s3c" not in repr(error.value.problem)


def test_a_redirect_is_refused_and_its_target_shown_without_secrets() -> None:
    answer = reply(307, b"", location="https://a:b@elsewhere.example/v1?token=s3cret")
    error = error_of(answer, ASKED, Redactor())
    assert type(error) is ApiError
    assert "https://elsewhere.example/v1" in str(error)
    assert "base_url" in str(error)
    assert "s3cret" not in str(error)
    assert "a:b" not in str(error)
    assert "redirect" in str(error_of(reply(301, b"", location="http://[bad"), ASKED, Redactor()))


def test_a_check_says_what_is_wrong() -> None:
    with pytest.raises(ApiError, match="another run"):
        read_answer(reply(200, GOOD), ASKED, RUN, Redactor(), lambda _: "it is about another run")
