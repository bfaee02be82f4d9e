"""What must hold of the built pages: every link leads somewhere, every image has words."""

from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The links, anchors and images of a page."""

    def __init__(self, path):
        super().__init__()
        self.links, self.anchors, self.without_alt = [], set(), []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, pairs):
        attributes = dict(pairs)
        self.anchors.update(attributes.get(name) for name in ("id", "name"))
        target = attributes.get("src" if tag in ("img", "script") else "href")
        if target:
            self.links.append(target)
        if tag == "img" and not attributes.get("alt", "").strip():
            self.without_alt.append(attributes.get("src"))


def problems(site):
    """One line for each link that leads nowhere and each image without words."""
    pages = {path: Page(path) for path in sorted(site.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        name = path.relative_to(site)
        found += [f"{name}: {image} has no alternative text" for image in page.without_alt]
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            anchor = unquote(parts.fragment)
            if not target.exists():
                found.append(f"{name}: {link} leads nowhere")
            elif anchor and target in pages and anchor not in pages[target].anchors:
                found.append(f"{name}: {link} leads to a page without this anchor")
    return found
