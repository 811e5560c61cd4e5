"""Which failures are tried again, when, and for how long."""

from __future__ import annotations

import logging
import re
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from lume_dagster.client.answers import Redactor, read_problem
from lume_dagster.client.effects import HttpReply, HttpRequest, Operation, Sleep, TransportFailure
from lume_dagster.client.errors import ApiError, LumeUnavailableError
from lume_dagster.client.settings import ClientSettings

_logger = logging.getLogger("lume_dagster.client")

# A Lume that says this needs somebody to mend it: a full stop, though with the code of a pause.
_LASTING_PROBLEM = "urn:lume:problem:unusable-home"


def full_jitter(attempt: int, initial: float, maximum: float, uniform: float) -> float:
    """Seconds to pause after a number of attempts: anything from 0 to a bound that doubles each time.

    Args:
        attempt: How many pauses there were before this one.
        initial: The bound of the first pause.
        maximum: The most the bound grows to.
        uniform: A random number in [0, 1).
    """
    return uniform * min(maximum, initial * 2.0 ** min(attempt, 60))


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds that a ``Retry-After`` header asks to wait; None if there is none, or no sense in it.

    Args:
        value: The header: a number of seconds, or an HTTP date.
        now: The present moment, with a time zone.
    """
    text = (value or "").strip()
    if re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,9})?", text):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        return max(0.0, (moment - now).total_seconds())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def is_passing(answer: HttpReply | TransportFailure) -> bool:
    """Whether what came of a request may be different the next time."""
    if isinstance(answer, TransportFailure):
        return answer.passing
    if answer.status_code < 500:
        return answer.status_code == 429
    return read_problem(answer, Redactor()).type != _LASTING_PROBLEM


class Outage:
    """Failures in a row, and how long they are borne: pauses between tries until the budget is used up.

    Args:
        settings: Pauses and the outage budget.
        redact: Keeps the key out of errors.
        budget: Seconds from the first failure on, if other than the settings' outage budget.
        advice: What the caller should know if Lume stays unavailable.
    """

    def __init__(
        self, settings: ClientSettings, redact: Redactor, *, budget: float | None = None, advice: str = ""
    ) -> None:
        self._settings = settings
        self._redact = redact
        self._budget = settings.outage_budget_seconds if budget is None else budget
        self._advice = advice
        self._since: float | None = None
        self._tries = 0

    def bear(
        self, request: HttpRequest, answer: HttpReply | TransportFailure, unusable: str = ""
    ) -> Operation[None]:
        """Pause, so that the request may be tried again.

        Args:
            request: What was sent.
            answer: What came of it.
            unusable: What is wrong with an answer that does not tell it by its status.

        Raises:
            LumeUnavailableError: The budget is used up, or would be before Lume wants to be asked again.
            ApiError: The request cannot be sent at all.
        """
        time = self._settings.timekeeper
        reason = unusable or self._redact.text(_describe(answer, self._redact)).rstrip(".")
        where = request.label
        if isinstance(answer, TransportFailure) and not answer.passing:
            raise ApiError(f"{where} could not be sent: {reason}", method=request.method, url=request.url)
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        self._tries += 1
        left = self._budget - (now - self._since)
        asked = _asked_pause(answer, time.now())
        if left <= 0 or asked > left:
            tries = f"{self._tries} {'try' if self._tries == 1 else 'tries'} in {now - self._since:.0f} s"
            raise LumeUnavailableError(
                f"Lume is not available: {where} had no usable answer "
                f"({tries}; the last: {reason}). {self._advice}".rstrip(),
                status_code=answer.status_code if isinstance(answer, HttpReply) else None,
                problem=read_problem(answer, self._redact) if isinstance(answer, HttpReply) else None,
                method=request.method,
                url=request.url,
            )
        settings = self._settings
        jitter = full_jitter(
            self._tries - 1, settings.retry_initial_seconds, settings.retry_max_seconds, time.uniform()
        )
        pause = min(left, max(asked, jitter))
        _logger.warning("%s: %s. Trying again in %.1f s.", where, reason, pause)
        yield Sleep(pause)


def send(request: HttpRequest, outage: Outage) -> Operation[HttpReply]:
    """Send a request that may safely be sent again, until it is answered.

    Args:
        request: The request.
        outage: How long failures are borne.

    Returns:
        The first answer that is not 429 or 5xx. It may well be an error.

    Raises:
        LumeUnavailableError: There was no such answer within the budget.
        ApiError: The request cannot be sent at all.
    """
    while True:
        answer: HttpReply | TransportFailure = yield request
        if isinstance(answer, HttpReply) and not is_passing(answer):
            return answer
        yield from outage.bear(request, answer)


def _asked_pause(answer: HttpReply | TransportFailure, now: datetime) -> float:
    if isinstance(answer, TransportFailure):
        return 0.0
    return parse_retry_after(answer.headers.get("retry-after"), now) or 0.0


def _describe(answer: HttpReply | TransportFailure, redact: Redactor) -> str:
    if isinstance(answer, TransportFailure):
        return answer.reason
    problem = read_problem(answer, redact)
    return f"{answer.status_code} {problem.title}" + (f": {problem.detail}" if problem.detail else "")
