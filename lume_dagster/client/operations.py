"""The calls of the Lume API, each a generator that does no input or output."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import Field, TypeAdapter

from lume_dagster.client.addresses import path_of, with_query
from lume_dagster.client.answers import Redactor, is_foreign, read_answer
from lume_dagster.client.effects import (
    Call,
    Emit,
    HttpReply,
    HttpRequest,
    Operation,
    Stream,
    Together,
    TransportFailure,
)
from lume_dagster.client.errors import AlreadySucceededError, ApiError, NotFoundError
from lume_dagster.client.flow_names import newest_version, split_flow_version
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
from lume_dagster.urls import refuse_credentials

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
        """Create a run, once, however often the request has to be sent."""
        refuse_credentials(source_path)
        batch = {"flow_version": flow_version, "source_path": source_path}
        order = {**batch, "force_rerun": force_rerun}
        return self._create("/v1/runs", order, batch, run_metadata, idempotency_key)

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
        order = {"version": version, "source_data": records, "force_rerun": force_rerun}
        path, batch = path_of("v1", "flows", name, "runs"), {"flow_version": flow_version}
        return self._create(path, order, batch, run_metadata, idempotency_key)

    def create_flow(
        self,
        name: str,
        target_schema: Mapping[str, Any],
        source_path: str | None,
        source_data: Sequence[Mapping[str, Any]] | None,
        description: str,
        run_metadata: Mapping[str, Any] | None,
        idempotency_key: str | None,
        source: Mapping[str, Any] | None,
    ) -> Operation[LumeRun]:
        """Create a flow and its first run, once, however often the request has to be sent."""
        if (source_path is None) == (source_data is None):
            raise ValueError("give source_path or source_data, and not both")
        sample = {"source_data": source_data} if source_path is None else {"source_path": source_path}
        order = {"name": name, "target_schema": target_schema, "description": description, **sample}
        if source:
            order["source"] = source
        batch = {"flow_version": f"{name}:v1"}
        if source_path is not None:
            refuse_credentials(source_path)
            batch["source_path"] = source_path
        return self._create("/v1/flows", order, batch, run_metadata, idempotency_key)

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

    def correct(
        self,
        run: LumeRun | str,
        records: Mapping[int, Mapping[str, str | None]],
        run_metadata: Mapping[str, Any] | None,
    ) -> Operation[LumeRun]:
        """Correct rejects of a run. Safe to send again: the same corrections are in the same run."""
        body = {
            "records": [{"row_number": number, "values": dict(values)} for number, values in records.items()],
            "run_metadata": dict(run_metadata or {}),
        }
        request = self._request(
            "POST",
            path_of("v1", "runs", run_id_of(run), "corrections"),
            headers={"content-type": "application/json"},
            body=json.dumps(body, allow_nan=False).encode(),
        )
        return (yield from self._call(request, _RUN))

    def _create(
        self,
        path: str,
        order: Mapping[str, Any],
        batch: Mapping[str, str],
        run_metadata: Mapping[str, Any] | None,
        idempotency_key: str | None,
    ) -> Operation[LumeRun]:
        """Create a run, once, however often the request has to be sent.

        It is sent again only under one and the same idempotency key. Until this Lume has shown that it heeds such
        keys, the run is looked for before each further try, and before the first one under a key of the caller's.

        Args:
            path: Where to ask for the run.
            order: What is asked for.
            batch: What is known of the batch before there is a run: flow version and, unless the data is sent
                along, source path.
            run_metadata: The caller's.
            idempotency_key: The caller's, if there is one.
        """
        key = idempotency_key or str(uuid.uuid4())
        if not (key.isascii() and key.isprintable() and key == key.strip()):
            raise ValueError("idempotency_key must be printable ASCII without blanks around it")
        written = {**order, "run_metadata": {**(run_metadata or {}), KEY_MEMBER: key}}
        try:
            body = json.dumps(written, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(
                _not_json(written) or f"the request cannot be written as JSON: {error}"
            ) from None
        request = self._request(
            "POST",
            path,
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
        return self._send_create(request, key, batch, outage, again=idempotency_key is not None)

    def _send_create(
        self, request: HttpRequest, key: str, batch: Mapping[str, str], outage: Outage, *, again: bool
    ) -> Operation[LumeRun]:
        sent = False
        while True:
            if again and not self.keys.shown:
                found = yield from self._created(key, batch, outage, is_sure=sent)
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
        self, key: str, batch: Mapping[str, str], outage: Outage, *, is_sure: bool
    ) -> Operation[LumeRun | None]:
        """The run that a create of this key has made, or the active one that it would be answered with.

        A Lume that refuses to be asked is not asked again, unless a create was sent before (`is_sure`): then nobody
        can know whether there is a run, and the refusal is raised.
        """
        request = self._request("GET", with_query("/v1/runs", {**batch, "page": 1, "size": 50}))
        reply = yield from send(request, outage)
        if not is_sure and (reply.status_code >= 300 or is_foreign(reply)):
            return None
        runs = [
            run
            for run in read_answer(reply, request, _RUN_PAGE, self.redact).items
            if all(getattr(run, name) == value for name, value in batch.items())
        ]
        made = next((run for run in runs if run.idempotency_key == key), None)
        if made is not None or "source_path" not in batch:
            return made
        return next((run for run in runs if run.is_active), None)

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
        if table is None and kind == "rejects":
            table = frames.rejects_table((yield from self.all_results(run, kind)))
        if table is not None:
            return frames.with_origin(table, run) if kind == "rejects" else table
        records = yield from self.all_results(run, kind)
        flow = yield from self.flow_version(run.flow_version)
        return frames.mapped_table(records, flow.target_schema)

    def results_frame(self, run: LumeRun | str, kind: ResultKind, frame: str) -> Operation[Any]:
        """Get all that a run made as a frame of a library."""
        from lume_dagster.client import frames  # noqa: PLC0415 - pyarrow is heavy

        convert = frames.converter(frame)
        return convert((yield from self.results_table(run, kind)))

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
    if whole:
        _check_count(count, page.total, whole)


def _named(kind: ResultKind, run: LumeRun | str) -> str:
    return f"the {kind} records of run {run_id_of(run)}"


def _check_count(count: int, total: int, whole: str) -> None:
    if count != total:
        raise ApiError(f"Lume gave {count} of {whole}, and says that there are {total}.")


def _not_json(order: Mapping[str, Any]) -> str | None:
    """Which argument cannot be written as JSON, of records also which value, and what to do."""
    for name, value in order.items():
        if (error := _json_fault(value)) is None:
            continue
        place = ""
        if name == "source_data":
            found = (
                f" record {number}, {member!r}:"
                for number, record in enumerate(value, 1)
                if isinstance(record, Mapping)
                for member, inner in record.items()
                if _json_fault(inner) is not None
            )
            place = next(found, "")
        return (
            f"{name} cannot be written as JSON:{place} {error}; write dates, times and decimals as texts, "
            "and None where there is no value"
        )
    return None


def _json_fault(value: Any) -> Exception | None:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        return error
    return None
