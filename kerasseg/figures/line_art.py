"""Figures that stay sharp at any size."""

import matplotlib
from matplotlib.figure import Figure


class LineArt(Figure):
    """A Matplotlib `Figure` whose SVG file holds text as text, which can be searched and edited."""

    def savefig(self, *args, **kwargs):
        with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "kerasseg"}):
            super().savefig(*args, **kwargs)
