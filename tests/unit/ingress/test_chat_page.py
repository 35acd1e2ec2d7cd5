"""The chat page's files, as they are served."""

import re
from importlib.resources import files

import httpx
import pytest

from deployments.ingress.http.chat_page import JOINED, load_assets
from deployments.settings import IngressSettings
from tests.unit.ingress.memory import surface

MOST_BYTES, MOST_COMPRESSED = 160_000, 96_000
PAGE = files("deployments") / "ingress" / "http" / "page"
SOURCES = {entry.name: entry.read_text() for entry in PAGE.iterdir()}
PARTS = {part for parts in JOINED.values() for part in parts}
SENT = (set(SOURCES) - PARTS) | set(JOINED)
TEXTS = SOURCES["strings.js"] + SOURCES["later_strings.js"]


def policy(answer: httpx.Response) -> dict[str, str]:
    parts = answer.headers["content-security-policy"].split("; ")
    return dict(part.split(" ", 1) for part in parts)


def referenced(name: str, text: str) -> set[str]:
    """What a file of the page loads, as its name below /playground/."""
    if name.endswith(".html"):
        return set(re.findall(r'(?:src|href)="playground/([^"]+)"', text))
    if name.endswith(".js"):
        modules = re.findall(r'(?:from|import\()\s*"\./([^"]+)"', text)
        return {*modules, *re.findall(r'"([a-z]+\.css)"', text)}
    return set()


def at_once() -> set[str]:
    """What the page loads before anything is clicked: its references, and all they import."""
    found, waiting = {"index.html"}, referenced("index.html", SOURCES["index.html"])
    waiting = {name for name in waiting if "/" not in name}
    while waiting:
        found |= waiting
        imports = {
            name
            for other in waiting
            if other.endswith(".js") and other in SOURCES
            for name in re.findall(r'^(?:import|export) [^;]*?"\./([^"]+)";', SOURCES[other], re.M)
        }
        waiting = imports - found
    return {part for name in found for part in JOINED.get(name, (name,))}


async def test_the_page_is_at_the_root(api):
    answer = await api.client.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.text == SOURCES["index.html"]


async def test_everything_it_loads_is_there(api):
    for name, text in SOURCES.items():
        for other in referenced(name, text):
            answer = await api.client.get(f"/playground/{other}")
            assert answer.status_code == 200, f"{name}: {other}"
    loaded = set().union(*(referenced(name, text) for name, text in SOURCES.items()))
    assert {name for name in loaded if "/" not in name} | {"index.html"} == SENT


@pytest.mark.parametrize("name", sorted(PARTS))
async def test_what_is_sent_as_one_is_not_sent_alone(api, name):
    assert (await api.client.get(f"/playground/{name}")).status_code == 404


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("main.js", "text/javascript; charset=utf-8"),
        ("first.css", "text/css; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
        ("samples/coffee.png", "image/png"),
        ("pictures/before.webp", "image/webp"),
    ],
)
async def test_files_say_what_they_are(api, name, media_type):
    answer = await api.client.get(f"/playground/{name}")
    assert answer.headers["content-type"] == media_type
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert policy(answer)["default-src"] == "'none'"


@pytest.mark.parametrize("name", ["", "nothing.js", "../settings.py", "%2e%2e/api.py", "samples/"])
async def test_nothing_else_is_served(api, name):
    answer = await api.client.get(f"/playground/{name}")
    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"


async def test_every_picture_is_shown(api):
    listed = set(re.findall(r'file: "([^"]+)"', TEXTS))
    listed |= {f"pictures/{name}" for name in re.findall(r'small: "([^"]+)"', TEXTS)}
    listed |= set(re.findall(r'"playground/(pictures/[^"]+)"', SOURCES["index.html"]))
    assert listed == {name for name in load_assets() if "/" in name}


@pytest.mark.parametrize("path", ["/", "/playground/main.js"])
async def test_a_known_file_is_not_sent_again(api, path):
    first = await api.client.get(path)
    assert first.headers["cache-control"] == "no-cache"
    known = {"If-None-Match": f'"other", {first.headers["etag"]}'}
    again = await api.client.get(path, headers=known)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["content-security-policy"]
    changed = await api.client.get(path, headers={"If-None-Match": '"other"'})
    assert changed.content == first.content


@pytest.mark.parametrize("path", ["/", "/playground/main.js"])
async def test_text_is_compressed_where_that_is_taken(api, path):
    plain = await api.client.get(path, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    for taken in ("gzip", "br, GZIP;q=0.5", "*"):
        small = await api.client.get(path, headers={"Accept-Encoding": taken})
        assert small.headers["content-encoding"] == "gzip"
        assert "Accept-Encoding" in small.headers["vary"]
        assert (small.content, small.headers["etag"]) == (plain.content, plain.headers["etag"])
        assert int(small.headers["content-length"]) < int(plain.headers["content-length"]) / 2
    for refused in ("br", "gzip;q=0", "*;q=0"):
        answer = await api.client.get(path, headers={"Accept-Encoding": refused})
        assert "content-encoding" not in answer.headers


@pytest.mark.parametrize("path", ["/", "/playground/main.js"])
async def test_head_tells_the_same_without_the_body(api, path):
    got, headed = await api.client.get(path), await api.client.head(path)
    assert (headed.status_code, headed.content) == (200, b"")
    for name in ("content-length", "content-type", "etag", "content-security-policy"):
        assert headed.headers[name] == got.headers[name]


async def test_the_page_is_confined(api):
    answer = await api.client.get("/")
    assert policy(answer) == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' blob: data:",
        "connect-src": "'self'",
        "form-action": "'none'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    assert answer.headers["referrer-policy"] == "no-referrer"


async def test_results_may_come_from_the_public_address(tmp_path):
    settings = IngressSettings(public_base_url="https://cdn.example:8443/shop/images")
    made = surface(tmp_path, settings)
    async with made.client:
        confined = policy(await made.client.get("/"))
    assert confined["img-src"] == "'self' blob: data: https://cdn.example:8443"
    assert confined["connect-src"] == "'self' https://cdn.example:8443"
    assert confined["script-src"] == "'self'"


async def test_it_can_be_left_out(tmp_path):
    made = surface(tmp_path, IngressSettings(playground=False))
    async with made.client:
        answer = await made.client.get("/")
        assert (answer.status_code, answer.headers["location"]) == (307, "docs")
        assert (await made.client.get("/playground/main.js")).status_code == 404


async def test_a_route_prefix_gets_its_slash(api):
    transport = httpx.ASGITransport(api.app, root_path="/shop")
    async with httpx.AsyncClient(transport=transport, base_url="http://shop.test") as client:
        answer = await client.get("/shop", follow_redirects=True)
        assert answer.url.path == "/shop/"
        assert (await client.get("/shop/playground/main.js")).status_code == 200


@pytest.mark.parametrize("name", [name for name in SOURCES if name.endswith((".html", ".js"))])
def test_every_address_is_relative(name):
    # The only other address is a name, which nobody asks for anything.
    text = SOURCES[name].replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r'(?:src|href)="(?:/|\w+:)', text)
    assert not re.search(r'(?:fetch|import)\(\s*["`](?:/|\w+:)', text)
    assert not re.search(r'from "(?!\./)', text)


@pytest.mark.parametrize("name", [name for name in SOURCES if name.endswith(".js")])
def test_text_is_never_markup(name):
    parsed = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment"
    assert not re.search(rf"{parsed}|DOMParser|setHTML|srcdoc|\beval\(|new Function", SOURCES[name])


def test_there_is_no_inline_script_or_style():
    page = SOURCES["index.html"]
    assert not re.search(r"<script[^>]*>[^<]|<style|\sstyle=|\son\w+=", page)


def test_every_text_is_among_the_strings():
    page = SOURCES["index.html"]
    used = set(re.findall(r'data-(?:text|label|placeholder|alt)="(\w+)"', page))
    for name, text in SOURCES.items():
        used |= set(re.findall(r"\bstrings\.(?!js)(\w+)", text)) if name.endswith(".js") else set()
    defined = set(re.findall(r"^  (\w+):", TEXTS, re.MULTILINE))
    assert used - defined == set()
    assert defined - used == set()


@pytest.mark.parametrize("name", [name for name in SOURCES if name.endswith((".js", ".css"))])
def test_only_comments_are_left_out(name):
    served = "first.css" if name in PARTS else name
    source, sent = SOURCES[name].split("\n"), load_assets()[served].content.decode().split("\n")
    if name in PARTS:
        before = JOINED[served][: JOINED[served].index(name)]
        start = sum(len(SOURCES[part].split("\n")) for part in before)
        sent = sent[start : start + len(source)]
    if name == "client.js":  # it is there to be copied
        assert sent == source
        return
    # Each line is where it was, for whoever reads of it in the console.
    assert len(sent) == len(source)
    left_out = [was for was, now in zip(source, sent, strict=True) if was != now]
    assert {now for was, now in zip(source, sent, strict=True) if was != now} <= {""}
    if name.endswith(".js"):
        assert all(line.lstrip().startswith(("/**", "*", "//")) for line in left_out)
        assert not re.search(r"^\s*(?:/\*\*?$|\*|//)", "\n".join(sent), re.MULTILINE)


def test_the_page_is_light():
    assert sum(len(SOURCES[name].encode()) for name in at_once()) < MOST_BYTES
    sent = [asset for name, asset in load_assets().items() if name in SENT]
    assert sum(len(asset.compressed or asset.content) for asset in sent) < MOST_COMPRESSED


def test_what_comes_at_once_is_preloaded():
    """Else each import would wait for the one before."""
    preloaded = referenced("index.html", SOURCES["index.html"])
    preloaded = {part for name in preloaded for part in JOINED.get(name, (name,))}
    assert {name for name in preloaded if "/" not in name} | {"index.html"} == at_once()
    assert not at_once() & {"cutout.js", "mask.js", "strokes.js", "turn.js", "viewer.js"}


@pytest.mark.parametrize("name", [name for name in SOURCES if name.endswith(".css")])
def test_only_what_can_hover_has_styles_for_it(name):
    others = re.sub(r"^@media \(hover: hover\) \{\n.*?^\}", "", SOURCES[name], flags=re.M | re.S)
    assert ":hover" not in others
