"""All sources of the site: those in `pages/`, filled in, and those that are generated."""

import re
import shutil

import jinja2

from generate import gallery, lessons, links, models, reference, repository, sources
from generate.repository import CHAPTERS, DOCS, ROOT
from kerasseg_command.version import __version__

PAGES = DOCS / "pages"


def write(site):
    shutil.rmtree(site, ignore_errors=True)
    site.mkdir(parents=True)
    own_image = DOCS / "own_image" / "index.md"
    if own_image.exists():
        (site / "own_image").mkdir()
        for path in (own_image, own_image.with_name("own_image.html")):
            shutil.copy(path, site / "own_image")
    figures = lessons.write(site)
    gallery.write(site, figures)
    write_templates(
        site,
        {
            "figures": figures,
            "lessons": lessons.all_lessons(),
            "results": write_results(site),
            "models": models.write(site),
            "packages": reference.write(site),
            "own_image": own_image.exists(),
        },
    )
    sources.write(site)


def write_results(site):
    """The pages of the experiments' runs, and their names."""
    pages = sorted((CHAPTERS / "results").glob("*/results.md"))
    (site / "experiments").mkdir()
    for page in pages:
        text = links.rewrite(page.read_text("utf-8"), page, site)
        title = page.parent.name.replace("_", " ")
        text = re.sub(r"\A# (.*)", rf"# \1: {title}", text)
        (site / "experiments" / f"{page.parent.name}.md").write_text(text, "utf-8")
    return [page.parent.name for page in pages]


def write_templates(site, known):
    """The pages in `pages/`; they take parts of other texts and are filled in by Jinja."""

    def text(name, heading=None, begin="", end=None):
        """A Markdown file without its title, or a section of it, with the site's links.

        Of the section, what lies from the words `begin` to `end`.
        """
        part = repository.section(name, heading) if heading else repository.read(name)
        part = re.sub(r"\A# .*\n", "", part) if not heading else part
        part = part[part.index(begin) :]
        return links.rewrite(part[: part.index(end)] if end else part, ROOT / name, site)

    def output(name):
        printed = repository.read(f"docs/tool/printed/{name}.txt").rstrip()
        return f"```console\n{printed}\n```"

    def code(name, heading, number=0):
        return repository.code_blocks(repository.section(name, heading))[number].rstrip()

    def image(name, alt):
        return links.rewrite(f"![{alt}]({name})", ROOT / "README.md", site)

    def picture(name):
        target = links.rewrite(f"![](pictures/{name}.png)", CHAPTERS / "README.md", site)
        return target.removeprefix("![](").removesuffix(")")

    def solution(name):
        return links.page_of(CHAPTERS / "solutions" / f"{name}.py")

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(PAGES), undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.globals.update(
        {
            "text": text,
            "code": code,
            "image": image,
            "output": output,
            "plain": links.plain,
            **known,
        },
        picture=picture,
        show=models,
        small_name=gallery.small_name,
        anchor=gallery.anchor,
        version=__version__,
        solution=solution,
    )
    for path in sorted(PAGES.rglob("*.md")):
        name = path.relative_to(PAGES)
        page = site / name
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(environment.get_template(name.as_posix()).render(), "utf-8")
