"""Instances from a mask: objects that touch are separated."""

import numpy as np

from kerasseg.requirements import require

__all__ = ["watershed_instances"]


def watershed_instances(mask, min_distance=3):
    """Numbers the objects in a mask; where objects touch, they are cut at the narrowest place.

    Each pixel's distance from the nearest pixel outside the mask is a relief. Its local maxima, at
    most one within `min_distance` pixels, are the objects; scikit-image's watershed assigns every
    other pixel to one of them. (SciPy's `watershed_ift` follows the steps between pixels, not their
    heights.) Connected components, by contrast, make one object of two that touch. Needs SciPy and
    scikit-image. Source: book, chapter 6, instance segmentation (notebook 6.6), whose network
    learns the relief.

    Args:
        mask: (height, width), true where there is an object: `prediction == car`.
        min_distance: Smallest distance in pixels between the centres of two objects, at least 1.
            Smaller values give more objects; long or ragged ones break into several.

    Returns:
        int32 (height, width): 1, 2, … for the objects, 0 outside the mask.

    Raises:
        ValueError: if the mask is not a map, or the distance is below 1.
        ModuleNotFoundError: if SciPy or scikit-image is not installed.

    Example: two squares that one pixel connects.

    >>> mask = np.zeros((5, 11), bool)
    >>> mask[1:4, 1:5] = mask[1:4, 6:10] = mask[2, 5] = True
    >>> watershed_instances(mask)[2].tolist()
    [0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 0]
    """
    mask = np.asarray(mask) != 0
    if mask.ndim != 2:
        raise ValueError(
            f"`mask` must be a map (height, width). Received: mask.shape={mask.shape}. "
            "Logits become a mask by `argmax` and a comparison with a class."
        )
    if not min_distance >= 1:
        raise ValueError(
            f"`min_distance` must be at least 1 pixel. Received: min_distance={min_distance}"
        )
    ndimage, skimage = require("scipy.ndimage"), require("skimage")
    relief = ndimage.distance_transform_edt(mask)
    reach = int(min_distance)
    footprint = np.ones((2 * reach + 1, 2 * reach + 1))
    places = skimage.feature.peak_local_max(relief, footprint=footprint, exclude_border=False)
    peaks = np.zeros(mask.shape, bool)
    peaks[tuple(places.T)] = True
    # Equal heights within the distance are one peak.
    groups, _ = ndimage.label(ndimage.maximum_filter(peaks, reach), np.ones((3, 3)))
    ids = skimage.segmentation.watershed(-relief, np.where(peaks, groups, 0), mask=mask)
    # An object beside a larger one may have no peak.
    rest, _ = ndimage.label(mask & (ids == 0))
    return np.where(rest, rest + ids.max(initial=0), ids).astype("int32")
