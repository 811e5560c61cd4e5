"""From an HTTP answer to a record or an error. Whatever comes from the network is untrusted."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

from pydantic import TypeAdapter, ValidationError

from lume_dagster.client.effects import HttpReply, HttpRequest
from lume_dagster.client.errors import (
    AlreadySucceededError,
    ApiError,
    AuthenticationError,
    InvalidRequestError,
    NotFoundError,
    Problem,
)

T = TypeVar("T")

_ALREADY_SUCCEEDED = "urn:lume:problem:already-succeeded"
_EXCERPT_LENGTH = 200
_TEXT_LENGTH = 2_000


@dataclass(frozen=True)
class Redactor:
    """Keeps the API key out of everything that may be shown, should an answer echo it."""

    secret: str | None = None

    def text(self, text: str) -> str:
        """``text`` without the key."""
        return text.replace(self.secret, "***") if self.secret else text

    def value(self, value: Any) -> Any:
        """A JSON value without the key, at any depth."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(key): self.value(member) for key, member in value.items()}
        if isinstance(value, list):
            return [self.value(member) for member in value]
        return value

    def excerpt(self, body: bytes) -> str:
        """The beginning of a body, quoted and safe to print."""
        text = self.text(body.decode("utf-8", errors="replace"))
        return repr(text[:_EXCERPT_LENGTH]) + (" ..." if len(text) > _EXCERPT_LENGTH else "")


def read_answer(
    reply: HttpReply,
    request: HttpRequest,
    adapter: TypeAdapter[T],
    redact: Redactor,
    check: Callable[[T], str | None] | None = None,
) -> T:
    """Read the record that a request was made for.

    Args:
        reply: The answer.
        request: What it answers.
        adapter: Type of the record.
        redact: Keeps the key out of errors.
        check: Says what is wrong with a well-formed record, if anything is.

    Raises:
        ApiError: The answer is an error, or not what was asked for.
    """
    if not 200 <= reply.status_code < 300:
        raise error_of(reply, request, redact)
    why: str | None
    try:
        record = adapter.validate_python(_read_json(reply))
    except ValidationError as invalid:
        first = invalid.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "the answer"
        why = f"{place}: {first['msg']}"
    except (ValueError, RecursionError) as unreadable:
        why = str(unreadable)
    else:
        why = check(record) if check else None
        if why is None:
            return record
    raise ApiError(
        f"{request.label} answered {_status_line(reply)}, which cannot be used "
        f"({redact.text(why)[:_EXCERPT_LENGTH]}). Is base_url the address of a Lume? "
        f"It sent {redact.excerpt(reply.body)}",
        status_code=reply.status_code,
        method=request.method,
        url=request.url,
    )


def is_foreign(reply: HttpReply) -> bool:
    """Whether an answer is not Lume's own, but that of something on the way to it: a page, a redirect.

    A Lume that was spoken to before is still there behind it, so that trying again makes sense. An answer about
    the key is never foreign.
    """
    if 200 <= reply.status_code < 300 or reply.status_code == 404:
        try:
            _read_json(reply)
        except (ValueError, RecursionError):
            return True
    return 300 <= reply.status_code < 400


def error_of(reply: HttpReply, request: HttpRequest, redact: Redactor) -> ApiError:
    """The error that an answer outside 2xx stands for."""
    if 300 <= reply.status_code < 400:
        return ApiError(
            f"{request.label} answered {_status_line(reply)}: a redirect"
            f"{redact.text(_target_of(reply, request))}. Redirects are not followed, so that the API "
            "key goes to no other place; set base_url to the address to use.",
            status_code=reply.status_code,
            method=request.method,
            url=request.url,
        )
    problem = read_problem(reply, redact)
    title = "" if problem.title == _reason(reply) else problem.title
    said = ": ".join(part for part in (title, problem.detail.rstrip(".")) if part)
    asked = f"{request.label} answered {_status_line(reply)}"
    message = f"{said} ({asked})." if said else f"{asked}."
    kind: type[ApiError] = ApiError
    if reply.status_code in (401, 403):
        kind = AuthenticationError
        message += " Check the setting api_key (environment variable LUME_API_KEY)."
    elif reply.status_code == 404:
        kind = NotFoundError
    elif problem.type == _ALREADY_SUCCEEDED:
        kind = AlreadySucceededError
        message += " Pass force_rerun=True to process the batch again."
    elif 400 <= reply.status_code < 500:
        kind = InvalidRequestError
    return kind(
        message, status_code=reply.status_code, problem=problem, method=request.method, url=request.url
    )


def read_problem(reply: HttpReply, redact: Redactor) -> Problem:
    """The problem an error answer describes, or the beginning of whatever its body is."""
    try:
        body = redact.value(_read_json(reply))
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        detail = redact.excerpt(reply.body) if reply.body else ""
        return Problem(title=_reason(reply), status=reply.status_code, detail=detail)

    def text(name: str, default: str = "") -> str:
        value = body.pop(name, None)
        return value[:_TEXT_LENGTH] if isinstance(value, str) else default

    kind, title, detail = text("type", "about:blank"), text("title"), text("detail")
    body.pop("status", None)
    if not title and not detail:
        detail = redact.excerpt(reply.body)
    return Problem(
        type=kind, title=title or _reason(reply), status=reply.status_code, detail=detail, members=body
    )


def _read_json(reply: HttpReply) -> Any:
    media_type = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type and media_type != "application/json" and not media_type.endswith("+json"):
        raise ValueError(f"its content type is {media_type!r:.80}, not application/json")
    try:
        return json.loads(reply.body)
    except ValueError as error:
        raise ValueError(f"its body is not JSON: {error!s:.120}") from None


def _reason(reply: HttpReply) -> str:
    try:
        return HTTPStatus(reply.status_code).phrase
    except ValueError:
        return "HTTP error"


def _status_line(reply: HttpReply) -> str:
    try:
        return f"{reply.status_code} {HTTPStatus(reply.status_code).phrase}"
    except ValueError:
        return str(reply.status_code)


def _target_of(reply: HttpReply, request: HttpRequest) -> str:
    """Where a redirect leads, without the parts that may hold secrets."""
    try:
        target = urlsplit(urljoin(request.url, reply.headers.get("location", "")))
        port = f":{target.port}" if target.port else ""
    except ValueError:
        return ""
    return f" to {target.scheme}://{target.hostname}{port}{target.path}"
