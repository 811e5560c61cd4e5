"""The calls of the Lume API, each a generator that does no input or output."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import Field, TypeAdapter

from lume_dagster.client.addresses import path_of, with_query
from lume_dagster.client.answers import Redactor, read_answer
from lume_dagster.client.effects import Call, Emit, HttpReply, HttpRequest, Operation, Stream, Together
from lume_dagster.client.errors import AlreadySucceededError, ApiError, NotFoundError
from lume_dagster.client.flow_names import newest_version, split_flow_version
from lume_dagster.client.models import (
    FlowInfo,
    FlowVersionInfo,
    Health,
    LumeRun,
    Page,
    Record,
    RejectRecord,
    ResultKind,
)
from lume_dagster.client.retry import send
from lume_dagster.client.settings import ClientSettings
from lume_dagster.client.waiting import Until, wait_until_final

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")


class _FlowList(Record):
    items: tuple[FlowInfo, ...]


class _Upload(Record):
    source_path: str = Field(min_length=1)


_RUN = TypeAdapter(LumeRun)
_RUN_PAGE = TypeAdapter(Page[LumeRun])
_RESULT_PAGES: dict[ResultKind, TypeAdapter[Page[Any]]] = {
    "mapped": TypeAdapter(Page[dict[str, Any]]),
    "rejects": TypeAdapter(Page[RejectRecord]),
}
_FLOWS = TypeAdapter(_FlowList)
_FLOW_VERSION = TypeAdapter(FlowVersionInfo)
_HEALTH = TypeAdapter(Health)
_UPLOAD = TypeAdapter(_Upload)

_LARGEST_PAGE = 100
_PAGES_AT_ONCE = 8

# The least a request may take although the wait it belongs to is nearly over.
_SHORTEST_TIMEOUT = 5.0


def run_id_of(run: LumeRun | str) -> str:
    """The id of a run that is given as such or by its id."""
    return run if isinstance(run, str) else run.id


@dataclass(frozen=True)
class Operations:
    """Makes the operations of one Lume. The arguments are those of :class:`~lume_dagster.client.LumeClient`.

    Attributes:
        base_url: Address of the Lume, without a slash at its end.
        settings: Limits and pauses.
        redact: Keeps the API key out of errors.
    """

    base_url: str
    settings: ClientSettings
    redact: Redactor

    def run(
        self,
        flow_version: str,
        source_path: str,
        run_metadata: Mapping[str, Any] | None,
        force_rerun: bool,
        idempotency_key: str | None,
    ) -> Operation[LumeRun]:
        """Create a run. Sent again only under one and the same idempotency key."""
        order = {"flow_version": flow_version, "source_path": source_path}
        return self._create("/v1/runs", order, run_metadata, force_rerun, idempotency_key)

    def run_on_records(
        self,
        flow_version: str,
        records: Sequence[Mapping[str, Any]],
        run_metadata: Mapping[str, Any] | None,
        force_rerun: bool,
        idempotency_key: str | None,
    ) -> Operation[LumeRun]:
        """Create a run on records that are sent along. The same records are the same batch."""
        name, version = split_flow_version(flow_version)
        order = {"version": version, "source_data": records}
        return self._create(
            path_of("v1", "flows", name, "runs"), order, run_metadata, force_rerun, idempotency_key
        )

    def process(
        self, flow_version: str, records: Sequence[Mapping[str, Any]], timeout: float
    ) -> Operation[LumeRun]:
        """The final run on records: a new one, or the one that mapped the same records before."""
        try:
            run = yield from self.run_on_records(flow_version, records, None, False, None)
        except AlreadySucceededError as error:
            if error.run_id is None:
                raise
            run = yield from self.run_status(error.run_id)
        run = yield from self.wait(run, timeout, None, None)
        return run.raise_for_status()

    def upload_file(self, path: str | Path) -> Operation[str]:
        """Hand a file to Lume. Safe to send again: the same content gets the same source path."""
        file = Path(path)
        request = HttpRequest(
            method="POST",
            url=with_query(f"{self.base_url}/v1/uploads", {"name": file.name}),
            timeout=self.settings.request_timeout,
            headers={"content-type": "application/octet-stream"},
            body=file,
        )
        uploaded = yield from self._call(request, _UPLOAD)
        return uploaded.source_path

    def _create(
        self,
        path: str,
        order: Mapping[str, Any],
        run_metadata: Mapping[str, Any] | None,
        force_rerun: bool,
        idempotency_key: str | None,
    ) -> Operation[LumeRun]:
        key = idempotency_key or str(uuid.uuid4())
        if not (key.isascii() and key.isprintable() and key == key.strip()):
            raise ValueError("idempotency_key must be printable ASCII without blanks around it")
        try:
            body = json.dumps(
                {**order, "force_rerun": force_rerun, "run_metadata": dict(run_metadata or {})},
                allow_nan=False,
            )
        except (TypeError, ValueError) as error:
            raise ValueError(f"run_metadata cannot be written as JSON: {error}") from None
        request = self._request(
            "POST",
            path,
            headers={"idempotency-key": key, "content-type": "application/json"},
            body=body.encode(),
        )
        return self._call(
            request,
            _RUN,
            advice=(
                "Lume may have created the run all the same: "
                f"the same call with idempotency_key={key!r} finds it instead of making another."
            ),
        )

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

        def ask(*, hold: int, until: Until, time_left: float) -> Operation[tuple[LumeRun, bool]]:
            patience = min(self.settings.request_timeout, max(time_left - hold, _SHORTEST_TIMEOUT))
            request = self._request(
                "GET",
                with_query(path, {"wait": hold, "until": until} if hold else {}),
                timeout=hold + patience,
            )
            reply = yield from self._send(
                request,
                budget=min(self.settings.outage_budget_seconds, time_left),
                advice=f"Run {run_id} goes on in Lume; waiting for that id again re-attaches to it.",
            )
            held = "wait=" in reply.headers.get("preference-applied", "").replace(" ", "").lower()
            return read_answer(reply, request, _RUN, self.redact, _is_run(run_id)), held

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

        return _all_pages(fetch, whole=_named(kind, run))

    def all_results(self, run: LumeRun | str, kind: ResultKind) -> Operation[list[Any]]:
        """Get all that a run made, in order, several pages at a time."""
        first = yield from self.results(run, kind, 1, _LARGEST_PAGE)
        items = list(first.items)
        if first.pages > 1:
            rest = tuple(
                self.results(run, kind, number, _LARGEST_PAGE) for number in range(2, first.pages + 1)
            )
            for page in (yield Together(rest, min(_PAGES_AT_ONCE, len(rest)))):
                items += page.items
        _check_count(len(items), first.total, _named(kind, run))
        return items

    def results_table(self, run: LumeRun | str, kind: ResultKind) -> Operation[pa.Table]:
        """Get all that a run made as one table: its file where that can be reached, else all its pages."""
        from lume_dagster.client import frames  # noqa: PLC0415 - pyarrow is heavy

        if kind not in _RESULT_PAGES:
            raise ValueError(f"kind must be 'mapped' or 'rejects', not {kind!r}")
        if isinstance(run, str) or run.is_active:
            run = yield from self.run_status(run)
        seen = run
        table = yield Call(lambda: frames.read_file(seen, kind))
        if table is not None:
            return table
        records = yield from self.all_results(run, kind)
        if kind == "rejects":
            return frames.rejects_table(records)
        flow = yield from self.flow_version(run.flow_version)
        return frames.mapped_table(records, flow.target_schema)

    def results_frame(self, run: LumeRun | str, kind: ResultKind, frame: str) -> Operation[Any]:
        """Get all that a run made as a frame of a library."""
        from lume_dagster.client import frames  # noqa: PLC0415 - pyarrow is heavy

        convert = frames.converter(frame)
        return convert((yield from self.results_table(run, kind)))

    def cancel(self, run: LumeRun | str) -> Operation[LumeRun]:
        """Ask Lume to end a run. Safe to send again: a final run stays as it is."""
        run_id = run_id_of(run)
        request = self._request("POST", path_of("v1", "runs", run_id, "cancel"))
        return self._call(request, _RUN, check=_is_run(run_id), advice=f"Run {run_id} may go on in Lume.")

    def flows(self) -> Operation[tuple[FlowInfo, ...]]:
        """List the flows."""
        listed = yield from self._call(self._request("GET", "/v1/flows"), _FLOWS)
        return listed.items

    def flow(self, name: str) -> Operation[FlowVersionInfo]:
        """Describe a flow version, or the newest version of a flow."""
        if ":" in name:
            return (yield from self.flow_version(name))
        flows = yield from self.flows()
        version = newest_version(version for flow in flows if flow.name == name for version in flow.versions)
        if version is None:
            there = ", ".join(flow.name for flow in flows) or "none"
            raise NotFoundError(
                f"there is no flow {name!r} with a version in this Lume; flows there: {there}"
            )
        return (yield from self.flow_version(f"{name}:{version}"))

    def flow_version(self, flow_version: str) -> Operation[FlowVersionInfo]:
        """Describe a flow version."""
        name, version = split_flow_version(flow_version)
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
        return send(request, self.settings, self.redact, budget=budget, advice=advice)

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
    if whole:
        _check_count(count, page.total, whole)


def _named(kind: ResultKind, run: LumeRun | str) -> str:
    return f"the {kind} records of run {run_id_of(run)}"


def _check_count(count: int, total: int, whole: str) -> None:
    if count != total:
        raise ApiError(f"Lume gave {count} of {whole}, and says that there are {total}.")
