"""Turns are jobs: what runs goes on when the page is loaded again, and nothing is sent twice."""

from __future__ import annotations

import re
import threading

import httpx
import pytest
from playwright.sync_api import Page, Request, Route, expect

LONG = {"images": 4, "steps": "200"}
FORGET_PHOTOS = """() => new Promise((resolve) => {
    indexedDB.databases().then(([{ name }]) => {
        const opening = indexedDB.open(name);
        opening.onsuccess = () => {
            const store = opening.result.transaction("pictures", "readwrite");
            store.objectStore("pictures").clear();
            store.oncomplete = () => { opening.result.close(); resolve(); };
        };
    });
})"""


class Posts:
    """The requests for images that a page sends, with their answers."""

    def __init__(self, page: Page) -> None:
        self.sent: list[Request] = []
        page.on("request", self._noted)

    def _noted(self, request: Request) -> None:
        if request.method == "POST" and re.search(r"/api/(generate|variation)$", request.url):
            self.sent.append(request)

    @property
    def keys(self) -> list[str]:
        return [request.headers["idempotency-key"] for request in self.sent]


@pytest.fixture
def posts(chat) -> Posts:
    return Posts(chat.page)


def job_of(page: Page, turn: int = -1) -> str:
    """The id of a turn's job, once the service has told it."""
    jobs = """() => new Promise((resolve) => {
        indexedDB.databases().then(([{ name }]) => {
            const opening = indexedDB.open(name);
            opening.onsuccess = () => {
                const all = opening.result.transaction("turns").objectStore("turns").getAll();
                all.onsuccess = () => {
                    opening.result.close();
                    all.result.sort((one, other) => one.created - other.created);
                    resolve(all.result.map(({ sent }) => sent?.job ?? null));
                };
            };
        });
    })"""
    for _ in range(600):
        job = page.evaluate(jobs)[turn]
        if job is not None:
            return job
        page.wait_for_timeout(100)
    raise AssertionError("the turn was not sent")


def painting(turn) -> None:
    expect(turn.get_by_text(re.compile("Painting"))).to_be_visible()


def test_a_reload_takes_up_what_runs(chat, posts):
    chat.add_photo()
    turn = chat.ask("Tropical beach", **LONG)
    painting(turn)
    chat.page.reload()
    expect(turn.get_by_role("button", name="Cancel")).to_be_visible()
    chat.finished(turn)
    expect(turn.get_by_text(re.compile("4 images in"))).to_be_visible()
    assert len(posts.sent) == 1


def test_what_waits_in_the_page_is_sent_after_a_reload(chat, posts):
    chat.add_photo()
    turn = chat.ask("Tropical beach", **LONG)
    painting(turn)
    behind = chat.ask("Perfume backdrop", images=1, steps="2")
    expect(behind.get_by_text("In line, second")).to_be_visible()
    assert len(posts.sent) == 1
    chat.page.reload()
    expect(behind.get_by_text("In line, second")).to_be_visible()
    chat.finished(turn)
    chat.finished(behind, 1)
    assert len(posts.sent) == 2


def test_a_reload_between_sending_and_the_answer_makes_no_second_job(chat, posts):
    page, reached, answers = chat.page, threading.Event(), []

    def unanswered(route: Route) -> None:
        answers.append(route.fetch().json()["id"])
        reached.set()  # and the page never hears of it

    page.route("**/api/generate", unanswered, times=1)
    page.on("response", lambda got: answers.append(got) if got.status == 202 else None)
    chat.add_photo()
    turn = chat.ask("Tropical beach", images=1, steps="4")
    while not reached.is_set():
        page.wait_for_timeout(50)
    page.reload()
    chat.finished(turn, 1)
    assert len(posts.sent) == 2
    assert len(set(posts.keys)) == 1
    (first, again) = answers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json()["id"] == first


def test_where_the_photo_is_gone_the_turn_says_what_to_do(chat, expected_failures):
    expected_failures.append("ERR_FAILED")
    page = chat.page
    page.route("**/api/cutout", lambda route: route.abort())
    page.route("**/api/generate", lambda route: None)
    chat.add_photo()
    turn = chat.ask("Tropical beach", images=1)
    expect(turn.get_by_text("Sending")).to_be_visible()
    page.evaluate(FORGET_PHOTOS)
    page.reload()
    expect(turn.get_by_role("alert").get_by_text("Add the photo and create again")).to_be_visible()


def test_cancelling_ends_the_job(chat, service):
    chat.add_photo()
    turn = chat.ask("Tropical beach", images=8, steps="200")
    job = job_of(chat.page)
    with chat.page.expect_response(lambda got: got.request.method == "DELETE") as gone:
        turn.get_by_role("button", name="Cancel").click()
        expect(turn.get_by_text("Cancelled")).to_be_visible()
    assert gone.value.json()["state"] == "cancelled"
    assert httpx.get(f"{service}/api/jobs/{job}").json()["state"] == "cancelled"
    expect(turn.get_by_role("progressbar")).to_have_count(0)
    chat.page.reload()
    expect(turn.get_by_text("Cancelled")).to_be_visible()
    turn.get_by_role("button", name="Try again").click()
    tries = 0
    while job_of(chat.page) == job:  # until the page has kept the new one
        tries += 1
        assert tries < 600
        chat.page.wait_for_timeout(50)


def test_what_is_cancelled_before_it_is_answered_is_cancelled_at_the_service(chat, service):
    page, held = chat.page, []
    page.route("**/api/generate", lambda route: held.append(route), times=1)
    chat.add_photo()
    turn = chat.ask("Tropical beach", images=8, steps="200")
    while not held:
        page.wait_for_timeout(50)
    turn.get_by_role("button", name="Cancel").click()
    expect(turn.get_by_text("Cancelled")).to_be_visible()
    answer = held[0].fetch()
    job = answer.json()["id"]
    with page.expect_response(lambda got: got.request.method == "DELETE") as gone:
        held[0].fulfill(response=answer)
    assert gone.value.url.endswith(job)
    assert httpx.get(f"{service}/api/jobs/{job}").json()["state"] == "cancelled"


def test_a_job_that_is_gone_can_be_tried_again(chat, posts, expected_failures):
    expected_failures.append("status of 404")
    gone = {"error": "the job does not exist, or no longer", "code": "not_found", "request_id": "r"}
    chat.page.route("**/api/jobs/*", lambda route: route.fulfill(status=404, json=gone), times=1)
    chat.add_photo()
    turn = chat.ask("Tropical beach", images=1, steps="4")
    alert = turn.get_by_role("alert")
    expect(alert.get_by_text("does not have this any more")).to_be_visible()
    turn.get_by_role("button", name="Try again").click()
    chat.finished(turn, 1)
    assert len(set(posts.keys)) == 2


@pytest.mark.parametrize("way", ["lost", "restarted"])
def test_a_job_goes_on_while_the_service_cannot_be_reached(chat, posts, expected_failures, way):
    expected_failures.extend(["ERR_", "status of 404"])
    page = chat.page

    def away(route: Route) -> None:
        if way == "lost":
            route.abort("connectionreset")
        else:  # as Serve's proxy answers before it knows the application
            route.fulfill(status=404, content_type="text/plain", body="Path not found")

    page.route("**/api/jobs/*", away)
    chat.add_photo()
    turn = chat.ask("Tropical beach", images=1, steps="4")
    expect(turn.get_by_text("The images are made all the same")).to_be_visible()
    page.reload()
    expect(turn.get_by_text("The images are made all the same")).to_be_visible()
    page.unroute("**/api/jobs/*")
    # A browser that is online again does not wait for the rest of the pause.
    page.evaluate("dispatchEvent(new Event('online'))")
    chat.finished(turn, 1)
    assert len(posts.sent) == 1


def test_two_tabs_do_not_make_the_same_twice(chat, open_chat, service):
    chat.add_photo()
    turn = chat.ask("Tropical beach", images=2, steps="200")
    behind = chat.ask("Perfume backdrop", images=1, steps="2")
    expect(behind.get_by_text("In line, second")).to_be_visible()
    other = open_chat(service)
    sent = Posts(other.page)
    shown = other.conversation.get_by_role("article")
    expect(shown).to_have_count(2)
    chat.finished(turn, 2)
    chat.finished(behind, 1)
    other.finished(shown.nth(0), 2)
    other.finished(shown.nth(1), 1)
    assert sent.sent == []
    assert other.url_of(shown.nth(1), 1) == chat.url_of(behind, 1)


def test_requests_of_one_page_wait_in_it_and_send_the_photo_once(chat, posts):
    chat.add_photo()
    # At once: the product is still being looked for.
    first = chat.ask("Tropical beach", images=2, steps="200")
    second = chat.ask("Perfume backdrop", images=1, steps="2")
    third = chat.ask("City street at night", images=1, steps="2")
    expect(third.get_by_text("In line, third")).to_be_visible()
    second.get_by_role("button", name="Cancel").click()
    expect(third.get_by_text("In line, second")).to_be_visible()
    chat.finished(first, 2)
    chat.finished(third, 1)
    assert [len(sent.post_data_buffer or b"") < 10_000 for sent in posts.sent] == [True, True]
