"""Every picture of the package. Each function returns a Matplotlib figure."""

from kerasseg.figures.architecture import architecture
from kerasseg.figures.number_grids import number_grids
from kerasseg.figures.pictures import (
    bars_with_ranges,
    image_rows,
    influence_map,
    label_overlay,
    learning_curves,
    lines,
    mean_colour,
    paint,
    pairs,
    panels,
    per_class_bars,
    predictions,
    scatter,
    tinted,
    unit_range,
    wrapped,
)

__all__ = [
    "architecture",
    "bars_with_ranges",
    "image_rows",
    "influence_map",
    "label_overlay",
    "learning_curves",
    "lines",
    "mean_colour",
    "number_grids",
    "paint",
    "pairs",
    "panels",
    "per_class_bars",
    "predictions",
    "scatter",
    "tinted",
    "unit_range",
    "wrapped",
]
