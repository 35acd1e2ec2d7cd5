"""What is in the composer stays: over a reload, and when nothing more can be kept."""

from __future__ import annotations

from playwright.sync_api import expect


def test_what_was_begun_is_there_after_a_reload(chat):
    page, composer = chat.page, chat.composer
    uploads = []
    page.on("request", lambda sent: uploads.append(sent.url) if sent.method == "POST" else None)
    chat.add_photo()
    expect(chat.found()).to_have_text("Product found")
    chat.prompt.fill("A prompt that is not")
    chat.choose_shape("4:5")
    chat.advanced("Seed", "77")
    page.keyboard.press("Tab")
    page.reload()
    expect(chat.prompt).to_have_value("A prompt that is not")
    expect(composer.get_by_role("button", name="Remove the photo")).to_be_visible()
    expect(chat.shape("4:5")).to_be_checked()
    expect(composer.get_by_label("Seed", exact=True)).to_have_value("77")
    expect(chat.found()).to_have_text("Product found")
    # The product is the same: the photo is not sent again to find it.
    assert len(uploads) == 1
    composer.get_by_role("button", name="Remove the photo").click()
    page.reload()
    expect(chat.prompt).to_have_value("A prompt that is not")
    expect(composer.get_by_role("button", name="Remove the photo")).to_be_hidden()


def test_what_is_continued_stays_continued(chat):
    chat.add_photo()
    turn = chat.ask("Tropical beach", images=1)
    chat.finished(turn, 1)
    chat.open_result(turn, 1).get_by_role("button", name="Change it").click()
    chat.prompt.fill("Make it a forest")
    chat.page.reload()
    expect(chat.composer.get_by_text("Continues: Image 1")).to_be_visible()
    expect(chat.prompt).to_have_value("Make it a forest")


def test_a_browser_that_keeps_nothing_is_noted_and_is_no_failure(chat):
    chat.page.add_init_script("indexedDB.open = () => { throw new Error('not here'); };")
    chat.page.reload()
    notice = chat.page.get_by_role("status").get_by_text("does not let the page keep a history")
    expect(notice).to_be_visible()
    expect(chat.page.get_by_role("alert").filter(has_text="history")).to_have_count(0)


def test_a_full_browser_says_so_and_goes_on(chat):
    chat.page.add_init_script("""
        const { put } = IDBObjectStore.prototype;
        IDBObjectStore.prototype.put = function (...given) {
            if (this.name === "pictures") this.transaction.abort();
            return put.apply(this, given);
        };
    """)
    chat.page.reload()
    expect(chat.models).not_to_have_count(0)
    chat.add_photo()
    expect(chat.page.get_by_role("alert").get_by_text("no more room")).to_be_visible()
    chat.finished(chat.ask("Tropical beach", images=1), 1)
