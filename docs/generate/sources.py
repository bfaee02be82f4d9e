"""Pages with the source of a script, for those that a text links to."""

from generate.repository import ROOT

LANGUAGES = {".py": "python", ".toml": "toml", ".json": "json", ".md": "markdown"}
asked_for = set()


def page_of(path):
    """The page of a file, from the root of the site; it is written at the end."""
    if not path.is_file():
        raise SystemExit(f"A text links to {path.relative_to(ROOT)}, which has no page.")
    asked_for.add(path)
    return page_name(path)


def page_name(path):
    return f"source/{path.relative_to(ROOT).as_posix()}.md"


def write(site):
    for path in sorted(asked_for):
        name = path.relative_to(ROOT).as_posix()
        page = site / page_name(path)
        page.parent.mkdir(parents=True, exist_ok=True)
        language = LANGUAGES.get(path.suffix, "text")
        code = path.read_text("utf-8")
        page.write_text(
            f"---\norphan: true\n---\n# {path.name}\n\nThe file `{name}` of the repository.\n\n"
            f"``````{{code-block}} {language}\n{code.rstrip()}\n``````\n",
            "utf-8",
        )
