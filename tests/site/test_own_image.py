"""The page "Your own image": what the browser answers is what `kerasseg predict` writes."""

import base64
import urllib.request
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from kerasseg.datasets.files import read_image
from kerasseg.inference import predict_image
from kerasseg.inference.resizing import resize_image
from kerasseg_command import main

pytestmark = pytest.mark.site

RESULTS = Path(__file__).parents[2] / "chapters" / "results"


@pytest.fixture
def page(browser):
    """The driver of the built page; afterwards no error was logged and no other server asked."""
    browser.open("own_image/index.html")
    browser.driver.set_script_timeout(120)
    yield browser.driver
    assert browser.errors() == []
    known = (browser.address, "data:", "blob:")
    assert [url for url in browser.requests() if not url.startswith(known)] == []


def done(driver, action):
    """Does something that makes the page predict; the words it says when it has."""
    driver.execute_script(
        "window.waiting = new Promise((resolve) => document.querySelector('.own-image')"
        ".addEventListener('own-image-done', resolve, {once: true}))"
    )
    action()
    driver.execute_async_script("window.waiting.then(() => arguments[0]())")
    return says(driver)


def says(driver):
    return driver.find_element("css selector", '[data-part="status"]').text


def choose(driver, name):
    driver.find_element("css selector", f'input[value="{name}"]').click()


def drop(driver, path):
    driver.find_element("css selector", 'input[type="file"]').send_keys(str(path))


def array(driver, expression, dtype):
    """A typed array of the page."""
    words = driver.execute_script(
        f"""const x = {expression}, bytes = new Uint8Array(x.buffer, x.byteOffset, x.byteLength);
            let words = "";
            for (let i = 0; i < bytes.length; i += 8192)
              words += String.fromCharCode(...bytes.subarray(i, i + 8192));
            return btoa(words);"""
    )
    return np.frombuffer(base64.b64decode(words), dtype)


def scene(shape):
    """Coloured waves with noise, uint8: of a size that no model was trained on."""
    y, x = np.mgrid[: shape[0], : shape[1]] / 20
    image = np.stack([np.sin(y), np.cos(x + y), np.sin(x)], -1) * 90 + 128
    noise = np.random.default_rng(0).normal(0, 9, image.shape)
    return Image.fromarray((image + noise).clip(0, 255).astype("uint8"))


@pytest.fixture
def photograph(tmp_path):
    scene((151, 203)).save(tmp_path / "photograph.png")
    return tmp_path / "photograph.png"


@pytest.fixture
def phone(tmp_path):
    """A photograph as phones write it: lying on its side, with a tag that says so."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    scene((420, 563)).save(tmp_path / "phone.jpg", quality=85, exif=exif)
    return tmp_path / "phone.jpg"


def models_of(kind):
    names = ("street_scenes", "nuclei", "photograph_denoising")
    there = [name for name in names if (RESULTS / name / "model.keras").exists()]
    return [name for name in there if (name == "photograph_denoising") == (kind == "image")]


def command(model, path, output):
    """The label map that `kerasseg predict` writes."""
    words = ["predict", RESULTS / model / "model.keras", path, "--output", output]
    assert main([str(word) for word in words]) == 0
    return np.asarray(Image.open(output / f"{path.stem}.png"))


@pytest.mark.parametrize("name", models_of("classes"))
@pytest.mark.parametrize("source", ["photograph", "phone", "example"])
def test_the_class_map_is_that_of_kerasseg_predict(page, browser, request, tmp_path, name, source):
    choose(page, name)
    if source == "example":
        path = tmp_path / "example.png"
        button = browser.find(".own-image-example")
        address = browser.find(".own-image-example img").get_attribute("src")
        with urllib.request.urlopen(address) as answer:
            path.write_bytes(answer.read())
        words = done(page, button.click)
    else:
        path = request.getfixturevalue(source)
        words = done(page, lambda: drop(page, path))
    assert words.startswith("Done in ")
    ids = array(page, "ownImage.last.ids", "uint8")

    expected = command(name, path, tmp_path / "maps")
    assert ids.size == expected.size
    assert len(np.unique(expected)) > 1
    assert np.mean(ids.reshape(expected.shape) == expected) >= 0.999
    shares = page.find_elements("css selector", '[data-part="shares"] tr')
    assert sum(float(row.text.split()[-2]) for row in shares) == pytest.approx(100, abs=0.6)


@pytest.mark.parametrize("name", models_of("image"))
def test_a_denoised_image_is_that_of_predict_image(page, name, photograph):
    choose(page, name)
    done(page, lambda: drop(page, photograph))
    given = array(page, "ownImage.last.given.data", "float32").reshape(151, 203, 1)
    clean = np.asarray(Image.open(photograph).convert("L"), "float32")[..., None]
    assert np.std(given - clean) == pytest.approx(25, rel=0.03)
    assert abs(np.mean(given - clean)) < 1
    restored = array(page, "ownImage.last.map.data", "float32").reshape(151, 203, 1)
    model = keras.saving.load_model(RESULTS / name / "model.keras")
    expected = predict_image(model, given / 255, output="raw")
    np.testing.assert_allclose(restored, expected, atol=1e-3)


@pytest.mark.parametrize("size", [(40, 55), (150, 170), (300, 31), (37, 53)])
def test_images_are_resized_as_the_command_does(page, rng, size):
    image = rng.integers(0, 256, (97, 61, 3)).astype("uint8")
    given = {"data": image.ravel().tolist(), "height": 97, "width": 61, "channels": 3}
    page.execute_script(
        "const [image, size] = arguments; window.resized = ownImage.resize(image, ...size, true)",
        given,
        size,
    )
    resized = array(page, "resized.data", "float32").reshape(*size, 3)
    difference = abs(resized - resize_image(image, size).astype("float32"))
    assert difference.max() <= 1  # of 255, where a sum ends next to a half
    assert np.mean(difference > 0) < 1e-3


def reading(image, path, driver, **options):
    """The file of an image, and its pixels as the page decodes them."""
    image.save(path, **options)
    driver.execute_async_script(
        """const [words, name, done] = arguments;
           const bytes = Uint8Array.from(atob(words), (letter) => letter.charCodeAt());
           ownImage.decode(new File([bytes], name)).then((image) => done(window.decoded = image));
        """,
        base64.b64encode(path.read_bytes()).decode(),
        path.name,
    )
    shape = driver.execute_script("return [decoded.height, decoded.width, 3]")
    return path, array(driver, "decoded.data", "uint8").reshape(shape)


@pytest.mark.parametrize(
    ("name", "mode", "options"),
    [
        ("a.jpg", "RGB", {"quality": 80}),
        ("a.jpg", "L", {"progressive": True}),
        ("a.jpg", "CMYK", {}),
        ("a.png", "P", {}),
        ("a.png", "RGBA", {}),
        ("a.webp", "RGB", {"quality": 80}),
        ("a.bmp", "RGB", {}),
    ],
)
def test_files_are_decoded_as_the_command_does(page, tmp_path, name, mode, options):
    image = scene((261, 74)).convert(mode)  # two strips
    path, decoded = reading(image, tmp_path / name, page, **options)
    np.testing.assert_array_equal(decoded, read_image(path))


def test_the_colour_profile_of_a_file_is_left_aside(page, tmp_path):
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = profile.index(b"rXYZ"), profile.index(b"bXYZ")
    profile[red : red + 4], profile[blue : blue + 4] = b"bXYZ", b"rXYZ"
    path, decoded = reading(scene((20, 30)), tmp_path / "a.png", page, icc_profile=bytes(profile))
    np.testing.assert_array_equal(decoded, read_image(path))


def sentence(driver):
    """The error that the page shows, as soon as it does."""
    from selenium.webdriver.support.ui import WebDriverWait

    found = WebDriverWait(driver, 20).until(
        lambda driver: driver.find_element("css selector", ".own-image-error")
    )
    assert not driver.find_element("css selector", '[data-part="result"]').is_displayed()
    return found.text


def test_what_is_no_image_is_one_sentence(page, photograph, tmp_path):
    done(page, lambda: drop(page, photograph))  # its result must not stay
    (tmp_path / "notes.png").write_text("no image")
    drop(page, tmp_path / "notes.png")
    assert sentence(page) == (
        "notes.png is not an image that this browser reads. Save it as PNG or JPEG."
    )


def test_a_transparent_image_is_one_sentence(page, photograph):
    image = Image.open(photograph).convert("RGBA")
    image.putpixel((5, 7), (1, 2, 3, 0))
    image.save(photograph)
    drop(page, photograph)
    assert sentence(page) == (
        "photograph.png is partly transparent. Save it without an alpha channel."
    )


def test_a_browser_without_webassembly_is_one_sentence(page, photograph):
    page.execute_script("delete window.WebAssembly")
    drop(page, photograph)
    assert sentence(page) == (
        "This browser has no WebAssembly, which runs the model. Update the browser."
    )


def test_a_model_that_does_not_load_is_one_sentence(page, photograph):
    page.execute_cdp_cmd("Network.enable", {})
    page.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["*.onnx"]})
    try:
        drop(page, photograph)
        assert sentence(page).startswith("The model did not load: ")
        assert sentence(page).endswith(" Reload the page.")
    finally:
        page.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})
    page.get_log("browser")  # the blocked request


def test_a_file_is_dropped_on_the_zone_and_does_nothing_beside_it(page):
    kept, before, after = page.execute_async_script(
        """const answer = arguments[0], transfer = new DataTransfer();
           const find = (name) => document.querySelector(`[data-part="${name}"]`);
           const options = {dataTransfer: transfer, bubbles: true, cancelable: true};
           document.createElement("canvas").toBlob((blob) => {
             transfer.items.add(new File([blob], "dropped.png"));
             const kept = !document.body.dispatchEvent(new DragEvent("drop", options));
             const before = find("status").textContent;
             find("zone").dispatchEvent(new DragEvent("drop", options));
             answer([kept, before, find("status").textContent]);
           });"""
    )
    assert kept
    assert after == "Reading the image …" != before


def test_of_two_images_in_haste_the_second_is_shown(page, photograph, phone):
    def both():
        drop(page, phone)
        drop(page, photograph)

    done(page, both)
    page.execute_async_script("setTimeout(arguments[0], 1000)")
    assert page.execute_script("return [ownImage.last.height, ownImage.last.width]") == [151, 203]


@pytest.mark.parametrize("name", models_of("image"))
def test_a_large_image_is_scaled_and_the_page_says_so(page, name, tmp_path):
    scene((600, 801)).save(tmp_path / "large.png")
    choose(page, name)
    words = done(page, lambda: drop(page, tmp_path / "large.png"))
    height, width = page.execute_script("return [ownImage.last.height, ownImage.last.width]")
    assert f"It was scaled to {width} × {height}" in words
    assert height * width <= 2**18
    assert height / width == pytest.approx(600 / 801, abs=0.01)


def test_the_page_works_by_keyboard_and_fits_on_a_phone(page, browser):
    from selenium.webdriver.common.keys import Keys

    browser.resize(360)
    example = page.find_element("css selector", ".own-image-example")
    done(page, lambda: example.send_keys(Keys.ENTER))
    over = page.find_element("css selector", '[data-part="over"]')
    before = float(over.value_of_css_property("opacity"))
    page.find_element("css selector", '[data-part="slider"]').send_keys(Keys.ARROW_LEFT)
    assert float(over.value_of_css_property("opacity")) < before
    assert page.execute_script("return document.documentElement.scrollWidth") <= 360
    assert "%" in over.get_attribute("aria-label")


@pytest.mark.parametrize("name", models_of("classes")[:1])
def test_the_image_itself_is_a_slider(page, browser, photograph, name):
    from selenium.webdriver.common.action_chains import ActionChains

    choose(page, name)
    done(page, lambda: drop(page, photograph))
    over, slider = browser.find('[data-part="over"]'), browser.find('[data-part="slider"]')
    quarter = -over.size["width"] // 4
    ActionChains(page).move_to_element_with_offset(over, quarter, 0).click_and_hold().perform()
    assert float(slider.get_attribute("value")) == pytest.approx(25, abs=2)
    ActionChains(page).move_by_offset(-quarter, 0).release().perform()
    assert float(slider.get_attribute("value")) == pytest.approx(50, abs=2)
    assert float(over.value_of_css_property("opacity")) == pytest.approx(0.5, abs=0.02)
