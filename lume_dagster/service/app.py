"""The HTTP interface of the embedded Lume, version 1, as an ASGI application."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Literal, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.json_schema import models_json_schema
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from lume_dagster.service.errors import (
    InvalidRequestError,
    NotFoundError,
    ServiceError,
    TooLargeError,
    UnauthorizedError,
)
from lume_dagster.service.exact_json import read_exact_json
from lume_dagster.service.models import (
    CorrectRun,
    CreateFlow,
    CreateFlowRun,
    CreateRun,
    FlowList,
    FlowVersionInfo,
    Health,
    Page,
    Problem,
    Run,
    Upload,
)
from lume_dagster.service.runs import MAX_WAIT_SECONDS, LumeService, ResultKind
from lume_dagster.service.status import RunStatus

_logger = logging.getLogger(__name__)

API_KEY_HEADER = "lume-api-key"
MAX_PAGE_SIZE = 100
_MAX_BODY_BYTES = 1 << 20
_MAX_DATA_BYTES = 1 << 26
_UPLOAD_CHUNK_BYTES = 1 << 20
_MAX_KEY_LENGTH = 255

Query = TypeVar("Query", bound=BaseModel)


class _Query(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _NoQuery(_Query):
    pass


class _WaitQuery(_Query):
    wait: float = Field(default=0, ge=0, description=f"Seconds to wait, at most {MAX_WAIT_SECONDS:g}.")
    until: Literal["change", "final"] = Field(
        default="change", description="Wait for any change of the status, or for the end."
    )


class _PageQuery(_Query):
    page: int = Field(default=1, ge=1, le=1 << 40)
    size: int = Field(default=50, ge=1, le=MAX_PAGE_SIZE)


class _RunsQuery(_PageQuery):
    flow_version: str | None = Field(default=None, description="Only runs of this flow version.")
    source_path: str | None = Field(default=None, description="Only runs of this batch.")
    status: str | None = Field(default=None, description="Only runs of these statuses, separated by commas.")

    def statuses(self) -> list[RunStatus]:
        try:
            return [RunStatus(name) for name in self.status.split(",")] if self.status else []
        except ValueError as error:
            raise InvalidRequestError(
                f"status: {error}; the statuses are {', '.join(status.value for status in RunStatus)}"
            ) from error


class _ResultsQuery(_PageQuery):
    size: int = Field(default=MAX_PAGE_SIZE, ge=1, le=MAX_PAGE_SIZE)
    kind: ResultKind = Field(default="mapped", description="Mapped records, or rejects with their reasons.")


class _UploadQuery(_Query):
    name: str = Field(
        default="",
        max_length=255,
        description="What the file is called, for messages and metadata. Its extension tells the format where the flow "
        "version does not.",
    )


Handler = Callable[[LumeService, Request], Awaitable[Response]]


@dataclass(frozen=True)
class _Operation:
    """One row of the interface: from it come the route and its place in the OpenAPI document."""

    method: str
    path: str
    handler: Handler
    summary: str
    answer: type[BaseModel]
    statuses: tuple[int, ...] = (200,)
    query: type[_Query] = _NoQuery
    body: type[BaseModel] | Literal["file"] | None = None
    problems: tuple[int, ...] = ()


async def _create_run(service: LumeService, request: Request) -> Response:
    key = _idempotency_key(request)
    body = await _read_body(request, CreateRun)
    return _created(*await run_in_threadpool(service.create_run, body, key), key)


async def _create_flow_run(service: LumeService, request: Request) -> Response:
    key = _idempotency_key(request)
    body = await _read_bytes(
        request,
        "application/json",
        _MAX_DATA_BYTES,
        "write the records to a file, and hand that over or let Lume read it where it lies",
    )

    def create() -> tuple[Run, bool]:
        order = _validated(CreateFlowRun, read_exact_json(body))
        return service.create_flow_run(request.path_params["name"], order, key)

    return _created(*await run_in_threadpool(create), key)


async def _create_flow(service: LumeService, request: Request) -> Response:
    key = _idempotency_key(request)
    body = await _read_bytes(
        request, "application/json", _MAX_DATA_BYTES, "hand the sample over as a file, and name that"
    )

    def create() -> tuple[Run, bool]:
        return service.create_flow(_validated(CreateFlow, read_exact_json(body)), key)

    return _created(*await run_in_threadpool(create), key)


async def _correct_run(service: LumeService, request: Request) -> Response:
    body = await _read_bytes(request, "application/json", _MAX_DATA_BYTES, "correct fewer records at once")

    def correct() -> tuple[Run, bool]:
        return service.correct_run(
            request.path_params["run_id"], _validated(CorrectRun, read_exact_json(body))
        )

    return _created(*await run_in_threadpool(correct), None)


async def _upload(service: LumeService, request: Request) -> Response:
    query = _read_query(request, _UploadQuery)
    _check_type(request, "application/octet-stream")
    with await run_in_threadpool(service.open_upload) as incoming:
        incoming.check_size(int(request.headers.get("content-length", 0)))
        waiting = bytearray()
        async for chunk in request.stream():
            waiting += chunk
            if len(waiting) >= _UPLOAD_CHUNK_BYTES:
                await run_in_threadpool(incoming.write, bytes(waiting))
                waiting.clear()
        await run_in_threadpool(incoming.write, bytes(waiting))
        upload, is_new = await run_in_threadpool(service.keep_upload, incoming, query.name)
    return _json(upload, 201 if is_new else 200)


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not 0 < len(key) <= _MAX_KEY_LENGTH:
        raise InvalidRequestError(f"Idempotency-Key: write 1 to {_MAX_KEY_LENGTH} characters")
    return key


def _created(run: Run, created: bool, key: str | None) -> Response:
    response = _json(run, 201 if created else 200)
    response.headers["location"] = f"/v1/runs/{run.id}"
    if key is not None:
        response.headers["idempotency-key"] = key  # says that it was heeded
    return response


async def _get_run(service: LumeService, request: Request) -> Response:
    query = _read_query(request, _WaitQuery)
    run_id = request.path_params["run_id"]
    if not query.wait:
        return _json(await run_in_threadpool(service.run, run_id))
    response = _json(await service.wait_for_run(run_id, query.wait, query.until))
    response.headers["preference-applied"] = f"wait={min(query.wait, MAX_WAIT_SECONDS):g}"
    return response


async def _list_runs(service: LumeService, request: Request) -> Response:
    query = _read_query(request, _RunsQuery)
    page = await run_in_threadpool(
        service.runs,
        flow_version=query.flow_version,
        source_path=query.source_path,
        statuses=query.statuses(),
        page=query.page,
        size=query.size,
    )
    return _json(page)


async def _get_results(service: LumeService, request: Request) -> Response:
    query = _read_query(request, _ResultsQuery)
    page = await run_in_threadpool(
        service.results, request.path_params["run_id"], query.kind, query.page, query.size
    )
    return _json(page)


async def _cancel_run(service: LumeService, request: Request) -> Response:
    return _json(await service.cancel(request.path_params["run_id"]))


async def _list_flows(service: LumeService, _request: Request) -> Response:
    return _json(await run_in_threadpool(service.flows))


async def _get_flow_version(service: LumeService, request: Request) -> Response:
    name, flow_version = request.path_params["name"], request.path_params["version"]
    return _json(await run_in_threadpool(service.flow_version, f"{name}:{flow_version}"))


async def _healthz(_service: LumeService, _request: Request) -> Response:
    return _json(Health(status="ok", service="embedded Lume", version=version("lume-dagster")))


_OPERATIONS = (
    _Operation(
        "POST",
        "/v1/runs",
        _create_run,
        "Start a run of a batch. 201: started; 200: the run that is under way, or that this "
        "Idempotency-Key started before.",
        Run,
        statuses=(201, 200),
        body=CreateRun,
        problems=(404, 409, 413, 422),
    ),
    _Operation(
        "GET",
        "/v1/runs/{run_id}",
        _get_run,
        "One run. With `wait`, answers on a change of its status (long poll), and says so in "
        "`Preference-Applied`.",
        Run,
        query=_WaitQuery,
        problems=(404, 422),
    ),
    _Operation(
        "GET", "/v1/runs", _list_runs, "Runs, newest first.", Page[Run], query=_RunsQuery, problems=(422,)
    ),
    _Operation(
        "GET",
        "/v1/runs/{run_id}/results",
        _get_results,
        "A page of mapped records or of rejects, in the order of the source.",
        Page[dict[str, Any]],
        query=_ResultsQuery,
        problems=(404, 409, 422),
    ),
    _Operation(
        "POST",
        "/v1/runs/{run_id}/corrections",
        _correct_run,
        "Map the batch of a run again with rejects corrected. 201: started, and the new run stands for the batch; 200: "
        "the run that holds these corrections already.",
        Run,
        statuses=(201, 200),
        body=CorrectRun,
        problems=(404, 409, 413, 422),
    ),
    _Operation(
        "POST",
        "/v1/runs/{run_id}/cancel",
        _cancel_run,
        "Cancel a run: it ends FAILED. A run that has ended stays as it is.",
        Run,
        problems=(404,),
    ),
    _Operation(
        "POST",
        "/v1/flows/{name}/runs",
        _create_flow_run,
        "Start a run of a flow, of its newest version if none is told, on records that come along. 201: started; "
        "200: the run that is under way, or that this Idempotency-Key started before.",
        Run,
        statuses=(201, 200),
        body=CreateFlowRun,
        problems=(404, 409, 413, 422),
    ),
    _Operation(
        "POST",
        "/v1/flows",
        _create_flow,
        "Make a flow out of a sample and a target schema, and run it on the sample: its mapper is generated, tried and "
        "written as v1. 201: the run has started; 200: the run that this Idempotency-Key started before.",
        Run,
        statuses=(201, 200),
        body=CreateFlow,
        problems=(409, 413, 422),
    ),
    _Operation(
        "POST",
        "/v1/uploads",
        _upload,
        "Hand over a file, and get the source path that names it. 201: its content is new; 200: it was there.",
        Upload,
        statuses=(201, 200),
        query=_UploadQuery,
        body="file",
        problems=(413, 422),
    ),
    _Operation("GET", "/v1/flows", _list_flows, "All flows with their versions.", FlowList),
    _Operation(
        "GET",
        "/v1/flows/{name}/versions/{version}",
        _get_flow_version,
        "One flow version.",
        FlowVersionInfo,
        problems=(404, 422),
    ),
    _Operation("GET", "/healthz", _healthz, "Whether this Lume is up.", Health),
)


def create_app(service: LumeService, api_key: str | None = None) -> Starlette:
    """The HTTP interface of a service.

    Args:
        service: The service that does the work.
        api_key: If given, each request but `/healthz` and `/openapi.json` has to carry it in `lume-api-key`.
    """
    document = openapi_document()

    async def openapi(_request: Request) -> Response:
        return JSONResponse(document)

    routes = [Route(row.path, _endpoint(service, row), methods=[row.method]) for row in _OPERATIONS]
    return Starlette(
        routes=[*routes, Route("/openapi.json", openapi, methods=["GET"])],
        middleware=[Middleware(_ApiKey, api_key=api_key)] if api_key else [],
        exception_handlers={
            ServiceError: _on_service_error,
            HTTPException: _on_http_exception,
            Exception: _on_error,
        },
    )


def openapi_document() -> dict[str, Any]:
    """The OpenAPI 3.1 document of the interface."""
    models: list[type[BaseModel]] = [Problem]
    for row in _OPERATIONS:
        told = (row.answer, row.query, row.body if row.body != "file" else None)
        models += [model for model in told if model and model not in models]
    references, schemas = models_json_schema(
        [(model, "serialization") for model in models], ref_template="#/components/schemas/{model}"
    )

    def content(model: type[BaseModel], media_type: str = "application/json") -> dict[str, Any]:
        return {"content": {media_type: {"schema": references[(model, "serialization")]}}}

    paths: dict[str, dict[str, Any]] = {}
    for row in _OPERATIONS:
        responses = {
            str(status): {"description": row.summary, **content(row.answer)} for status in row.statuses
        }
        for status in (*row.problems, 401, 500, 503):
            responses[str(status)] = {
                "description": "A problem (RFC 9457).",
                **content(Problem, "application/problem+json"),
            }
        operation: dict[str, Any] = {
            "operationId": row.handler.__name__.lstrip("_"),
            "summary": row.summary,
            "parameters": _parameters(row),
            "responses": responses,
        }
        if row.body == "file":
            operation["requestBody"] = {"required": True, "content": {"application/octet-stream": {}}}
        elif row.body is not None:
            operation["requestBody"] = {"required": True, **content(row.body)}
        paths.setdefault(row.path, {})[row.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "Lume (embedded)", "version": version("lume-dagster")},
        "paths": paths,
        "components": {
            "schemas": schemas.get("$defs", {}),
            "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": API_KEY_HEADER}},
        },
        "security": [{"key": []}],
    }


def _parameters(row: _Operation) -> list[dict[str, Any]]:
    in_path = [part[1:-1] for part in row.path.split("/") if part.startswith("{")]
    in_query = row.query.model_json_schema()["properties"] if row.query is not _NoQuery else {}
    found = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in in_path]
    found += [{"name": name, "in": "query", "schema": schema} for name, schema in in_query.items()]
    if row.body not in (None, "file", CorrectRun):
        found.append({"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}})
    return found


def _endpoint(service: LumeService, row: _Operation) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return await row.handler(service, request)

    return endpoint


async def _read_body(request: Request, model: type[Query]) -> Query:
    body = await _read_bytes(request, "application/json", _MAX_BODY_BYTES, "shorten run_metadata")
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise _invalid(error) from error


async def _read_bytes(request: Request, media_type: str, most_bytes: int, remedy: str) -> bytes:
    _check_type(request, media_type)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most_bytes:
            raise TooLargeError(f"the body is larger than {most_bytes} bytes; {remedy}")
    return bytes(body)


def _check_type(request: Request, media_type: str) -> None:
    # A page of another site can send anything but this without being asked for leave.
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != media_type:
        raise InvalidRequestError(f"Content-Type: send the body as {media_type}")


def _validated(model: type[Query], document: object) -> Query:
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise _invalid(error) from error


def _read_query(request: Request, model: type[Query]) -> Query:
    return _validated(model, dict(request.query_params))


def _invalid(error: ValidationError) -> InvalidRequestError:
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    return InvalidRequestError(
        "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}" for fault in faults)
    )


def _json(model: BaseModel, status: int = 200) -> Response:
    return Response(model.model_dump_json(), status, media_type="application/json")


def _problem(document: dict[str, Any]) -> Response:
    return Response(
        json.dumps(document), status_code=document["status"], media_type="application/problem+json"
    )


async def _on_service_error(_request: Request, error: Exception) -> Response:
    return _problem(cast(ServiceError, error).problem())


async def _on_http_exception(request: Request, error: Exception) -> Response:
    error = cast(HTTPException, error)
    if error.status_code == 404:
        return _problem(NotFoundError(f"nothing lies at {request.url.path}; see /openapi.json").problem())
    document = {
        "type": "about:blank",
        "title": error.detail,
        "status": error.status_code,
        "detail": f"{request.method} {request.url.path}: {error.detail}",
    }
    return _problem(document)


async def _on_error(request: Request, error: Exception) -> Response:
    _logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return _problem(
        ServiceError(f"an internal error of Lume ({type(error).__name__}); its log says more").problem()
    )


class _ApiKey:
    """Lets only those through who carry the key."""

    _OPEN = frozenset({"/healthz", "/openapi.json"})

    def __init__(self, app: ASGIApp, api_key: str) -> None:
        self._app = app
        self._api_key = api_key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app: ASGIApp = self._app
        if scope["type"] == "http" and scope["path"] not in self._OPEN:
            given = Request(scope).headers.get(API_KEY_HEADER, "")
            if not secrets.compare_digest(given.encode(), self._api_key):
                app = _problem(
                    UnauthorizedError(
                        f"the header {API_KEY_HEADER} is missing or holds a wrong key"
                    ).problem()
                )
        await app(scope, receive, send)
