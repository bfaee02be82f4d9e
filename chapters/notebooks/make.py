"""Runs the lessons as notebooks and keeps their outputs: `python chapters/notebooks/make.py`.

The scripts are the source; nobody edits a notebook. Names of lessons, such as `ch12_unet`, run
these alone.
"""

import base64
import io
import os
import re
import sys
import tempfile
import tomllib
from pathlib import Path

import jupytext
from nbclient import NotebookClient
from nbformat import v4
from PIL import Image

NOTEBOOKS = Path(__file__).parent
ROOT = NOTEBOOKS.parents[1]
SCRIPTS = sorted(NOTEBOOKS.parent.glob("ch[0-9]*.py"))
LARGE = 40_000  # bytes of a figure above which 256 colours have to do
FIRST_CELL = """\
# Made from chapters/{name}. For a run of seconds: %env KERASSEG_CHAPTER_ARGS=--quick
import importlib.util

if importlib.util.find_spec("kerasseg") is None:
    {install}

from kerasseg_command.quiet import quiet_imports

with quiet_imports():  # without the lines that TensorFlow writes as it starts
    import keras"""
FROM_REPOSITORY = '%pip install --quiet "kerasseg[book] @ git+{address}"'
FROM_CLONE = """\
raise ModuleNotFoundError(
        "In a clone of kerasseg's repository, `pip install '.[book]'` installs what this needs."
    )"""


def notebook(script):
    """The notebook of a script of `# %%` cells, without outputs."""
    first = v4.new_code_cell(FIRST_CELL.format(name=script.name, install=installation()))
    page = v4.new_notebook(
        cells=[first, *jupytext.read(script).cells],
        metadata={
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
    )
    for number, cell in enumerate(page.cells):
        cell.update(id=f"cell-{number}", metadata={})
        if cell.cell_type == "markdown":  # links start from the folder of the notebooks
            lessons = re.sub(r"\]\((ch\d\d_\w+)\.py", r"](\1.ipynb", cell.source)
            cell.source = re.sub(r"\]\((?!\w+:|#|ch\d)", "](../", lessons)
    return page


def installation():
    """The line for Colab: from the project's repository, once that has an address."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    address = project.get("urls", {}).get("Repository")
    return FROM_REPOSITORY.format(address=address) if address else FROM_CLONE


def execute(page, words=""):
    """Runs the cells in a new folder and keeps what they print and show."""
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(page, timeout=1200, resources={"metadata": {"path": folder}})
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        ours = {**os.environ, "KERASSEG_CHAPTER_ARGS": words, "PYTHONPATH": path}
        ours.pop("TF_CPP_MIN_LOG_LEVEL", None)  # the first cell decides what TensorFlow may say
        client.execute(env=ours)
    for cell in page.cells:
        cell.metadata = {}
        if cell.cell_type == "code":  # the last value of a cell says nothing: `fit`'s History
            cell.outputs = [x for x in cell.outputs if x.output_type != "execute_result"]
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data:
                data["image/png"] = smaller(data["image/png"])
                data.pop("text/plain", None)


def smaller(png):
    """A PNG, as base64 text, in 256 colours if it is large."""
    given = base64.b64decode(png)
    if len(given) <= LARGE:
        return png
    stream = io.BytesIO()
    Image.open(io.BytesIO(given)).convert("RGB").quantize(256).save(stream, "png", optimize=True)
    return min(png, base64.b64encode(stream.getvalue()).decode(), key=len)


if __name__ == "__main__":
    for script in SCRIPTS:
        if script.stem in sys.argv[1:] or len(sys.argv) == 1:
            page = notebook(script)
            execute(page)
            path = NOTEBOOKS / f"{script.stem}.ipynb"
            path.write_text(v4.writes(page) + "\n", "utf-8")
            print(f"{path.relative_to(ROOT)}  {path.stat().st_size / 2**20:.2f} MiB", flush=True)
