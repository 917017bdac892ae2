"""A parsed HTML page, for the tests of the reports."""

from collections import Counter
from html.parser import HTMLParser


class Page(HTMLParser):
    """Text, table rows, tags, ids and references of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.rows: list[list[str]] = []
        self.tags: Counter[str] = Counter()
        self.ids: set[str] = set()
        self.references: list[str] = []
        self._style = self._cell = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        values = dict(attrs)
        if values.get("id"):
            self.ids.add(str(values["id"]))
        self.references += [str(values[key]) for key in ("src", "href", "xlink:href") if values.get(key)]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._cell = True
        if tag in ("p", "li", "dt", "dd", "h1", "h2", "h3", "h4", "td", "th", "div", "span", "text"):
            self.text += " "
        self._style = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        if tag == "style":
            self._style = False
        if tag in ("td", "th"):
            self._cell = False

    def handle_data(self, data: str) -> None:
        if self._style:
            return
        self.text += data
        if self._cell:
            self.rows[-1][-1] += data.strip()
