"""Pages in a browser, as people see them: signed in, and without errors."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect

from tests.web.serving import Served

HEIGHTS = {1440: 900, 768: 1024, 390: 844}
SECONDS = 20
"""Patience with a busy machine; what is there at once takes no time."""
expect.set_options(timeout=SECONDS * 1000)
_GIVEN_UP = ("htmx:sendAbort", "htmx:afterRequest")
"""What htmx logs of a request that is given up for a newer one."""
_SERIOUS = ("serious", "critical")


class OpenPage(Protocol):
    """Opens a page of the server."""

    def __call__(
        self,
        path: str,
        *,
        width: int = 1440,
        scheme: str = "light",
        motion: str = "no-preference",
        is_read_only: bool = False,
    ) -> Page: ...

    def expect(self, *texts: str) -> None:
        """Errors with one of these texts are what the test is about."""


class Visitors:
    """People with different screens and rights, each signed in once.

    What a visitor's browser has kept makes the next test quicker.
    """

    def __init__(self, browser: Browser, served: Served) -> None:
        self._browser = browser
        self._served = served
        self._contexts: dict[tuple[object, ...], BrowserContext] = {}

    def context(self, width: int, scheme: str, motion: str, is_read_only: bool) -> BrowserContext:
        """The browser of a visitor."""
        key = (width, scheme, motion, is_read_only)
        if key not in self._contexts:
            is_phone = width < 500
            context = self._browser.new_context(
                base_url=self._served.url,
                viewport={"width": width, "height": HEIGHTS[width]},
                color_scheme=scheme,  # type: ignore[arg-type]
                reduced_motion=motion,  # type: ignore[arg-type]
                has_touch=is_phone,
                is_mobile=is_phone,
            )
            context.set_default_timeout(SECONDS * 1000)
            token = self._served.read_token if is_read_only else self._served.token
            context.request.get(f"/?token={token}", headers={"Accept": "text/html"})
            self._contexts[key] = context
        return self._contexts[key]

    def close(self) -> None:
        for context in self._contexts.values():
            context.close()


class _Pages:
    """The pages of one test, and what they report."""

    def __init__(self, visitors: Visitors) -> None:
        self._visitors = visitors
        self._opened: list[Page] = []
        self._expected: list[str] = []
        self.errors: list[str] = []

    def __call__(
        self,
        path: str,
        *,
        width: int = 1440,
        scheme: str = "light",
        motion: str = "no-preference",
        is_read_only: bool = False,
    ) -> Page:
        page = self._visitors.context(width, scheme, motion, is_read_only).new_page()
        self._opened.append(page)
        page.on("console", self._noted)
        page.on("pageerror", lambda error: self.errors.append(f"{page.url}: {error}"))
        page.on("dialog", lambda dialog: self.errors.append(f"a dialog: {dialog.message}"))
        page.goto(path)
        return page

    def expect(self, *texts: str) -> None:
        self._expected.extend(texts)

    def _noted(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(f"{message.location.get('url')}: {message.text}")

    def close(self) -> None:
        for page in self._opened:
            page.close()

    def unexpected(self) -> list[str]:
        known = (*_GIVEN_UP, *self._expected)
        return [error for error in self.errors if not any(text in error for text in known)]


@contextmanager
def pages_of(visitors: Visitors) -> Iterator[OpenPage]:
    """Yield what opens pages; afterwards, none of them may have reported an error."""
    pages = _Pages(visitors)
    try:
        yield pages
    finally:
        pages.close()
    unexpected = pages.unexpected()
    assert not unexpected, unexpected


def serious_findings(page: Page) -> list[str]:
    """What axe-core finds, if it is serious: the rule, and the first elements."""
    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {each['help']} {[node['html'][:120] for node in each['nodes'][:3]]}"
        for each in found
        if each["impact"] in _SERIOUS
    ]


def names(page: Page) -> list[str]:
    """The names of the images that the grid shows, in order."""
    return page.locator("#grid > .tile:visible img").evaluate_all("all => all.map(e => e.alt)")


def drop(page: Page, files: Sequence[Path], *, target: str = "[data-drop=new]") -> None:
    """Drop files on the page, as from a file manager."""
    transfer = page.evaluate_handle(
        """files => {
            const transfer = new DataTransfer();
            for (const [name, text] of files) {
                const bytes = Uint8Array.from(atob(text), each => each.charCodeAt(0));
                transfer.items.add(new File([bytes], name, { type: "image/jpeg" }));
            }
            return transfer;
        }""",
        [(file.name, base64.b64encode(file.read_bytes()).decode()) for file in files],
    )
    page.dispatch_event("body", "dragenter", {"dataTransfer": transfer})
    page.dispatch_event(target, "dragover", {"dataTransfer": transfer})
    page.dispatch_event(target, "drop", {"dataTransfer": transfer})


def paste(page: Page, file: Path) -> None:
    """Paste an image, as from a screenshot tool."""
    page.evaluate(
        """([name, text]) => {
            const clipboardData = new DataTransfer();
            const bytes = Uint8Array.from(atob(text), each => each.charCodeAt(0));
            clipboardData.items.add(new File([bytes], name, { type: "image/png" }));
            const event = new ClipboardEvent("paste", { clipboardData, bubbles: true });
            document.activeElement.dispatchEvent(event);
        }""",
        [file.name, base64.b64encode(file.read_bytes()).decode()],
    )
