"""Every page of the built site, in Chromium."""

import pytest

from tests.site.browser import HTML

pytestmark = pytest.mark.site

PAGES = sorted(path.relative_to(HTML).as_posix() for path in HTML.rglob("*.html"))
PAGES = PAGES or ["index.html"]


@pytest.mark.parametrize("page", PAGES)
def test_the_page_opens_without_errors_and_asks_no_other_server(browser, page):
    browser.open(page)
    assert browser.errors() == []
    elsewhere = [
        address
        for address in browser.requests()
        if not address.startswith((browser.address, "data:", "blob:", "about:"))
    ]
    assert elsewhere == []
