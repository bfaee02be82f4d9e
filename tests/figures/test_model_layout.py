"""Where boxes, words and arrows go: nothing lies on anything else, and what a model is is seen."""

from itertools import combinations

import keras
import numpy as np
import pytest
from keras import layers

from kerasseg import models
from kerasseg.figures.model_layout import FONT_SIZE, LINE, lay_out, size_of
from kerasseg.figures.model_stages import stages_of
from tests.figures.drawings import CASES, IMAGE, drawing, every_model, stages
from tests.models.zoo import without_weights

SMALLEST = 9 / (700 * 0.75)  # 9 points on a page of 700 CSS pixels, a share of its width


def overlap(one, other, slack=1e-6):
    left, bottom, right, top = one
    return (
        left < other[2] - slack
        and other[0] < right - slack
        and bottom < other[3] - slack
        and other[1] < top - slack
    )


def segments(drawing):
    for arrow in drawing.arrows:
        for (x0, y0), (x1, y1) in zip(arrow.points, arrow.points[1:]):
            yield min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def crosses(segment, extent):
    """Whether a level or upright segment has a point inside; along an edge is beside it."""
    inside = np.add(extent, (1e-6, 1e-6, -1e-6, -1e-6))
    left, bottom, right, top = segment
    return left < inside[2] and inside[0] < right + 1e-9 and bottom < inside[3] and inside[1] < top


def arrows_of(name, kind):
    return [arrow.points for arrow in drawing(name).arrows if arrow.kind == kind]


def boxes_of(name, stage):
    return [box for box in drawing(name).boxes if box.map.stage == stage]


def test_every_model_of_the_package_is_drawn_here():
    named = (name for name in models.__all__ if callable(getattr(models, name)))
    takes_models = {
        *("classes_of", "convolutionalize", "freeze", "split_autoencoder", "unfreeze"),
        *("with_classes", "with_new_head"),
    }
    assert set(named) - takes_models <= set(CASES)


@every_model
def test_boxes_and_words_lie_beside_each_other(name):
    items = drawing(name).boxes + drawing(name).words
    for one, other in combinations(items, 2):
        assert not overlap(one.extent, other.extent), (one, other)


@every_model
def test_arrows_go_along_the_axes_and_cross_neither_boxes_nor_words(name):
    for segment in segments(drawing(name)):
        left, bottom, right, top = segment
        assert min(right - left, top - bottom) < 1e-6
        for item in drawing(name).boxes + drawing(name).words:
            assert not crosses(segment, item.extent), (segment, item)


@every_model
def test_text_has_nine_points_on_a_page_700_pixels_wide(name):
    left, _, right, _ = drawing(name).extent
    assert FONT_SIZE / (72 * (right - left + 0.16)) >= SMALLEST


@every_model
def test_every_stage_has_its_name_and_its_channels_above_or_below(name):
    text = " ".join(words.text for words in drawing(name).words).split()
    for stage in stages(name):
        assert set(stage.name.replace("_", " ").split()) <= set(text), stage.name
        channels = stage.maps[0].shape[-1]
        assert any(str(channels) in word for word in text)


@every_model
def test_larger_maps_are_higher_and_more_channels_wider(name):
    boxes = [box for box in drawing(name).boxes if box.map.size]
    for one, other in combinations(boxes, 2):
        assert (one.height - other.height) * (one.map.shape[0] - other.map.shape[0]) >= 0
        assert (one.width - other.width) * (one.map.shape[2] - other.map.shape[2]) >= 0


@every_model
def test_arrows_begin_and_end_at_boxes(name):
    edges = [box.extent for box in drawing(name).boxes]
    for arrow in drawing(name).arrows:
        for x, y in (arrow.points[0], arrow.points[-1]):
            assert any(
                left - 1e-6 <= x <= right + 1e-6 and bottom - 1e-6 <= y <= top + 1e-6
                for left, bottom, right, top in edges
            )


@pytest.mark.parametrize("name", ["unet", "unet_valid", "fc_densenet56", "fc_densenet103"])
def test_unet_looks_like_a_u(name):
    depth = 4 if name.startswith("unet") else 5
    skips = arrows_of(name, "skip")
    assert len(skips) == depth
    assert all(len(points) == 2 and points[0][1] == points[1][1] for points in skips)
    lowest = boxes_of(name, "bottleneck")[0]
    for stage in range(1, depth + 1):
        left, right = (boxes_of(name, f"{side}{stage}")[0] for side in ("encoder", "decoder"))
        assert left.y == right.y > lowest.y
        assert left.x < right.x
    assert len(arrows_of(name, "pool")) == len(arrows_of(name, "up")) == depth


@pytest.mark.parametrize(("name", "count"), [("segnet", 5), ("deconvnet", 5), ("segnet_basic", 4)])
def test_masks_go_level_from_each_encoder_stage_to_the_unpooled_map(name, count):
    masks = arrows_of(name, "mask")
    assert len(masks) == count
    unpooled = [box for box in drawing(name).boxes if box.map.kind == "unpool"]
    ends = sorted(box.extent[0] for box in unpooled)
    np.testing.assert_allclose(sorted(points[-1][0] for points in masks), ends)
    assert all(points[0][1] == points[-1][1] for points in masks)


@pytest.mark.parametrize(("name", "rungs"), [("fcn32s", 0), ("fcn16s", 1), ("fcn8s", 2)])
def test_fcn_has_a_ladder_of_sums(name, rungs):
    assert len(arrows_of(name, "skip")) == rungs
    sums = [box for box in drawing(name).boxes if box.map.kind == "sum"]
    assert len(sums) == rungs
    assert len({box.x for box in sums}) == bool(rungs)


@pytest.mark.parametrize("name", ["dense_autoencoder", "conv_autoencoder"])
def test_an_autoencoder_is_an_hourglass(name):
    boxes = drawing(name).boxes
    assert len({box.y for box in boxes}) == 1
    code = next(i for i, box in enumerate(boxes) if box.map.name == "code")
    heights = [box.height for box in boxes]
    assert heights[: code + 1] == sorted(heights[: code + 1], reverse=True)
    assert heights[code:] == sorted(heights[code:])


@pytest.mark.parametrize(
    ("name", "branches"),
    [
        ("pspnet", ["1×1", "2×2", "3×3", "6×6"]),
        ("deeplab_v3", ["1×1", "rate 6", "rate 12", "rate 18", "image mean"]),
        ("deeplab_v2", [f"fc6_rate{rate}" for rate in (6, 12, 18, 24)]),
        ("vae", ["mean", "log_variance"]),
    ],
)
def test_branches_lie_side_by_side_in_the_order_of_their_sum(name, branches):
    boxes = [boxes_of(name, stage)[0] for stage in branches]
    heights = [box.y for box in boxes]
    assert heights == sorted(set(heights), reverse=True)


def test_channels_first_gives_the_same_drawing():
    last = without_weights(lambda: models.segnet(IMAGE, 5))
    first = without_weights(lambda: models.segnet((3, None, None), 5, data_format="channels_first"))
    assert lay_out(stages_of(first)).boxes == lay_out(stages_of(last)).boxes


def small_unet():
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(image)
    x = layers.Conv2D(8, 3, padding="same")(x)
    skip = layers.ReLU()(x)
    x = layers.MaxPooling2D(2)(skip)
    x = layers.Conv2D(16, 3, padding="same")(x)
    x = layers.UpSampling2D(2)(x)
    x = layers.Concatenate()([skip, x])
    return keras.Model(image, layers.Conv2D(2, 1)(x))


def test_a_model_of_the_readers_own_needs_no_names():
    model = without_weights(small_unet)
    drawn = lay_out(stages_of(model))
    assert [box.map.shape for box in drawn.boxes] == [
        (32, 32, 3), (32, 32, 8), (32, 32, 8), (16, 16, 16), (32, 32, 24), (32, 32, 2),
    ]  # fmt: skip
    assert [arrow.kind for arrow in drawn.arrows].count("skip") == 1
    assert len({box.y for box in drawn.boxes}) == 2


def test_words_are_as_wide_as_their_longest_line_and_bold_ones_wider():
    width, height = size_of("pooling")
    assert size_of("pooling\nup") == (width, 2 * LINE)
    assert size_of("up\npooling") == (width, 2 * height)
    assert size_of("pooling", bold=1)[0] > width
    assert size_of("") == (size_of(" ")[0], LINE)
