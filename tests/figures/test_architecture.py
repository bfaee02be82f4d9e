"""The figure of a model: its words, its legend, and what is refused."""

import keras
import pytest

from kerasseg import figures
from tests.figures.drawings import CASES
from tests.models.zoo import without_weights


def test_svg_holds_text_and_legend_names_what_occurs(tmp_path):
    figure = figures.architecture(without_weights(CASES["segnet"]), (256, 256))
    figure.savefig(tmp_path / "segnet.svg")
    text = (tmp_path / "segnet.svg").read_text()
    for words in ("encoder3", "decoder3", "pooling mask", "unpooled, mostly zeros"):
        assert f">{words}<" in text
    assert "dilated" not in text
    assert "skip connection" not in text


def test_text_stays_within_the_figure():
    figure = figures.architecture(without_weights(CASES["dilatednet"]))
    width, height = figure.get_size_inches() * figure.dpi
    for text in figure.axes[0].texts:
        box = text.get_window_extent()
        assert 0 <= box.x0 < box.x1 <= width
        assert 0 <= box.y0 < box.y1 <= height


def test_a_model_without_a_graph_is_refused():
    class Subclassed(keras.Model):
        def call(self, inputs):
            return inputs

    with pytest.raises(ValueError, match="`model` must be functional"):
        figures.architecture(Subclassed())
