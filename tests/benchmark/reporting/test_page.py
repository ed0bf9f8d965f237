"""The page shows what people call things, whatever that is, and nothing else that lies on the disk."""

import base64
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from PIL import Image

from benchmarks.experiments import Experiment
from benchmarks.reporting import page, report
from benchmarks.reporting.frame import to_frame
from tests.benchmark.records import record

SCRIPT = "<script>alert(1)</script>"


class Elements(HTMLParser):
    """What a browser makes of the body of a page: its elements, and its text."""

    def __init__(self, html):
        super().__init__()
        self.found, self.text = [], ""
        self.feed(html.partition("<body>")[2])

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


def render(text, pictures=()):
    return Elements(page.render(text, "A title", dict(pictures)))


@pytest.mark.parametrize(
    "text",
    [SCRIPT, f"## {SCRIPT}", f"<div>\n{SCRIPT}\n</div>", f"| a |\n|:--|\n| {SCRIPT} |", f"`{SCRIPT}`", f"*{SCRIPT}*"],
)
def test_html_is_text(text):
    shown = render(text)
    assert SCRIPT in shown.text
    assert not shown.all("script")


def test_title_is_text():
    assert f"<title>{SCRIPT}" not in page.render("", f"</title>{SCRIPT}", {})
    assert "<title>&lt;/title&gt;&lt;script&gt;" in page.render("", f"</title>{SCRIPT}", {})


@pytest.mark.parametrize(
    "address",
    ["javascript:alert(1)", "JaVaScRiPt:alert(1)", "&#106;avascript:alert(1)", "data:text/html,x", "file:///etc"],
)
def test_links_that_run_or_leave_the_web_are_none(address):
    for text in (f"[here]({address})", f"[here]\n\n[here]: {address}"):
        shown = render(text)
        assert "here" in shown.text
        assert not any("href" in attributes for attributes in shown.all("a"))


def test_links_within_the_page_and_to_the_web():
    shown = render("[a](#b) [c](https://example.org/d)")
    assert [link["href"] for link in shown.all("a")] == ["#b", "https://example.org/d"]


@pytest.mark.parametrize("place", ["../secret.png", "/proc/self/environ", "missing.png", "secret.png"])
def test_pictures_that_are_not_the_pages_own_are_their_text(place, tmp_path):
    (tmp_path / "secret.png").write_text("secret")
    shown = render(f"![a curve]({place})", {"own.png": tmp_path / "own.png"})
    assert shown.all("img") == []
    assert "a curve" in shown.text


def test_own_pictures_are_in_the_page(tmp_path):
    Image.new("L", (1, 1)).save(tmp_path / "own picture.png")
    shown = render("![a curve](own%20picture.png)", {"own picture.png": tmp_path / "own picture.png"})
    (picture,) = shown.all("img")
    content = base64.b64decode(picture["src"].removeprefix("data:image/png;base64,"))
    assert content == (tmp_path / "own picture.png").read_bytes()


def test_names_everywhere_are_text(tmp_path):
    """A data set, detector, protocol, version, reason and command that are markup are shown as they are."""
    bad = f"{SCRIPT}[x](javascript:y)![z](../secret.png)|*b*"
    out = tmp_path / "out"
    (tmp_path / "secret.png").write_bytes(b"secret")
    records = [
        record(f"data {bad}", f"KNN {bad.replace(':', '')}", seed, 0.5, protocol=f"split {bad}") for seed in (0, 1)
    ]
    records.append(record("other", "PLAD", 0, None, "failed", protocol=f"split {bad}", reason=f"why {bad}"))
    records.append(record("other", "ICL", 0, None, "skipped", protocol=f"split {bad}", reason="not there"))
    records = [replace(each, versions={f"package {bad}": f"1 {bad}"}) for each in records]
    own = Experiment("own", [], [], [], [], title=f"title {bad}")
    report.write(to_frame(records, own), out, own, f"run {bad}`{bad}")
    shown = Elements((out / "report.html").read_text())
    for what in ("data", "split", "why", "package", "1", "title", "run"):
        assert f"{what} {bad}" in shown.text, what
    assert f"KNN {bad.replace(':', '')}" in shown.text
    assert not shown.all("script")
    assert all(link["href"].startswith("#") for link in shown.all("a"))
    assert base64.b64encode(b"secret").decode() not in (out / "report.html").read_text()


def test_pictures_of_others_are_not_shown(tmp_path):
    out, secret = tmp_path / "out", tmp_path / "secret.png"
    (out / "pictures").mkdir(parents=True)
    Image.new("L", (1, 1)).save(out / "pictures" / "1-scores.png")
    Image.new("L", (2, 2)).save(secret)
    (out / "pictures" / "link.png").symlink_to(secret)
    (out / "pictures" / "gone.png").symlink_to(out / "nothing")
    (out / "pictures" / "text.png").write_text("secret")
    (out / "pictures" / "folder.png").mkdir()
    assert report.pictures(out) == ["pictures/1-scores.png"]
    own = Experiment("own", [], [], [], [], differs="![gone](nothing.png)")
    report.write(to_frame([record("a", "KNN", 0, None, "failed")]), out, own, "run")
    shown = Elements((out / "report.html").read_text())
    assert len(shown.all("img")) == 1
    assert "gone" in shown.text
