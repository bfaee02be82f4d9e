"""A reader with a keyboard alone goes through the pages, and explanations are there to be used."""

import pytest

from tests.site.browser import HTML

pytestmark = pytest.mark.site

# Whether one sees which element has the focus: by an outline or a shadow, its own or its ::after's.
FOCUS_IS_SEEN = """
const element = document.activeElement;
return [null, "::after"].some((part) => {
  const style = getComputedStyle(element, part);
  const own = part === null && element.getBoundingClientRect().width > 0;
  const drawn = own || (part !== null && style.content !== "none");
  return drawn && (style.outlineStyle !== "none" || style.boxShadow !== "none");
});"""


@pytest.mark.parametrize("page", ["index.html", "lessons/ch05_unpooling.html"])
def test_every_stop_of_the_keyboard_is_seen_and_has_a_name(browser, page):
    from selenium.webdriver.common.keys import Keys

    browser.open(page)
    browser.find("body").send_keys(Keys.TAB)
    for stop in range(25):
        browser.driver.switch_to.active_element.send_keys(Keys.TAB)
        element = browser.driver.switch_to.active_element
        if element.tag_name == "body":  # behind the last one
            assert stop > 10
            break
        html = element.get_attribute("outerHTML")
        assert browser.js(FOCUS_IS_SEEN), html
        assert element.accessible_name, html


@pytest.mark.parametrize("lesson", ["ch02", "ch04", "ch05", "ch07"])
def test_the_explanations_of_a_lesson_are_ready(browser, lesson):
    (page,) = HTML.glob(f"lessons/{lesson}_*.html")
    browser.open(page.relative_to(HTML).as_posix())
    assert browser.all(".explain")
    browser.wait(lambda: all(e.get_attribute("data-ready") for e in browser.all(".explain")))
    assert browser.errors() == []
