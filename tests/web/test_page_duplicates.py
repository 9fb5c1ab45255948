"""Duplicates in a browser: search, choose what stays, remove, undo; by keyboard, too."""

import re

import pytest
from playwright.sync_api import expect

from tests.web.browsing import serious_findings
from tests.web.doubles import make_doubles, search

NAME = "doubles_shown"


@pytest.fixture(scope="module")
def folder(served, tmp_path_factory):
    """The files of the collection; what a test removes, it puts back."""
    return make_doubles(served, tmp_path_factory.mktemp("doubles") / "images", NAME)


@pytest.fixture
def searched(api, folder):
    """The URL of the page, once the collection was searched."""
    search(api, NAME)
    return f"/duplicates?collection={NAME}"


def names(folder):
    return sorted(path.name for path in folder.rglob("*.jpg"))


def test_from_the_first_use_to_the_groups(open_page, folder):
    page = open_page(f"/duplicates?collection={NAME}")
    expect(page.get_by_role("heading", name="Find the same picture twice")).to_be_visible()
    assert serious_findings(page) == []
    page.get_by_role("button", name="Find duplicates").click()
    expect(page.locator(".group")).to_have_count(2, timeout=30_000)
    assert serious_findings(page) == []
    page.get_by_role("link", name="Identical 1").click()
    expect(page.locator(".group")).to_have_count(1)
    expect(page).to_have_url(re.compile("tier=identical"))


def test_what_is_not_kept_goes_and_comes_back(open_page, searched, folder):
    before = names(folder)
    page = open_page(searched)
    group = page.locator(".group", has_text="bee-400.jpg")
    keep = group.get_by_role("checkbox")
    expect(keep).to_have_count(3)
    for name, is_kept in (("bee.jpg", False), ("bee-400.jpg", True)):
        group.get_by_role("checkbox", name=f"Keep {name}").set_checked(is_kept, force=True)
    group.get_by_role("button", name="Move 2 to the trash").click()
    settled = page.locator(".settled")
    expect(settled).to_contain_text("2 images moved to the trash")
    assert set(before) - set(names(folder)) == {"bee.jpg", "bee-500.jpg"}
    settled.get_by_role("button", name="Undo").click()
    expect(page.locator(".toast")).to_contain_text("2 images put back")
    expect(page.locator(".group")).to_have_count(2)
    assert names(folder) == before


def test_at_least_one_stays(open_page, searched):
    page = open_page(searched)
    group = page.locator(".group").first
    for box in group.get_by_role("checkbox").all():
        box.set_checked(False, force=True)
    expect(group.get_by_role("button", name="Keep at least one")).to_be_disabled()
    for box in group.get_by_role("checkbox").all():
        box.set_checked(True, force=True)
    expect(group.get_by_role("button", name="All stay")).to_be_disabled()


def test_by_keyboard_alone(open_page, searched, folder):
    page = open_page(searched)
    page.keyboard.press("j")
    page.keyboard.press("j")
    second = page.locator(".group").nth(1)
    expect(second).to_be_focused()
    page.keyboard.press("2")
    expect(second.get_by_role("checkbox").nth(1)).to_be_checked()
    page.keyboard.press("k")
    page.keyboard.press("n")
    expect(page.locator(".settled")).to_contain_text("marked as different")
    expect(page.locator(".group").first).to_be_focused()
    page.keyboard.press("Control+z")
    expect(page.locator(".group")).to_have_count(2)
    assert len(names(folder)) == 6


def test_all_copies_at_once_are_asked_about(open_page, searched, folder):
    page = open_page(searched)
    button = page.get_by_role("button", name="Trash 1 identical copy")
    button.click()
    expect(page.locator("#confirm")).to_contain_text("Of each picture one file stays")
    assert serious_findings(page) == []
    page.get_by_role("button", name="Cancel").click()
    assert len(names(folder)) == 6
    button.click()
    page.get_by_role("button", name="Move to the trash", exact=True).click()
    expect(page.locator(".notice")).to_contain_text("1 copy moved to the trash", timeout=30_000)
    assert len(names(folder)) == 5
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".group")).to_have_count(2)
    assert len(names(folder)) == 6


@pytest.mark.parametrize("width", [768, 390])
def test_small_screens_and_the_dark(open_page, searched, width):
    page = open_page(searched, width=width, scheme="dark", motion="reduce")
    expect(page.locator(".group")).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert serious_findings(page) == []


def test_who_may_only_read_sees_no_buttons(open_page, searched):
    page = open_page(searched, is_read_only=True)
    expect(page.locator(".group")).to_have_count(2)
    expect(page.get_by_role("button", name=re.compile("trash|Not duplicates|again"))).to_have_count(
        0
    )
