"""A Lume made of a script, for tests of what talks to one.

:class:`ScriptedLume` is a real HTTP server on the loopback interface. Its runs go through the statuses they
are told to, its answers can be made to fail in all the ways a network can, and it records what it was asked.

Example:
    ::

        script = RunScript(["PENDING", "TRANSFORMING", "SUCCEEDED"], mapped=[{"id": 1}])
        with ScriptedLume(script) as lume, LumeClient(lume.url) as client:
            lume.inject(Fault.status(503), times=2)
            run = client.wait(client.run("flights:v1", "day-1.csv"))
            assert run.succeeded
            assert lume.asked("POST", "/v1/runs")[0].body["source_path"] == "day-1.csv"
"""

from __future__ import annotations

import hashlib
import json
import math
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

_FINAL = ("SUCCEEDED", "PARTIAL_FAILED", "INCOMPLETE", "FAILED", "CRASHED")
_HELD_STEP_SECONDS = 0.2


@dataclass(frozen=True)
class Stage:
    """A status and how long a run stays in it. The last stage of a run lasts for ever.

    Attributes:
        status: The status as it is spelt in answers.
        polls: For how many requests about the run.
        seconds: For how long, instead of a number of requests.
    """

    status: str
    polls: int = 1
    seconds: float | None = None


@dataclass(frozen=True)
class RunScript:
    """What becomes of a run.

    Attributes:
        stages: Its statuses; a string stands for a stage of one request.
        metadata: Members of the metadata once the run is final. The numbers of rows need not be told: they are those
            of the records below.
        mapped: Its mapped records.
        rejects: Its rejects, as they are in answers.
    """

    stages: Sequence[Stage | str] = ("PENDING", "SUCCEEDED")
    metadata: Mapping[str, Any] = field(default_factory=dict)
    mapped: Sequence[Mapping[str, Any]] = ()
    rejects: Sequence[Mapping[str, Any]] = ()


class Hold:
    """Requests that a :class:`ScriptedLume` keeps waiting: what happens meanwhile happens in the middle of one."""

    def __init__(self, *, processed: bool) -> None:
        self.processed = processed
        self._arrived = threading.Event()
        self._released = threading.Event()

    def wait(self, timeout: float = 60.0) -> None:
        """Wait until a request is being held.

        Raises:
            TimeoutError: None came within ``timeout`` seconds.
        """
        if not self._arrived.wait(timeout):
            raise TimeoutError(f"no request to hold came within {timeout:g} s")

    def release(self) -> None:
        """Let the request go on, and any that comes later."""
        self._released.set()

    def keep(self) -> None:
        """Keep the calling request waiting until it is released."""
        self._arrived.set()
        self._released.wait()


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong with one request. Make one by the class methods.

    Attributes:
        code: HTTP status to answer with instead of the true answer.
        body: Body of that answer.
        headers: Headers of the answer, on top of the usual ones or in their place.
        processed: Whether the request takes effect all the same.
        sent: How much of the answer is sent: ``all``, ``half`` or ``nothing``.
        delay: Seconds before the answer.
        hold: Keeps the request waiting: before it takes effect, or if that is ``processed``, after it.
    """

    code: int | None = None
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    processed: bool = True
    sent: str = "all"
    delay: float = 0.0
    hold: Hold | None = None

    @classmethod
    def status(cls, code: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Fault:
        """Answer with a status code and a body, and do nothing."""
        return cls(code=code, body=body, headers=headers or {}, processed=False)

    @classmethod
    def html(cls, code: int = 200) -> Fault:
        """Answer with a web page, as a proxy in the way does."""
        page = b"<!doctype html><html><body>Please sign in</body></html>"
        return cls.status(code, page, {"content-type": "text/html; charset=utf-8"})

    @classmethod
    def reset(cls) -> Fault:
        """Reset the connection before anything is done."""
        return cls(processed=False, sent="nothing")

    @classmethod
    def lost_answer(cls) -> Fault:
        """Do what is asked, and reset the connection instead of answering."""
        return cls(sent="nothing")

    @classmethod
    def half_body(cls) -> Fault:
        """Do what is asked, and break off in the middle of the answer."""
        return cls(sent="half")

    @classmethod
    def slow(cls, seconds: float) -> Fault:
        """Do what is asked, and answer late."""
        return cls(delay=seconds)


@dataclass(frozen=True)
class RecordedRequest:
    """A request as it came. Header names are in lower case; ``at`` is the time by the server's clock.

    The body is the JSON value, or the bytes of a file that is handed over.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any
    at: float


@dataclass
class _Run:
    id: str
    order: Mapping[str, Any]
    stages: list[Stage]
    script: RunScript
    entered: float
    polls: int = 0
    corrects: _Run | None = None
    corrected: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Answer:
    code: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def _answer(code: int, value: object, **headers: str) -> _Answer:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return _Answer(code, json.dumps(value).encode(), {"content-type": "application/json", **named})


def _problem(code: int, kind: str, title: str, **members: object) -> _Answer:
    body = {"type": f"urn:lume:problem:{kind}", "title": title, "status": code, **members}
    return _answer(code, body, content_type="application/problem+json")


class _Server(ThreadingHTTPServer):
    request_queue_size = 1024  # hundreds of clients may connect at once


class ScriptedLume:
    """A Lume over HTTP whose runs follow a script. Use it as a context manager.

    Args:
        script: What becomes of runs for which :meth:`next_run` told nothing else.
        long_poll: Whether requests for a run may be held (``wait=``). Stages counted in requests are
            answered at once all the same.
        idempotency_keys: Whether the ``Idempotency-Key`` of a create is heeded.
        api_key: The only key that is accepted; None accepts all requests.
        flows: Flow versions: for each, the arguments of :meth:`add_flow`.
        monotonic: Clock of stages that are told in seconds.
        sleep: Pauses while a request is held or an answer delayed.

    Attributes:
        url: Address of the server, once it is started.
        requests: All requests so far, in order.
    """

    def __init__(
        self,
        script: RunScript | None = None,
        *,
        long_poll: bool = True,
        idempotency_keys: bool = True,
        api_key: str | None = None,
        flows: Sequence[Mapping[str, Any]] = (),
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = ""
        self.requests: list[RecordedRequest] = []
        self._script = script or RunScript()
        self._long_poll = long_poll
        self._heeds_keys = idempotency_keys
        self._api_key = api_key
        self._flows: dict[tuple[str, str], dict[str, Any]] = {}
        self._monotonic = monotonic
        self._sleep = sleep
        self._lock = threading.RLock()
        self._runs: dict[str, _Run] = {}
        self._run_of_key: dict[str, tuple[str, Any]] = {}
        self._next_scripts: list[RunScript] = []
        self._faults: list[tuple[Fault, str | None, str]] = []
        self._holds: list[Hold] = []
        for flow in flows:
            self.add_flow(**flow)

    def __enter__(self) -> ScriptedLume:
        self._server = _Server(("127.0.0.1", 0), _handler_of(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
        self._server.shutdown()
        self._server.server_close()

    @property
    def run_ids(self) -> list[str]:
        """Ids of all runs, oldest first."""
        return list(self._runs)

    def add_flow(
        self, flow_version: str, target_schema: Mapping[str, Any] | None = None, **members: Any
    ) -> None:
        """Add a flow version, as ``GET /v1/flows/{name}/versions/{v}`` answers it.

        Args:
            flow_version: ``name:vN``.
            target_schema: JSON Schema of a mapped record.
            members: Other members of the answer.
        """
        name, _, version = flow_version.partition(":")
        self._flows[name, version] = {
            "flow_version": flow_version,
            "target_schema": dict(target_schema or {}),
            **members,
            "name": name,
            "version": version,
        }

    def status(self, run_id: str) -> str:
        """How a run is at the moment. Does not count as a request."""
        return self._advance(self._runs[run_id])

    def finish(self, run_id: str, script: RunScript | None = None) -> None:
        """End a run at once, as the last stage of its script says, or of another one."""
        run = self._runs[run_id]
        with self._lock:
            run.script = script or run.script
            last = run.script.stages[-1]
            run.stages = [Stage(last) if isinstance(last, str) else last]

    def release(self) -> None:
        """Let all requests go on that are being held."""
        for hold in self._holds:
            hold.release()

    def next_run(self, script: RunScript) -> None:
        """Tell what becomes of the next run that is created; may be called for several in advance."""
        self._next_scripts.append(script)

    def add_run(
        self,
        flow_version: str = "flights:v1",
        source_path: str = "day-1.csv",
        script: RunScript | None = None,
        run_id: str | None = None,
    ) -> str:
        """Add a run as if it had been created, and return its id."""
        return self._create({"flow_version": flow_version, "source_path": source_path}, script, run_id).id

    def is_final(self, run_id: str) -> bool:
        """Whether a run has come to the end of its script."""
        return self._advance(self._runs[run_id]) in _FINAL

    def end_run(self, run_id: str) -> None:
        """Bring a run to the last stage of its script, however long the others were to last."""
        with self._lock:
            del self._runs[run_id].stages[:-1]

    def inject(self, fault: Fault, *, times: int = 1, method: str | None = None, path: str = "") -> None:
        """Let requests fail.

        Args:
            fault: How.
            times: How many requests.
            method: Only requests of this method.
            path: Only requests whose path contains this.
        """
        self._faults += [(fault, method, path)] * times

    def mend(self) -> None:
        """Let no further request fail, and those go on that are being held."""
        self._faults.clear()
        self.release()

    def hold(self, method: str | None = None, path: str = "", *, processed: bool = False) -> Hold:
        """Keep the next request of a kind waiting, until it is released or the server is stopped.

        Args:
            method: Only a request of this method.
            path: Only a request whose path contains this.
            processed: Whether it takes effect before it is held, or only once it is released.
        """
        hold = Hold(processed=processed)
        self._holds.append(hold)
        self.inject(Fault(hold=hold), method=method, path=path)
        return hold

    def asked(self, method: str | None = None, path: str = "") -> list[RecordedRequest]:
        """The requests of a method whose path contains ``path``."""
        return [r for r in self.requests if method in (None, r.method) and path in r.path]

    def answer(self, request: RecordedRequest) -> tuple[_Answer, Fault]:
        """What a request is answered with, and what goes wrong with the answer."""
        with self._lock:
            self.requests.append(request)
            fault = self._take_fault(request)
        if fault.delay:
            self._sleep(fault.delay)
        if fault.hold and not fault.hold.processed:
            fault.hold.keep()
        true = self._route(request) if fault.processed else _Answer(500, b"")
        if fault.hold and fault.hold.processed:
            fault.hold.keep()
        if fault.code is not None:
            true = _Answer(fault.code, fault.body, {"content-type": "application/json"})
        return replace(true, headers={**true.headers, **fault.headers}), fault

    def _take_fault(self, request: RecordedRequest) -> Fault:
        for position, (fault, method, path) in enumerate(self._faults):
            if method in (None, request.method) and path in request.path:
                del self._faults[position]
                return fault
        return Fault()

    def _route(self, request: RecordedRequest) -> _Answer:
        if self._api_key is not None and request.headers.get("lume-api-key") != self._api_key:
            return _problem(401, "unauthorized", "The API key is not accepted")
        answer = _problem(404, "not-found", "There is no such thing", detail=request.path)
        match (request.method, *(unquote(part) for part in request.path.strip("/").split("/"))):
            case ("GET", "healthz"):
                answer = _answer(200, {"status": "ok"})
            case ("POST", "v1", "runs" | "flows" as created):
                create = self._create_answer if created == "runs" else self._create_flow_answer
                with self._lock:
                    answer = create(request)
            case ("POST", "v1", "flows", name, "runs") if any(name == flow for flow, _ in self._flows):
                with self._lock:
                    answer = self._create_answer(replace(request, body=self._order_of(name, request.body)))
            case ("POST", "v1", "uploads"):
                answer = _answer(201, {"source_path": f"upload:{hashlib.sha256(request.body).hexdigest()}"})
            case ("GET", "v1", "runs"):
                wanted = {n: v for n, v in request.query.items() if n not in ("page", "size")}
                views = [self._view(run) for run in reversed(list(self._runs.values()))]
                answer = _page([v for v in views if wanted.items() <= v.items()], request.query)
            case ("GET", "v1", "runs", run_id) if run_id in self._runs:
                answer = self._status_answer(self._runs[run_id], request.query)
            case ("GET", "v1", "runs", run_id, "results") if run_id in self._runs:
                answer = self._results_answer(self._runs[run_id], request.query)
            case ("POST", "v1", "runs", run_id, "cancel" | "corrections" as asked) if run_id in self._runs:
                with self._lock:
                    run = self._runs[run_id]
                    answer = self._cancel(run) if asked == "cancel" else self._correct(run, request.body)
            case ("GET", "v1", "flows"):
                versions: dict[str, list[str]] = {}
                for name, version in self._flows:
                    versions.setdefault(name, []).append(version)
                answer = _answer(200, {"items": [{"name": n, "versions": v} for n, v in versions.items()]})
            case ("GET", "v1", "flows", name, "versions", version) if (name, version) in self._flows:
                answer = _answer(200, self._flows[name, version])
        return answer

    def _order_of(self, name: str, body: Any) -> Any:
        """What a create of a flow's run asks for, as one that names its batch; the same records are the same one."""
        if not isinstance(body, dict):
            return body
        newest = [version for flow, version in self._flows if flow == name][-1]
        order = {"flow_version": f"{name}:{body.get('version') or newest}", **body}
        if "source_data" in order:
            records = json.dumps(order.pop("source_data"), sort_keys=True).encode()
            order["source_path"] = f"records:{hashlib.sha256(records).hexdigest()}"
        return order

    def _create_flow_answer(self, request: RecordedRequest) -> _Answer:
        """Makes the first version of a flow, as if a mapper had been found, and its run on the sample."""
        order = request.body
        if (
            not isinstance(order, dict)
            or not {"name", "target_schema"} <= order.keys()
            or ("source_path" in order) == ("source_data" in order)
        ):
            return _problem(
                422,
                "invalid-request",
                "name, target_schema and one of source_path and source_data are needed",
            )
        name, key = order["name"], request.headers.get("idempotency-key")
        if not (self._heeds_keys and key in self._run_of_key):
            if any(name == flow for flow, _ in self._flows):
                return _problem(
                    409, "flow-exists", "The flow is there already", detail=f"{name} is there already"
                )
            self.add_flow(f"{name}:v1", order["target_schema"], description=order.get("description", ""))
        return self._create_answer(replace(request, body=self._order_of(name, order)))

    def _create_answer(self, request: RecordedRequest) -> _Answer:
        order = request.body
        if not isinstance(order, dict) or not {"flow_version", "source_path"} <= order.keys():
            return _problem(422, "invalid-request", "flow_version and source_path are needed")
        key = request.headers.get("idempotency-key") if self._heeds_keys else None
        if key in self._run_of_key:
            run_id, first_order = self._run_of_key[key]
            if order != first_order:
                return _problem(422, "idempotency-key-reused", "The key came with another request before")
            return self._created_answer(200, self._runs[run_id], key)
        for earlier in reversed(self._runs.values()):
            if any(earlier.order[n] != order[n] for n in ("flow_version", "source_path")):
                continue
            status = self._advance(earlier)
            if status not in _FINAL:
                return self._created_answer(200, earlier, key)
            if status in ("SUCCEEDED", "PARTIAL_FAILED", "INCOMPLETE") and not order.get("force_rerun"):
                return _problem(409, "already-succeeded", "The batch was processed", run_id=earlier.id)
        run = self._create(order, self._next_scripts.pop(0) if self._next_scripts else None)
        if key:
            self._run_of_key[key] = (run.id, order)
        return self._created_answer(201, run, key)

    def _correct(self, asked: _Run, body: Mapping[str, Any]) -> _Answer:
        """Takes corrections of a run's rejects; what becomes of the run that holds them, the next script says."""
        batch = {name: asked.order[name] for name in ("flow_version", "source_path")}
        current = next(
            run
            for run in reversed(self._runs.values())
            if batch.items() <= run.order.items()
            and not (run.corrects and self._advance(run) in ("FAILED", "CRASHED"))
        )
        if asked.id not in self._corrected_by(current):
            return _problem(409, "superseded", "The batch was run anew", run_id=current.id)
        if self._advance(current) not in _FINAL:
            return _problem(409, "not-ready", "The run is not final", run_id=current.id)
        rejects = {reject["row_number"]: reject["source_record"] for reject in current.script.rejects}
        corrected = dict(current.corrected)
        for record in body["records"]:
            row = record["row_number"]
            known = rejects.get(row, corrected.get(row, {}))
            changes = {name: value for name, value in record["values"].items() if known.get(name) != value}
            if changes and row not in rejects:
                return _problem(
                    422, "invalid-request", f"row {row} was not rejected, and cannot be corrected here"
                )
            if changes:
                corrected[row] = {**corrected.get(row, {}), **changes}
        if corrected == current.corrected:
            return _answer(200, self._view(current))
        run = self._create(
            {**batch, "run_metadata": body.get("run_metadata", {})},
            self._next_scripts.pop(0) if self._next_scripts else None,
        )
        run.corrects, run.corrected = current, corrected
        return _answer(201, self._view(run))

    def _corrected_by(self, run: _Run | None) -> set[str]:
        """The run, and those that it corrects."""
        found = set()
        while run is not None:
            found.add(run.id)
            run = run.corrects
        return found

    def _created_answer(self, code: int, run: _Run, key: str | None) -> _Answer:
        return _answer(code, self._view(run), **({"idempotency_key": key} if key else {}))

    def _create(self, order: Mapping[str, Any], script: RunScript | None, run_id: str | None = None) -> _Run:
        script = script or self._script
        stages = [Stage(stage) if isinstance(stage, str) else stage for stage in script.stages]
        run_id = run_id or f"run_{len(self._runs) + 1:026d}"
        run = _Run(run_id, order, stages, script, entered=self._monotonic())
        self._runs[run_id] = run
        return run

    def _advance(self, run: _Run, *, poll: bool = False) -> str:
        """Move a run on as far as time, or one more request, takes it; return its status."""
        with self._lock:
            while len(run.stages) > 1:
                stage = run.stages[0]
                if stage.seconds is None:
                    if not poll or run.polls < stage.polls:
                        break
                    run.entered = self._monotonic()
                else:
                    if self._monotonic() < run.entered + stage.seconds:
                        break
                    run.entered += stage.seconds
                run.stages.pop(0)
                run.polls = 0
            run.polls += poll
            return run.stages[0].status

    def _status_answer(self, run: _Run, query: Mapping[str, str]) -> _Answer:
        hold = min(60.0, float(query.get("wait", 0))) if self._long_poll else 0.0
        first = status = self._advance(run, poll=True)
        end = self._monotonic() + hold
        while status not in _FINAL and run.stages[0].seconds is not None and self._monotonic() < end:
            if query.get("until") != "final" and status != first:
                break
            # In steps, as a cancel may come in between.
            left = min(end, run.entered + run.stages[0].seconds) - self._monotonic()
            self._sleep(min(_HELD_STEP_SECONDS, max(0.0, left)))
            status = self._advance(run)
        applied = {"preference_applied": f"wait={hold:g}"} if hold else {}
        return _answer(200, self._view(run), **applied)

    def _view(self, run: _Run) -> dict[str, Any]:
        status = self._advance(run)
        batch = {name: run.order[name] for name in ("flow_version", "source_path")}
        metadata = {
            "run": {
                "run_id": run.id,
                "status": status,
                **batch,
                "forced": bool(run.order.get("force_rerun")),
            },
            "run_metadata": run.order.get("run_metadata", {}),
            **(
                {"corrects": {"run_id": run.corrects.id, "records": len(run.corrected)}}
                if run.corrects
                else {}
            ),
            **(_figures(run.script, status) if status in _FINAL else {}),
        }
        return {"id": run.id, "status": status, **batch, "metadata": metadata}

    def _results_answer(self, run: _Run, query: Mapping[str, str]) -> _Answer:
        if self._advance(run) not in _FINAL:
            return _problem(409, "not-ready", "The run is not final")
        records = run.script.rejects if query.get("kind") == "rejects" else run.script.mapped
        return _page(records, query)

    def _cancel(self, run: _Run) -> _Answer:
        if self._advance(run) not in _FINAL:
            run.stages = [Stage("FAILED")]
            run.script = replace(run.script, metadata={"error_message": "cancelled by the caller"})
        return _answer(200, self._view(run))


def _figures(script: RunScript, status: str) -> dict[str, Any]:
    if status in ("FAILED", "CRASHED"):
        return dict(script.metadata)
    mapped, rejected = len(script.mapped), len(script.rejects)
    return {"rows": {"source": mapped + rejected, "mapped": mapped, "rejected": rejected}, **script.metadata}


def _page(items: Sequence[Any], query: Mapping[str, str]) -> _Answer:
    number, size = int(query.get("page", 1)), min(100, int(query.get("size", 100)))
    shown = list(items[(number - 1) * size : number * size])
    pages = math.ceil(len(items) / size)
    return _answer(200, {"items": shown, "total": len(items), "page": number, "size": size, "pages": pages})


def _body_of(raw: bytes, media_type: str) -> Any:
    if media_type == "application/octet-stream":
        return raw
    return json.loads(raw) if raw else None


def _handler_of(lume: ScriptedLume) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # One packet an answer: two would wait for each other's acknowledgement.

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: requests are recorded."""

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer, fault = lume.answer(
                RecordedRequest(
                    method=self.command,
                    path=url.path,
                    query=dict(parse_qsl(url.query, keep_blank_values=True)),
                    headers=headers,
                    body=_body_of(raw, headers.get("content-type", "")),
                    at=lume._monotonic(),
                )
            )
            if fault.sent == "nothing":
                self.close_connection = True
                linger_not = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_not)
                return
            self.send_response(answer.code)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            if fault.sent == "half":
                self.close_connection = True
                self.wfile.write(answer.body[: len(answer.body) // 2])
            else:
                self.wfile.write(answer.body)

        def do_POST(self) -> None:
            self.do_GET()

    return Handler
