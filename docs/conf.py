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


def _name_files(app, path, docname, content):
    """Name the files of the repository that a page from there links to: they are not part of the documentation."""
    content[0] = re.sub(r"(?<!!)\[([^\]]+)\]\((?!https?:|#)([^)#]+)\)", r"\1 (`\2`)", content[0])


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
    app.connect("include-read", _name_files)
    app.connect("autodoc-skip-member", _skip_routing)
