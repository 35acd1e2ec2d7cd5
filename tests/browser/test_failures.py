"""What goes wrong is said in words, waited out, or taken up again."""

from __future__ import annotations

import re

from playwright.sync_api import Request, Route, expect

from deployments.ingress.http.api_keys import KeyRing
from deployments.settings import IngressSettings
from tests.unit.ingress.memory import surface

KEY = "page-key-51b8"


def test_a_text_file_is_no_photo(chat):
    chat.composer.get_by_label("Photo", exact=True).set_input_files(
        {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no picture"}
    )
    expect(chat.page.get_by_role("alert").get_by_text("is not a picture")).to_be_visible()
    chat.add_photo()
    expect(chat.page.get_by_text("is not a picture")).to_have_count(0)


def test_what_is_missing_is_named(chat):
    chat.create.click()
    expect(chat.page.get_by_role("alert").get_by_text("Add a photo first")).to_be_visible()
    chat.add_photo()
    chat.create.click()
    expect(
        chat.page.get_by_role("alert").get_by_text("what the images should show")
    ).to_be_visible()
    expect(chat.conversation.get_by_role("article")).to_have_count(0)


def test_the_service_says_what_is_out_of_range(chat, expected_failures):
    expected_failures.append("status of 400")
    chat.add_photo()
    turn = chat.ask("Perfume backdrop", steps="5000")
    expect(turn.get_by_role("alert").get_by_text(re.compile("Steps must be .*200"))).to_be_visible()
    expect(turn.get_by_role("progressbar")).to_have_count(0)
    # The composer is ready for the next.
    chat.advanced("Steps", "2")
    chat.finished(chat.ask("Perfume backdrop", images=1), 1)


def busy(route: Route, seconds: int) -> None:
    route.fulfill(
        status=429,
        headers={"Retry-After": str(seconds)},
        json={"error": "there is no room for 1 images", "code": "overloaded", "request_id": "r"},
    )


def test_a_busy_service_is_waited_for(chat, expected_failures):
    expected_failures.append("status of 429")
    chat.page.route("**/api/generate", lambda route: busy(route, 2), times=1)
    chat.add_photo()
    turn = chat.ask("Perfume backdrop", images=1)
    expect(turn.get_by_text(re.compile(r"Trying again in 2 s"))).to_be_visible()
    expect(turn.get_by_text(re.compile(r"Trying again in 1 s"))).to_be_visible()
    chat.finished(turn, 1)
    expect(turn.get_by_text("Trying again")).to_have_count(0)


def test_waiting_can_be_cancelled(chat, expected_failures):
    expected_failures.append("status of 429")
    chat.page.route("**/api/generate", lambda route: busy(route, 200))
    chat.add_photo()
    turn = chat.ask("Perfume backdrop", images=1)
    expect(turn.get_by_text(re.compile(r"Trying again in \d+ s"))).to_be_visible()
    turn.get_by_role("button", name="Cancel").click()
    expect(turn.get_by_text("Cancelled")).to_be_visible()


def test_a_lost_connection_is_taken_up_again(chat, expected_failures):
    expected_failures.append("ERR_")
    keys = []

    def noted(request: Request) -> None:
        if request.url.endswith("/api/generate"):
            keys.append(request.headers["idempotency-key"])

    chat.page.on("request", noted)
    chat.page.route("**/api/generate", lambda route: route.abort("connectionreset"), times=1)
    chat.add_photo()
    turn = chat.ask("Perfume backdrop", images=2)
    expect(turn.get_by_text("Connection lost")).to_be_visible()
    chat.finished(turn, 2)
    assert len(keys) == 2
    assert keys[0] == keys[1]


def test_a_connection_that_stays_lost_is_tried_until_it_is_back(chat, expected_failures):
    expected_failures.append("ERR_")
    page = chat.page
    page.clock.install()
    page.route("**/api/generate", lambda route: route.abort("connectionrefused"))
    chat.add_photo()
    turn = chat.ask("Perfume backdrop", images=1)
    for _ in range(6):
        expect(turn.get_by_text("Connection lost")).to_be_visible()
        page.clock.run_for(40_000)
    expect(turn.get_by_role("button", name="Cancel")).to_be_visible()
    page.unroute("**/api/generate")
    page.clock.resume()
    page.evaluate("dispatchEvent(new Event('online'))")
    chat.finished(turn, 1)


def test_a_key_is_asked_for_where_one_is_needed(open_chat, serve_app, tmp_path, expected_failures):
    expected_failures.append("status of 401")
    shop = surface(tmp_path, IngressSettings(), keys=KeyRing({"page": KEY}))
    chat = open_chat(serve_app(shop.app))
    field = chat.page.get_by_label("API key")
    expect(field).to_be_visible()
    field.fill("wrong")
    field.press("Enter")
    expect(field).to_be_visible()
    field.fill(KEY)
    field.press("Enter")
    expect(chat.models).to_have_text(["Stable Diffusion", "ControlNet"])
    chat.add_photo()
    chat.finished(chat.ask("Perfume backdrop", images=1), 1)
    # For this tab only.
    storage = chat.page.evaluate("[JSON.stringify(sessionStorage), JSON.stringify(localStorage)]")
    assert KEY in storage[0]
    assert KEY not in storage[1]
    chat.page.reload()
    expect(chat.models).to_have_text(["Stable Diffusion", "ControlNet"])
