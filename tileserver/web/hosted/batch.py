"""Batch jobs (hosted API, section 2.4): started, watched, cancelled, and their results fetched by signed addresses."""

import asyncio
import time
import uuid
from typing import Annotated, Any, Final, Literal, TypedDict

import msgspec
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from tileserver.batch import Batches, BatchJob, Task
from tileserver.errors import InvalidParameterError, NotFoundError
from tileserver.formats import hosted_type
from tileserver.pipeline import Pipeline
from tileserver.registry import Account
from tileserver.tokens import Keyring
from tileserver.web.access import Access
from tileserver.web.addresses import Addresses
from tileserver.web.depth import check_depth
from tileserver.web.hosted.posted import PostedUdf, as_query
from tileserver.web.hosted.requests import BASE, NOT_OURS, PAGE, Read, moment, page, takes, whole
from tileserver.web.operations import BYTES, JSON, Natural, Operation, Parameter

FORMATS: Final = "npy,tiff,parquet,json"
"""What the SDK reads, the best first."""
MOST_TASKS: Final = 100_000
_SIGNED_SECONDS: Final = 3600
_LONGEST: Final = 200
"""Characters of a name, and of an instance type, which is told again and means nothing here."""
_INSTANCE: Final = Parameter("instance_type", str, "told again, and means nothing here")
_SINCE: Final = Parameter("since_ms", Natural, "milliseconds since 1970")
_VERSION: Final = Parameter("Fused-Py-Version", str, "of the SDK: 1.x is not told of what was printed", place="header")
_SIGNED: Final = (Parameter("expires", str, "seconds since 1970"), Parameter("signature", str, "of this address"))
_UNHARMED: Final = {
    "has_exception": False,
    "exception_class": None,
    "errormsg": None,
    "error_type": None,
    "lineno": None,
}
"""What the SDK wants to hear of every result: it takes none of it for granted."""
_SAID: Final = {"running": "Running", "completed": "Done", "failed": "Failed", "cancelled": "Canceled"}
"""A job's status in the words of `fused.run`, which waits for one of the last three."""


_CONFIG: Final = "`name` and `steps`; each step has `udf`, its `input` and `ignore_chunk_error`"


class UdfStep(msgspec.Struct, kw_only=True):
    """A UDF, and what to run it for; None runs it once."""

    udf: PostedUdf
    type: Literal["udf"] = "udf"
    input: list[Any] | None = None
    ignore_chunk_error: bool = False


class Config(msgspec.Struct, kw_only=True):
    """What a job shall do."""

    steps: list[UdfStep]
    name: str | None = None


class NewJob(msgspec.Struct, kw_only=True):
    """The body of `POST /run`."""

    config: Annotated[msgspec.Raw, msgspec.Meta(description=_CONFIG)]


class JobRecord(TypedDict):
    """A job, as both SDKs read it."""

    id: str
    job_id: str
    job_name: str
    user_id: str
    execution_environment_id: str
    creation_date: str
    instance_id: None
    instance_type: str | None
    status: str
    terminal_status: bool
    job_status: str
    job_status_date: str
    finished_job_status: bool
    last_heartbeat: str
    total_tasks: int
    finished_tasks: int


class ResultAddress(TypedDict):
    """Where a task's result is."""

    name: str
    url: str


class LogLine(TypedDict):
    """What happened in a job; milliseconds since 1970."""

    message: str
    timestamp: int


class BatchRoutes:
    """Jobs of the account that asks."""

    def __init__(self, batches: Batches, access: Access, addresses: Addresses, keyring: Keyring) -> None:
        self._batches, self._access, self._addresses, self._keyring = batches, access, addresses, keyring

    def routes(self) -> list[BaseRoute]:
        """Every route."""
        return [
            Route(f"{BASE}/run", self.begin, methods=["POST"]),
            Route(f"{BASE}/run/by-id/{{id}}", self.status),
            Route(f"{BASE}/run/by-id/{{id}}/cancel", self.cancel, methods=["POST"]),
            Route(f"{BASE}/run/by-id/{{id}}/results", self.results),
            Route(f"{BASE}/run/signed/{{account}}/{{id}}/{{name}}", self.signed),
            Route(f"{BASE}/logs/{{id}}", self.logs),
            Route(f"{BASE}/job/self", self.jobs),
            Route(f"{BASE}/job/by-id/{{id}}/config", self.config),
        ]

    @Operation(answer=JobRecord, parameters=(_INSTANCE,), fails=("not_publishable", "call_failed", "busy"))
    @takes(NewJob)
    async def begin(self, request: Request, read: Read[NewJob]) -> Response:
        """Starts a job; its UDFs are looked at before, so that what is none is refused here."""
        account = await self._access.owner(request.scope)
        check_depth(request.scope)
        raw = bytes((await read()).config)
        config = _config(raw)
        tasks = [task for step in config.steps for task in await _tasks(self._batches.pipeline, step, account)]
        if not 0 < len(tasks) <= MOST_TASKS:
            raise InvalidParameterError(f"A job has 1 to {MOST_TASKS} runs, not {len(tasks)}.", parameter="config")
        now = time.time_ns() // 1_000_000
        job = BatchJob(
            id=str(uuid.uuid4()),
            account_id=account.id,
            name=(config.name or config.steps[0].udf.name or "job")[:_LONGEST],
            total=len(tasks),
            instance_type=request.query_params.get("instance_type", "")[:_LONGEST] or None,
            created=now,
            changed=now,
        )
        await self._batches.begin(job, raw, tasks)
        return JSONResponse(_told(job))

    @Operation(answer=JobRecord)
    async def status(self, request: Request) -> Response:
        """How a job stands."""
        return JSONResponse(_told(await self._job(request)))

    @Operation(answer=JobRecord)
    async def cancel(self, request: Request) -> Response:
        """Has it stop, which takes a moment."""
        job = await self._job(request)
        await asyncio.to_thread(self._batches.store.cancel, job.account_id, job.id)
        return JSONResponse(_told(await self._job(request)))

    @Operation(answer=list[ResultAddress], parameters=(_VERSION,))
    async def results(self, request: Request) -> Response:
        """Where each task's result is, and what it printed: addresses that need no token, for an hour."""
        job = await self._job(request)
        numbers = await asyncio.to_thread(self._batches.store.results, job.account_id, job.id)
        suffixes = ("",) if _is_1x(request) else ("", ".metadata")  # of which 1.x would make a result
        names = [f"{number}{suffix}" for number in numbers for suffix in suffixes]
        return JSONResponse([ResultAddress(name=name, url=self._address(request, job, name)) for name in names])

    @Operation(media=(JSON, BYTES, "*/*"), who="anybody", parameters=_SIGNED)
    async def signed(self, request: Request) -> Response:
        """A result, what was printed with it, or the job's configuration."""
        account_id, job_id, name = (request.path_params[part] for part in ("account", "id", "name"))
        expires = request.query_params.get("expires", "")
        signature = request.query_params.get("signature", "")
        good = self._keyring.has_signed(signature, "job", account_id, job_id, name, expires)
        if not good or int(expires) < time.time():
            raise NotFoundError
        return await asyncio.to_thread(self._part, account_id, job_id, name)

    @Operation(answer=list[LogLine], parameters=(_SINCE,))
    async def logs(self, request: Request) -> Response:
        """The messages of a job, from `since_ms` on."""
        job, since = await self._job(request), request.query_params.get("since_ms", "0")
        first = whole(since, "'since_ms' should be milliseconds since 1970.", parameter="since_ms", digits=15)
        return JSONResponse(await asyncio.to_thread(self._batches.store.log, job.account_id, job.id, first))

    @Operation(answer=list[JobRecord], parameters=PAGE)
    async def jobs(self, request: Request) -> Response:
        """A page of the account's jobs, the newest first; the page behind the last is empty."""
        account = await self._access.owner(request.scope)
        skip, limit = page(request)
        jobs = await asyncio.to_thread(self._batches.store.jobs, account.id)
        return JSONResponse([_told(job) for job in jobs[skip : skip + limit]])

    @Operation(status=302, headers={"Location": "where it is"})
    async def config(self, request: Request) -> Response:
        """Leads to what was asked for."""
        return RedirectResponse(self._address(request, await self._job(request), "config"), 302)

    async def _job(self, request: Request) -> BatchJob:
        account = await self._access.owner(request.scope)
        return await asyncio.to_thread(self._batches.store.job, account.id, request.path_params["id"])

    def _address(self, request: Request, job: BatchJob, name: str) -> str:
        expires = str(int(time.time()) + _SIGNED_SECONDS)
        signature = self._keyring.sign("job", job.account_id, job.id, name, expires)
        place = f"{self._addresses.base(request.scope)}{BASE}/run/signed/{job.account_id}/{job.id}/{name}"
        return f"{place}?expires={expires}&signature={signature}"

    def _part(self, account_id: str, job_id: str, name: str) -> Response:
        store = self._batches.store
        if name == "config":
            return Response(store.config(account_id, job_id), media_type="application/json")
        result, place = store.result(account_id, job_id, int(name.removesuffix(".metadata")))
        if name.endswith(".metadata"):
            return JSONResponse(_UNHARMED | {"stdout": result.stdout, "stderr": result.stderr})
        coding = {"content-encoding": result.coding} if result.coding else {}
        return FileResponse(place, headers={"content-type": hosted_type(result.media_type), **NOT_OURS, **coding})


def _is_1x(request: Request) -> bool:
    return request.headers.get("fused-py-version", "").startswith(("0.", "1."))


def _config(raw: bytes) -> Config:
    """A job's configuration, whose every step is a UDF."""
    try:
        return msgspec.json.decode(raw, type=Config)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise InvalidParameterError(f"The job cannot be read; its steps should be UDFs: {error}") from None


async def _tasks(pipeline: Pipeline, step: UdfStep, account: Account) -> list[Task]:
    """One run per input: a dict sets parameters by name, anything else the first.

    Raises:
        PublicationError: the source is no UDF.
    """
    posted = step.udf.posted(account.id)
    udf = await pipeline.posted_udf(posted)
    first = udf.parameters[0].name if udf.parameters else ""
    given = [each if isinstance(each, dict) else {first: each} for each in step.input or [{}]]
    common = as_query((step.udf.parameters or {}) | {"format": FORMATS})  # once: it may be large, and the inputs many
    return [Task(posted, common | as_query(each), step.ignore_chunk_error) for each in given]


def _told(job: BatchJob) -> JobRecord:
    ended = job.status != "running"
    return {
        "id": job.id,
        "job_id": job.id,
        "job_name": job.name,
        "user_id": job.account_id,
        "execution_environment_id": job.account_id,
        "creation_date": moment(job.created * 1000),
        "instance_id": None,
        "instance_type": job.instance_type,
        "status": job.status,
        "terminal_status": ended,
        "job_status": _SAID[job.status],
        "job_status_date": moment(job.changed * 1000),
        "finished_job_status": ended,
        "last_heartbeat": moment(job.changed * 1000),
        "total_tasks": job.total,
        "finished_tasks": job.finished,
    }
