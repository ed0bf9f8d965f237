"""Markdown -> one page that holds all its figures."""

import base64
import re
from html import escape
from pathlib import Path
from string import Template
from urllib.parse import unquote

from markdown import Markdown
from markdown.extensions import Extension
from markdown.treeprocessors import Treeprocessor

_TEMPLATE = Path(__file__).with_name("page.html")


def render(text, folder):
    """Make a page that needs no other file.

    Parameters
    ----------
    text : str
        Markdown with one title.
    folder : pathlib.Path
        Where its pictures lie.

    Returns
    -------
    str
        HTML.
    """
    markdown = Markdown(extensions=["tables", "toc", _Embed(folder)], extension_configs={"toc": {"toc_depth": "2-3"}})
    body = markdown.convert(text)
    title = re.search(r"^# (.+)$", text, re.MULTILINE)[1]
    return Template(_TEMPLATE.read_text()).substitute(title=escape(title), toc=markdown.toc, body=body)


class _Embed(Extension):
    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def extendMarkdown(self, md):
        # after the links and pictures are made, at 20
        md.treeprocessors.register(_EmbedPictures(md, self.folder), "embed", 5)


class _EmbedPictures(Treeprocessor):
    """Put pictures into the page."""

    def __init__(self, md, folder):
        super().__init__(md)
        self.folder = folder

    def run(self, root):
        for image in root.iter("img"):
            content = (self.folder / unquote(image.get("src"))).read_bytes()
            image.set("src", f"data:image/png;base64,{base64.b64encode(content).decode()}")
