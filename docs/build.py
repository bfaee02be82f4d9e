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

from generate import checks, pages  # noqa: E402

ORT = ("ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
PARTS = {  # of folders that others look after: what a page loads
    "explain": ("*.js", "*.css", "*.png", "*.jpg", "*.svg"),
    "own_image": ("*.js", "*.css", "*.png", "*.jpg", "*.svg"),
}


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


def make_pages():
    """Sphinx, with every warning as an error."""
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


def copy_parts():
    """The interactive explanations, the page for a reader's own image, and its runtime."""
    for folder, patterns in PARTS.items():
        for path in (path for pattern in patterns for path in (DOCS / folder).glob(pattern)):
            (HTML / folder).mkdir(exist_ok=True)
            shutil.copy(path, HTML / folder)
    if (HTML / "own_image").is_dir():
        for name in ORT:
            (HTML / "own_image" / "ort").mkdir(exist_ok=True)
            shutil.copy(NPM / "node_modules/onnxruntime-web/dist" / name, HTML / "own_image/ort")
    if (DOCS / "own_image" / "models.py").exists():
        paths = os.pathsep.join([str(DOCS.parent), os.environ.get("PYTHONPATH", "")])
        words = [sys.executable, str(DOCS / "own_image" / "models.py"), str(HTML / "own_image")]
        subprocess.run(words, env={**os.environ, "PYTHONPATH": paths}, check=True)


def set_formulas():
    """Turns the formulas of all pages into HTML and MathML, so that no page needs a script."""
    subprocess.run(["node", str(DOCS / "formulas.js"), str(HTML), str(NPM)], check=True)


def main():
    started = time.perf_counter()
    install_from_npm()
    pages.write(SOURCE)
    make_pages()
    remove_leftovers()
    set_formulas()
    copy_parts()
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
