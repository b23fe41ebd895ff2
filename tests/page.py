"""A page as a test reads it."""

import html.parser

VOID = {"meta", "img", "br"}


class Page(html.parser.HTMLParser):
    """The parsed page: text by section, table rows by section, all tags with their attributes."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.tags, self.rows, self.texts, self.section = [], [], {}, {}, None
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in ("section", "header"):
            self.section = dict(attrs)["id"]
            self.rows[self.section], self.texts[self.section] = [], ""
        if tag == "tr":
            self.rows[self.section].append([])
        if tag in ("td", "th"):
            self.rows[self.section][-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.section:
            self.texts[self.section] += data
        if {"td", "th"} & set(self.open):
            self.rows[self.section][-1][-1] += data

    def text(self, section: str) -> str:
        return " ".join(self.texts[section].split())

    def table(self, section: str) -> list[list[str]]:
        return [[" ".join(cell.split()) for cell in row] for row in self.rows[section]]

    def images(self, key: str) -> list[str]:
        return [attrs[key] for tag, attrs in self.tags if tag == "img"]
