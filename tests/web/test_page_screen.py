"""Screening in a browser: drop, paste, the threshold, the URL."""

import re

from playwright.sync_api import expect

from tests.web.browsing import drop, paste, serious_findings

SCREEN = "/screen?collection=image_embeddings&min=0.6"


def moved(page, value):
    """Move the threshold, as by the keyboard or the pointer."""
    slider = page.locator("#least")
    slider.fill(str(value))
    slider.dispatch_event("change")


def test_dropped_images_match_or_are_clean(open_page, served_photos):
    page = open_page(SCREEN)
    assert serious_findings(page) == []
    photos = [served_photos / "cat-dark.jpg", served_photos / "coffee-crop.jpg"]
    drop(page, photos, target="#screen-drop")
    expect(page.locator(".verdict")).to_have_count(2)
    expect(page.locator("#verdict")).to_have_text("Both images match")
    moved(page, 1)
    expect(page.locator(".verdict.is-match")).to_have_count(2)  # each is stored itself
    expect(page.locator(".nearest li:not(.is-below)")).to_have_count(2)
    assert serious_findings(page) == []


def test_the_threshold_moves_at_once_and_the_url_holds_it(open_page, served_photos, tmp_path):
    page = open_page(SCREEN)
    page.set_input_files("#screen-files", served_photos / "windmill.jpg")
    expect(page.locator(".verdict")).to_have_count(1)
    best = float(page.locator(".nearest li:nth-child(2)").get_attribute("data-similarity"))
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    moved(page, 0)
    expect(page.locator(".nearest .is-below")).to_have_count(0)
    moved(page, min(1, round(best + 0.02, 2)))
    expect(page.locator(".nearest .is-below")).to_have_count(4)
    assert not [url for url in requests if "/static/" not in url]
    expect(page).to_have_url(re.compile(r"min=.*image=[0-9a-f]{64}"))
    page.reload()
    expect(page.locator(".nearest .is-below")).to_have_count(4)
    page.go_back()
    expect(page.locator(".verdict")).to_have_count(0)


def test_a_pasted_image_and_one_that_is_broken(open_page, served_photos, tmp_path):
    broken = tmp_path / "<b>broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 no image")
    page = open_page(SCREEN, width=390, scheme="dark")
    paste(page, served_photos / "bee.jpg")
    expect(page.locator(".verdict.is-match")).to_have_count(1)
    page.set_input_files("#screen-files", broken)
    expect(page.get_by_role("alert")).to_contain_text("<b>broken.jpg")
    expect(page.locator(".verdict")).to_have_count(1)
    assert serious_findings(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_one_that_is_no_image_does_not_keep_the_others_from_being_screened(
    open_page, served_photos, tmp_path
):
    contents = {"notes.jpg": b"not an image", "empty.png": b""}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    page = open_page(SCREEN)
    drop(
        page,
        [tmp_path / "notes.jpg", served_photos / "cat.jpg", tmp_path / "empty.png"],
        target="#screen-drop",
    )
    expect(page.locator(".verdict.is-match")).to_have_count(1)
    told = page.get_by_role("alert").locator(".notice")
    expect(told).to_have_count(2)
    expect(told.first).to_contain_text("notes.jpg")


def test_by_keyboard_alone(open_page):
    page = open_page(SCREEN)
    page.locator("#blocklist").focus()
    page.keyboard.press("Tab")
    expect(page.locator("#least")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#least-shown")).to_have_text("0.61")
    page.keyboard.press("Tab")
    expect(page.locator("#screen-files")).to_be_focused()
