"""Settings of Sphinx. The pages' sources are written by `generate/`; see `build.py`."""

import hashlib
import html
import inspect
import sys
from pathlib import Path

from docutils import nodes

DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS), str(DOCS.parent)]

from generate import docstrings  # noqa: E402
from kerasseg_command.version import __version__  # noqa: E402

project = "kerasseg"
author = "the authors of kerasseg"
copyright = "the authors of kerasseg, Apache License 2.0"
version = release = __version__
language = "en"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_design",
    "sphinx_copybutton",
]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}
root_doc = "index"
nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "substitution"]
myst_dmath_double_inline = True
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]  # READMEs begin at the heading that suits them
pygments_style = "a11y-high-contrast-light"

autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False
autodoc_typehints = "none"
napoleon_numpy_docstring = False
napoleon_custom_sections = [("Call arguments", "params_style")]
napoleon_use_ivar = True
viewcode_follow_imported_members = True
copybutton_exclude = ".linenos, .gp, .go"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "pydata_sphinx_theme"
html_title = "kerasseg"
html_static_path = ["static"]
templates_path = ["templates"]
html_css_files = ["site.css"]
html_favicon = "static/favicon.svg"
html_copy_source = False
html_show_sourcelink = False
html_sidebars = {
    "index": [],
    "cite": [],
    "contribute": [],
    "tool": [],
    "errata": [],
    "design": [],
    "benchmarks": [],
    "own_image/**": [],
    "search": [],
}
html_theme_options = {
    "logo": {"text": "kerasseg"},
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 6,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "collapse_navigation": True,
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "search_bar_text": "Search the site",
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_context = {"default_mode": "auto"}


def signature(app, what, name, obj, options, text, returns):
    """That of `__init__`: Keras's classes hide it behind a `__new__` of any arguments."""
    if what != "class" or not text or "**kwargs" not in text:
        return None
    parameters = list(inspect.signature(obj.__init__).parameters.values())[1:]
    return str(inspect.Signature(parameters)), returns


def inline_formula(writer, node):
    writer.body.append(f'<span class="formula">{html.escape(node.astext())}</span>')
    raise nodes.SkipNode


def formula(writer, node):
    writer.body.append(f'<div class="formula">{html.escape(node.astext())}</div>')
    raise nodes.SkipNode


def setup(app):
    scripts = sorted((DOCS / "generate").glob("*.py"))
    written = hashlib.sha256(b"".join(path.read_bytes() for path in scripts)).hexdigest()
    app.add_config_value(
        "generated_by", written, "env"
    )  # other scripts, other pages: read all again
    app.add_html_math_renderer("katex", (inline_formula, None), (formula, None))
    app.config.html_math_renderer_name = "katex"
    app.connect("autodoc-process-signature", signature)
    app.connect("autodoc-process-docstring", docstrings.to_rst, priority=100)


html_math_renderer = "katex"
