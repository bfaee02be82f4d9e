"""Writes `NAME.png`, what a page shows of each explanation where scripts do not run.

`python docs/explain/make_pictures.py` needs Chromium and Selenium. The pictures are committed.
"""

import io
import shutil
import tempfile
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

HERE = Path(__file__).parent
NAMES = ("transposed_convolution", "pooling", "receptive_field", "align_corners", "vae_plane")
WIDTH = 740


def screenshot(driver, name):
    driver.get((HERE / f"{name}.html").as_uri())
    place = driver.find_element("css selector", ".explain")
    WebDriverWait(driver, 20).until(lambda _: place.get_attribute("data-ready"))
    panels = driver.find_element("css selector", ".explain-panels")
    image = Image.open(io.BytesIO(panels.screenshot_as_png)).convert("RGB")
    image.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(
        HERE / f"{name}.png", optimize=True
    )


def main():
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for argument in (
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--window-size={WIDTH},1200",
            f"--user-data-dir={profile}",
        ):
            options.add_argument(argument)
        driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
        for name in NAMES:
            screenshot(driver, name)
        driver.quit()


if __name__ == "__main__":
    main()
