"""The interactive explanations: their arithmetic is kerasseg's, and each works when operated.

Every page is opened from its file, as a reader without a server would.
"""

import base64
import importlib.util
import itertools
import os
import re
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from kerasseg import models, palette
from kerasseg.anatomy import effective_receptive_field, receptive_field
from kerasseg.initializers import Bilinear
from kerasseg.layers import (
    AtrousConv2D,
    AverageUnpooling2D,
    BilinearUpsampling2D,
    MaxPoolingWithArgmax2D,
    MaxUnpooling2D,
)
from tests.site.browser import Browser

pytestmark = pytest.mark.site

EXPLAIN = Path(__file__).parents[2] / "docs" / "explain"
NAMES = ("transposed_convolution", "pooling", "receptive_field", "align_corners", "vae_plane")
WIDTHS = (360, 1280)
THEMES = ("light", "dark")


class Page(Browser):
    """A browser of the explanations' own pages, without a server."""

    def explanation(self, name, **arguments):
        from selenium.webdriver.support.ui import WebDriverWait

        self.open(f"{name}.html", **arguments)
        place = self.find(".explain")
        WebDriverWait(self.driver, 20).until(lambda _: place.get_attribute("data-ready"))
        return self

    def panel(self, title):
        """What is drawn under a title that starts like this."""
        return self.js(
            """const figures = [...document.querySelectorAll(".explain-panel")];
               return figures.find(f => f.textContent.startsWith(arguments[0]))
                 .querySelector("svg, canvas")""",
            title,
        )

    def numbers(self, title):
        """The numbers that a grid shows."""
        texts = self.js(
            """return [...arguments[0].querySelectorAll("g:has(> [data-row])")].map(row =>
                 [...row.children].map(cell => cell.textContent))""",
            self.panel(title),
        )
        return np.array([[number(text) for text in row] for row in texts])

    def says(self, part=""):
        return self.find(f".explain-says {part}").text

    def slider(self, label):
        return self.find(f'input[aria-label="{label}"]')

    def press(self, element, *keys):
        element.send_keys(*keys)

    def move(self, element, *places, kind="mouse"):
        """Presses at the first (x, y) from the element's corner, moves to the others, lets go."""
        from selenium.webdriver.common.actions.action_builder import ActionBuilder
        from selenium.webdriver.common.actions.pointer_input import PointerInput

        self.js("arguments[0].scrollIntoView({block: 'center'})", element)
        box = self.js("return arguments[0].getBoundingClientRect().toJSON()", element)
        builder = ActionBuilder(self.driver, mouse=PointerInput(kind, kind), duration=20)
        pointer = builder.pointer_action
        for i, (x, y) in enumerate(places):
            pointer.move_to_location(max(round(box["x"] + x), 1), max(round(box["y"] + y), 1))
            if i == 0:
                pointer.pointer_down()
        pointer.pointer_up()
        builder.perform()

    def middle(self, element):
        box = self.js("return arguments[0].getBoundingClientRect().toJSON()", element)
        return box["width"] / 2, box["height"] / 2

    def tap(self, element, kind="mouse"):
        self.move(element, self.middle(element), kind=kind)

    def tap_cell(self, title, row, column, kind="mouse"):
        cell = f'[data-row="{row}"][data-column="{column}"]'
        self.tap(self.panel(title).find_element("css selector", cell), kind)


def number(text):
    return float(text.replace("−", "-"))


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    page = Page(tmp_path_factory.mktemp("profile"), EXPLAIN.as_uri())
    yield page
    page.driver.quit()


@pytest.fixture(scope="module")
def compute(page):
    """`compute("name.function", ...)` calls a function of an explanation in the browser."""

    def call(function, *arguments):
        name = function.split(".")[0]
        if not page.driver.current_url.endswith(f"/{name}.html"):
            page.explanation(name)
        return page.js(f"return explain.{function}(...arguments)", *arguments)

    return call


def channels_last(rows):
    return np.asarray(rows, "float32")[None, :, :, None]


def plain(x):
    return ops.convert_to_numpy(x)[0, :, :, 0]


class TestTransposedConvolution:
    @pytest.mark.parametrize("stride", [1, 2, 3])
    @pytest.mark.parametrize("kernel_size", [(2, 3), (4, 1), (5, 6)])
    def test_stamps_add_up_to_what_conv_transpose_computes(self, compute, rng, kernel_size, stride):
        x, kernel = rng.integers(-9, 10, (3, 4)), rng.integers(-9, 10, kernel_size)
        output = compute("transposed_convolution.compute", x.tolist(), kernel.tolist(), stride)
        kernel = kernel[:, :, None, None].astype("float32")
        truth = plain(ops.conv_transpose(channels_last(x), kernel, stride, padding="valid"))
        rows, columns = np.shape(output)
        assert (rows, columns) == tuple((n - 1) * stride + k for n, k in zip(x.shape, kernel_size))
        np.testing.assert_allclose(output, truth[:rows, :columns])
        truth[:rows, :columns] = 0
        assert not truth.any()  # further rows and columns lead up to the next stamp

    @pytest.mark.parametrize("size", range(1, 7))
    def test_the_tent_is_the_bilinear_initializer(self, compute, size):
        weights = compute("transposed_convolution.weightsOf", "tent", size)
        truth = ops.convert_to_numpy(Bilinear()((size, size, 1, 1)))[:, :, 0, 0]
        np.testing.assert_allclose(np.outer(weights, weights), truth, rtol=1e-6)

    @pytest.mark.parametrize("stride", range(1, 5))
    @pytest.mark.parametrize("kernel", range(1, 7))
    def test_the_verdict_is_what_a_long_flat_row_becomes(self, compute, kernel, stride):
        weights = compute("transposed_convolution.weightsOf", "uneven", kernel)
        sums = compute("transposed_convolution.sums", weights, stride)
        taps = np.reshape(weights, (-1, 1, 1)).astype("float32")
        row = ops.conv_transpose(np.ones((1, 20, 1), "float32"), taps, stride, padding="valid")
        row = ops.convert_to_numpy(row)[0, :, 0]
        np.testing.assert_allclose(row[8 * stride : 9 * stride], sums, rtol=1e-6)

    def check(self, page, kernel, stride):
        side = 4 * stride + kernel
        ones = np.ones((kernel, kernel, 1, 1), "float32")
        truth = ops.conv_transpose(channels_last(np.ones((5, 5))), ones, stride, "valid")
        np.testing.assert_array_equal(
            page.numbers("All rows and columns"), plain(truth)[:side, :side]
        )
        row = ops.conv_transpose(np.ones((1, 5, 1), "float32"), ones[0], stride, "valid")
        sums = [number(x.text) for x in page.all("[data-sum]")]
        np.testing.assert_array_equal(sums, ops.convert_to_numpy(row)[0, :side, 0])
        assert f"Kernel {kernel}, stride {stride}" in page.says()

    def test_the_overlap_map_is_that_of_the_sliders(self, page):
        from selenium.webdriver import Keys

        page.explanation("transposed_convolution")
        self.check(page, 3, 2)
        assert "does not divide" in page.says()
        assert "1, 2 or 4 stamps: a checkerboard" in page.says()
        page.press(page.slider("kernel"), Keys.ARROW_RIGHT)
        self.check(page, 4, 2)
        assert "gets 4 stamps: flat stays flat" in page.says()
        page.press(page.slider("stride"), Keys.END)
        self.check(page, 4, 4)
        page.press(page.slider("kernel"), Keys.HOME)
        self.check(page, 1, 4)

    @pytest.mark.parametrize("kind", ["mouse", "touch"])
    def test_the_handles_are_dragged(self, page, kind):
        page.explanation("transposed_convolution", width=360)
        drawing = page.panel("One row")
        self.drag(page, drawing, "kernel", 2, kind)
        self.check(page, 5, 2)
        self.drag(page, drawing, "stride", 1, kind)
        self.check(page, 5, 3)
        self.drag(page, drawing, "kernel", -9, kind)
        self.check(page, 1, 3)

    def drag(self, page, drawing, name, cells, kind):
        handle = drawing.find_element("css selector", f'[data-handle="{name}"]')
        unit = int(drawing.get_attribute("data-unit"))
        x, y = page.middle(handle)
        page.move(handle, (x, y), (x + cells * unit / 2, y), (x + cells * unit, y), kind=kind)

    def test_a_cell_tells_which_stamps_reach_it(self, page):
        from selenium.webdriver import Keys

        page.explanation("transposed_convolution")
        page.tap_cell("All rows and columns", 2, 3)
        assert "Output (row 2, column 3) = 2, of 2 stamps: 2 rows × 1 columns" in page.says()
        page.press(page.panel("All rows and columns"), Keys.ARROW_RIGHT)
        assert "Output (row 2, column 4) = 4, of 4 stamps: 2 rows × 2 columns" in page.says()

    def test_even_counts_of_uneven_weights_are_a_checkerboard(self, page):
        from selenium.webdriver import Keys

        page.explanation("transposed_convolution")
        page.press(page.slider("kernel"), Keys.ARROW_RIGHT)
        for kind, verdict in (("uneven", "checkerboard"), ("tent", "gets 1 as the sum")):
            page.js(f"document.querySelector('input[value={kind}]').click()")
            assert verdict in page.says()


class TestPooling:
    MAPS = ("4 × 6", "5 × 7")

    @pytest.mark.parametrize("padding", ["valid", "same"])
    @pytest.mark.parametrize("size", [2, 3])
    @pytest.mark.parametrize("shape", [(4, 6), (5, 7), (7, 5), (3, 3)])
    def test_all_maps_are_those_of_the_layers(self, compute, rng, shape, size, padding):
        x = rng.integers(-3, 4, shape)  # so few values that many windows have equal ones
        self.check(compute("pooling.compute", x.tolist(), size, padding), x, size, padding)

    def check(self, found, x, size, padding):
        x = channels_last(x)
        pooled, mask = MaxPoolingWithArgmax2D(size, padding=padding)(x)
        unpooled = MaxUnpooling2D(size, padding=padding)(pooled, mask, x)
        copied = AverageUnpooling2D(size)(pooled)
        truth = {"pooled": pooled, "mask": mask, "unpooled": unpooled, "copied": copied}
        for name, values in truth.items():
            np.testing.assert_array_equal(found[name], plain(values), err_msg=name)

    def check_shown(self, page, size=2, padding="valid"):
        titles = ("pooled", "mask", "max unpooling", "average unpooling")
        names = ("pooled", "mask", "unpooled", "copied")
        found = {name: page.numbers(title) for name, title in zip(names, titles)}
        self.check(found, page.numbers("map"), size, padding)

    def test_ties_go_to_the_first_and_negative_windows_to_the_largest(self, compute):
        found = compute("pooling.compute", [[3, 3, -2, -1], [3, 0, -1, -4]], 2, "valid")
        assert (found["pooled"], found["mask"]) == ([[3, -1]], [[0, 1]])
        assert found["unpooled"] == [[3, 0, 0, -1], [0, 0, 0, 0]]

    @pytest.mark.parametrize("kind", ["mouse", "touch"])
    def test_a_number_is_selected_and_changed(self, page, kind):
        page.explanation("pooling", width=360)
        self.check_shown(page)
        page.tap_cell("map", 3, 3, kind)
        assert page.says().startswith("Window 5 of 6 holds 4, 4, 1, 4. The largest is 4, several")
        for _ in range(2):
            page.tap(page.find('button[aria-label^="increase"]'), kind)
        assert page.numbers("map")[3, 3] == 6
        assert page.numbers("mask")[1, 1] == 3
        self.check_shown(page)
        for _ in range(8):
            page.tap(page.find('button[aria-label^="decrease"]'), kind)
        assert page.numbers("map")[3, 3] == -2
        self.check_shown(page)

    def test_the_keyboard_moves_and_changes(self, page):
        from selenium.webdriver import Keys

        page.explanation("pooling")
        grid = page.panel("map")
        page.press(grid, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_UP, "8")
        assert page.numbers("map")[0, 3] == 8
        assert page.numbers("mask")[0, 1] == 1
        page.press(grid, "-", "-", "+", "+", "+")
        assert page.numbers("map")[0, 3] == 9
        self.check_shown(page)
        active = page.find("#" + grid.get_attribute("aria-activedescendant"))
        assert active.get_attribute("aria-label") == "row 0, column 3: 9"

    @pytest.mark.parametrize("name", MAPS)
    def test_every_window_can_be_visited(self, page, name):
        from selenium.webdriver import Keys

        page.explanation("pooling")
        for size, padding in ((3, "valid"), (2, "same")):
            for value in (name, str(size), padding):
                page.js(f"document.querySelector('input[value=\"{value}\"]').click()")
            self.check_shown(page, size, padding)
            count = page.numbers("pooled").size
            step = page.slider("step through the windows")
            page.press(step, Keys.END)
            assert page.says().startswith(f"Window {count} of {count}")
            page.press(step, Keys.HOME, Keys.ARROW_RIGHT)
            assert page.says().startswith(f"Window 2 of {count}")
            pooled, mask = page.numbers("pooled").ravel()[1], page.numbers("mask").ravel()[1]
            said = re.search(r"largest is (\S+?),? .*at position (\d)", page.says())
            assert (number(said[1]), number(said[2])) == (pooled, mask)


# kernel, stride, rate of each layer
STACKS = {
    "three of three": [(3, 1, 1)] * 3,
    "strides": [(3, 2, 1), (2, 2, 1), (5, 3, 1)],
    "rates": [(3, 1, 1), (3, 1, 2), (3, 1, 4)],
    "equal rates": [(3, 1, 2)] * 3,
    "gaps": [(2, 3, 1), (1, 2, 1), (3, 1, 2)],
    "even kernels": [(4, 1, 3), (2, 2, 1), (6, 1, 1)],
}


def as_layers(stack):
    return [dict(zip(("kernel", "stride", "rate"), layer)) for layer in stack]


def network(stack, height, width):
    """Convolutions of ones, so that the gradient counts the ways from a pixel to the output."""
    x = image = keras.Input((height, width, 1))
    ones = {"padding": "same", "use_bias": False, "kernel_initializer": "ones"}
    for kernel, stride, rate in stack:
        if rate > 1:
            x = AtrousConv2D(1, kernel, rate=rate, **ones)(x)
        else:
            x = keras.layers.Conv2D(1, kernel, stride, **ones)(x)
    return keras.Model(image, x)


def make_data():
    spec = importlib.util.spec_from_file_location("make_data", EXPLAIN / "make_data.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class TestReceptiveField:
    SIZE = (31, 46)

    @pytest.mark.parametrize("name", STACKS)
    def test_the_field_is_that_of_anatomy(self, compute, name):
        model = network(STACKS[name], *self.SIZE)
        for unit in ((0, 0), tuple(n - 1 for n in model.output_shape[1:3]), (1, 2)):
            found = compute("receptive_field.compute", *self.SIZE, as_layers(STACKS[name]), unit)
            truth = [
                x if isinstance(x, tuple) else (x, x) for x in receptive_field(model, unit=unit)
            ]
            assert [found[key] for key in ("size", "stride", "offset")] == [list(x) for x in truth]
            assert found["map"] == list(model.output_shape[1:3])
            for axis in (0, 1):
                size, stride, offset = (x[axis] for x in truth)
                assert found["first"][axis] == stride * unit[axis] + offset
                assert found["last"][axis] == found["first"][axis] + size - 1

    @pytest.mark.parametrize("name", STACKS)
    def test_the_ways_are_the_gradient_of_weights_of_one(self, compute, name):
        model = network(STACKS[name], *self.SIZE)
        unit = [n // 2 for n in model.output_shape[1:3]]
        found = compute("receptive_field.compute", *self.SIZE, as_layers(STACKS[name]), unit)
        ways = np.zeros(self.SIZE)
        inside = [
            [(at, n) for at, n in enumerate(found["paths"][axis], found["first"][axis])]
            for axis in (0, 1)
        ]
        for (row, ways_of_row), (column, ways_of_column) in itertools.product(*inside):
            if 0 <= row < self.SIZE[0] and 0 <= column < self.SIZE[1]:
                ways[row, column] = ways_of_row * ways_of_column
            else:
                assert not ways_of_row * ways_of_column
        image = np.ones((1, *self.SIZE, 1), "float32")
        truth = effective_receptive_field(model, image)
        np.testing.assert_allclose(ways / ways.sum(), truth, atol=1e-6)

    def test_the_presets_are_the_layers_of_vgg16(self, page, compute):
        data = page.explanation("receptive_field").js("return explain.data.receptive_field_data")
        assert data["presets"] == make_data().vgg_stages()
        assert [data["presets"][4][key] for key in ("size", "stride")] == [212, 32]
        for preset in data["presets"]:
            size = data["height"], data["width"]
            found = compute("receptive_field.compute", *size, preset["layers"], [0, 0])
            for key in ("size", "stride", "offset"):
                assert found[key] == [preset[key]] * 2

    @pytest.mark.parametrize("kind", ["mouse", "touch"])
    def test_a_click_selects_the_output_at_this_place(self, page, kind):
        page.explanation("receptive_field", width=1280)
        canvas = page.panel("Click the photograph")
        page.move(canvas, (200, 100), kind=kind)
        said = page.says()
        assert "Output (row 6, column 12) of a map of 18 × 28 sees 31 × 31 pixels" in said
        model = network([(3, 2, 1)] * 4, 288, 448)
        size, stride, offset = receptive_field(model, unit=(6, 12))
        assert f"rows {6 * stride + offset} to {6 * stride + offset + size - 1}," in said
        assert f"columns {12 * stride + offset} to {12 * stride + offset + size - 1}." in said
        page.move(canvas, (200, 100), (300, 200), kind=kind)
        assert "Output (row 12, column 18)" in page.says()

    def test_arrow_keys_move_to_the_neighbour(self, page):
        from selenium.webdriver import Keys

        page.explanation("receptive_field")
        canvas = page.panel("Click the photograph")
        page.press(canvas, Keys.ARROW_DOWN, Keys.ARROW_LEFT)
        assert "Output (row 8, column 10) of" in page.says()
        page.press(canvas, *[Keys.ARROW_LEFT] * 20)
        assert "Output (row 8, column 0) of" in page.says()

    def test_sliders_and_presets_change_the_network(self, page):
        from selenium.webdriver import Keys
        from selenium.webdriver.support.ui import Select

        page.explanation("receptive_field")
        page.press(page.slider("dilation"), Keys.ARROW_RIGHT)  # instead of the stride
        assert "map of 288 × 448 sees 17 × 17 pixels" in page.says()
        assert page.slider("stride").get_attribute("value") == "1"
        reached = 100 * (9 / 17) ** 2
        assert f"only {reached:.1f} % of the pixels" in page.says()
        page.press(page.slider("kernel"), Keys.END)
        page.press(page.slider("layers"), Keys.HOME)
        assert "sees 13 × 13 pixels" in page.says()

        select = Select(page.find("select"))
        for stage, (size, stride) in enumerate(((6, 2), (16, 4), (44, 8), (100, 16), (212, 32)), 1):
            select.select_by_visible_text(f"VGG-16, stage {stage}")
            assert f"sees {size} × {size} pixels" in page.says()
            assert f"one output every {stride} pixels" in page.says()
        select.select_by_visible_text("VGG-16 without poolings")
        assert "sees 27 × 27 pixels" in page.says()
        fields = [number(x.get_attribute("data-field")) for x in page.all("[data-field]")]
        assert fields == list(range(1, 28, 2))


class TestAlignCorners:
    @pytest.mark.parametrize("align_corners", [False, True])
    @pytest.mark.parametrize("sizes", [(2, 4), (3, 7), (5, 5), (6, 16), (4, 3), (6, 2)])
    def test_values_are_those_of_the_layer(self, compute, rng, sizes, align_corners):
        old, new = sizes
        values = rng.uniform(0, 100, old)
        found = compute("align_corners.compute", values.tolist(), new, align_corners)
        layer = BilinearUpsampling2D(align_corners=align_corners)
        truth = layer(channels_last([values]), np.zeros((1, 1, new, 1)))
        np.testing.assert_allclose([x["value"] for x in found], plain(truth)[0], rtol=1e-5)
        i = np.arange(new)
        centres = i * (old - 1) / (new - 1) if align_corners else (i + 0.5) * old / new - 0.5
        np.testing.assert_allclose([x["centre"] for x in found], centres)

    def check(self, page, values, new):
        for name, align_corners in (("squares", False), ("points", True)):
            cells = page.all(f'[data-convention="{name}"] td')
            layer = BilinearUpsampling2D(align_corners=align_corners)
            truth = plain(layer(channels_last([values]), np.zeros((1, 1, new, 1))))[0]
            np.testing.assert_allclose([number(x.text) for x in cells], truth, atol=0.0051)

    def test_sliders_change_both_grids(self, page):
        from selenium.webdriver import Keys

        page.explanation("align_corners")
        self.check(page, [20, 80, 40], 6)
        assert "new pixel 1 lies at (1 + ½) · 3/6 − ½ = 0.25" in page.says()
        assert "0.75 · 20 + 0.25 · 80 = 35." in page.says()
        assert "new pixel 1 lies at 1 · (3 − 1) / (6 − 1) = 0.4" in page.says()
        page.press(page.slider("old pixels"), Keys.END)
        page.press(page.slider("new pixels"), Keys.END)
        self.check(page, [20, 80, 40, 60, 10, 90], 16)
        page.press(page.slider("look at new pixel"), Keys.END)
        assert "new pixel 15 lies at (15 + ½) · 6/16 − ½ = 5.31, outside" in page.says()

    @pytest.mark.parametrize("kind", ["mouse", "touch"])
    def test_values_are_dragged_and_new_pixels_selected(self, page, kind):
        page.explanation("align_corners", width=360)
        drawing = page.panel("One row")
        value = drawing.find_element("css selector", '[data-old="1"] circle')
        x, y = page.middle(value)
        page.move(value, (x, y), (x, y + 30), (x, y + 60), kind=kind)  # 120 pixels are 100
        self.check(page, [20, 30, 40], 6)
        page.tap(drawing.find_element("css selector", '[data-new="5"] circle'), kind)
        assert "As squares, new pixel 5" in page.says()

    def test_arrow_keys_change_the_chosen_value(self, page):
        from selenium.webdriver import Keys

        page.explanation("align_corners")
        page.press(page.panel("One row"), Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_UP)
        self.check(page, [20, 80, 45], 6)
        page.press(page.panel("One row"), *[Keys.ARROW_DOWN] * 20)
        self.check(page, [20, 80, 0], 6)


@pytest.fixture(scope="module")
def decoder():
    """The decoder of `kerasseg.models.vae` with the weights of `vae_digits.js`."""
    text = (EXPLAIN / "vae_digits.js").read_text()
    weights = [
        np.frombuffer(base64.b64decode(value), "<f4")
        for value in re.findall(r'"(?:kernel|bias)":"(.*?)"', text)
    ]
    _, decoder = models.split_autoencoder(models.vae((16, 16, 1), 2, filters=(16, 32)))
    decoder.set_weights([np.reshape(x, w.shape) for x, w in zip(weights, decoder.weights)])
    return decoder


class TestVAEPlane:
    @pytest.mark.parametrize("code", [(0, 0), (1.5, -0.75), (-2.5, 2.5), (0.35, 2.2), (-0.1, -1)])
    def test_the_decoder_draws_what_keras_draws(self, decoder, compute, code):
        truth = plain(decoder(np.array([code], "float32")))
        np.testing.assert_allclose(compute("vae_plane.compute", code), truth, atol=1e-4)

    def check(self, page, decoder, code, theme="light"):
        """The canvas shows what Keras draws, between paper and ink."""
        said = re.match(r"Code \((\S+), (\S+)\)\.", page.says())
        assert (number(said[1]), number(said[2])) == pytest.approx(code)
        shown = page.js(
            """const context = arguments[0].getContext("2d"), rows = [];
               for (let y = 6; y < 208; y += 13) { rows.push([]);
                 for (let x = 6; x < 208; x += 13)
                   rows.at(-1).push(context.getImageData(x, y, 1, 1).data[0]); }
               return rows""",
            page.panel("What the decoder draws"),
        )
        paper, ink = {"light": (0xFF, 0x22), "dark": (0x1B, 0xEE)}[theme]
        truth = plain(decoder(np.array([code], "float32")))
        np.testing.assert_allclose(shown, paper + (ink - paper) * truth, atol=1)

    @pytest.mark.parametrize("kind", ["mouse", "touch"])
    @pytest.mark.parametrize("theme", THEMES)
    def test_the_ring_is_dragged(self, page, decoder, kind, theme):
        page.explanation("vae_plane", theme=theme)
        plane = page.panel("The plane")
        page.move(plane, (80, 80), kind=kind)  # 400 pixels are 5
        self.check(page, decoder, (-1.5, 1.5), theme)
        page.move(plane, (200, 200), (250, 180), (300, 160), kind=kind)
        self.check(page, decoder, (1.25, 0.5), theme)
        page.move(plane, (200, 200), (200, -100), kind=kind)
        self.check(page, decoder, (0, 2.5), theme)

    def test_arrow_keys_and_sliders_move_the_ring(self, page, decoder):
        from selenium.webdriver import Keys

        page.explanation("vae_plane")
        page.press(page.panel("The plane"), Keys.ARROW_LEFT, Keys.ARROW_UP, Keys.ARROW_UP)
        self.check(page, decoder, (0.7, 0.8))
        page.press(page.slider("first number"), Keys.HOME)
        self.check(page, decoder, (-2.5, 0.8))
        page.press(page.slider("second number"), Keys.ARROW_RIGHT)
        self.check(page, decoder, (-2.5, 0.85))

    def test_the_nearest_test_digits_are_named(self, page, compute):
        codes = page.explanation("vae_plane").js("return explain.data.vae_digits.codes")
        codes = np.array(codes)
        assert codes.shape == (300, 3)
        distance = np.abs(codes[:, :2] - (0.8, 0.6)) ** 2 @ np.ones(2)
        digits, votes = np.unique(codes[np.argsort(distance)[:9], 2], return_counts=True)
        found = compute("vae_plane.nearest", [0.8, 0.6])
        assert sorted(map(tuple, found)) == list(zip(digits, votes))
        first, count = found[0]
        assert f"The nearest test digits are {first} ({count} of 9)" in page.says()


class TestAllOfThem:
    @pytest.mark.parametrize("name", NAMES)
    def test_a_page_of_any_width_and_theme_can_be_read(self, page, name):
        """No scrolling sideways, no error, and contrasts of 4.5 to 1, as WCAG's level AA asks."""
        script = (Path(__file__).parent / "explain_contrasts.js").read_text()
        for width, theme in itertools.product(WIDTHS, THEMES):
            page.explanation(name, width=width, theme=theme)
            wide = page.js("return [document.documentElement.scrollWidth, innerWidth]")
            assert wide[0] <= wide[1], (width, theme)
            assert page.errors() == []
            ratios = page.js(script)
            assert len(ratios) > 10
            assert [entry for entry in ratios if entry[1] < 4.5] == []

    @pytest.mark.parametrize("name", NAMES)
    def test_the_keyboard_reaches_every_control_and_shows_where_it_is(self, page, name):
        from selenium.webdriver import ActionChains, Keys

        page.explanation(name)
        controls = "button, input:not([type=radio]), input:checked, select, [tabindex='0']"
        expected = page.js(f"return document.querySelectorAll(`{controls}`).length")
        seen = []
        for _ in range(expected):
            ActionChains(page.driver).send_keys(Keys.TAB).perform()
            focused = page.js("return document.activeElement")
            seen.append(focused.id or focused.accessible_name)
            assert focused.accessible_name, focused.get_attribute("outerHTML")
            outline = page.js(
                """const focused = document.activeElement;
                   return getComputedStyle(focused.type === "radio"
                     ? focused.nextElementSibling : focused).outlineStyle"""
            )
            assert outline == "solid", focused.get_attribute("outerHTML")
        assert len(set(seen)) == expected

    def test_the_image_stays_where_there_is_no_script(self, page, tmp_path):
        text = (EXPLAIN / "pooling.html").read_text().replace('explain="pooling"', 'explain="none"')
        path = tmp_path / "page.html"
        path.write_text(text.replace('"explain.', f'"{EXPLAIN.as_uri()}/explain.'))
        page.open(os.path.relpath(path, EXPLAIN))
        page.js("return new Promise(resolve => setTimeout(resolve, 300))")
        assert page.find(".explain img").get_attribute("alt").startswith("A map of 4 x 6")
        assert any("none.js" in message for message in page.errors())

    def test_a_page_may_hold_several_and_loads_only_these(self, page, tmp_path):
        names = ("pooling", "align_corners", "pooling")
        places = "".join(f'<div class="explain" data-explain="{name}"></div>' for name in names)
        script = f'<script src="{EXPLAIN.as_uri()}/explain.js?v=1"></script>'
        path = tmp_path / "page.html"
        path.write_text(f"<!doctype html><html><body>{places}{script}{script}</body></html>")
        page.open(os.path.relpath(path, EXPLAIN))
        page.js("return new Promise(resolve => setTimeout(resolve, 500))")
        assert len(page.all(".explain[data-ready]")) == 3
        loaded = page.js("return [...document.scripts].map(x => x.src.split('/').at(-1))")
        assert sorted(set(loaded)) == ["align_corners.js", "explain.js?v=1", "pooling.js"]
        assert len(page.all(".explain-title")) == 3
        assert page.errors() == []
        assert page.js("return getComputedStyle(document.querySelector('.explain')).borderRadius")

    def test_all_files_together_are_below_300_kilobytes(self):
        files = [x for end in ("js", "css", "jpg", "png") for x in EXPLAIN.glob(f"*.{end}")]
        assert len(files) == 5 + 3 + 1 + 1 + 5
        assert sum(path.stat().st_size for path in files) < 300_000

    def test_colours_are_those_of_the_lessons(self, page):
        style = (EXPLAIN / "explain.css").read_text()
        light = re.findall(r"--explain-\d: (#\w+);", style)[:6]
        assert tuple(light) == palette.CURVES
        colours = page.explanation("vae_plane").js("return explain.data.vae_digits.colours")
        assert colours == ["#{:02x}{:02x}{:02x}".format(*colour) for colour in palette.DIGITS]

    @pytest.mark.parametrize("name", NAMES)
    def test_each_page_has_an_image_in_its_place(self, name):
        text = (EXPLAIN / f"{name}.html").read_text()
        assert re.search(rf'data-explain="{name}">\s*<img src="{name}.png" alt=".{{60,}}">', text)
        assert (EXPLAIN / f"{name}.png").is_file()
