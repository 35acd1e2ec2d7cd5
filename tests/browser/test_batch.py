"""Several photos at once: each begins a conversation of its own, all with the same settings."""

from __future__ import annotations

import re
from io import BytesIO

from PIL import Image
from playwright.sync_api import FilePayload, Locator, expect

from tests.browser.test_product import file

GIVE = """async ([way, files]) => {
    const data = new DataTransfer();
    for (const { name, type, bytes } of files) {
        data.items.add(new File([new Uint8Array(bytes)], name, { type }));
    }
    const options = { bubbles: true, cancelable: true };
    document.querySelector("#prompt").dispatchEvent(way === "drop"
        ? new DragEvent("drop", { ...options, dataTransfer: data })
        : new ClipboardEvent("paste", { ...options, clipboardData: data }));
}"""


def photo(name: str, size: tuple[int, int] = (300, 200)) -> FilePayload:
    """A red box on white."""
    picture = Image.new("RGB", size, "white")
    wide, high = size
    picture.paste("red", (wide // 3, high // 4, wide * 2 // 3, high * 3 // 4))
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    return {"name": name, "mimeType": "image/png", "buffer": buffer.getvalue()}


def give(chat, way: str, files: list[FilePayload]) -> None:
    """Drop or paste files."""
    listed = [
        {"name": file["name"], "type": file["mimeType"], "bytes": list(file["buffer"])}
        for file in files
    ]
    chat.page.evaluate(GIVE, [way, listed])


def chosen(chat, photos: int) -> Locator:
    """What the composer says of a batch."""
    chip = chat.composer.get_by_text(f"{photos} photos, one conversation each")
    expect(chip).to_be_visible()
    return chip


def rows(chat) -> Locator:
    """The buttons of all conversations."""
    chat.page.get_by_role("button", name="Conversations", exact=True).click()
    dialog = chat.page.get_by_role("dialog", name="Conversations")
    return dialog.get_by_role("button", name=re.compile(r"^\w.* \d+ requests?"))


FILES = [
    photo("shoe-red.png"),
    photo("shoe-tall.png", (200, 300)),
    photo("shoe-wide.png", (400, 200)),
]


def test_several_photos_begin_a_conversation_each(chat, screenshots):
    page = chat.page
    sent: list[str] = []
    page.on("request", lambda asked: sent.append(asked.url) if asked.method == "POST" else None)
    chat.composer.get_by_label("Photo", exact=True).set_input_files(FILES)
    chosen(chat, 3)
    # Nothing is sent before it is asked for.
    assert sent == []
    chat.choose_shape("1:1")
    page.screenshot(path=screenshots / "batch.png")
    turn = chat.ask("Perfume backdrop", images=1)
    said = page.get_by_role("status").get_by_text("3 conversations are begun, one for each photo")
    expect(said).to_be_visible()
    expect(chat.composer.get_by_role("button", name="Remove the photos")).to_be_hidden()
    # It is offered for some seconds.
    page.get_by_role("button", name="Show all").click()
    expect(page.get_by_role("dialog", name="Conversations")).to_be_visible()
    page.keyboard.press("Escape")
    chat.finished(turn, 1)
    names = ["shoe-red", "shoe-tall", "shoe-wide"]
    for place, name in enumerate(names):
        row = rows(chat).nth(place)
        expect(row).to_contain_text(name)
        row.click()
        expect(chat.conversation.get_by_role("article")).to_have_count(1)
        chat.finished(chat.turn, 1)
        width, height = chat.turn.locator("li img").evaluate(
            "image => [image.naturalWidth, image.naturalHeight]"
        )
        assert width == height
        expect(chat.turn.get_by_text("Perfume backdrop").first).to_be_visible()
        # Its settings go on.
        expect(chat.shape("1:1")).to_be_checked()
    # Each photo was sent once.
    assert len(sent) == 3
    page.reload()
    for place, name in enumerate(names):
        expect(rows(chat).nth(place)).to_contain_text(name)
        if name == names[0]:
            page.screenshot(path=screenshots / "batch-conversations.png")
        page.keyboard.press("Escape")


def test_they_are_made_in_order_and_go_on_after_a_reload(chat):
    page = chat.page
    give(chat, "drop", FILES)
    chosen(chat, 3)
    chat.ask("Perfume backdrop", images=2, steps="40")
    page.reload()
    page.evaluate("""() => {
        window.seen = [];
        const opening = indexedDB.open(`backdrop ${new URL(".", document.baseURI).pathname}`);
        opening.onsuccess = () => setInterval(() => {
            const all = opening.result.transaction("turns").objectStore("turns").getAll();
            all.onsuccess = () => {
                const turns = all.result.sort((one, other) => one.created - other.created);
                turns.forEach(({ status }, place) => {
                    if (status === "finished" && !seen.includes(place)) seen.push(place);
                });
            };
        }, 50);
    }""")
    page.wait_for_function("() => window.seen.length === 3")
    finished = page.evaluate("window.seen")
    assert finished == [0, 1, 2]


def test_a_conversation_that_goes_on_is_left_as_it_is(chat):
    chat.add_photo()
    chat.finished(chat.ask("Tropical beach", images=1), 1)
    give(chat, "paste", FILES[:2])
    chosen(chat, 2)
    chat.prompt.fill("Perfume backdrop")
    chat.create.click()
    # The first of the new ones is shown.
    expect(chat.conversation.get_by_text("Perfume backdrop").first).to_be_visible()
    expect(chat.conversation.get_by_text("Tropical beach")).to_have_count(0)
    expect(rows(chat)).to_have_count(3)


def test_limits_are_checked_before_anything_is_sent(chat, screenshots):
    page = chat.page
    sent: list[str] = []
    page.on("request", lambda asked: sent.append(asked.url) if asked.method == "POST" else None)
    words: FilePayload = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"words"}
    long = photo("band.png", (3000, 30))
    chat.composer.get_by_label("Photo", exact=True).set_input_files(
        [FILES[0], words, long, FILES[1]]
    )
    chosen(chat, 2)
    alert = chat.composer.get_by_role("alert")
    expect(alert).to_contain_text("“notes.txt” is not a picture.")
    expect(alert).to_contain_text("“band.png”: The picture is too long")
    # Nor is what was done to a picture one of the things that are wrong.
    moving = file(Image.new("RGB", (30, 20), "red"), "turning.gif", "GIF")
    chat.composer.get_by_label("Photo", exact=True).set_input_files([moving, words, FILES[0]])
    notice = chat.composer.get_by_role("status")
    expect(notice).to_have_text(
        "“turning.gif”: The file was converted to WebP, which the service takes."
    )
    expect(alert).to_have_text("“notes.txt” is not a picture. Choose a PNG, JPEG or WebP file.")
    background = "element => getComputedStyle(element).backgroundColor"
    assert notice.evaluate(background) != alert.evaluate(background)
    chosen(chat, 2)
    page.screenshot(path=screenshots / "notice-and-error.png")
    chat.composer.get_by_label("Photo", exact=True).set_input_files([FILES[0]] * 51)
    expect(notice).to_be_hidden()
    # What was there before stays.
    chosen(chat, 2)
    expect(alert).to_have_text("These are 51 files: choose at most 50 at once.")
    assert sent == []
    # Of what is left alone the product is looked for, as ever.
    chat.composer.get_by_label("Photo", exact=True).set_input_files([FILES[0], words])
    expect(chat.found()).to_have_text("Product found")


def test_a_batch_that_was_begun_to_choose_is_there_after_a_reload(chat):
    give(chat, "drop", FILES)
    chosen(chat, 3)
    chat.prompt.fill("Perfume backdrop")
    chat.page.reload()
    chosen(chat, 3)
    expect(chat.prompt).to_have_value("Perfume backdrop")
    chat.composer.get_by_text("Advanced", exact=True).click()
    chat.composer.get_by_role("button", name="Paint mask").click()
    expect(chat.composer.get_by_role("alert")).to_contain_text("A mask belongs to one photo")
    chat.composer.get_by_role("button", name="Remove the photos").click()
    chat.page.reload()
    expect(chat.prompt).to_have_value("Perfume backdrop")
    expect(chat.composer.get_by_text("one conversation each")).to_be_hidden()
