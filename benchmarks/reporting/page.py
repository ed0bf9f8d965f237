"""Markdown -> one page that holds all its figures, and nothing that runs or that lies elsewhere.

Names of data sets and detectors, and what detectors raise, are other people's. Whatever the markdown says, HTML in it
is shown as text, links lead within the page or to the web, and no picture is shown but those that the page is given.
"""

import base64
from collections.abc import Mapping
from html import escape
from pathlib import Path
from string import Template
from urllib.parse import unquote

from markdown import Markdown
from markdown.extensions import Extension
from markdown.treeprocessors import Treeprocessor

_TEMPLATE = Path(__file__).with_name("page.html")
_LINKS = ("#", "https://", "http://")


def render(text: str, title: str, pictures: Mapping[str, Path]) -> str:
    """Make a page that needs no other file.

    Parameters
    ----------
    text : str
        Markdown.
    title : str
        Of the page, as plain text.
    pictures : mapping of str to pathlib.Path
        By the names that the markdown has for them, the PNGs to show. The text of any other picture stands in its
        place.

    Returns
    -------
    str
        HTML.
    """
    extensions = ["tables", "toc", _Safe(pictures)]
    markdown = Markdown(extensions=extensions, extension_configs={"toc": {"toc_depth": "2-3"}})
    body = markdown.convert(text)
    return Template(_TEMPLATE.read_text()).substitute(title=escape(title), toc=markdown.toc, body=body)


class _Safe(Extension):
    def __init__(self, pictures):
        super().__init__()
        self.pictures = pictures

    def extendMarkdown(self, md):
        # as Python-Markdown advises in place of its former safe mode
        md.preprocessors.deregister("html_block")
        md.inlinePatterns.deregister("html")
        # after the links and pictures are made, at 20
        md.treeprocessors.register(_OnlyOwn(md, self.pictures), "only_own", 5)


class _OnlyOwn(Treeprocessor):
    """Put the page's pictures into it, and take off links and pictures that are not for it."""

    def __init__(self, md, pictures):
        super().__init__(md)
        self.pictures = pictures

    def run(self, root):
        for link in root.iter("a"):
            if not link.get("href", "").startswith(_LINKS):
                link.attrib.clear()
        for image in root.iter("img"):
            path = self.pictures.get(unquote(image.get("src", "")))
            if path is None:
                image.tag, image.text = "span", image.get("alt")
                image.attrib.clear()
            else:
                image.set("src", f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}")
