"""One image large, and two side by side, in a browser."""

import json
import re

import pytest
from playwright.sync_api import expect

import lookalike


@pytest.fixture(scope="module")
def ids(served):
    """Ids of the photographs by name."""
    with lookalike.connect(served.database_url) as db:
        return {item.image_name: item.id for item in db.collection().browse(k=100)}


def test_an_image_has_a_page_of_its_own(open_page, ids, served_photos):
    page = open_page(f"/image/{ids['cat.jpg']}")
    expect(page).to_have_title("cat.jpg · lookalike")
    expect(page.locator(".facts")).to_contain_text("451 \u00d7 300")
    assert page.locator(".stage img").last.evaluate("e => e.decode().then(() => e.naturalWidth)")
    expect(page.locator(".neighbours a").first).to_have_attribute("title", re.compile("^cat-"))
    page.locator(".neighbours a").first.click()
    expect(page.locator(".about h2")).to_have_text(re.compile("^cat-"))
    page.keyboard.press("Escape")
    expect(page.locator("#grid > .tile")).to_have_count(27)


def test_previous_and_next_on_its_own_page(open_page, ids):
    order = sorted(ids.values(), reverse=True)
    page = open_page(f"/image/{order[3]}")
    page.keyboard.press("ArrowRight")
    expect(page).to_have_url(re.compile(rf"/image/{order[4]}$"))
    page.wait_for_load_state()
    page.keyboard.press("ArrowLeft")
    expect(page).to_have_url(re.compile(rf"/image/{order[3]}$"))


def test_the_path_is_copied_and_the_file_saved(open_page, ids, served_photos):
    page = open_page(f"/image/{ids['bee.jpg']}")
    page.evaluate("navigator.clipboard.writeText = async text => { window.copied = text }")
    page.keyboard.press("c")
    expect(page.locator(".toast")).to_contain_text("Path copied")
    assert page.evaluate("window.copied") == str(served_photos / "bee.jpg")
    with page.expect_download() as saved:
        page.keyboard.press("d")
    assert saved.value.path().read_bytes() == (served_photos / "bee.jpg").read_bytes()
    assert saved.value.suggested_filename == "bee.jpg"


def test_reload_and_back_of_an_open_image(page, ids):
    page.locator("#grid > .tile > a").nth(2).click()
    name = page.locator(".about h2").inner_text()
    page.reload()
    expect(page.locator(".about h2")).to_have_text(name)
    page.go_back()
    expect(page.locator("#grid > .tile")).to_have_count(27)


def test_an_image_that_is_not_there_says_so(open_page):
    open_page.expect("404")
    page = open_page("/image/987654")
    expect(page.get_by_role("heading", name="This is not here")).to_be_visible()


def test_a_server_that_does_not_answer_leaves_what_is_shown(open_page):
    open_page.expect("Failed to load", "htmx:")
    page = open_page("/?q=cat")
    url = page.url
    page.route(re.compile("/image/|/parts/"), lambda route: route.abort())
    page.locator("#grid > .tile > a").first.click()
    expect(page.locator(".toast.failed")).to_have_text(
        "The server does not answer. Is lookalike still running?"
    )
    expect(page.locator("#viewer")).to_be_hidden()
    expect(page).to_have_url(url)
    page.get_by_role("button", name="Folder").click()
    expect(page.locator("#filter-menu")).to_be_hidden()
    page.get_by_role("button", name="SQL").click()
    expect(page.locator("#sql")).to_be_hidden()
    expect(page.locator(".toast.failed")).to_have_count(1)
    page.unroute_all()
    page.locator("#grid > .tile > a").first.click()
    expect(page.locator(".detail")).to_be_visible()
    first, name = page.url, page.locator(".about h2").inner_text()
    page.route("**/image/*", lambda route: route.abort())
    page.keyboard.press("ArrowRight")
    expect(page.locator(".toast.failed")).to_be_visible()
    expect(page).to_have_url(first)
    expect(page.locator(".about h2")).to_have_text(name)


def test_two_images_side_by_side_zoom_together(open_page, ids, served):
    page = open_page(f"/compare?a={ids['cat.jpg']}&b={ids['cat-crop.jpg']}")
    with lookalike.connect(served.database_url) as db:
        matches = db.collection().search(lookalike.StoredImage(ids["cat.jpg"]))
    expected = next(match.similarity for match in matches if match.image_name == "cat-crop.jpg")
    expect(page.locator(".compare-bar strong")).to_have_text(f"{expected:.3f}")
    expect(page.locator(".facts .differs").first).to_be_visible()
    box = page.locator(".stage").first.bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.wheel(0, -400)
    transforms = page.locator(".stage img").evaluate_all("e => e.map(i => i.style.transform)")
    assert len(set(transforms)) == 1
    assert "scale" in transforms[0]
    page.keyboard.press("0")
    assert set(
        page.locator(".stage img").evaluate_all("all => all.map(e => e.style.transform)")
    ) == {""}


def test_the_list_of_images_is_exported(page, served_photos, ids):
    for name in ("cat.jpg", "bee.jpg"):
        tile = page.locator(".tile", has=page.get_by_alt_text(name, exact=True))
        tile.hover()
        tile.get_by_label("Select").click()
    for label, read in (
        ("JSON", lambda text: {row["path"] for row in json.loads(text)}),
        ("Paths, one a line", lambda text: set(text.splitlines())),
    ):
        page.locator("#export").click()
        with page.expect_download() as saved:
            page.get_by_role("button", name=label).click()
        expected = {str(served_photos / "cat.jpg"), str(served_photos / "bee.jpg")}
        assert read(saved.value.path().read_text()) == expected
