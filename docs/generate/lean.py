"""Style sheets without the rules that no page of the site can use.

The theme's style sheet is Bootstrap's and more, 500 kB together, of which the pages need a
quarter. A selector stays if all of its classes occur as words in a page or a script.
"""

import re
from html.parser import HTMLParser

COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
NOT = re.compile(r":not\([^()]*(?:\([^()]*\)[^()]*)*\)")
CLASS = re.compile(r"\.(-?[A-Za-z_](?:[\w-]|\\.)*)")
NESTED = ("@media", "@supports", "@layer", "@container")


class Classes(HTMLParser):
    """All words in the class attributes of a page."""

    def __init__(self):
        super().__init__()
        self.words = set()

    def handle_starttag(self, tag, pairs):
        self.words.update((dict(pairs).get("class") or "").split())


def shrink(site):
    """Shortens every style sheet of a built site."""
    classes = Classes()
    for page in site.rglob("*.html"):
        classes.feed(page.read_text("utf-8"))
    words = classes.words
    for script in site.rglob("*.js"):
        if script.name != "searchindex.js":
            words.update(re.findall(r"[A-Za-z_][\w-]*", script.read_text("utf-8")))
    for sheet in site.rglob("*.css"):
        sheet.write_text(without_unused(sheet.read_text("utf-8"), words), "utf-8")


def without_unused(css, words):
    """A style sheet without the rules whose classes are not among the words.

    Args:
        css: The style sheet.
        words: The classes that can occur.

    Example:

    >>> without_unused(".a .b, .a { top: 0 } @media print { .c { top: 0 } }", {"a"})
    '.a{top: 0}'
    """
    kept = []
    for head, body in rules(COMMENT.sub("", css)):
        if body is None:
            kept.append(f"{head};")
        elif head.startswith(NESTED):
            inner = without_unused(body, words)
            kept += [f"{head}{{{inner}}}"] if inner else []
        elif head.startswith("@"):
            kept.append(f"{head}{{{body.strip()}}}")
        else:
            selectors = [s for s in split(head) if possible(s, words)]
            kept += [f"{','.join(selectors)}{{{body.strip()}}}"] if selectors else []
    return "".join(kept)


def rules(css):
    """(head, body) of every rule at the top level; the body of a line such as @charset is None."""
    start = depth = 0
    head = ""
    quote = None
    for i, letter in enumerate(css):
        if quote:
            quote = None if letter == quote and css[i - 1] != "\\" else quote
        elif letter in "\"'":
            quote = letter
        elif letter == "{":
            depth += 1
            if depth == 1:
                head, start = css[start:i].strip(), i + 1
        elif letter == "}":
            depth -= 1
            if depth == 0:
                yield head, css[start:i]
                start = i + 1
        elif letter == ";" and depth == 0:
            yield css[start:i].strip(), None
            start = i + 1


def split(head):
    """The selectors of a rule: split at commas outside of parentheses."""
    parts, depth = [""], 0
    for letter in head:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def possible(selector, words):
    """Whether elements with these classes can occur; what stands in `:not`, `:is` is not asked."""
    asked = re.sub(r":(is|where|has)\([^()]*(?:\([^()]*\)[^()]*)*\)", "", NOT.sub("", selector))
    asked = re.sub(r"\[[^\]]*\]", "", asked)
    return all(name.replace("\\", "") in words for name in CLASS.findall(asked))
