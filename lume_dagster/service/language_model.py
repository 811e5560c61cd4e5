"""A language model behind an OpenAI-compatible HTTP interface. Whatever it answers is untrusted."""

from __future__ import annotations

import json
import logging
import time
from http import HTTPStatus

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lume_dagster.generator.advice import AdviserError
from lume_dagster.generator.disclosure import Disclosure
from lume_dagster.service.settings import LanguageModelSettings

MOST_BYTES = 1 << 20
"""How long an answer may be."""
_ATTEMPTS = 3
_PAUSE_SECONDS = 1.0
_TRIED_AGAIN = frozenset({429, 500, 502, 503, 504})
_EXCERPT_LENGTH = 200

_logger = logging.getLogger(__name__)


class _Message(BaseModel):
    content: str


class _Choice(BaseModel):
    message: _Message


class _Completion(BaseModel):
    """What is read of an answer; there is more in it."""

    model_config = ConfigDict(strict=True)

    choices: list[_Choice] = Field(min_length=1)


class LanguageModel:
    """Asks the model that is configured, and no other address.

    Args:
        settings: Where it is, what it is called, and what it may see.
    """

    def __init__(self, settings: LanguageModelSettings) -> None:
        self._settings = settings
        self._key = settings.api_key.get_secret_value() if settings.api_key else None
        self._url = f"{settings.base_url}/chat/completions"

    def __repr__(self) -> str:
        """Names the model; without the key."""
        return f"LanguageModel({self.name!r} at {httpx.URL(self._url).host})"

    @property
    def name(self) -> str:
        """What the model is called."""
        return self._settings.model

    @property
    def disclosure(self) -> Disclosure:
        """How much of a sample it may see."""
        return Disclosure(self._settings.sample_values, self._settings.mask)

    def answer(self, instructions: str, question: str) -> str:
        """What the model answers, in JSON as far as it keeps to what it is told.

        It is asked again, at most twice, where it is overloaded or cannot be reached, all within the time allowed.

        Args:
            instructions: What it is to do.
            question: What it is asked.

        Raises:
            AdviserError: There is no answer, or it is too long or none of a language model.
        """
        body = {
            "model": self.name,
            "messages": [
                {"role": "system", "content": instructions},
                {"role": "user", "content": question},
            ],
            "response_format": {"type": "json_object"},
        }
        content = json.dumps(body).encode()
        _logger.info("asking %r: %d bytes", self, len(content))
        deadline = time.monotonic() + self._settings.timeout_seconds
        attempt = 1
        while True:
            try:
                return self._asked(content, deadline)
            except _TryAgainError as error:
                pause = _PAUSE_SECONDS * attempt if error.pause is None else error.pause
                if attempt == _ATTEMPTS or time.monotonic() + pause >= deadline:
                    raise AdviserError(str(error)) from None
                time.sleep(pause)
            attempt += 1

    def _asked(self, content: bytes, deadline: float) -> str:
        headers = {"content-type": "application/json", "accept-encoding": "identity"}
        if self._key:
            headers["authorization"] = f"Bearer {self._key}"
        left = max(deadline - time.monotonic(), 0.001)
        try:
            with (
                httpx.Client(follow_redirects=False, timeout=left) as http,
                http.stream("POST", self._url, content=content, headers=headers) as response,
            ):
                body = self._body(response, deadline)
        except httpx.TimeoutException:
            raise self._late() from None
        except (httpx.HTTPError, UnicodeError) as error:  # the latter for a proxy's host
            raise _TryAgainError(
                f"it cannot be reached ({self._plain(f'{type(error).__name__}: {error}')})"
            ) from None
        if not response.is_success:
            raise self._failure(response, body)
        return self._content(body)

    def _body(self, response: httpx.Response, deadline: float) -> bytes:
        """The body as it comes, no more than is read of it."""
        if response.headers.get("content-encoding", "identity") != "identity":
            raise AdviserError("its answer is compressed, which nobody asked for")
        body = bytearray()
        for piece in response.iter_raw():
            body += piece
            if len(body) > MOST_BYTES:
                raise AdviserError(f"its answer is longer than {MOST_BYTES} bytes")
            if time.monotonic() > deadline:
                raise self._late()
        return bytes(body)

    def _content(self, body: bytes) -> str:
        try:
            content = _Completion.model_validate_json(body).choices[0].message.content
        except ValidationError:
            raise AdviserError(
                "its answer is none of an OpenAI-compatible API; is the base URL right? It sent "
                + self._plain(body)
            ) from None
        if self._key and self._key in content:
            raise AdviserError("its answer holds the key")
        return content

    def _failure(self, response: httpx.Response, body: bytes) -> Exception:
        """What a status outside of 2xx means."""
        code = response.status_code
        status = f"{code} {HTTPStatus(code).phrase}" if code in set(HTTPStatus) else str(code)
        if 300 <= code < 400:
            return AdviserError(
                f"it answered {status}: redirects are not followed, so that nothing goes elsewhere; configure the "
                "address to use as the base URL (LUME_LLM_BASE_URL)"
            )
        if code in (401, 403):
            return AdviserError(f"it answered {status}: check the API key (LUME_LLM_API_KEY)")
        said = f"it answered {status}: {self._plain(body)}"
        if code in _TRIED_AGAIN:
            asked = response.headers.get("retry-after", "")
            return _TryAgainError(said, float(asked) if asked.isdecimal() else None)
        return AdviserError(said)

    def _late(self) -> AdviserError:
        return AdviserError(f"there was no answer within {self._settings.timeout_seconds:g} s")

    def _plain(self, said: bytes | str) -> str:
        """The beginning of what it sent, without the key."""
        text = said if isinstance(said, str) else said.decode("utf-8", errors="replace")
        text = text.replace(self._key, "***") if self._key else text
        return repr(text[:_EXCERPT_LENGTH]) + (" ..." if len(text) > _EXCERPT_LENGTH else "")


class _TryAgainError(Exception):
    """No answer for now; `pause` is how many seconds to wait, if the model said so."""

    def __init__(self, said: str, pause: float | None = None) -> None:
        super().__init__(said)
        self.pause = pause
