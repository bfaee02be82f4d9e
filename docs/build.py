"""Builds the web site: `python docs/build.py`, then any static server of `docs/_build/html`.

Everything is made from what the repository holds. `generate/` writes the pages' sources into
`docs/_build/source`, Sphinx makes the pages, and what comes from npm (`package.json`) is copied
beside them, so that a reader's browser asks no other server. Both folders and npm's are kept: a
second build needs no network.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from sphinx.cmd.build import main as sphinx

DOCS = Path(__file__).resolve().parent
BUILD = DOCS / "_build"
SOURCE, HTML, NPM = BUILD / "source", BUILD / "html", BUILD / "npm"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(DOCS.parent))  # the package of this clone, installed or not

from kerasseg_command.quiet import quiet_imports  # noqa: E402

with quiet_imports():  # without the lines that TensorFlow writes as it starts
    from generate import checks, lean, pages

EXPLAIN = ("*.js", "*.css", "*.png", "*.jpg", "*.svg")  # what a page with explanations loads


def install_from_npm():
    """Installs what `package-lock.json` names, unless it is there already."""
    NPM.mkdir(parents=True, exist_ok=True)
    wanted = (DOCS / "package-lock.json").read_text("utf-8")
    installed = NPM / "installed.json"
    if installed.exists() and installed.read_text("utf-8") == wanted:
        return
    for name in ("package.json", "package-lock.json"):
        shutil.copy(DOCS / name, NPM)
    words = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(words, cwd=NPM, check=True)
    installed.write_text(wanted, "utf-8")


def write_sources():
    """Writes the pages' sources; a file that stays equal keeps its date, for Sphinx's sake."""
    new = SOURCE.with_name("new")
    pages.write(new)
    for old in SOURCE.rglob("*"):
        path = new / old.relative_to(SOURCE)
        if path.is_file() and path.read_bytes() == old.read_bytes():
            shutil.copystat(old, path)
    shutil.rmtree(SOURCE, ignore_errors=True)
    new.rename(SOURCE)


def make_pages():
    """Sphinx, with every warning as an error."""
    shutil.rmtree(HTML / "_static", ignore_errors=True)  # Sphinx copies it anew, if it is not there
    words = ["-W", "--keep-going", "-q", "-b", "html", "-c", str(DOCS)]
    failed = sphinx([*words, "-d", str(BUILD / "doctrees"), str(SOURCE), str(HTML)])
    if failed:
        sys.exit("Sphinx has warned, see above.")


def remove_leftovers():
    """What no page asks for: the theme's templates and source maps, copies of the sources."""
    shutil.rmtree(HTML / "_sources", ignore_errors=True)
    for pattern in ("_static/*.html", "_static/**/*.map", ".buildinfo", "objects.inv"):
        for path in HTML.glob(pattern):
            path.unlink()


def copy_explanations():
    """The interactive explanations, which lessons load from `explain/`."""
    (HTML / "explain").mkdir(exist_ok=True)
    for path in (path for pattern in EXPLAIN for path in (DOCS / "explain").glob(pattern)):
        shutil.copy(path, HTML / "explain")


def make_own_image():
    """The models, the script and the runtime of the page "Your own image"."""
    paths = os.pathsep.join([str(DOCS.parent), os.environ.get("PYTHONPATH", "")])
    words = [sys.executable, str(DOCS / "own_image" / "models.py"), str(HTML / "own_image")]
    words += ["--runtime", str(NPM / "node_modules" / "onnxruntime-web" / "dist")]
    subprocess.run(words, env={**os.environ, "PYTHONPATH": paths}, check=True)


def set_formulas():
    """Turns the formulas of all pages into HTML and MathML, so that no page needs a script."""
    subprocess.run(["node", str(DOCS / "formulas.js"), str(HTML), str(NPM)], check=True)


def main():
    started = time.perf_counter()
    install_from_npm()
    write_sources()
    make_pages()
    remove_leftovers()
    set_formulas()
    copy_explanations()
    make_own_image()
    lean.shrink(HTML)
    problems = checks.problems(HTML)
    if problems:
        sys.exit("\n".join(problems))
    files = [path for path in HTML.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files) / 2**20
    print(
        f"{HTML}: {len(list(HTML.rglob('*.html')))} pages, {len(files)} files, {size:.1f} MiB, "
        f"{time.perf_counter() - started:.0f} seconds"
    )


if __name__ == "__main__":
    main()
