"""Writes the table of lessons into both READMEs: `python chapters/notebooks/contents.py`.

Titles, sentences and times come from the lessons' first cells. The picture of a lesson is the first
figure of its notebook, made smaller and kept in `chapters/pictures/`.
"""

import base64
import io
import json
import re
from pathlib import Path

from PIL import Image

from kerasseg.cli.chapters import read_lesson

ROOT = Path(__file__).parents[2]
CHAPTERS = ROOT / "chapters"
PICTURES = CHAPTERS / "pictures"
SIZE = (360, 240)  # width and height of a picture, at most
PAGES = {ROOT / "README.md": "chapters/", CHAPTERS / "README.md": ""}
BEGIN, END = "<!-- lessons -->", "<!-- end lessons -->"


def page_with_table(page, folder):
    """The text of a README with the table as it should be; links start with `folder`."""
    text = page.read_text("utf-8")
    before, behind = text.split(BEGIN)[0], text.split(END)[1]
    return f"{before}{BEGIN}\n\n{table(folder)}\n\n{END}{behind}"


def table(folder):
    rows = ["| | lesson | time |", "|---|---|---|"]
    for path in sorted(CHAPTERS.glob("ch[0-9]*.py")):
        lesson = read_lesson(path)
        picture = f'<img src="{folder}pictures/{path.stem}.png" width="180" alt="">'
        title = f"[{lesson.title}]({folder}notebooks/{path.stem}.ipynb)"
        time = lesson.time.removesuffix(" on two cores")
        rows.append(f"| {picture} | **{title}**<br>{lesson.learn} | {time} |")
    return "\n".join(rows)


def first_figure(notebook):
    cells = json.loads(notebook.read_text("utf-8"))["cells"]
    data = (output.get("data", {}) for cell in cells for output in cell.get("outputs", ()))
    png = next(entry["image/png"] for entry in data if "image/png" in entry)
    return Image.open(io.BytesIO(base64.b64decode(re.sub(r"\s", "", "".join(png)))))


def main():
    PICTURES.mkdir(exist_ok=True)
    for notebook in sorted((CHAPTERS / "notebooks").glob("ch*.ipynb")):
        picture = first_figure(notebook).convert("RGB")
        picture.thumbnail(SIZE, Image.Resampling.LANCZOS)
        picture.quantize(128).save(PICTURES / f"{notebook.stem}.png", optimize=True)
    for page, folder in PAGES.items():
        page.write_text(page_with_table(page, folder), "utf-8")
        print(page.relative_to(ROOT))


if __name__ == "__main__":
    main()
