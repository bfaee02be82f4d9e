"""The gallery: every figure of the lessons, small, with a page for each lesson's."""

from itertools import groupby

from PIL import Image

from generate import links
from generate.lessons import all_lessons

SMALL = (240, 180)  # pixels at most


def write(site, figures):
    """Writes the pages and the small images."""
    (site / "gallery").mkdir()
    (site / "figures" / "small").mkdir()
    titles = {name: lesson.title for name, lesson in all_lessons().items()}
    for lesson, group in groupby(figures, lambda figure: figure.lesson):
        page = [f"# Figures of lesson {titles[lesson]}"]
        for figure in group:
            make_small(site, figure)
            page.append(entry(figure))
        (site / "gallery" / f"{lesson}.md").write_text("\n\n".join(page) + "\n", "utf-8")


def make_small(site, figure):
    image = Image.open(site / "figures" / figure.name).convert("RGB")
    image.thumbnail(SMALL, Image.Resampling.LANCZOS)
    image.save(site / "figures" / "small" / small_name(figure), quality=75, method=6)


def small_name(figure):
    return figure.name.replace(".png", "_small.webp")


def anchor(figure):
    return figure.name.removesuffix(".png").replace("_", "-")


def entry(figure):
    """One figure with its code, as the lesson's page of the gallery has it."""
    title = figure.name.removesuffix(".png").partition("_")[2].replace("_", " ")
    return f"""\
({anchor(figure)})=
## {title.capitalize()}

{links.directive(f"/figures/{figure.name}", figure.alt, figure.caption)}

<a href="../_images/{figure.name}" download>Download the image ({figure.name})</a>.
It stands under "{links.plain(figure.heading)}" in [the lesson](/lessons/{figure.lesson}.ipynb),
and uses what the cells before it have made.

````{{dropdown}} The code that draws it
```python
{figure.code}
```
````"""
