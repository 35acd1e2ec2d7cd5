"""Client of Backdrop's HTTP API: one file that needs httpx alone, made to be copied.

`Backdrop` is for ordinary code, and `AsyncBackdrop` for asyncio; both have the same methods. They
upload, read the events of a running request, take it up again when the connection is lost, wait out
a busy service when they are asked to, follow jobs, and download results.

    with Backdrop("http://127.0.0.1:8000") as backdrop:
        made = backdrop.generate("mug.png", prompt="Tropical beach", model="stable-diffusion")
        backdrop.save(made.images[0], "mug-beach.png")
"""

from __future__ import annotations

import asyncio
import codecs
import json
import os
import random
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, is_dataclass
from pathlib import Path
from types import TracebackType, UnionType
from typing import (
    Any,
    Generic,
    Literal,
    Self,
    TypedDict,
    TypeVar,
    Unpack,
    get_args,
    get_origin,
    get_type_hints,
)

import httpx

T = TypeVar("T")

LOCAL = "http://127.0.0.1:8000"
"""Where `make run` starts the service."""

CONNECT_S = 10.0
ANSWER_S = 330.0
"""Seconds for an answer that is not streamed: more than the service's usual deadline."""

SILENCE_S = 45.0
"""Seconds without a byte after which a stream is lost: the service writes one every 15 s."""

LONGEST_PAUSE_S = 30.0
"""Before a lost connection is tried again; the first pause is 1 s, and each triples."""

Photo = bytes | str | os.PathLike[str]
"""A PNG, JPEG or WebP: its bytes, or the path of its file."""


class Terms(TypedDict, total=False):
    """How a request is made.

    Attributes:
        idempotency_key: However often the request is sent with it, its images are made once. One is
            made up for each call where none is given.
        deadline_s: Seconds after which the service gives the request up.
        wait_s: Seconds that this call may spend on waiting for a busy service (429, 503).
    """

    idempotency_key: str
    deadline_s: float
    wait_s: float


class Request(Terms, total=False):
    """The fields of a request, which docs/api.md describes under the same names."""

    prompt: str
    model: str
    num_images: int
    negative_prompt: str
    seed: int
    steps: int
    guidance_scale: float
    strength: float
    lora: str
    preserve_product: Literal["auto", "true", "false"] | bool
    product_mask: Photo
    cutout: str
    size: str
    aspect_ratio: str
    padding: float
    product_position: str
    background: str
    background_image: Photo
    style_image: Photo
    shadow: Literal["none", "contact", "cast", "floating"]
    shadow_strength: float
    harmonize: float
    output_format: Literal["png", "jpeg", "webp"]
    output_quality: int
    preset: str


class JobRequest(Request, total=False):
    """The fields of a job: `callback_url` is the address of a server that is told of it."""

    callback_url: str


class CutOutRequest(Terms, total=False):
    """The fields of a cut-out; exactly one of `image`, `image_url` and `cutout`."""

    image: Photo
    image_url: str
    cutout: str
    product_mask: Photo
    keep: Photo
    remove: Photo
    point: str


FILES = frozenset({"image", "product_mask", "background_image", "style_image", "keep", "remove"})
"""Fields that are pictures."""


class BackdropError(Exception):
    """Every failure of a call.

    Attributes:
        code: The service's word for it (docs/api.md, "Errors"), or `network`, `bad_response` or
            `job_cancelled`.
        status: The HTTP status; 0 where there was none, as for a failure in a stream.
        request_id: The service's log has the same; empty where there is none.
        retry_after: Seconds after which a retry makes sense; None where that is not known.
    """

    def __init__(
        self,
        message: str,
        code: str,
        status: int = 0,
        request_id: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, code, status, request_id, retry_after)
        self.message = message
        self.code = code
        self.status = status
        self.request_id = request_id
        self.retry_after = retry_after

    def __str__(self) -> str:
        return self.message


class RequestRefused(BackdropError):
    """The request itself is at fault: sent once more, it is refused again."""


class Unauthorized(RequestRefused):
    """An API key is required, and it is missing or wrong."""


class NotFound(RequestRefused):
    """There is no such image, cut-out or job, or no longer, or it is another key's."""


class Conflict(RequestRefused):
    """The idempotency key belongs to a request for something else."""


class Busy(BackdropError):
    """There is no room, a rate is used up, or a part of the service is down: try again later."""


class ServiceFailed(BackdropError):
    """The service failed, or did not do it before the deadline."""


class Unreachable(BackdropError):
    """There is no connection, or it was lost."""


class BadResponse(BackdropError):
    """What answered is not the service, or not one that this client knows."""


class JobCancelled(BackdropError):
    """The job that was followed has been cancelled."""


@dataclass(frozen=True, slots=True)
class Fidelity:
    """How true an image is to its product, both 0 to 1."""

    pixels: float
    shape: float


@dataclass(frozen=True, slots=True)
class Detail:
    """What the file of an image is like; width and height in pixels."""

    width: int
    height: int
    media_type: str


@dataclass(frozen=True, slots=True)
class Withheld:
    """An image that will not come; also an event."""

    index: int
    reason: str


@dataclass(frozen=True, slots=True)
class Result:
    """What was made; every list in the order of the images.

    Attributes:
        images: URLs.
        seeds: None where no model painted.
        fidelity: None where no product was kept.
        warnings: Sentences about what could not be honoured.
        withheld: What a safety filter kept back; the other lists do not have it.
    """

    images: list[str]
    model_used: str
    prompt_used: str
    seeds: list[int | None]
    fidelity: list[Fidelity | None]
    details: list[Detail]
    warnings: list[str]
    withheld: list[Withheld]


@dataclass(frozen=True, slots=True)
class Waiting:
    """Event: the place in the line, from 1 on, and the seconds until it is probably done."""

    place: int
    expected_seconds: float | None


@dataclass(frozen=True, slots=True)
class Progress:
    """Event: an image has taken a step."""

    index: int
    step: int
    steps: int


@dataclass(frozen=True, slots=True)
class Image:
    """Event: an image is stored."""

    index: int
    url: str
    seed: int | None
    fidelity: Fidelity | None
    width: int
    height: int
    media_type: str


@dataclass(frozen=True, slots=True)
class Done:
    """Event: the last one."""

    result: Result


Event = Waiting | Progress | Image | Withheld | Done


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job failed: what its request would have been answered."""

    status: int
    error: str
    code: str


@dataclass(frozen=True, slots=True)
class Job:
    """A request that is answered later.

    Attributes:
        created: ISO 8601, UTC.
        ended: The same; None until it is done, failed or cancelled.
        place: In the line, from 1 on, while it waits.
        expected_seconds: Until it is done, where that is known.
        progress: 0 to 1.
        images: So far, in the order of their ends.
        answer: Once it is done.
        failure: Where it failed.
    """

    id: str
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    created: str
    ended: str | None
    model: str | None
    prompt: str
    num_images: int
    place: int | None
    expected_seconds: float | None
    progress: float
    images: list[Image]
    answer: Result | None
    failure: Failure | None


@dataclass(frozen=True, slots=True)
class Jobs:
    """A page of one's jobs, newest first; `cursor` of the next page, None on the last."""

    jobs: list[Job]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Box:
    """What a product covers, in pixels."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class CutOut:
    """A product that was cut out; `cutout` is what other requests name."""

    cutout: str
    image_url: str
    mask_url: str
    width: int
    height: int
    box: Box
    certainty: float
    warnings: list[str]


@dataclass(frozen=True, slots=True)
class Control:
    """How a ControlNet took part: its weight, and from and up to which share of the steps."""

    scale: float
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Recipe:
    """How an image was made.

    Attributes:
        created: ISO 8601, UTC.
        version: Of the service.
        made_from: A photo, or an image that was varied.
        scheduler: None where no model painted.
        control: None without a ControlNet.
        fields: Of a request that makes it again, from the same photo or image.
    """

    url: str
    created: str | None
    version: str | None
    made_from: Literal["upload", "result"]
    media_type: str
    fidelity: Fidelity | None
    scheduler: str | None
    control: Control | None
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Results:
    """A page of one's results, newest first; `cursor` of the next page, None on the last."""

    results: list[Recipe]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Model:
    """A model; docs/api.md tells what its numbers mean."""

    id: str
    name: str
    family: str
    demo: bool
    available: bool
    defaults: dict[str, float]
    limits: dict[str, float]
    sizes: dict[str, int]
    capabilities: dict[str, bool]
    starter_prompts: list[str]
    loras: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Preset:
    """A named set of fields."""

    name: str
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Catalog:
    """The models, the first of which is the default one, and what the service takes."""

    models: list[Model]
    presets: list[Preset]
    limits: dict[str, float | None]
    formats: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RateLeft:
    """What is left of one of the API key's rates, as an answer told.

    Attributes:
        left: How many may be asked for now.
        more_s: Seconds from `told` until it may be more.
        told: When, by `time.monotonic`.
    """

    left: int
    more_s: float
    told: float


@dataclass(frozen=True, slots=True)
class _Call(Generic[T]):
    """A request as it is sent, and what makes a value of its answer."""

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    headers: Mapping[str, str] = field(default_factory=dict)
    form: list[tuple[str, tuple[str | None, bytes | str]]] | None = None
    json: Mapping[str, object] | None = None
    wait_s: float | None = None


class _Patience:
    """Says how long to wait before a call is repeated, a bounded number of times."""

    def __init__(self, retries: int, wait_s: float) -> None:
        self._retries = self._left = retries
        self._wait_s = wait_s

    def advanced(self) -> None:
        """The call got somewhere, so that its connection may be lost as often as at first."""
        self._left = self._retries

    def pause_s(self, error: BackdropError) -> float:
        """Seconds to wait; it raises the error where there is nothing to wait for."""
        if isinstance(error, Unreachable) and self._left > 0:
            pause_s: float = min(3.0 ** (self._retries - self._left), LONGEST_PAUSE_S)
            self._left -= 1
            # Spread out, so that all clients do not return to a restarted service at once.
            return pause_s * random.uniform(0.75, 1.25)  # noqa: S311 - no secret
        if isinstance(error, Busy) and error.retry_after is not None:
            wait_s = max(error.retry_after, 1.0)
            if wait_s <= self._wait_s:
                self._wait_s -= wait_s
                return wait_s
        raise error


class _EventParser:
    """Splits an event stream, cut anywhere, into events (WHATWG HTML, 9.2.6)."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._type = ""
        self._id = ""
        self._data: list[str] = []

    def push(self, piece: bytes) -> Iterator[tuple[str, str, str]]:
        """Type, id and data of the events that a piece completes."""
        text = self._rest + self._decoder.decode(piece)
        # A return at the end may be half of a line's end.
        held = "\r" if text.endswith("\r") else ""
        *lines, self._rest = re.split("\r\n|\n|\r", text[: len(text) - len(held)])
        self._rest += held
        for line in lines:
            if line:
                self._field(line)
                continue
            if self._data:
                yield self._type, self._id, "\n".join(self._data)
            self._type, self._data = "", []

    def _field(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._type = value
        elif name == "data":
            self._data.append(value)
        elif name == "id":
            self._id = value


class _Story:
    """A stream of events that is taken up again where it was lost.

    Args:
        call: What opens it.
        patience: For repeating that.
        last_id: The last event that is known, of a stream whose events have ids.
    """

    def __init__(self, call: _Call[None], patience: _Patience, last_id: int = 0) -> None:
        self.call = call
        self.patience = patience
        self.over = False
        self._last_id = last_id
        self._images: dict[int, Image] = {}
        self._numbered = False
        self._parser = _EventParser()

    def headers(self) -> dict[str, str]:
        """Of the next attempt."""
        known = {"Last-Event-ID": str(self._last_id)} if self._last_id else {}
        return {**self.call.headers, **known, "Accept": "text/event-stream"}

    def opened(self, response: httpx.Response) -> None:
        """An attempt has its answer."""
        self._parser = _EventParser()
        if response.status_code == 204:  # nothing comes after the last event that is known
            self.over = True
        elif not response.headers.get("Content-Type", "").startswith("text/event-stream"):
            raise _foreign(response.status_code)

    def told(self, piece: bytes) -> Iterator[Event]:
        """The events of a piece of the stream that were not told before."""
        for kind, id_, data in self._parser.push(piece):
            if id_ and int(id_) > self._last_id:
                self._last_id, self._numbered = int(id_), True
                self.patience.advanced()
            event = self._event(kind, _json(data))
            if isinstance(event, Progress | Image) and event.index in self._images:
                continue
            if isinstance(event, Image):
                self._images[event.index] = event
                self.patience.advanced()
            if event is not None:
                yield event

    def ended(self) -> None:
        """An attempt's stream has ended."""
        if not self.over:
            raise _lost()

    def _event(self, kind: str, body: object) -> Event | None:
        if kind in _EVENTS:
            event: Event = _as(_EVENTS[kind], body)
            return event
        if kind == "done":
            self.over = True
            result: Result = _as(Result, body)
            # A repeated request may have stored its images once more, under other names.
            return Done(result if self._numbered else _with_images(result, self._images))
        if kind == "error":
            raise _failure(body)
        if kind == "interrupted":
            raise _lost()
        if kind == "cancelled":
            raise JobCancelled("the job was cancelled", "job_cancelled")
        return None  # of a newer service


_EVENTS: dict[str, type] = {
    "waiting": Waiting,
    "progress": Progress,
    "image": Image,
    "withheld": Withheld,
}


class _Service:
    """What both clients know of the API: how requests are written and answers read."""

    def __init__(self, base_url: str, api_key: str | None, retries: int, wait_s: float) -> None:
        if not re.fullmatch(r"https?://[^/\s]+(/\S*)?", base_url):
            raise ValueError("base_url must be an address such as http://127.0.0.1:8000")
        if api_key is not None and not re.fullmatch("[!-~]+", api_key):
            raise ValueError("api_key must be visible ASCII characters")
        self.rates: dict[str, RateLeft] = {}
        self._base = base_url.rstrip("/") + "/"
        self._retries = retries
        self._wait_s = wait_s
        self._key = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}

    def pause_s(self, images: int = 0) -> float:
        """Seconds until the API key's rates allow a request for so many images, as last told."""
        asked = {"requests": 1, "images": images}
        waits = [
            rate.told + rate.more_s - time.monotonic()
            for name, rate in self.rates.items()
            if rate.left < asked.get(name, 0)
        ]
        return max([0.0, *waits])

    def _patience(self, call: _Call[Any]) -> _Patience:
        return _Patience(self._retries, self._wait_s if call.wait_s is None else call.wait_s)

    def _sent(self, call: _Call[Any], **headers: str) -> dict[str, Any]:
        """What httpx is told of a request."""
        return {
            "method": call.method,
            "url": self._base + call.path,
            "headers": {**call.headers, **headers, **self._key},
            "files": call.form,
            "json": call.json,
        }

    def _checked(self, response: httpx.Response) -> httpx.Response:
        """A success, which has been read unless it is a stream."""
        told = time.monotonic()
        for name, left, more_s in re.findall(
            r'"(\w+)";r=(\d+);t=(\d+)', response.headers.get("RateLimit", "")
        ):
            self.rates[name] = RateLeft(int(left), float(more_s), told)
        if response.is_success:
            return response
        try:
            body = response.json()
        except ValueError:
            body = None
        raise _failure(body, response)

    def _order(
        self,
        request: Mapping[str, Any],
        path: str,
        read: Callable[[httpx.Response], T],
        **more: str,
    ) -> _Call[T]:
        fields = {name: value for name, value in request.items() if value is not None}
        headers = {"Idempotency-Key": fields.pop("idempotency_key", None) or secrets.token_hex(16)}
        headers |= more
        wait_s = fields.pop("wait_s", None)
        if "deadline_s" in fields:
            headers["X-Deadline-Seconds"] = str(fields.pop("deadline_s"))
        if path == "api/variation" and not FILES & fields.keys():
            return _Call("POST", path, read, headers, json=fields, wait_s=wait_s)
        # Only a form can hold a file.
        form = [(name, _part(name, value)) for name, value in fields.items()]
        return _Call("POST", path, read, headers, form=form, wait_s=wait_s)

    def _events(self, request: Mapping[str, Any], path: str) -> _Story:
        if "idempotency_key" not in request:
            request = _with_seed(request)
        call = self._order(request, path, _nothing)
        return _Story(call, self._patience(call))

    def _submission(self, request: Mapping[str, Any]) -> _Call[Job]:
        path = "api/variation" if request.get("image_url") is not None else "api/generate"
        return self._order(request, path, _reader(Job), Prefer="respond-async")

    def _following(self, job: str, last_event_id: int) -> _Story:
        call = _Call("GET", _job_path(job), _nothing)
        return _Story(call, self._patience(call), last_event_id)


class Backdrop(_Service):
    """A service, and the API key that it is called with; usable from several threads.

    Every method raises `BackdropError`; those that take files also OSError.

    Args:
        base_url: Where the service is, with its route prefix if it has one.
        api_key: Sent as a bearer token.
        retries: How often a call repeats itself when its connection is lost, without a new image in
            between. Nothing is made twice by that.
        wait_s: Seconds that a call may spend on waiting for a busy service; more than 0 lets it
            honour the Retry-After of 429 and 503.
        http: A client of one's own, for proxies and certificates; it is not closed here.

    Attributes:
        rates: What is left of the API key's rates, by name: `requests` and `images`.
    """

    def __init__(
        self,
        base_url: str = LOCAL,
        *,
        api_key: str | None = None,
        retries: int = 3,
        wait_s: float = 0.0,
        http: httpx.Client | None = None,
    ) -> None:
        super().__init__(base_url, api_key, retries, wait_s)
        self._http = http or httpx.Client(timeout=_timeout(ANSWER_S))
        self._close = self._http.close if http is None else lambda: None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._close()

    def models(self) -> list[Model]:
        """The models."""
        return self.catalog().models

    def catalog(self) -> Catalog:
        """The models, the presets, and what the service takes."""
        return self._call(_Call("GET", "api/models", _reader(Catalog)))

    def generate(self, image: Photo | None = None, **request: Unpack[Request]) -> Result:
        """Make variations of a photo, which only a request with a `cutout` may leave out."""
        return _last(self.generate_events(image, **request))

    def generate_events(
        self, image: Photo | None = None, **request: Unpack[Request]
    ) -> Iterator[Event]:
        """The same, with each image as soon as it is done; leaving the iterator cancels the rest.

        Each image comes once, whatever happens to the connection.
        """
        return self._tell(self._events({"image": image, **request}, "api/generate"))

    def variation(self, image_url: str, **request: Unpack[Request]) -> Result:
        """Make variations of an image that the service made."""
        return _last(self.variation_events(image_url, **request))

    def variation_events(self, image_url: str, **request: Unpack[Request]) -> Iterator[Event]:
        """The same, with each image as soon as it is done."""
        return self._tell(self._events({"image_url": image_url, **request}, "api/variation"))

    def cutout(self, **request: Unpack[CutOutRequest]) -> CutOut:
        """Cut the product out, to be seen and corrected."""
        return self._call(self._order(request, "api/cutout", _reader(CutOut)))

    def submit(
        self,
        image: Photo | None = None,
        *,
        image_url: str | None = None,
        **request: Unpack[JobRequest],
    ) -> Job:
        """Make a job of what `generate` or, with an `image_url`, `variation` would do."""
        return self._call(self._submission({"image": image, "image_url": image_url, **request}))

    def job(self, job: str) -> Job:
        """A job as it is now."""
        return self._call(_Call("GET", _job_path(job), _reader(Job)))

    def jobs(self, limit: int = 20, cursor: str | None = None) -> Jobs:
        """A page of one's jobs, newest first, 1 to 100 of them."""
        return self._call(_Call("GET", _page_path("jobs", limit, cursor), _reader(Jobs)))

    def follow(self, job: str, last_event_id: int = 0) -> Iterator[Event]:
        """The events of a job from its first on, or from the one after `last_event_id`.

        It ends with `Done`. Leaving the iterator leaves the job alone.
        """
        return self._tell(self._following(job, last_event_id))

    def resume(self, job: str) -> Result:
        """Wait for a job's end."""
        return _last(self.follow(job))

    def cancel(self, job: str) -> Job:
        """Cancel a job; one that has ended stays as it is."""
        return self._call(_Call("DELETE", _job_path(job), _reader(Job)))

    def download(self, url: str, *, width: int | None = None) -> bytes:
        """The file of a result or of a cut-out's picture, or a copy of this width in pixels.

        It is asked of the service that this client knows, whatever host the URL names: so the API
        key goes nowhere else.
        """
        return self._call(_Call("GET", _picture_path(url, width), _content))

    def save(self, url: str, path: str | os.PathLike[str], *, width: int | None = None) -> Path:
        """Download into a file, which is whole or not there."""
        return _write(Path(path), self.download(url, width=width))

    def recipe(self, url: str) -> Recipe:
        """How an image was made."""
        return self._call(_Call("GET", _recipe_path(url), _reader(Recipe)))

    def results(self, limit: int = 20, cursor: str | None = None) -> Results:
        """A page of one's results, newest first, 1 to 100 of them."""
        return self._call(_Call("GET", _page_path("results", limit, cursor), _reader(Results)))

    def delete(self, url: str) -> None:
        """Delete a result or a cut-out."""
        self._call(_Call("DELETE", _picture_path(url), _nothing))

    def _call(self, call: _Call[T]) -> T:
        patience = self._patience(call)
        while True:
            try:
                with _reaching():
                    response = self._http.request(**self._sent(call))
                return call.read(self._checked(response))
            except BackdropError as error:
                pause_s = patience.pause_s(error)
            time.sleep(pause_s)

    def _tell(self, story: _Story) -> Iterator[Event]:
        while not story.over:
            try:
                sent = self._sent(story.call, **story.headers())
                with (
                    _reaching(),
                    self._http.stream(**sent, timeout=_timeout(SILENCE_S)) as response,
                ):
                    if not response.is_success:
                        response.read()
                    story.opened(self._checked(response))
                    for piece in response.iter_bytes():
                        yield from story.told(piece)
                story.ended()
                return
            except BackdropError as error:
                pause_s = story.patience.pause_s(error)
            time.sleep(pause_s)


class AsyncBackdrop(_Service):
    """`Backdrop` for asyncio: the same arguments, and the same methods to be awaited."""

    def __init__(
        self,
        base_url: str = LOCAL,
        *,
        api_key: str | None = None,
        retries: int = 3,
        wait_s: float = 0.0,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        super().__init__(base_url, api_key, retries, wait_s)
        self._http = http or httpx.AsyncClient(timeout=_timeout(ANSWER_S))
        self._own = http is None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close its connections."""
        if self._own:
            await self._http.aclose()

    async def models(self) -> list[Model]:
        """The models."""
        return (await self.catalog()).models

    async def catalog(self) -> Catalog:
        """The models, the presets, and what the service takes."""
        return await self._call(_Call("GET", "api/models", _reader(Catalog)))

    async def generate(self, image: Photo | None = None, **request: Unpack[Request]) -> Result:
        """Make variations of a photo."""
        return await _last_of(self.generate_events(image, **request))

    def generate_events(
        self, image: Photo | None = None, **request: Unpack[Request]
    ) -> AsyncIterator[Event]:
        """The same, with each image as soon as it is done."""
        return self._tell(self._events({"image": image, **request}, "api/generate"))

    async def variation(self, image_url: str, **request: Unpack[Request]) -> Result:
        """Make variations of an image that the service made."""
        return await _last_of(self.variation_events(image_url, **request))

    def variation_events(self, image_url: str, **request: Unpack[Request]) -> AsyncIterator[Event]:
        """The same, with each image as soon as it is done."""
        return self._tell(self._events({"image_url": image_url, **request}, "api/variation"))

    async def cutout(self, **request: Unpack[CutOutRequest]) -> CutOut:
        """Cut the product out, to be seen and corrected."""
        return await self._call(self._order(request, "api/cutout", _reader(CutOut)))

    async def submit(
        self,
        image: Photo | None = None,
        *,
        image_url: str | None = None,
        **request: Unpack[JobRequest],
    ) -> Job:
        """Make a job of what `generate` or, with an `image_url`, `variation` would do."""
        call = self._submission({"image": image, "image_url": image_url, **request})
        return await self._call(call)

    async def job(self, job: str) -> Job:
        """A job as it is now."""
        return await self._call(_Call("GET", _job_path(job), _reader(Job)))

    async def jobs(self, limit: int = 20, cursor: str | None = None) -> Jobs:
        """A page of one's jobs, newest first, 1 to 100 of them."""
        return await self._call(_Call("GET", _page_path("jobs", limit, cursor), _reader(Jobs)))

    def follow(self, job: str, last_event_id: int = 0) -> AsyncIterator[Event]:
        """The events of a job from its first on, or from the one after `last_event_id`."""
        return self._tell(self._following(job, last_event_id))

    async def resume(self, job: str) -> Result:
        """Wait for a job's end."""
        return await _last_of(self.follow(job))

    async def cancel(self, job: str) -> Job:
        """Cancel a job; one that has ended stays as it is."""
        return await self._call(_Call("DELETE", _job_path(job), _reader(Job)))

    async def download(self, url: str, *, width: int | None = None) -> bytes:
        """The file of a result or of a cut-out's picture, or a copy of this width in pixels."""
        return await self._call(_Call("GET", _picture_path(url, width), _content))

    async def save(
        self, url: str, path: str | os.PathLike[str], *, width: int | None = None
    ) -> Path:
        """Download into a file, which is whole or not there."""
        return _write(Path(path), await self.download(url, width=width))

    async def recipe(self, url: str) -> Recipe:
        """How an image was made."""
        return await self._call(_Call("GET", _recipe_path(url), _reader(Recipe)))

    async def results(self, limit: int = 20, cursor: str | None = None) -> Results:
        """A page of one's results, newest first, 1 to 100 of them."""
        path = _page_path("results", limit, cursor)
        return await self._call(_Call("GET", path, _reader(Results)))

    async def delete(self, url: str) -> None:
        """Delete a result or a cut-out."""
        await self._call(_Call("DELETE", _picture_path(url), _nothing))

    async def _call(self, call: _Call[T]) -> T:
        patience = self._patience(call)
        while True:
            try:
                with _reaching():
                    response = await self._http.request(**self._sent(call))
                return call.read(self._checked(response))
            except BackdropError as error:
                pause_s = patience.pause_s(error)
            await asyncio.sleep(pause_s)

    async def _tell(self, story: _Story) -> AsyncIterator[Event]:
        while not story.over:
            try:
                sent = self._sent(story.call, **story.headers())
                with _reaching():
                    async with self._http.stream(**sent, timeout=_timeout(SILENCE_S)) as response:
                        if not response.is_success:
                            await response.aread()
                        story.opened(self._checked(response))
                        async for piece in response.aiter_bytes():
                            for event in story.told(piece):
                                yield event
                story.ended()
                return
            except BackdropError as error:
                pause_s = story.patience.pause_s(error)
            await asyncio.sleep(pause_s)


@contextmanager
def _reaching() -> Iterator[None]:
    """Turns the failures of httpx into ours."""
    try:
        yield
    except (
        httpx.TimeoutException,
        httpx.NetworkError,
        httpx.RemoteProtocolError,
        httpx.ProxyError,
    ) as error:
        raise _lost() from error
    except httpx.HTTPError as error:
        raise BadResponse(f"the answer cannot be read: {error}", "bad_response") from error


def _failure(body: object, response: httpx.Response | None = None) -> BackdropError:
    """The exception of a failure's body; one in a stream has no response."""
    status = 0 if response is None else response.status_code
    headers = httpx.Headers() if response is None else response.headers
    if not isinstance(body, dict) or not {"error", "code"} <= body.keys():
        # A gateway that does not reach the service; the service itself has a body for that.
        return _lost() if status in (502, 503, 504) else _foreign(status)
    after = headers.get("Retry-After", "")
    return _class_of(body["code"], status)(
        str(body["error"]),
        str(body["code"]),
        status,
        str(body.get("request_id") or headers.get("X-Request-Id", "")),
        float(after) if re.fullmatch("[0-9]+", after) else None,
    )


def _class_of(code: str, status: int) -> type[BackdropError]:
    by_status = {401: Unauthorized, 404: NotFound, 409: Conflict, 429: Busy, 503: Busy}
    if status == 0:  # in a stream, the code alone
        failures = {"unavailable": Busy, "overloaded": Busy, "not_found": NotFound}
        told = {"internal_error": ServiceFailed, "deadline_exceeded": ServiceFailed, **failures}
        return told.get(code, RequestRefused)
    return by_status.get(status, ServiceFailed if status >= 500 else RequestRefused)


def _lost() -> Unreachable:
    return Unreachable("the service cannot be reached", "network")


def _foreign(status: int) -> BadResponse:
    return BadResponse(f"the answer, with status {status}, is not ours", "bad_response", status)


def _reader(kind: type[T]) -> Callable[[httpx.Response], T]:
    """What makes a value of an answer's JSON."""

    def read(response: httpx.Response) -> T:
        made: T = _as(kind, _json(response.text))
        return made

    return read


def _content(response: httpx.Response) -> bytes:
    return response.content


def _nothing(response: httpx.Response) -> None:
    return None


def _json(text: str) -> object:
    try:
        body: object = json.loads(text)
    except ValueError as error:
        raise BadResponse("the answer is not JSON", "bad_response") from error
    return body


def _as(kind: Any, value: Any) -> Any:  # noqa: ANN401 - types at run time
    """A JSON value as one of the types above; what it has beyond these is left out."""
    try:
        if value is None and isinstance(kind, UnionType):
            return None
        if isinstance(kind, UnionType):
            kind = next(inner for inner in get_args(kind) if inner is not type(None))
        if get_origin(kind) is list:
            return [_as(get_args(kind)[0], each) for each in value]
        if is_dataclass(kind):
            hints = get_type_hints(kind).items()
            return kind(**{name: _as(hint, value[name]) for name, hint in hints})  # type: ignore[operator]  # a class
    except (KeyError, TypeError) as error:
        raise BadResponse(f"the answer has no {error}", "bad_response") from error
    return value


def _part(name: str, value: object) -> tuple[str | None, bytes | str]:
    """A field of a form, as httpx takes it."""
    if name not in FILES:
        return None, str(value).lower() if isinstance(value, bool) else str(value)
    if isinstance(value, bytes):
        return name, value
    if not isinstance(value, str | os.PathLike):
        raise TypeError(f"{name} must be bytes or a path")
    path = Path(value)
    return path.name, path.read_bytes()


def _with_seed(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """A request that makes the same images when it is repeated, where a seed has a place in it."""
    plain = request.get("preset") or request.get("background", "scene") != "scene"
    if plain or request.get("seed") is not None:
        return request
    return {**request, "seed": secrets.randbits(32)}


def _with_images(result: Result, told: Mapping[int, Image]) -> Result:
    """A result whose images are those that were told of."""
    images = [told[index] for index in sorted(told)]
    return Result(
        images=[image.url for image in images],
        model_used=result.model_used,
        prompt_used=result.prompt_used,
        seeds=[image.seed for image in images],
        fidelity=[image.fidelity for image in images],
        details=[Detail(image.width, image.height, image.media_type) for image in images],
        warnings=result.warnings,
        withheld=result.withheld,
    )


def _last(events: Iterator[Event]) -> Result:
    # Read to the end, which spares the connection.
    return _result([event for event in events if isinstance(event, Done)])


async def _last_of(events: AsyncIterator[Event]) -> Result:
    return _result([event async for event in events if isinstance(event, Done)])


def _result(ends: list[Done]) -> Result:
    if not ends:
        raise _lost()
    return ends[0].result


def _job_path(job: str) -> str:
    if re.fullmatch("[0-9a-f]{32}", job):
        return f"api/jobs/{job}"
    raise ValueError("job must be the id of a job")


def _page_path(what: str, limit: int, cursor: str | None) -> str:
    query = {"limit": str(limit)} | ({} if cursor is None else {"cursor": cursor})
    return f"api/{what}?{httpx.QueryParams(query)}"


def _recipe_path(url: str) -> str:
    found = re.search(r"generated/[^/?#.]+(?=[.])", url)
    if found is None:
        raise ValueError("url must be the URL of an image")
    return f"{found[0]}.json"


def _picture_path(url: str, width: int | None = None) -> str:
    found = re.search(r"(?:generated|cutouts)/[^/?#]+$", url)
    if found is None:
        raise ValueError("url must be the URL of an image")
    return found[0] if width is None else f"{found[0]}?width={width}"


def _write(path: Path, content: bytes) -> Path:
    """Write a file that is whole or not there."""
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path


def _timeout(read_s: float) -> httpx.Timeout:
    # Uploads may be slow, and a pool that is full is no failure.
    return httpx.Timeout(read_s, connect=CONNECT_S, write=ANSWER_S, pool=None)
