"""Every figure of the package. Each function returns a Matplotlib figure."""

from kerasseg.figures.architecture import architecture
from kerasseg.figures.charts import (
    bars_with_ranges,
    learning_curves,
    lines,
    per_class_bars,
    scatter,
)
from kerasseg.figures.images import image_rows, panels
from kerasseg.figures.influence import influence_map
from kerasseg.figures.label_maps import (
    label_overlay,
    mean_colour,
    paint,
    pairs,
    predictions,
    tinted,
)
from kerasseg.figures.number_grids import number_grids
from kerasseg.figures.parts import unit_range, wrapped
from kerasseg.figures.scores import confusion_matrix, reliability_diagram

__all__ = [
    "architecture",
    "bars_with_ranges",
    "confusion_matrix",
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
    "reliability_diagram",
    "scatter",
    "tinted",
    "unit_range",
    "wrapped",
]


def __dir__():
    return sorted(__all__)
