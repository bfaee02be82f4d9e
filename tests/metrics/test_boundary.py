"""Boundary IoU agrees with erosions of each class, pixel by pixel."""

import numpy as np
import pytest

from kerasseg.metrics import BoundaryIoU
from tests import reference
from tests.maps import blocks, random_maps
from tests.metrics.cases import scored


@pytest.mark.parametrize("ratio", [0.01, 0.07, 0.2, 1.0])
def test_boundary_iou_agrees_with_erosions_of_each_class(rng, ratio):
    for truth, scores in (blocks(rng), random_maps(rng)):
        metric = scored(truth, scores, BoundaryIoU, dilation_ratio=ratio)
        expected = reference.boundary_iou(truth, scores.argmax(-1), 5, 255, ratio)
        np.testing.assert_allclose(metric.per_class(), expected, rtol=1e-6)
        assert float(metric.result()) == pytest.approx(np.nanmean(expected), abs=1e-6)


def test_boundary_iou_of_a_shifted_square_is_that_of_its_frame():
    truth = np.zeros((1, 30, 40), "int32")  # a diagonal of 50, so the bands are one pixel wide
    truth[:, 10:20, 10:20] = 1
    metric = scored(truth, np.eye(2, dtype="float32")[np.roll(truth, 1, axis=2)], BoundaryIoU)
    assert metric.per_class()[1] == pytest.approx(18 / (36 + 36 - 18))
    whole = scored(truth, np.eye(2, dtype="float32")[np.roll(truth, 1, axis=2)])
    assert whole.per_class()[1] == pytest.approx(90 / 110), "the plain IoU hardly sees the shift"


def test_boundary_iou_of_a_map_without_contours_is_that_of_the_images_edge():
    truth = np.zeros((1, 30, 40), "int32")
    wrong = truth.copy()
    wrong[:, 5:25, 5:35] = 1
    metric = scored(truth, np.eye(2, dtype="float32")[wrong], BoundaryIoU)
    edge, hole = 2 * (30 + 38), 2 * (22 + 30)
    np.testing.assert_allclose(metric.per_class(), [edge / (edge + hole), 0], rtol=1e-6)


@pytest.mark.parametrize("ratio", [0, -0.1, 1.1, np.nan])
def test_band_widths_that_cannot_be_are_refused(ratio):
    with pytest.raises(ValueError, match="`dilation_ratio` must be a share of the diagonal"):
        BoundaryIoU(2, dilation_ratio=ratio)
