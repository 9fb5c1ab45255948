"""What every view keeps: access for all, no sideways scrolling, light and dark, small pages."""

import re

import pytest
from playwright.sync_api import expect

from tests.web.browsing import serious_findings

VIEWS = {
    "all images": "/",
    "results": "/?q=cat&t=-0.5*id:4",
    "chance": "/?q=violin",
    "no match": "/?q=cat&min=0.99",
    "one image": "/image/5",
    "side by side": "/compare?a=5&b=6",
    "first use": "/?collection=nothing",
}
FIRST_PAGE_BYTES = 200_000


@pytest.mark.parametrize("path", VIEWS.values(), ids=VIEWS)
@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.nightly)])
def test_axe_has_no_serious_finding(open_page, path, scheme):
    page = open_page(path, scheme=scheme, motion="reduce")
    assert serious_findings(page) == []


def test_axe_has_no_serious_finding_in_what_opens(open_page):
    page = open_page("/?q=cat", scheme="dark", motion="reduce")
    page.get_by_role("button", name="Folder").click()
    expect(page.locator("#filter-menu label.item").first).to_be_visible()
    assert serious_findings(page) == []
    page.keyboard.press("Escape")
    page.get_by_role("button", name="SQL").click()
    expect(page.locator("#sql-text")).to_be_attached()
    assert serious_findings(page) == []
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert serious_findings(page) == []
    page.keyboard.press("Escape")
    for key in ("ArrowRight", "x", "ArrowRight", "x"):
        page.keyboard.press(key)
    assert serious_findings(page) == []
    page.keyboard.press("t")
    assert serious_findings(page) == []
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    expect(page.locator(".neighbours img").first).to_be_visible()
    assert serious_findings(page) == []


@pytest.mark.parametrize("width", [390, pytest.param(768, marks=pytest.mark.nightly)])
@pytest.mark.parametrize("path", VIEWS.values(), ids=VIEWS)
def test_nothing_scrolls_sideways(open_page, path, width):
    page = open_page(path, width=width)
    over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert over <= 0
    outside = page.locator("main *:visible").evaluate_all(
        "all => all.filter(e => e.getBoundingClientRect().right > innerWidth + 1"
        " && !e.closest('.filters, .visually-hidden, .stage')).map(e => e.outerHTML.slice(0, 90))"
    )
    assert outside == []


def test_a_phone_has_tabs_and_selects_by_a_long_press(open_page):
    page = open_page("/", width=390)
    nav = page.get_by_role("navigation", name="Views")
    assert nav.bounding_box()["y"] > 700
    expect(nav.get_by_role("link", name="Search")).to_have_attribute("aria-current", "page")
    tile = page.locator("#grid > .tile").nth(1)
    tile.dispatch_event("pointerdown", {"pointerType": "touch"})
    expect(page.locator("#selected")).to_have_text("1 selected")
    tile.dispatch_event("pointerup", {"pointerType": "touch"})
    tile.dispatch_event("click")
    expect(page.locator("#viewer")).to_be_hidden()
    page.locator("#grid > .tile").nth(3).tap()
    expect(page.locator("#selected")).to_have_text("2 selected")


def background(page):
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


def test_light_and_dark_follow_the_system_until_they_are_chosen(open_page):
    page = open_page("/")
    light = background(page)
    page.emulate_media(color_scheme="dark")
    dark = background(page)
    assert light != dark
    page.emulate_media(color_scheme="light")
    page.get_by_role("button", name="Light or dark").click()
    assert background(page) == dark
    page.reload()
    assert background(page) == dark
    page.get_by_role("button", name="Light or dark").click()
    assert background(page) == light
    assert page.evaluate("localStorage.length") == 0


def test_nothing_moves_where_motion_is_reduced(open_page):
    page = open_page("/", motion="reduce")
    page.locator("#grid > .tile > a").first.click()
    expect(page.locator("#viewer")).to_be_visible()
    moving = page.evaluate(
        "document.getAnimations().filter(a => a.effect.getTiming().duration > 1)"
        ".map(a => a.animationName ?? a.transitionProperty)"
    )
    assert set(moving) <= {"turn", "slide"}


def test_who_may_only_read_is_offered_no_changes(open_page):
    page = open_page("/", is_read_only=True)
    for key in ("ArrowRight", "x"):
        page.keyboard.press(key)
    bar = page.locator("#selection")
    expect(bar.get_by_role("button", name="Export")).to_be_visible()
    expect(bar.get_by_role("button", name=re.compile("Tag|Trash|More"))).to_have_count(0)


def test_the_first_page_is_small(browser, served):
    """All that is sent before the photographs, to a browser that has kept nothing."""
    context = browser.new_context(base_url=served.url)
    context.request.get(f"/?token={served.token}", headers={"Accept": "text/html"})
    page = context.new_page()
    client = context.new_cdp_session(page)
    client.send("Network.enable")
    sent, images = {}, set()
    client.on("Network.loadingFinished", lambda e: sent.update({e["requestId"]: e}))
    client.on(
        "Network.responseReceived",
        lambda e: images.add(e["requestId"]) if "/images/" in e["response"]["url"] else None,
    )
    page.goto("/", wait_until="networkidle")
    sizes = [int(e["encodedDataLength"]) for key, e in sent.items() if key not in images]
    context.close()
    assert len(sizes) > 20
    assert 50_000 < sum(sizes) < FIRST_PAGE_BYTES
