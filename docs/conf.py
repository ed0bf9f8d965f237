"""How Sphinx builds the documentation: ``sphinx-build -W docs build/docs``."""

import re
from importlib.metadata import version as installed_version
from pathlib import Path

project = "pyod_synth"
author = "the pyod_synth developers"
release = version = installed_version("pyod_synth")

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_gallery.gen_gallery",
]
html_theme = "pydata_sphinx_theme"
html_theme_options = {"navigation_with_keys": False, "secondary_sidebar_items": ["page-toc"]}
html_show_sourcelink = False
# without pages below them there is nothing to show at the side
html_sidebars = {
    page: []
    for page in ("index", "integrations", "benchmark", "results", "performance", "promises", "contributing", "changes")
}

templates_path = ["_templates"]
autosummary_generate = True
myst_heading_anchors = 3
numpydoc_show_class_members = False  # autodoc lists them

sphinx_gallery_conf = {
    "examples_dirs": str(Path(__file__).parent.parent / "examples"),
    "gallery_dirs": "examples",
    "filename_pattern": r"\.py$",  # all are run, not those alone that draw
    "download_all_examples": False,
    "show_memory": False,
    "abort_on_example_error": True,
}


# Files of the repository that are pages here too, beside those in docs/.
_PAGES = {
    "CHANGES.md": "changes.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/README.md": "benchmark.md",
    "benchmarks/RESULTS.md": "results.md",
    "examples": "examples/index.rst",
}


def _link_files(app, path, docname, content):
    """Link to the page of a file that an included page links to, or name the file if it is not part of these pages."""

    def link(match):
        text, target = match.groups()
        file = (app.srcdir / path).parent.joinpath(target).resolve()
        if file.parent == app.srcdir:
            return f"[{text}](/{file.name})"
        page = _PAGES.get(str(file.relative_to(app.srcdir.parent)))
        if page:
            return f"[{text}](/{page})"
        return f"`{target}`" if target.endswith(text) else f"{text} (`{target}`)"

    content[0] = re.sub(r"(?<!!)\[([^\]]+)\]\((?!https?:|#)([^)#]+)\)", link, content[0])


def _skip_routing(app, what, name, obj, skip, options):
    """Leave out scikit-learn's methods for the routing of metadata, whose texts refer to its own pages."""
    return True if re.fullmatch(r"set_\w+_request|get_metadata_routing", name) else None


def _escape(app, what, name, obj, options, lines):
    """Take |x|, *shape and name_ of a docstring for what they are, and not for markup."""
    for number, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "..", ":")):
            parts = re.split(r"(`+[^`]*`+_?)", line)
            parts[::2] = [re.sub(r"\||\*(?=\w)|(?<=\w)_(?!\w)", r"\\\g<0>", part) for part in parts[::2]]
            lines[number] = "".join(parts)


def setup(app):
    """Register all three."""
    app.connect("autodoc-process-docstring", _escape, priority=100)  # before numpydoc, which writes markup
    app.connect("include-read", _link_files)
    app.connect("autodoc-skip-member", _skip_routing)
