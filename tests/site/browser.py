"""Chromium with a static server of the built site, for the tests marked `site`.

`Browser.open` forgets what went before; afterwards `errors()` has what the console says, and
`requests()` every address that was asked for, with the bytes that came.
"""

import functools
import http.server
import json
import shutil
import threading
from contextlib import contextmanager
from pathlib import Path

HTML = Path(__file__).parents[2] / "docs" / "_build" / "html"


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@contextmanager
def served(folder=HTML):
    """The address of a server of a folder, on this machine alone."""
    handler = functools.partial(QuietHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


class Browser:
    """A driver of headless Chromium, with `driver` for all that Selenium can do."""

    def __init__(self, profile, address):
        from selenium import webdriver

        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu"):
            options.add_argument(argument)
        options.add_argument("--disable-background-networking")
        options.add_argument(f"--user-data-dir={profile}")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        service = webdriver.ChromeService(shutil.which("chromedriver"))
        self.driver = webdriver.Chrome(options, service)
        self.address = address
        self.driver.execute_cdp_cmd("Network.setCacheDisabled", {"cacheDisabled": True})

    def open(self, page, width=1280, theme="light"):
        """Opens a page by its path from the root of the site, as a reader does for the first time.

        Args:
            page: Such as `"lessons/ch05_unpooling.html"`.
            width: Of the window, in pixels.
            theme: `"light"` or `"dark"`: what the system asks for.
        """
        self.resize(width)
        wishes = {"prefers-color-scheme": theme, "prefers-reduced-motion": "reduce"}
        features = [{"name": name, "value": value} for name, value in wishes.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        self.driver.get("about:blank")
        for log in ("browser", "performance"):
            self.driver.get_log(log)
        self.driver.get(f"{self.address}/{page}")
        return self

    def resize(self, width, height=900):
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def use_theme(self, theme):
        """Switches the open page to its light or dark colours."""
        self.js("document.documentElement.dataset.theme = arguments[0]", theme)

    def js(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def wait(self, condition, seconds=20):
        """Waits until `condition()` is true, and returns what it gives."""
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, seconds).until(lambda _: condition())

    def errors(self):
        """Warnings and errors in the console since `open`."""
        entries = self.driver.get_log("browser")
        return [entry["message"] for entry in entries if entry["level"] in ("WARNING", "SEVERE")]

    def requests(self):
        """{address: bytes that came} since `open`."""
        addresses, sizes = {}, {}
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            event, values = message["method"], message["params"]
            if event == "Network.requestWillBeSent":
                addresses[values["requestId"]] = values["request"]["url"]
            elif event == "Network.loadingFinished":
                sizes[values["requestId"]] = values["encodedDataLength"]
        return {address: sizes.get(number, 0) for number, address in addresses.items()}

    def find(self, selector):
        return self.driver.find_element("css selector", selector)

    def all(self, selector):
        return self.driver.find_elements("css selector", selector)
