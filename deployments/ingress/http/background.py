"""Background requests over HTTP, which calls them jobs: their 202, and what is below /api/jobs.

In the code a *job* is one image to make, so that these are background requests here.
"""

# No postponed annotations here: FastAPI reads those of the routes below.
import math
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Annotated, Any, cast

from fastapi import FastAPI, Path, Request
from sse_starlette import JSONServerSentEvent
from starlette.responses import JSONResponse, Response

from deployments.errors import InvalidRequest, RequestNotFound
from deployments.ingress.core.background.records import Record, StoredEvent
from deployments.ingress.core.background.requests import BackgroundRequests
from deployments.ingress.core.background.submission import Seen
from deployments.ingress.core.callbacks.deliveries import host_of
from deployments.ingress.core.events import ImageProgress, ImageStored, ImageWithheld, Waiting
from deployments.ingress.core.keys import KEY_PATTERN
from deployments.ingress.core.orders import Asked, Files
from deployments.ingress.core.terms import Terms
from deployments.ingress.http import openapi, problems
from deployments.ingress.http.answers import ProgressEvent
from deployments.ingress.http.background_answers import (
    CallbackAnswer,
    CallbackBody,
    CallbackType,
    JobAnswer,
    JobFailure,
    JobsAnswer,
    JobState,
)
from deployments.ingress.http.delivery import Delivery, waiting
from deployments.ingress.http.exchange import NO_STORE, base_of, event_stream
from deployments.ingress.http.idempotency_header import REPLAYED
from deployments.ingress.http.middleware.deadline_header import asked_s
from deployments.ingress.http.negotiation import wants_events
from deployments.ingress.http.paging import cursor_of, page_of
from deployments.ingress.http.prefer_header import APPLIED, HEADER, RESPOND_ASYNC

Id = Annotated[str, Path(json_schema_extra={"pattern": f"^{KEY_PATTERN}$"})]

_ROOM = 9_999_999_999
"""The largest id of an event that is understood."""


class Background:
    """Answers for background requests.

    Args:
        requests: The use cases.
        delivery: Renders what was made.
        listed: Whether callers may list their requests.
    """

    def __init__(self, requests: BackgroundRequests, delivery: Delivery, *, listed: bool) -> None:
        self._requests = requests
        self._delivery = delivery
        self._listed = listed

    async def deliver(self) -> None:
        """Call back those who want it, until it is cancelled."""
        if self._requests.deliveries.enabled:
            await self._requests.deliveries.run(self._callback)

    async def accept(
        self,
        request: Request,
        asked: Asked,
        files: Files,
        terms: Terms,
        callback_url: str | None = None,
    ) -> JSONResponse:
        """Store a request to be worked on later, and answer 202.

        Args:
            request: For the address that its caller uses, and for its headers.
            asked: What it asks for.
            files: What came with it.
            terms: On which terms it is served.
            callback_url: Who is told of it; None without.
        """
        base = base_of(request)

        def render(seen: Seen) -> Mapping[str, object]:
            return self._entry(seen, base).model_dump()

        limit_s = asked_s(request.headers)
        longest_s = limit_s if math.isfinite(limit_s) else None
        answer, replayed = await self._requests.submissions.submit(
            asked, files, terms, base, render, longest_s, callback_url
        )
        headers = {REPLAYED: "true"} if replayed else {}
        headers |= {"Location": f"{_root(request)}/api/jobs/{answer['id']}", APPLIED: RESPOND_ASYNC}
        return JSONResponse(dict(answer), 202, headers | NO_STORE)

    async def look(self, request: Request, job: str) -> JobAnswer:
        """A job as it is now."""
        seen = await self._requests.look(request.state.api_key_name, job)
        return self._entry(seen, base_of(request))

    async def cancel(self, request: Request, job: str) -> JobAnswer:
        """A job after its cancellation."""
        seen = await self._requests.cancel(request.state.api_key_name, job)
        return self._entry(seen, base_of(request))

    async def page(self, request: Request) -> JobsAnswer:
        """Some of the caller's jobs."""
        if not self._listed:
            raise RequestNotFound(
                "without API keys strangers share this service, so that no jobs are listed"
            )
        limit, after = page_of(request)
        page = await self._requests.page(request.state.api_key_name, after, limit)
        base = base_of(request)
        return JobsAnswer(
            jobs=[self._entry(seen, base) for seen in page.requests],
            cursor=cursor_of(page.after),
        )

    async def stream(self, request: Request, job: str) -> Response:
        """A job's events from the last one on that the caller knows."""
        last_id = _last_id(request)
        name = request.state.api_key_name
        seen = await self._requests.look(name, job)
        if seen.record.is_over and not seen.record.after(last_id):
            # So that an EventSource does not ask again.
            return Response(status_code=204, headers=NO_STORE)
        told = self._told(request, job, last_id)
        return event_stream(told)

    async def _told(
        self, request: Request, job: str, last_id: int
    ) -> AsyncGenerator[JSONServerSentEvent]:
        base, request_id = base_of(request), request.state.request_id
        following = self._requests.follow(request.state.api_key_name, job, last_id)
        try:
            async with aclosing(following) as events:
                async for event in events:
                    yield self._event(event, base, request_id)
        except Exception as error:
            # No end of the job: whoever asks again goes on from the last id.
            shown = problems.as_service_error(error, request_id)
            request.state.problem = (shown.status, shown.code)
            yield JSONServerSentEvent(problems.body(shown, request_id), event="interrupted")

    def _event(
        self, event: StoredEvent | Waiting | Record, base: str, request_id: str
    ) -> JSONServerSentEvent:
        if isinstance(event, Waiting):
            return waiting(event)
        if isinstance(event, Record):
            return self._end(event, base, request_id)
        what = event.what
        if isinstance(what, ImageProgress):
            step = ProgressEvent(index=what.index, step=what.step, steps=what.steps)
            return JSONServerSentEvent(step.model_dump(), event="progress", id=str(event.id))
        if isinstance(what, ImageStored | ImageWithheld):
            name, shown = self._delivery.told(what, base)
            return JSONServerSentEvent(shown, event=name, id=str(event.id))
        raise AssertionError("the end of a request is told with its record")

    def _end(self, record: Record, base: str, request_id: str) -> JSONServerSentEvent:
        last = str(record.events[-1].id)
        if record.failure is not None:
            failure = record.failure
            data = {"error": failure.message, "code": failure.code, "request_id": request_id}
            return JSONServerSentEvent(data, event="error", id=last)
        if record.state == "cancelled":
            return JSONServerSentEvent({}, event="cancelled", id=last)
        return JSONServerSentEvent(self._answer(record, base), event="done", id=last)

    def _answer(self, record: Record, base: str) -> dict[str, object]:
        made = sorted(record.made, key=lambda image: image.index)
        return self._delivery.whole(record.asked.order, made, base).model_dump()

    def _callback(self, key: str, record: Record, event: StoredEvent) -> bytes:
        """The body that tells of an event, from the record as it was then."""
        stored = isinstance(event.what, ImageStored)
        # The end of a request is the only other event that is told.
        kind = cast(CallbackType, "job.image" if stored else f"job.{event.what}")
        body = CallbackBody(
            type=kind,
            timestamp=_iso(record.created if event.at is None else event.at),
            data=JobState(**self._state(Seen(key, record), record.base)),
        )
        return body.model_dump_json().encode()

    def _entry(self, seen: Seen, base: str) -> JobAnswer:
        return JobAnswer(**self._state(seen, base), callback=_callback_answer(seen))

    def _state(self, seen: Seen, base: str) -> dict[str, Any]:
        record, order = seen.record, seen.record.asked.order
        stored = [image for image in record.made if isinstance(image, ImageStored)]
        failure = record.failure
        return {
            "id": seen.request,
            "state": record.state,
            "created": _iso(record.created),
            "ended": None if record.ended is None else _iso(record.ended),
            "model": order.model,
            "prompt": order.prompt,
            "num_images": len(record.fixed.image_keys),
            "place": seen.place,
            "expected_seconds": _rounded(seen.expected_s),
            "progress": 1.0 if record.state == "done" else round(record.share_done, 3),
            "images": [self._delivery.entry(image, base) for image in stored],
            "answer": self._answer(record, base) if record.state == "done" else None,
            "failure": None
            if failure is None
            else JobFailure(status=failure.status, error=failure.message, code=failure.code),
        }


def add_background(app: FastAPI, background: Background) -> None:
    """Add the routes.

    Args:
        app: The application.
        background: Answers.
    """

    @app.head("/api/jobs", include_in_schema=False)
    @app.get("/api/jobs", **openapi.jobs_route())
    async def jobs(request: Request) -> JobsAnswer:
        """List the jobs of one's API key, newest first."""
        return await background.page(request)

    @app.head("/api/jobs/{job:key}", include_in_schema=False)
    @app.get("/api/jobs/{job:key}", **openapi.job_route())
    async def job_now(request: Request, job: Id) -> Any:  # noqa: ANN401 - one of two response classes
        """Look at a job, or follow its events."""
        if request.method == "GET" and wants_events(request.headers.getlist("accept")):
            return await background.stream(request, job)
        return JSONResponse((await background.look(request, job)).model_dump(), headers=NO_STORE)

    @app.delete("/api/jobs/{job:key}", **openapi.job_removal_route())
    async def cancel(request: Request, job: Id) -> JobAnswer:
        """Cancel a job; one that has ended stays as it is."""
        return await background.cancel(request, job)


def refuse_callback(url: str | None) -> None:
    """Refuse a callback of a request that is answered now.

    Raises:
        InvalidRequest: There is one.
    """
    if url is not None:
        raise InvalidRequest(
            f"callback_url: it is of a job: send the header {HEADER}: {RESPOND_ASYNC} too"
        )


def _root(request: Request) -> str:
    """The prefix of the application alone: a Location is relative to the caller's own address."""
    return str(request.scope.get("root_path", "")).rstrip("/")


def _last_id(request: Request) -> int:
    given = request.headers.get("last-event-id", "").strip()
    if given and (not re.fullmatch("[0-9]{1,10}", given) or int(given) > _ROOM):
        raise InvalidRequest("Last-Event-ID must be the id of one of the job's events")
    return int(given or 0)


def _callback_answer(seen: Seen) -> CallbackAnswer | None:
    callback, record = seen.callback, seen.record
    if callback is None:
        return None
    over = "gone" if callback.gone else "done" if callback.over else "active"
    return CallbackAnswer(
        host=host_of(callback.url),
        state=over,
        delivered=callback.delivered,
        waiting=0 if callback.over else len(record.told_after(callback.after)),
        failed=callback.failed,
        next_try=_iso(callback.due) if callback.due and not callback.over else None,
        last_failure=callback.last_failure,
    )


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
