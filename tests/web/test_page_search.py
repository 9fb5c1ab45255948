"""The search view in a browser: browse, search, refine, filter, go back."""

import re

import numpy as np
import pytest
from PIL import Image, ImageOps
from playwright.sync_api import Page, expect

import lookalike
from tests.web.browsing import names
from tests.web.conftest import HOSTILE_NAME


def found(page: Page, text: str) -> None:
    """Search for words."""
    page.keyboard.press("/")
    page.keyboard.insert_text(text)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("q="))


def test_without_a_query_all_images_are_there_with_their_proportions(page, served_photos):
    expect(page.locator("#grid > .tile")).to_have_count(27)
    expect(page.locator(".count")).to_have_text("27 images")
    page.wait_for_load_state("networkidle")
    shown = page.locator("#grid > .tile").evaluate_all(
        "all => all.map(e => [e.querySelector('img').alt, e.offsetWidth / e.offsetHeight])"
    )
    for name, ratio in shown:
        with Image.open(served_photos / name) as file:
            image = ImageOps.exif_transpose(file)
            assert ratio == pytest.approx(image.width / image.height, rel=0.04), name
    rights = page.locator("#grid > .tile").evaluate_all(
        "all => [...new Set(all.map(e => e.offsetTop))].slice(0, -1)"
        ".map(top => Math.max(...all.filter(e => e.offsetTop === top)"
        ".map(e => e.getBoundingClientRect().right)))"
    )
    assert max(rights) - min(rights) < 2  # all rows but the last are filled


def test_words_find_images_and_the_url_holds_them(page):
    found(page, "cat")
    expect(page.locator(".similarity").first).to_be_visible()
    assert names(page)[0].startswith("cat")
    assert page.locator(".similarity.strong").count() >= 1
    page.reload()
    expect(page.locator("#words")).to_have_value("cat")
    assert names(page)[0].startswith("cat")


def test_similarities_and_levels_are_those_of_the_library(page, served):
    with lookalike.connect(served.database_url) as db:
        photos = db.collection()
        (cat,) = photos.find("cat.jpg")
        expected = photos.search(lookalike.StoredImage(cat.id), k=60)
    page.goto(f"/?t=id:{cat.id}")
    texts = page.locator(".similarity").evaluate_all(
        "all => all.map(e => [e.lastChild.textContent.trim(), e.className])"
    )
    numbers = [f"{match.similarity:.2f}" for match in expected]
    shown = ["0.00" if each == "-0.00" else each.replace("-", "\u2212") for each in numbers]
    assert [text for text, _ in texts] == shown
    assert [kind.split()[-1] for _, kind in texts] == [match.level for match in expected]
    divider = page.locator(".divider")
    expect(divider).to_have_count(1)
    before = divider.evaluate("e => [...e.parentElement.children].indexOf(e)")
    assert before == [match.level for match in expected].index("chance")


def test_nothing_that_matches_is_said(page):
    found(page, "violin")
    expect(page.locator(".nothing")).to_contain_text("Nothing here matches.")
    expect(page.locator("#grid > .tile").first).to_be_visible()
    page.goto("/?q=cat&min=0.99")
    expect(page.get_by_role("heading", name="Nothing here matches")).to_be_visible()
    page.get_by_role("link", name="Show less similar ones").click()
    expect(page.locator("#grid > .tile").first).to_be_visible()
    assert "min=" not in page.url


def test_words_that_the_model_does_not_know_are_explained(open_page):
    open_page.expect("422")
    page = open_page("/")
    found(page, "zorgblat")
    expect(page.get_by_text("does not know 'zorgblat'")).to_be_visible()
    expect(page.locator(".command code")).to_have_text(
        re.compile(r"^lookalike add \w+ --model clip")
    )
    page.get_by_role("link", name="Show all images").click()
    expect(page.locator("#grid > .tile")).to_have_count(27)


def test_results_become_terms_with_weights(page):
    tile = page.locator(".tile", has=page.get_by_alt_text("bee.jpg"))
    tile.hover()
    tile.get_by_label("Find similar").click()
    expect(page.locator(".chip")).to_have_count(1)
    assert set(names(page)[:2]) == {"bee-mirrored.jpg", "dandelion.jpg"} or names(page)[0] == (
        "bee-mirrored.jpg"
    )
    other = page.locator(".tile", has=page.get_by_alt_text("coffee.jpg"))
    other.hover()
    other.get_by_label("Less like this").click()
    expect(page.locator(".chip.is-negative")).to_have_count(1)
    page.locator(".chip.is-negative select").select_option("-1")
    expect(page).to_have_url(re.compile(r"t=-1\*id:\d+|t=-1\*id%3A\d+"))
    page.locator(".chip.is-negative").get_by_role("link").click()
    expect(page.locator(".chip")).to_have_count(1)
    page.go_back()
    expect(page.locator(".chip")).to_have_count(2)


def test_the_slider_hides_what_is_less_similar(page):
    page.goto("/?q=cat")
    before = page.locator(".tile:visible").count()
    page.locator("#least").fill("0.3")
    page.locator("#least").dispatch_event("change")
    expect(page).to_have_url(re.compile("min=0.3"))
    values = page.locator(".tile:visible").evaluate_all("e => e.map(t => +t.dataset.similarity)")
    assert 0 < len(values) < before
    assert min(values) >= 0.3


def test_filters_show_numbers_and_may_have_several_values(page, served_photos):
    page.get_by_role("button", name="Kind").click()
    menu = page.locator("#filter-menu")
    expect(menu.locator("label.item").first).to_be_visible()
    rows = menu.locator("label.item").evaluate_all("all => all.map(e => e.innerText.split(/\\s+/))")
    kinds = [file.suffix[1:] for file in served_photos.iterdir()]
    assert {name: int(n) for name, n in rows} == {kind: kinds.count(kind) for kind in set(kinds)}
    menu.get_by_label("png").check()
    expect(page.locator("#grid > .tile")).to_have_count(kinds.count("png"))
    menu.get_by_label("webp").check()
    expect(page.locator("#grid > .tile")).to_have_count(kinds.count("png") + kinds.count("webp"))
    assert {name.rpartition(".")[2] for name in names(page)} == {"png", "webp"}
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Clear").click()
    expect(page.locator("#grid > .tile")).to_have_count(27)


def test_attributes_filter_by_ranges(page, served):
    page.get_by_role("button", name="Filter", exact=True).click()
    page.locator("#filter-menu").get_by_role("button", name="width").click()
    page.get_by_label("From").fill("600")
    page.get_by_label("From").press("Enter")
    page.get_by_label("From").blur()
    expect(page).to_have_url(re.compile(r"f\.width=600"))
    with lookalike.connect(served.database_url) as db:
        expected = db.collection().count("width>=600")
    assert 0 < expected < 27
    expect(page.locator("#grid > .tile")).to_have_count(expected)


def test_order_by_name_and_by_date(page):
    page.get_by_label("Order by").select_option(label="Name")
    expect(page).to_have_url(re.compile("order=name"))
    assert names(page) == sorted(names(page), key=str.casefold)
    page.goto("/?q=cat&order=-date")
    assert names(page)
    assert not page.locator(".similarity.chance").count()


def test_only_the_most_similar_are_ordered_and_that_is_said(open_page, served):
    with lookalike.connect(served.database_url) as db:
        rng = np.random.default_rng(6)
        crowd = db.collection("crowd", dim=4)
        crowd.upsert(rng.normal(size=(520, 4)), names=[f"row {n:03}" for n in range(520)])
        first = crowd.find("row 000")[0].id
        page = open_page(f"/?collection=crowd&t=id:{first}&order=name")
        expect(page.locator(".considered")).to_have_text("By name, of the 500 most similar.")
        page.goto("/?q=cat&order=name")
        expect(page.locator("#grid > .tile").first).to_be_visible()
        expect(page.locator(".considered")).to_have_count(0)
        db.delete_collection("crowd")


def test_what_is_changed_while_a_search_runs_comes_on_top_of_it(page):
    page.goto("/?q=cat")
    page.evaluate(
        """() => {
            for (const [id, value] of [["order", "name"], ["least", "0.3"]]) {
                const field = document.getElementById(id);
                field.value = value;
                field.dispatchEvent(new Event("change", { bubbles: true }));
            }
        }"""
    )
    expect(page).to_have_url(re.compile(r"min=0\.3.*order=name"))


def test_the_sql_is_one_click_away(page, served):
    page.goto("/?q=cat")
    page.get_by_role("button", name="SQL").click()
    sql = page.locator("#sql-text")
    expect(sql).to_contain_text("SELECT")
    statement = sql.text_content().removesuffix(";")
    with lookalike.connect(served.database_url) as db:
        _, rows = db.rows(statement)
    assert len(rows) == 27
    page.keyboard.press("Escape")
    expect(page.locator("dialog#sql")).to_be_hidden()


def test_back_shows_the_same_place_at_once(page):
    page.evaluate("scrollTo(0, 500)")
    top = page.evaluate("scrollY")
    requests = []
    found(page, "cat")
    expect(page.locator(".similarity").first).to_be_visible()
    page.on("request", lambda request: requests.append(request.url))
    page.go_back()
    expect(page.locator(".similarity")).to_have_count(0)
    assert page.evaluate("scrollY") == top
    assert not [url for url in requests if "/images/" not in url and "/static/" not in url]


def test_further_pages_come_while_scrolling(open_page, served):
    with lookalike.connect(served.database_url) as db:
        rng = np.random.default_rng(5)
        many = db.collection("many", dim=4)
        many.upsert(rng.normal(size=(150, 4)), names=[f"row {n}" for n in range(150)])
    page = open_page("/?collection=many")
    expect(page.locator("#grid > .tile")).to_have_count(60)
    for number in (120, 150):
        page.mouse.wheel(0, 20_000)
        expect(page.locator("#grid > .tile")).to_have_count(number)
    ids = page.locator(".tile").evaluate_all("all => all.map(e => +e.dataset.id)")
    assert ids == list(range(150, 0, -1))
    expect(page.locator(".more")).to_have_count(0)


def test_a_collection_that_does_not_exist_says_how_to_begin(open_page):
    page = open_page("/?collection=nothing")
    expect(page.get_by_role("heading", name="Your images will be here")).to_be_visible()
    expect(page.get_by_text("lookalike add ~/Pictures --collection nothing")).to_be_visible()


def test_names_are_never_html(page):
    tile = page.get_by_alt_text(HOSTILE_NAME)
    expect(tile).to_have_count(1)
    tile.click()
    expect(page.locator(".about h2")).to_have_text(HOSTILE_NAME)
    expect(page.locator("[onerror]")).to_have_count(0)
