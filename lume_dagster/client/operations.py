"""The calls of the Lume API, each a generator that does no input or output."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import TypeAdapter

from lume_dagster.client.addresses import path_of, with_query
from lume_dagster.client.answers import Redactor, is_foreign, read_answer
from lume_dagster.client.effects import Emit, HttpReply, HttpRequest, Operation, Stream, TransportFailure
from lume_dagster.client.errors import ApiError
from lume_dagster.client.models import (
    KEY_MEMBER,
    FlowInfo,
    FlowVersionInfo,
    Health,
    LumeRun,
    Page,
    Record,
    RejectRecord,
    ResultKind,
)
from lume_dagster.client.retry import Outage, is_passing, send
from lume_dagster.client.settings import ClientSettings
from lume_dagster.client.waiting import Until, wait_until_final

T = TypeVar("T")


class _FlowList(Record):
    items: tuple[FlowInfo, ...]


_RUN = TypeAdapter(LumeRun)
_RUN_PAGE = TypeAdapter(Page[LumeRun])
_RESULT_PAGES: dict[ResultKind, TypeAdapter[Page[Any]]] = {
    "mapped": TypeAdapter(Page[dict[str, Any]]),
    "rejects": TypeAdapter(Page[RejectRecord]),
}
_FLOWS = TypeAdapter(_FlowList)
_FLOW_VERSION = TypeAdapter(FlowVersionInfo)
_HEALTH = TypeAdapter(Health)

# The least a request may take although the wait it belongs to is nearly over.
_SHORTEST_TIMEOUT = 5.0


def run_id_of(run: LumeRun | str) -> str:
    """The id of a run that is given as such or by its id."""
    return run if isinstance(run, str) else run.id


@dataclass
class KeySupport:
    """Whether this Lume has shown that it heeds `Idempotency-Key`: its answer to a create echoes the key."""

    shown: bool = False


@dataclass(frozen=True)
class Operations:
    """Makes the operations of one Lume. The arguments are those of :class:`~lume_dagster.client.LumeClient`.

    Attributes:
        base_url: Address of the Lume, without a slash at its end.
        settings: Limits and pauses.
        redact: Keeps the API key out of errors.
        keys: What is known of this Lume's support of idempotency keys.
    """

    base_url: str
    settings: ClientSettings
    redact: Redactor
    keys: KeySupport = field(default_factory=KeySupport)

    def run(
        self,
        flow_version: str,
        source_path: str,
        run_metadata: Mapping[str, Any] | None,
        force_rerun: bool,
        idempotency_key: str | None,
    ) -> Operation[LumeRun]:
        """Create a run, once, however often the request has to be sent.

        It is sent again only under one and the same idempotency key. Until this Lume has shown that it heeds such
        keys, the run is looked for before each further try, and before the first one under a key of the caller's.
        """
        key = idempotency_key or str(uuid.uuid4())
        if not (key.isascii() and key.isprintable() and key == key.strip()):
            raise ValueError("idempotency_key must be printable ASCII without blanks around it")
        try:
            body = json.dumps(
                {
                    "flow_version": flow_version,
                    "source_path": source_path,
                    "force_rerun": force_rerun,
                    "run_metadata": {**(run_metadata or {}), KEY_MEMBER: key},
                },
                allow_nan=False,
            )
        except (TypeError, ValueError) as error:
            raise ValueError(f"run_metadata cannot be written as JSON: {error}") from None
        request = self._request(
            "POST",
            "/v1/runs",
            headers={"idempotency-key": key, "content-type": "application/json"},
            body=body.encode(),
        )
        outage = Outage(
            self.settings,
            self.redact,
            advice=(
                "Lume may have created the run all the same: "
                f"the same call with idempotency_key={key!r} finds it instead of making another."
            ),
        )
        return self._create(
            request, key, flow_version, source_path, outage, again=idempotency_key is not None
        )

    def _create(
        self,
        request: HttpRequest,
        key: str,
        flow_version: str,
        source_path: str,
        outage: Outage,
        *,
        again: bool,
    ) -> Operation[LumeRun]:
        sent = False
        while True:
            if again and not self.keys.shown:
                found = yield from self._created(key, flow_version, source_path, outage, is_sure=sent)
                if found is not None:
                    return found
            answer: HttpReply | TransportFailure = yield request
            if isinstance(answer, HttpReply) and not is_passing(answer):
                self.keys.shown |= answer.headers.get("idempotency-key") == key
                if not (200 <= answer.status_code < 300 and is_foreign(answer)):
                    return read_answer(answer, request, _RUN, self.redact)
                yield from outage.bear(request, answer, "an answer that is not Lume's")
            else:
                yield from outage.bear(request, answer)
            again = sent = True

    def _created(
        self, key: str, flow_version: str, source_path: str, outage: Outage, *, is_sure: bool
    ) -> Operation[LumeRun | None]:
        """The run that a create of this key has made, or the active one that it would be answered with.

        A Lume that refuses to be asked is not asked again, unless a create was sent before (`is_sure`): then nobody
        can know whether there is a run, and the refusal is raised.
        """
        batch = {"flow_version": flow_version, "source_path": source_path}
        request = self._request("GET", with_query("/v1/runs", {**batch, "page": 1, "size": 50}))
        reply = yield from send(request, outage)
        if not is_sure and (reply.status_code >= 300 or is_foreign(reply)):
            return None
        for run in read_answer(reply, request, _RUN_PAGE, self.redact).items:
            if (run.flow_version, run.source_path) != (flow_version, source_path):
                continue
            if run.is_active or run.idempotency_key == key:
                return run
        return None

    def run_status(self, run: LumeRun | str) -> Operation[LumeRun]:
        """Ask how a run is."""
        run_id = run_id_of(run)
        return self._call(self._request("GET", path_of("v1", "runs", run_id)), _RUN, check=_is_run(run_id))

    def wait(
        self,
        run: LumeRun | str,
        timeout: float,
        poll_interval: float | None,
        on_status: Callable[[LumeRun], None] | None,
    ) -> Operation[LumeRun]:
        """Wait until a run is final."""
        run_id = run_id_of(run)
        path = path_of("v1", "runs", run_id)
        has_answered = not isinstance(run, str)

        def ask(*, hold: int, until: Until, time_left: float) -> Operation[tuple[LumeRun, bool]]:
            nonlocal has_answered
            patience = min(self.settings.request_timeout, max(time_left - hold, _SHORTEST_TIMEOUT))
            request = self._request(
                "GET",
                with_query(path, {"wait": hold, "until": until} if hold else {}),
                timeout=hold + patience,
            )
            outage = Outage(
                self.settings,
                self.redact,
                budget=min(self.settings.outage_budget_seconds, time_left),
                advice=f"Run {run_id} goes on in Lume; waiting for that id again re-attaches to it.",
            )
            while True:
                reply = yield from send(request, outage)
                if not (has_answered and is_foreign(reply)):
                    break
                yield from outage.bear(request, reply, "an answer that is not Lume's")
            held = "wait=" in reply.headers.get("preference-applied", "").replace(" ", "").lower()
            seen = read_answer(reply, request, _RUN, self.redact, _is_run(run_id))
            has_answered = True
            return seen, held

        return wait_until_final(
            ask, self.settings, timeout=timeout, poll_interval=poll_interval, on_status=on_status
        )

    def runs(
        self,
        flow_version: str | None,
        source_path: str | None,
        status: str | None,
        page: int,
        size: int,
    ) -> Operation[Page[LumeRun]]:
        """Get one page of the runs, newest first."""
        query = {
            "flow_version": flow_version,
            "source_path": source_path,
            "status": None if status is None else str(status),
            "page": page,
            "size": size,
        }
        return self._call(
            self._request("GET", with_query("/v1/runs", query)), _RUN_PAGE, check=_is_page(page)
        )

    def iter_runs(
        self, flow_version: str | None, source_path: str | None, status: str | None, size: int
    ) -> Stream[LumeRun]:
        """Get all runs, newest first, each once: a run created meanwhile shifts the pages."""

        def fetch(number: int) -> Operation[Page[LumeRun]]:
            return self.runs(flow_version, source_path, status, number, size)

        return _all_pages(fetch, identity=run_id_of)

    def results(self, run: LumeRun | str, kind: ResultKind, page: int, size: int) -> Operation[Page[Any]]:
        """Get one page of what a run made."""
        if kind not in _RESULT_PAGES:
            raise ValueError(f"kind must be 'mapped' or 'rejects', not {kind!r}")
        path = path_of("v1", "runs", run_id_of(run), "results")
        request = self._request("GET", with_query(path, {"kind": kind, "page": page, "size": size}))
        return self._call(request, _RESULT_PAGES[kind], check=_is_page(page))

    def iter_results(self, run: LumeRun | str, kind: ResultKind, size: int) -> Stream[Any]:
        """Get all that a run made, in order."""

        def fetch(number: int) -> Operation[Page[Any]]:
            return self.results(run, kind, number, size)

        return _all_pages(fetch, whole=f"the {kind} records of run {run_id_of(run)}")

    def cancel(self, run: LumeRun | str, timeout: float | None) -> Operation[LumeRun]:
        """Ask Lume to end a run. Safe to send again: a final run stays as it is."""
        run_id = run_id_of(run)
        started = self.settings.timekeeper.monotonic()
        request = self._request("POST", path_of("v1", "runs", run_id, "cancel"))
        budget = None if timeout is None else min(timeout, self.settings.outage_budget_seconds)
        reply = yield from self._send(request, budget=budget, advice=f"Run {run_id} may go on in Lume.")
        cancelled = read_answer(reply, request, _RUN, self.redact, _is_run(run_id))
        if timeout is None or cancelled.is_final:
            return cancelled
        left = timeout - (self.settings.timekeeper.monotonic() - started)
        return (yield from self.wait(cancelled, max(0.0, left), None, None))

    def flows(self) -> Operation[tuple[FlowInfo, ...]]:
        """List the flows."""
        listed = yield from self._call(self._request("GET", "/v1/flows"), _FLOWS)
        return listed.items

    def flow_version(self, flow_version: str) -> Operation[FlowVersionInfo]:
        """Describe a flow version."""
        name, _, version = flow_version.rpartition(":")
        if not name or not version:
            raise ValueError(f"a flow version is written name:vN, such as 'flights:v1', not {flow_version!r}")
        return self._call(
            self._request("GET", path_of("v1", "flows", name, "versions", version)), _FLOW_VERSION
        )

    def healthz(self) -> Operation[Health]:
        """Ask once, without retries, whether Lume is up."""
        request = self._request("GET", "/healthz")
        reply = yield from self._send(request, budget=0.0)
        return read_answer(reply, request, _HEALTH, self.redact)

    def _request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float | None = None,
    ) -> HttpRequest:
        return HttpRequest(
            method=method,
            url=self.base_url + path,
            timeout=self.settings.request_timeout if timeout is None else timeout,
            headers=headers or {},
            body=body,
        )

    def _send(
        self, request: HttpRequest, *, budget: float | None = None, advice: str = ""
    ) -> Operation[HttpReply]:
        return send(request, Outage(self.settings, self.redact, budget=budget, advice=advice))

    def _call(
        self,
        request: HttpRequest,
        adapter: TypeAdapter[T],
        *,
        check: Callable[[T], str | None] | None = None,
        advice: str = "",
    ) -> Operation[T]:
        reply = yield from self._send(request, advice=advice)
        return read_answer(reply, request, adapter, self.redact, check)


def _is_run(run_id: str) -> Callable[[LumeRun], str | None]:
    """A check that an answer is about the run that was asked for."""
    return lambda run: None if run.id == run_id else f"it is about another run, {run.id!r:.80}"


def _is_page(number: int) -> Callable[[Page[Any]], str | None]:
    """A check that an answer is the page that was asked for: else pages repeat without end."""
    return lambda page: None if page.page == number else f"it is page {page.page}, not page {number}"


def _all_pages(
    fetch: Callable[[int], Operation[Page[T]]],
    *,
    identity: Callable[[T], Hashable] | None = None,
    whole: str | None = None,
) -> Stream[T]:
    """Emit the items of all pages in order.

    Args:
        fetch: Gets the page of a number.
        identity: What makes two items the same one, where a growing list may repeat them.
        whole: What the items are all of, where the list does not change, so that none may be missing.
    """
    seen: set[Hashable] = set()
    count = 0
    number = 1
    while True:
        page = yield from fetch(number)
        items = page.items
        if identity:
            items = tuple(item for item in items if identity(item) not in seen)
            seen.update(map(identity, items))
        yield Emit(items)
        count += len(page.items)
        if not page.items or number >= page.pages:
            break
        number += 1
    if whole and count != page.total:
        raise ApiError(f"Lume gave {count} of {whole}, and says that there are {page.total}.")
