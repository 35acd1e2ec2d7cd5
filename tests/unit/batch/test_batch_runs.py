"""Whole runs of `backdrop batch`: what is made, what is told, and what a second start does."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal

import pytest
from PIL import Image

from deployments.errors import Unavailable
from deployments.ingress.core import idempotency
from deployments.ingress.core.background import work
from deployments.ingress.http.api_keys import KeyRing
from deployments.settings import IngressSettings
from tests.unit.batch.commands import ASKED, Commands, serving
from tests.unit.client.served import canned, response
from tests.unit.ingress.background import settings, until
from tests.unit.ingress.memory import Surface, surface

pytestmark = pytest.mark.slow

COLOURS = [(200, 30, 30), (30, 200, 30), (30, 30, 200), (200, 200, 30), (30, 200, 200)]


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(idempotency, "POLL_S", 0.005)
    monkeypatch.setattr(work, "PUT_OFF_S", 0.05)


@pytest.fixture
def commands(tmp_path) -> Commands:
    (tmp_path / "work" / "photos").mkdir(parents=True)
    return Commands(tmp_path / "work")


@pytest.fixture
def api(tmp_path) -> Surface:
    return surface(tmp_path / "store", settings())


def jobs(api: Surface) -> int:
    """Jobs that the service knows."""
    return len([name for name in api.names() if name.startswith("requests/")])


async def test_a_folder_is_made_and_made_only_once(commands, api):
    for number, colour in enumerate(COLOURS[:3]):
        commands.photo(f"mug-{number}.png", colour=colour)
    commands.photo("more/mug-0.png", colour=COLOURS[3])
    commands.photo("notes.txt", b"no picture")
    async with serving(commands, api):
        done = await commands.run(*ASKED)
        assert (done.code, done.error) == (0, "")
        assert "backdrop: 4 photos, 0 of them done before" in done.out
        assert done.out.splitlines()[-1].startswith("backdrop: all 4 photos done")
        files = ["more/mug-0-1.png", "mug-0-1.png", "mug-1-1.png", "mug-2-1.png"]
        assert commands.saved() == files
        row = commands.manifest()["mug-1.png"]
        assert (row["state"], row["files"], row["row"]) == ("done", ["mug-1-1.png"], None)
        with Image.open(commands.out / "mug-1-1.png") as image:
            image.load()
            assert str(row["seeds"][0]) in image.text.values()
        assert row["fidelity"][0]["pixels"] == 1.0
        assert (jobs(api), len(api.models.jobs)) == (4, 4)

        # Nothing is asked for again, a lost file is fetched, and a new photo made.
        (commands.out / "mug-1-1.png").unlink()
        commands.photo("mug-9.png", colour=COLOURS[4])
        done = await commands.run(*ASKED)
        assert "5 photos, 3 of them done before" in done.out
        assert (done.code, commands.saved()) == (0, sorted([*files, "mug-9-1.png"]))
        assert commands.manifest()["mug-1.png"] == row
        assert (jobs(api), len(api.models.jobs)) == (5, 5)

        # Without the journal the service knows the answers by their keys.
        shutil.rmtree(commands.out)
        assert (await commands.run(*ASKED)).code == 0
        assert commands.manifest()["mug-1.png"] == row
        assert (jobs(api), len(api.models.jobs)) == (5, 5)
        # Another name is another batch.
        assert (await commands.run(*ASKED, "--name", "again")).code == 0
        assert len(api.models.jobs) == 10
    # All that is done needs no service.
    assert (await commands.run(*ASKED)).code == 0


async def test_kills_lose_nothing_and_make_nothing_twice(commands, api):
    for number in range(8):
        commands.photo(f"{number}.png", colour=(20 * number, 200, 90))
    api.models.gate.clear()
    async with serving(commands, api):
        process = await commands.start(*ASKED, "--parallel", "3")
        await until(lambda: jobs(api) == 3)
        await commands.kill(process)
        (journal,) = commands.out.glob(".backdrop-batch*")
        # As if the last line had been cut off by the kill.
        journal.write_bytes(journal.read_bytes()[:-20])
        api.models.gate.set()
        process = await commands.start(*ASKED, "--parallel", "3")
        await until(lambda: len(commands.saved()) >= 4)
        await commands.kill(process)
        done = await commands.run(*ASKED)
    assert done.code == 0, done.error
    assert (jobs(api), len(api.models.jobs)) == (8, 8)
    assert commands.saved() == [f"{number}-1.png" for number in range(8)]
    assert {row["state"] for row in commands.manifest().values()} == {"done"}
    assert not list(commands.out.glob(".*.part"))


async def test_an_interruption_says_how_to_go_on(commands, api):
    commands.photo("a.png")
    api.models.gate.clear()
    async with serving(commands, api):
        process = await commands.start(*ASKED)
        await until(lambda: jobs(api) == 1)
        await until(lambda: b"job" in (commands.out / ".backdrop-batch.jsonl").read_bytes())
        done = await commands.end(process, signal.SIGINT)
        assert done.code == 130
        assert "the same command takes it up" in done.error
        assert commands.manifest()["a.png"]["state"] == "waiting"
        api.models.gate.set()
        assert (await commands.run(*ASKED)).code == 0
    assert jobs(api) == 1


async def test_what_cannot_be_made_is_told_and_the_rest_is_made(commands, api):
    commands.photo("good.png")
    commands.photo("broken.png", b"no picture")
    commands.photo("plain.png", product=None)
    commands.photo("phone.HEIC", b"ftypheic")
    (commands.folder / "photos" / "gone.png").symlink_to("nowhere.png")
    async with serving(commands, api):
        done = await commands.run(*ASKED, "--preserve-product", "true")
        assert done.code == 1
        assert "1 done, 4 failed" in done.out
        rows = commands.manifest()
        assert rows["good.png"]["state"] == "done"
        assert rows["broken.png"]["code"] == "invalid_image"
        assert rows["plain.png"]["code"] == "product_not_found"
        assert rows["phone.HEIC"]["error"] == "HEIC is not taken: save it as JPEG, PNG or WebP"
        assert "No such file" in rows["gone.png"]["error"]
        assert "plain.png: " in done.out
        # Started again, what failed is tried again, and what is right by now is made.
        commands.photo("broken.png", colour=COLOURS[1])
        (commands.folder / "photos" / "phone.HEIC").unlink()
        (commands.folder / "photos" / "gone.png").unlink()
        done = await commands.run(*ASKED, "--preserve-product", "true")
        assert (done.code, "2 done, 1 failed" in done.out) == (1, True)
    assert commands.saved() == ["broken-1.png", "good-1.png"]


async def test_a_table_says_what_is_asked_of_each(commands, api):
    commands.photo("a.png")
    commands.photo("b.png", colour=COLOURS[2])
    commands.photo("mask.png", colour=(0, 0, 0), product=(255, 255, 255))
    (commands.folder / "photos" / "list.csv").write_text(
        "\ufeffImage;prompt;num_images;background;product_mask\r\n"
        'a.png;"Beach; sunny";2;;\r\n'
        "a.png;;;#FFFFFF;mask.png\r\n"
        "\r\n"
        "a.png;;;#FFFFFF;mask.png\r\n"
        "sub/../b.png;;;;\r\n"
        "../elsewhere.png;;;;\r\n",
        encoding="utf-8",
    )
    commands.photo("../elsewhere.png", colour=COLOURS[3])
    async with serving(commands, api):
        (commands.folder / "photos" / "sub").mkdir()
        done = await commands.run(
            "--prompt", "Forest", "--model", "controlnet", photos="photos/list.csv"
        )
    assert done.code == 0, done.out + done.error
    rows = json.loads((commands.out / "manifest.json").read_text())
    assert [row["row"] for row in rows] == [2, 3, 5, 6, 7]
    assert [len(row["files"]) for row in rows] == [2, 1, 1, 4, 4]
    assert rows[1]["files"] == rows[2]["files"]
    assert rows[0]["files"] == ["a-1.png", "a-2.png"]
    assert rows[1]["files"][0].startswith("a-")
    assert rows[1]["fields"]["product_mask"] == "photos/mask.png"
    assert rows[4]["files"][0] == "elsewhere-1.png"
    prompts = {job.settings.prompt for job in api.models.jobs}
    assert prompts == {"Beach; sunny", "Forest"}
    assert jobs(api) == 4


async def test_a_job_store_that_was_emptied_makes_anew(commands, api):
    commands.photo("a.png")
    async with serving(commands, api):
        assert (await commands.run(*ASKED)).code == 0
        store = commands.folder.parent / "store"
        shutil.rmtree(store / "requests")
        (commands.out / "a-1.png").unlink()
        # Its answer is still kept under the first key, and names a job that is gone.
        assert (await commands.run(*ASKED)).code == 0
        assert commands.saved() == ["a-1.png"]
        assert len(api.models.jobs) == 2
        # The job is there, and its images are not.
        shutil.rmtree(store / "generated")
        (commands.out / "a-1.png").unlink()
        done = await commands.run(*ASKED)
    assert (done.code, len(api.models.jobs)) == (0, 3)


async def test_a_failure_of_the_service_is_tried_again(commands, api):
    commands.photo("a.png")
    api.models.failures += [Unavailable("the model is down")] * 6
    async with serving(commands, api):
        done = await commands.run(*ASKED)
    assert done.code == 0, done.out


async def test_full_lines_and_rates_are_waited_for(commands, tmp_path):
    for number, colour in enumerate(COLOURS):
        commands.photo(f"{number}.png", colour=colour)
    api = surface(tmp_path / "small", settings(max_per_key=2))
    async with serving(commands, api):
        done = await commands.run(*ASKED, "--parallel", "5")
    assert done.code == 0, done.out + done.error
    assert (jobs(api), len(api.models.jobs)) == (5, 5)


async def test_a_service_that_restarts_is_waited_for(commands, api):
    for number, colour in enumerate(COLOURS):
        commands.photo(f"{number}.png", colour=colour)
    api.models.gate.clear()
    async with serving(commands, api):
        port = commands.environment["BACKDROP_URL"].rpartition(":")[2]
        process = await commands.start(*ASKED, "--parallel", "2")
        await until(lambda: jobs(api) == 2)
    # Serve's proxy without routes.
    async with canned(response(404, "Path '/api/jobs' not found"), port=int(port)):
        await asyncio.sleep(1.5)
    api.models.gate.set()
    async with serving(commands, api, port=int(port)):
        done = await commands.end(process)
    assert done.code == 0, done.out + done.error
    assert "trying again" in done.out
    assert "the service is back" in done.out
    assert (jobs(api), len(commands.saved())) == (5, 5)


async def test_a_service_that_stays_away_ends_it(commands, unused_tcp_port):
    commands.photo("a.png")
    commands.environment["BACKDROP_URL"] = f"http://127.0.0.1:{unused_tcp_port}"
    done = await commands.run(*ASKED, "--patience", "1")
    assert done.code == 1
    assert "start the same command again" in done.error


async def test_a_key_is_asked_for_and_stands_nowhere(commands, tmp_path):
    commands.photo("a.png")
    api = surface(tmp_path / "keyed", settings(), keys=KeyRing({"shop": "secret-key"}))
    async with serving(commands, api):
        done = await commands.run(*ASKED)
        assert (done.code, "BACKDROP_API_KEY" in done.error) == (1, True)
        commands.environment["BACKDROP_API_KEY"] = "secret-key"
        assert (await commands.run(*ASKED)).code == 0
    for path in commands.out.rglob("*"):
        assert path.is_dir() or b"secret-key" not in path.read_bytes()


async def test_one_process_at_a_time(commands, api):
    commands.photo("a.png")
    api.models.gate.clear()
    async with serving(commands, api):
        process = await commands.start(*ASKED)
        await until(lambda: jobs(api) == 1)
        done = await commands.run(*ASKED)
        assert (done.code, "another `backdrop batch` is at work" in done.error) == (1, True)
        await commands.kill(process)


async def test_wrong_arguments_are_told_before_anything_is_sent(commands, api):
    async with serving(commands, api):
        (commands.folder / "list.csv").write_text("image\n")
        for arguments, sentence in (
            (ASKED, "photos: there is no PNG, JPEG or WebP in it"),
            (("--nothing",), "unrecognized arguments"),
            (("--parallel", "0"), "whole number from 1"),
            (("--url", "shop"), "--url must be an address"),
        ):
            done = await commands.run(*arguments)
            assert (done.code, sentence in done.error) == (2, True), (arguments, done.error)
        commands.photo("a.png")
        for arguments, sentence in (
            ((), "prompt: it is missing: say --prompt"),
            (("--prompt", "x"), "model: it is missing; there are stable-diffusion, controlnet"),
            (("--prompt", "x", "--model", "y"), "model: there is no 'y'"),
            (("--out", "list.csv/out"), "--out list.csv/out: "),
            (("--preset", "y"), "preset: there is no 'y'; there are marketplace-white"),
            (
                ("--url", commands.environment["BACKDROP_URL"] + "/shop"),
                "there is no API of Backdrop",
            ),
        ):
            done = await commands.run(*arguments)
            assert (done.code, sentence in done.error) == (2, True), (arguments, done.error)
        assert (await commands.run("--out", "photos", *ASKED)).code == 2
        assert (await commands.run(photos="nowhere")).code == 2
    assert (jobs(api), commands.saved()) == (0, [])


async def test_results_that_cannot_be_written_end_it_with_a_sentence(commands, api):
    commands.photo("a.png")
    (commands.out / "manifest.json" / "folder").mkdir(parents=True)
    async with serving(commands, api):
        done = await commands.run(*ASKED)
    assert (done.code, "it cannot be written: " in done.error) == (1, True)
    assert "Traceback" not in done.error


async def test_a_photo_that_is_too_large_is_not_sent(commands, tmp_path):
    commands.photo("a.png")
    commands.photo("b.png", b"\x89PNG" + bytes(200_000))
    bounds = IngressSettings(limits={"max_body_bytes": 100_000})
    api = surface(tmp_path / "tiny", bounds)
    async with serving(commands, api):
        done = await commands.run(*ASKED)
    assert done.code == 1
    assert "that the service takes" in commands.manifest()["b.png"]["error"]
