"""The page by keyboard alone."""

import re
import time

from playwright.sync_api import expect

from tests.web.browsing import names


def focused_name(page):
    return page.evaluate("document.activeElement.querySelector?.('img')?.alt")


def test_arrows_move_through_the_grid(page):
    shown = names(page)
    page.keyboard.press("ArrowRight")
    assert focused_name(page) == shown[0]
    page.keyboard.press("ArrowRight")
    assert focused_name(page) == shown[1]
    page.keyboard.press("ArrowDown")
    below = focused_name(page)
    tops = page.locator("#grid > .tile").evaluate_all("all => all.map(e => e.offsetTop)")
    assert tops[shown.index(below)] == sorted(set(tops))[1]
    page.keyboard.press("ArrowUp")
    assert tops[shown.index(focused_name(page))] == min(tops)
    page.keyboard.press("End")
    assert focused_name(page) == shown[-1]
    assert page.locator('#grid > .tile > a[tabindex="0"]').count() == 1


def test_a_search_without_a_mouse(page):
    page.keyboard.press("/")
    page.keyboard.insert_text("cat")
    page.keyboard.press("Enter")
    expect(page.locator(".similarity").first).to_be_visible()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("s")
    expect(page.locator(".chip")).to_have_count(1)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("-")
    expect(page.locator(".chip.is-negative")).to_have_count(1)


def test_images_open_and_close_by_keys(page):
    shown = names(page)
    page.keyboard.press("ArrowRight")
    for key in ("Enter", " "):
        page.keyboard.press(key)
        expect(page.locator(".about h2")).to_have_text(shown[0])
        expect(page).to_have_url(re.compile(r"/image/\d+"))
        page.keyboard.press("Escape")
        expect(page.locator("#viewer")).to_be_hidden()
        assert focused_name(page) == shown[0]
        expect(page).to_have_url(re.compile(r"/$"))


def test_previous_and_next_by_keys(page):
    shown = names(page)
    page.locator("#grid > .tile > a").first.click()
    for at in (1, 2):
        page.keyboard.press("ArrowRight")
        expect(page.locator(".about h2")).to_have_text(shown[at])
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".about h2")).to_have_text(shown[1])
    page.go_back()
    expect(page.locator("#viewer")).to_be_hidden()
    assert focused_name(page) == shown[1]


def test_keys_need_not_wait_for_an_image(page):
    """The next image is asked for while the first is on its way."""
    shown = names(page)

    def slowly(route):
        time.sleep(0.3)
        route.continue_()

    page.route(re.compile(r"/image/\d+$"), slowly)
    page.locator("#grid > .tile > a").first.click()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(page.locator(".about h2")).to_have_text(shown[3])
    expect(page.locator(".about h2")).to_be_visible()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".about h2")).to_have_text(shown[2])


def test_the_focus_stays_in_the_viewer(page):
    page.locator("#grid > .tile > a").first.click()
    expect(page.locator(".neighbours img").first).to_be_visible()
    for _ in range(40):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('#viewer') !== null")


def test_several_images_are_selected_by_keys(page):
    for key in ("ArrowRight", "x", "ArrowRight", "ArrowRight", "Shift+X"):
        page.keyboard.press(key)
    expect(page.locator("#selected")).to_have_text("3 selected")
    page.keyboard.press("Control+a")
    expect(page.locator("#selected")).to_have_text("27 selected")
    page.keyboard.press("Escape")
    expect(page.locator("#selection")).to_be_hidden()


def test_help_is_a_key_away_and_letters_in_fields_are_letters(page):
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    page.keyboard.press("Escape")
    page.locator("#words").focus()
    page.keyboard.type("x/?s")
    expect(page.locator("#words")).to_have_value("x/?s")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_hidden()


def test_tab_reaches_content_by_a_skip_link(page):
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
