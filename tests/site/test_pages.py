"""Every page of the built site works by itself, fits the screen and can be read.

Each page is opened once, and the tests ask what was seen. That every link leads somewhere and every
image has an alternative text is checked as the site is built (`docs/generate/checks.py`).
"""

import functools
import gzip
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.site.browser import HTML, served

pytestmark = pytest.mark.site

CONTRASTS = (Path(__file__).parent / "explain_contrasts.js").read_text("utf-8")
AA = 4.5  # of text with what lies behind it
HEAVIEST = 10**6  # bytes of a page and all that it loads
RUNTIME = (".wasm", ".mjs", ".onnx", "ort.wasm.min.js")  # loaded when a reader gives an image
TEXT = (".html", ".css", ".js", ".svg")
WIDTHS, THEMES = (360, 1280), ("light", "dark")
ALIKE = ("_modules/", "source/")  # folders of pages that show a file of code
# What sticks out of the page on the right, if anything does, and does not scroll by itself.
OVERFLOW = """
const {scrollWidth, clientWidth} = document.documentElement;
if (scrollWidth <= clientWidth) return [];
const scrolls = (e) => e && (/auto|scroll|hidden/.test(getComputedStyle(e).overflowX) ||
                             scrolls(e.parentElement));
return [...document.body.querySelectorAll("*")]
  .filter(e => e.getBoundingClientRect().right > clientWidth + 1 && !scrolls(e.parentElement))
  .map(e => e.outerHTML.slice(0, 80)).concat(`${scrollWidth} > ${clientWidth}`).slice(-4)"""
# Code that scrolls must be reached by the keyboard.
UNREACHABLE = """
return [...document.querySelectorAll("pre")]
  .filter(box => box.scrollWidth > box.clientWidth + 1 && box.tabIndex < 0)
  .map(box => box.innerText.slice(0, 60))"""


def names():
    return sorted(path.relative_to(HTML).as_posix() for path in HTML.rglob("*.html"))


@pytest.fixture(scope="module")
def visits(browser):
    """{page: what it says, asks for, and shows that it should not}."""
    shown = set()
    return {name: visit(browser, name, shown) for name in names()}


def visit(browser, name, shown):
    browser.open(name)
    browser.js("[...document.images].forEach(image => image.loading = 'eager')")
    browser.wait(lambda: browser.js("return [...document.images].every(i => i.complete)"))
    seen = {"errors": browser.errors(), "requests": browser.requests()}
    for width in WIDTHS:
        browser.resize(width)
        seen[width] = browser.js(OVERFLOW)
    seen["unreachable"] = browser.js(UNREACHABLE)
    kind = next((folder for folder in ALIKE if name.startswith(folder)), name)
    for theme in THEMES if kind not in shown else ():
        browser.use_theme(theme)
        texts = {(text.strip()[:40], round(x, 2)) for text, x in browser.js(CONTRASTS, "body")}
        seen[theme] = sorted((text, contrast) for text, contrast in texts if contrast < AA)
    shown.add(kind)
    return seen


def found(visits, what):
    """The pages of which something is to be said."""
    return {name: seen[what] for name, seen in visits.items() if seen.get(what)}


FAULTY = """<!doctype html><title>Faulty</title><link rel="icon" href="data:,">
<img src="http://127.0.0.1:9/pixel.png" alt="of another server"> <p>readable</p>
<p style="color: #999">pale</p> <p style="width: 500px">wide</p>
<script>console.error("wrong")</script>"""


def test_a_visit_sees_what_is_wrong(browser, tmp_path, monkeypatch):
    (tmp_path / "index.html").write_text(FAULTY)
    with served(tmp_path) as address:
        monkeypatch.setattr(browser, "address", address)
        seen = visit(browser, "index.html", set())
    assert any("wrong" in error for error in seen["errors"])
    assert "http://127.0.0.1:9/pixel.png" in seen["requests"]
    assert any("wide" in html for html in seen[360])
    assert seen[1280] == []
    assert seen["light"] == [("pale", 2.85)]


def test_no_page_writes_errors_to_the_console(visits):
    assert visits
    assert found(visits, "errors") == {}


def test_no_page_asks_another_server(visits, browser):
    own = (browser.address, "data:", "blob:", "about:")
    foreign = {
        name: elsewhere
        for name, seen in visits.items()
        if (elsewhere := [address for address in seen["requests"] if not address.startswith(own)])
    }
    assert foreign == {}


@pytest.mark.parametrize("width", WIDTHS)
def test_no_page_scrolls_sideways(visits, width):
    assert found(visits, width) == {}


def test_code_that_scrolls_is_reached_by_the_keyboard(visits):
    assert found(visits, "unreachable") == {}


@pytest.mark.parametrize("theme", THEMES)
def test_every_text_has_the_contrast_of_aa(visits, theme):
    assert found(visits, theme) == {}


def test_no_page_weighs_a_megabyte(visits):
    weights = {name: weight(seen["requests"]) for name, seen in visits.items()}
    print("the heaviest pages:", sorted(weights.items(), key=lambda item: -item[1])[:5])
    assert {name: weight for name, weight in weights.items() if weight > HEAVIEST} == {}


def weight(addresses):
    """Bytes of a page and of all that it loads, the runtime aside, as a static host sends them."""
    names = {unquote(urlsplit(address).path).lstrip("/") for address in addresses}
    return sum(sent(HTML / name) for name in names if not name.endswith(RUNTIME))


@functools.cache
def sent(file):
    """Bytes of a file, which static hosts compress if it is text."""
    if not file.is_file():  # the console's error names it
        return 0
    content = file.read_bytes()
    return len(gzip.compress(content, 6)) if file.suffix in TEXT else len(content)


@pytest.mark.parametrize(
    ("words", "page"),
    [
        ("unpooling", "/lessons/ch05_unpooling.html"),
        ("MaxUnpooling2D", "kerasseg.layers.MaxUnpooling2D"),
    ],
)
def test_the_search_finds(browser, words, page):
    browser.open(f"search.html?q={words}")
    browser.wait(lambda: browser.all("#search-results li a"))
    browser.wait(lambda: "finished" in browser.find("#search-results").text)
    assert any(page in link.get_attribute("href") for link in browser.all("#search-results li a"))
