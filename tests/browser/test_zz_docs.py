import pytest


@pytest.fixture
def context_options():
    return {"viewport": {"width": 1280, "height": 985}}


def test_docs(chat, screenshots):
    chat.add_photo()
    t = chat.ask("Tropical beach")
    chat.finished(t)
    chat.open_result(t, 2).get_by_role("button", name="Change it").click()
    chat.composer.get_by_role("combobox", name="Model").select_option("ControlNet")
    t = chat.ask("Change background to forest")
    chat.finished(t)
    chat.page.get_by_text("4 images in").nth(1).wait_for()
    chat.page.wait_for_timeout(800)
    chat.prompt.evaluate("e => e.blur()")
    chat.page.screenshot(path=screenshots / "chat.png")
