"""/docs, the API's documentation, in a browser."""


def test_the_docs_list_every_route_and_try_one(open_page):
    page = open_page("/docs")
    page.get_by_role("heading", name="lookalike").first.wait_for()
    page.locator("#operations-search-search").wait_for()
    assert page.locator(".opblock").count() > 25
    page.locator("#operations-server-read_status .opblock-summary-control").click()
    page.locator("#operations-server-read_status").get_by_role("button", name="Execute").click()
    answer = page.locator("#operations-server-read_status .live-responses-table")
    answer.get_by_text("can_write").first.wait_for()
