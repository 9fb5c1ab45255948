"""What is done with several images, and undone, in a browser."""

import pytest
from playwright.sync_api import expect

import lookalike
from tests.web.browsing import names, serious_findings


@pytest.fixture
def photos(served):
    """The collection that the page shows, as another program sees it."""
    with lookalike.connect(served.database_url) as db:
        yield db.collection()


def photos_ids(photos, *chosen):
    return [photos.find(name)[0].id for name in chosen]


def select(page, *chosen):
    for name in chosen:
        tile = page.locator(".tile", has=page.get_by_alt_text(name, exact=True))
        tile.hover()
        tile.get_by_label("Select").click()


def test_shift_click_selects_a_range_and_clicks_then_toggle(page):
    tiles = page.locator("#grid > .tile")
    tiles.nth(2).hover()
    tiles.nth(2).get_by_label("Select").click()
    tiles.nth(6).click(modifiers=["Shift"])
    expect(page.locator("#selected")).to_have_text("5 selected")
    tiles.nth(4).click()
    expect(page.locator("#selected")).to_have_text("4 selected")
    expect(page.locator("#viewer")).to_be_hidden()


def test_similar_to_all_that_are_selected(page):
    select(page, "cat.jpg", "cat-crop.jpg")
    page.locator("#selection").get_by_role("button", name="Similar").click()
    expect(page.locator(".chip")).to_have_count(2)
    assert set(names(page)[:2]) == {"cat-mirrored.jpg", "cat-dark.jpg"}


def test_tags_are_set_found_and_undone(page, photos):
    ids = [photos.find(name)[0].id for name in ("cat.jpg", "bee.jpg")]
    select(page, "cat.jpg", "bee.jpg")
    page.keyboard.press("t")
    page.get_by_label("Tags to add").fill("animal, summer")
    page.keyboard.press("Enter")
    expect(page.locator(".toast")).to_contain_text("2 images tagged")
    assert [photos.attributes.get([each])[each]["tags"] for each in ids] == (
        [["animal", "summer"]] * 2
    )
    found = page.context.new_page()
    found.goto("/?f.tags=animal")
    assert set(names(found)) == {"cat.jpg", "bee.jpg"}
    found.close()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Tags of 2 images are as before")).to_be_visible()
    assert all("tags" not in photos.attributes.get([each])[each] for each in ids)


@pytest.mark.parametrize(
    ("act", "told"),
    [("remove", "1 image removed"), ("trash", "1 image moved to the trash")],
)
def test_removed_images_go_at_once_and_undo_puts_them_back(page, photos, served_photos, act, told):
    shown, count = names(page), photos.count()
    before = photos.get(photos_ids(photos, "gravel.jpg"))[0]
    file = served_photos / "gravel.jpg"
    select(page, "gravel.jpg")
    if act == "remove":
        page.locator("#selection").get_by_role("button", name="More").click()
        page.get_by_role("button", name="Remove from the collection").click()
    else:
        page.keyboard.press("Delete")
    expect(page.locator(".toast")).to_contain_text(told)
    assert "gravel.jpg" not in names(page)
    assert photos.count() == count - 1
    assert file.exists() == (act == "remove")
    page.keyboard.press("Control+z")
    expect(page.locator(".toast")).to_contain_text("1 image put back")
    assert names(page) == shown
    assert file.exists()
    after = photos.get([before.id])[0]
    assert (after.embedding == before.embedding).all()
    assert after.attributes == before.attributes


def test_many_are_removed_only_after_a_question(page, photos):
    count = photos.count()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    question = page.get_by_role("dialog", name=f"Move {count} images to the trash?")
    expect(question).to_be_visible()
    assert serious_findings(page) == []
    page.keyboard.press("Escape")
    expect(question).to_be_hidden()
    page.locator("#selection").get_by_role("button", name="More").click()
    page.get_by_role("button", name="Remove from the collection").click()
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(page.locator(".toast")).to_contain_text(f"{count} images removed")
    assert photos.count() == 0
    page.locator(".toast .undo").click()
    expect(page.locator(".toast")).to_contain_text(f"{count} images put back")
    assert photos.count() == count


def test_the_key_undoes_what_was_removed_also_after_the_toast_has_gone(page, photos):
    shown = names(page)
    select(page, "gravel.jpg")
    page.keyboard.press("Delete")
    page.locator(".toast").get_by_role("button", name="Dismiss").click()
    expect(page.locator(".toast")).to_have_count(0)
    page.keyboard.press("Control+z")
    expect(page.locator(".toast")).to_contain_text("1 image put back")
    assert names(page) == shown
    expect(page.locator(".toast")).to_have_count(0)
    page.keyboard.press("Control+z")
    assert photos.count() == len(shown)


def test_an_image_is_removed_from_its_own_view(page, photos):
    page.get_by_alt_text("bricks.png").click()
    page.get_by_role("button", name="Remove from the collection").last.click()
    expect(page.locator(".toast")).to_contain_text("1 image removed")
    expect(page.locator("#viewer")).to_be_visible()
    expect(page.locator(".about h2")).not_to_have_text("bricks.png")
    page.locator(".toast .undo").click()
    expect(page.locator(".toast")).to_contain_text("1 image put back")
    page.keyboard.press("Escape")
    assert "bricks.png" in names(page)


def test_what_cannot_be_removed_comes_back(open_page, photos):
    open_page.expect("400")
    page = open_page("/")
    photos.remove("grass.jpg")
    try:
        select(page, "grass.jpg")
        page.keyboard.press("Delete")
        expect(page.locator(".toast.failed")).to_be_visible()
        assert "grass.jpg" in names(page)
    finally:
        photos.add(photos.find("gravel.jpg")[0].path.with_name("grass.jpg"), facts=True)


def test_images_are_marked_as_not_duplicates_and_that_is_undone(page, photos):
    select(page, "cat.jpg", "cat-crop.jpg")
    page.locator("#selection").get_by_role("button", name="More").click()
    page.get_by_role("button", name="Not duplicates of each other").click()
    expect(page.locator(".toast")).to_contain_text("not duplicates")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("may be duplicates of each other again")).to_be_visible()
    assert photos.duplicates.unmark_distinct("cat.jpg", "cat-crop.jpg") == 0
