"""How long the page takes in Chromium, and what is sent: `python -m benchmarks.web_page URL`.

URL is a page of a running `lookalike serve` with at least 20 images, with its token. For a
collection of 10,000 images, add a folder that holds that many.
"""

import argparse
import json
from collections import Counter
from pathlib import Path
from shutil import which
from statistics import median
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
TIMES = """() => {
    const [page] = performance.getEntriesByType("navigation");
    const [paint] = performance.getEntriesByName("first-contentful-paint");
    return { html: page.responseEnd, paint: paint.startTime, load: page.loadEventEnd };
}"""
SIMILAR = """async at => {
    const tile = document.querySelectorAll("#grid > .tile")[at];
    tile.dispatchEvent(new PointerEvent("pointerover", { bubbles: true }));
    const once = { once: true };
    const shown = new Promise(done => document.addEventListener("view:shown", done, once));
    const begin = performance.now();
    tile.querySelector("[data-like=similar]").click();
    await shown;
    await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
    return performance.now() - begin;
}"""


def sent(context: BrowserContext, url: str) -> dict[str, int]:
    """Return the bytes by type that a browser without anything in its cache receives."""
    page = context.new_page()
    client = context.new_cdp_session(page)
    client.send("Network.enable")
    types: dict[str, str] = {}
    sizes: Counter[str] = Counter()
    client.on("Network.responseReceived", lambda e: types.update({e["requestId"]: e["type"]}))
    client.on(
        "Network.loadingFinished",
        lambda e: sizes.update({types.get(e["requestId"], "Other"): int(e["encodedDataLength"])}),
    )
    page.goto(url, wait_until="networkidle")
    page.close()
    return dict(sizes)


def times(page: Page, url: str, repeats: int) -> dict[str, float]:
    """Return medians in milliseconds, from the request on."""
    runs = []
    for _ in range(repeats):
        page.goto(url, wait_until="networkidle")
        runs.append(page.evaluate(TIMES))
    return {name: round(median(run[name] for run in runs), 1) for name in runs[0]}


def searches(page: Page, url: str, repeats: int) -> dict[str, float]:
    """Return milliseconds from "find similar" to the pixels of its results."""
    found = []
    for at in range(repeats):
        page.goto(url, wait_until="networkidle")
        found.append(page.evaluate(SIMILAR, at))
    return {"median": round(median(found), 1), "worst": round(max(found), 1)}


def measured(browser: Browser, url: str, repeats: int) -> dict[str, dict[str, float]]:
    """Return bytes and times; the first visit is without a cache."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    # Signs in.
    context.request.get(url, headers={"Accept": "text/html"})
    plain = url.split("?token=")[0]
    found: dict[str, dict[str, float]] = {"bytes": dict(sent(context, plain))}
    page = context.new_page()
    found["page, cached files"] = times(page, plain, repeats)
    found["find similar, from click to pixels"] = searches(page, plain, repeats)
    context.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--repeats", type=int, default=15)
    given = parser.parse_args()
    if urlsplit(given.url).hostname not in ("127.0.0.1", "localhost"):
        parser.error("measure a server of this machine")
    program = which("chromium")
    if program is None:
        parser.error("chromium is not on the PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=Path(program), args=FLAGS)
        print(json.dumps(measured(browser, given.url, given.repeats), indent=2))
        browser.close()


if __name__ == "__main__":
    main()
