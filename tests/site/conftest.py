import pytest

from tests.site.browser import HTML, Browser, served


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """Chromium with the built site; one for all tests."""
    if not (HTML / "index.html").exists():
        pytest.fail(f"{HTML} is missing. Build the site first: python docs/build.py")
    with served() as address:
        browser = Browser(tmp_path_factory.mktemp("profile"), address)
        yield browser
        browser.driver.quit()
