"""Writes a notebook for every chapter: `python chapters/notebooks/make.py`.

The scripts are the source; nobody edits a notebook. The same scripts give the same bytes.
"""

from pathlib import Path

import jupytext
from nbformat import v4

NOTEBOOKS = Path(__file__).parent
SCRIPTS = sorted(NOTEBOOKS.parent.glob("ch*.py"))
FIRST_CELL = """\
# Made from chapters/{name}. In Colab this installs the package.
# For a run of seconds: %env KERASSEG_CHAPTER_ARGS=--quick
import sys

if "google.colab" in sys.modules:
    %pip install --quiet "kerasseg[book]"

from kerasseg_command.quiet import quiet_imports

with quiet_imports():  # without the lines that TensorFlow writes as it starts
    import keras"""


def notebook(script):
    """The text of the notebook of a script of `# %%` cells: no outputs, no time, no chance."""
    page = v4.new_notebook(
        cells=[v4.new_code_cell(FIRST_CELL.format(name=script.name)), *jupytext.read(script).cells],
        metadata={
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
    )
    for number, cell in enumerate(page.cells):
        cell.update(id=f"cell-{number}", metadata={})
    return v4.writes(page) + "\n"


if __name__ == "__main__":
    for script in SCRIPTS:
        path = NOTEBOOKS / f"{script.stem}.ipynb"
        path.write_text(notebook(script), "utf-8")
        print(path)
