"""The collections in a browser: status, and adding a folder with live progress."""

import re
import shutil

from playwright.sync_api import expect

from tests.web.browsing import serious_findings


def numbers(page):
    """Return how many images there are, and collections."""
    return [int(each) for each in re.findall(r"\d+", page.locator("#totals").inner_text())]


def test_the_status_of_a_collection(open_page):
    page = open_page("/collections")
    card = page.locator("#c-image_embeddings")
    expect(card.get_by_role("heading")).to_have_text("image_embeddings")
    expect(card.locator(".covers img")).to_have_count(8)
    expect(card).to_contain_text("27")
    assert serious_findings(page) == []


def test_a_folder_is_added_with_live_progress(open_page, served_photos):
    folder = served_photos / "<b>live"
    folder.mkdir()
    try:
        shutil.copy(served_photos / "rocket.jpg", folder)
        (folder / "<i>broken.jpg").write_bytes(b"\xff\xd8\xff")
        page = open_page("/collections", width=390, scheme="dark")
        rows, collections = numbers(page)
        page.get_by_role("button", name="Add images").click()
        assert serious_findings(page) == []
        page.get_by_label("Folder").fill(str(folder))
        page.get_by_label("Collection").fill("live")
        page.keyboard.press("Enter")
        card = page.locator("#c-live")
        expect(card.locator(".notice")).to_contain_text("1 image added, 1 failed", timeout=30_000)
        expect(card.locator(".covers img")).to_have_count(1)
        assert numbers(page) == [rows + 1, collections + 1]
        card.get_by_text("1 file could not be read").click()
        expect(card.get_by_role("cell", name="<i>broken.jpg")).to_be_visible()
        assert serious_findings(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    finally:
        shutil.rmtree(folder)


def test_what_is_not_allowed_is_told(open_page):
    page = open_page("/collections")
    open_page.expect("403")
    page.get_by_role("button", name="Add images").click()
    page.get_by_label("Folder").fill("/")
    page.get_by_role("dialog").get_by_role("button", name="Add images").click()
    expect(page.locator(".toast")).to_contain_text("/ is not below an allowed folder")
    expect(page.get_by_role("dialog")).to_be_visible()


def test_who_may_only_read_sees_no_buttons(open_page):
    page = open_page("/collections", is_read_only=True)
    expect(page.locator("#c-image_embeddings")).to_be_visible()
    expect(page.get_by_role("button", name="Add images")).to_have_count(0)
