"""Images as a query in a browser: dropped, pasted, chosen, by their address."""

import re

from playwright.sync_api import expect

from tests.web.browsing import drop, names, paste


def test_a_dropped_image_finds_itself_and_its_kind(page, served_photos):
    drop(page, [served_photos / "cat.jpg"])
    expect(page).to_have_url(re.compile(r"t=image(:|%3A)[0-9a-f]{64}"))
    assert names(page)[0] == "cat.jpg"
    assert page.locator(".similarity").first.inner_text().strip().endswith("1.00")
    expect(page.locator(".chip img")).to_have_js_property("complete", True)
    assert page.locator(".chip img").evaluate("e => e.naturalWidth") > 20
    expect(page.locator("#drop-overlay")).to_be_hidden()
    page.reload()
    assert names(page)[0] == "cat.jpg"


def test_several_images_are_searched_for_by_their_mean(page, served_photos):
    drop(page, [served_photos / "cat.jpg", served_photos / "coffee.jpg"])
    expect(page).to_have_url(re.compile(r"t=image.*t=image"))
    expect(page.locator(".chip")).to_have_count(2)
    assert {"cat.jpg", "coffee.jpg"} <= set(names(page)[:6])


def test_an_image_can_be_added_to_the_search(page, served_photos):
    page.goto("/?q=cat")
    drop(page, [served_photos / "coffee.jpg"], target="[data-drop=add]")
    expect(page.locator(".chip")).to_have_count(2)
    assert "q=cat" in page.url


def test_a_pasted_image_is_searched_for(page, served_photos):
    paste(page, served_photos / "bricks.png")
    expect(page).to_have_url(re.compile(r"t=image"))
    assert names(page)[0] == "bricks.png"


def test_chosen_images_are_searched_for(page, served_photos):
    page.locator("#pick").set_input_files(
        [served_photos / "galaxies-left.jpg", served_photos / "galaxies-right.jpg"]
    )
    expect(page).to_have_url(re.compile(r"t=image.*t=image"))
    assert set(names(page)[:2]) == {"galaxies-left.jpg", "galaxies-right.jpg"}


def test_what_is_no_image_is_refused_with_the_reason(open_page, tmp_path):
    open_page.expect("415")
    page = open_page("/")
    file = tmp_path / "notes.jpg"
    file.write_text("no picture")
    drop(page, [file])
    expect(page.locator(".toast.failed")).to_contain_text("notes.jpg")
    expect(page.locator(".chip")).to_have_count(0)
    expect(page.locator("#grid > .tile")).to_have_count(27)


def test_private_addresses_are_refused(open_page, served):
    open_page.expect("422")
    page = open_page("/")
    page.locator("#words").fill(f"{served.url}/health")
    page.locator("#words").press("Enter")
    expect(page.get_by_role("heading", name="This search cannot be answered")).to_be_visible()
