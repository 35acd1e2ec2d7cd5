"""The chat page as a person sees it: everything is found by its role and its accessible name."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import FilePayload, Locator, Page, expect

SAMPLE = Path(__file__).parents[2] / "deployments" / "samples" / "coffee.png"


class Chat:
    """The open page.

    Args:
        page: Where it is open.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.composer = page.get_by_role("form", name="New image")
        self.conversation = page.get_by_role("log", name="Conversation")
        self.prompt = self.composer.get_by_role("textbox", name="Prompt", exact=True)
        self.create = self.composer.get_by_role("button", name="Create", exact=True)
        self.models = self.composer.get_by_role("combobox", name="Model").get_by_role("option")
        expect(self.models).not_to_have_count(0)

    @property
    def turn(self) -> Locator:
        """The newest turn."""
        return self.conversation.get_by_role("article").last

    @property
    def dialog(self) -> Locator:
        """The view of a result."""
        return self.page.get_by_role("dialog", name=re.compile(r"Image \d"))

    def add_photo(self, photo: Path | FilePayload = SAMPLE) -> None:
        """Choose a photo from the disk, once the page can be used."""
        expect(self.page.locator("main[inert]")).to_have_count(0)
        self.composer.get_by_label("Photo", exact=True).set_input_files(photo)
        expect(self.composer.get_by_role("button", name="Remove the photo")).to_be_visible()

    def shape(self, name: str) -> Locator:
        """The choice of a shape, in `Picture`, which is opened."""
        shapes = self.composer.get_by_role("group", name="Shape", exact=True)
        if not shapes.is_visible():
            self.composer.get_by_text("Picture", exact=True).click()
        return shapes.get_by_role("radio", name=name, exact=True)

    def choose_shape(self, name: str) -> None:
        """Click a shape's button."""
        self.shape(name)
        self.composer.locator("#shapes label").get_by_text(name, exact=True).click()
        expect(self.shape(name)).to_be_checked()

    def advanced(self, name: str, value: str) -> None:
        """Fill an advanced field."""
        field = self.composer.get_by_label(name, exact=True)
        if not field.is_visible():
            self.composer.get_by_text("Advanced", exact=True).click()
        field.fill(value)

    def ask(self, prompt: str, *, images: int = 4, **advanced: str) -> Locator:
        """Fill the composer and send it; the new turn."""
        self.composer.get_by_role("spinbutton", name="Images").fill(str(images))
        for name, value in advanced.items():
            self.advanced(name.capitalize(), value)
        self.prompt.fill(prompt)
        turns = self.conversation.get_by_role("article")
        before = turns.count()
        self.create.click()
        expect(turns).to_have_count(before + 1)
        return turns.nth(before)

    def results(self, turn: Locator) -> Locator:
        """The images of a turn that can be opened."""
        return turn.get_by_role("button", name=re.compile(r"Open image \d"))

    def url_of(self, turn: Locator, number: int) -> str:
        """The address of one of a turn's images; what is shown may be a smaller copy."""
        slot = turn.get_by_role("listitem").nth(number - 1)
        url = slot.get_attribute("data-url")
        assert url
        return url

    def found(self) -> Locator:
        """Wait until the photo's product was looked for; the button that shows it."""
        button = self.composer.get_by_role("button", name=re.compile("product", re.IGNORECASE))
        button = button.and_(self.page.locator("#product"))
        expect(button).not_to_contain_text("Finding")
        return button

    def finished(self, turn: Locator, images: int = 4) -> None:
        """Wait until a turn's images are all there, and drawn."""
        expect(self.results(turn)).to_have_count(images)
        self.page.wait_for_function(
            "turn => [...turn.querySelectorAll('li img')].every((image) => image.naturalWidth)",
            arg=turn.element_handle(),
        )

    def open_result(self, turn: Locator, number: int) -> Locator:
        """Open one of a turn's images; its dialog."""
        turn.get_by_role("button", name=f"Open image {number}", exact=True).click()
        dialog = self.page.get_by_role("dialog", name=f"Image {number}", exact=True)
        expect(dialog).to_be_visible()
        return dialog
