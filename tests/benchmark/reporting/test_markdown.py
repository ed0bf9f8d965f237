"""Numbers as texts."""

import pandas as pd
import pytest

from benchmarks.reporting import markdown, tables
from benchmarks.reporting.frame import to_frame
from tests.benchmark.records import frame, record

NAN = float("nan")


@pytest.mark.parametrize(
    ("numbers", "text"),
    [((0.1234, 0.0566), "0.123 ± 0.057"), ((0.5, NAN), "0.500"), ((NAN, NAN), ""), ((0.5, None), "0.500")],
)
def test_figure(numbers, text):
    assert markdown.figure(*numbers) == text


@pytest.mark.parametrize(("value", "text"), [(0.5, "0.500"), (0.001, "0.001"), (0.00012, "1e-04"), (0.0, "0e+00")])
def test_p_value(value, text):
    assert markdown.p_value(value) == text


def test_summary():
    best = {"epoch": 3, "auroc": 0.9, "auprc": 0.0, "f1": 0.0}
    records = [record("a", "P", seed, auroc, oracle_epoch=best) for seed, auroc in enumerate([0.9, 0.7])]
    records += [record("a", "Q", seed, 0.6) for seed in (0, 1)]
    table = tables.summary(to_frame(records))["one-class"]
    assert markdown.summary(table, "auroc", bold=True).to_dict("index") == {
        "P": {
            "AUROC": "**0.800 ± 0.100**",
            "AUPRC": "**0.400 ± 0.050**",
            "F1": "**0.200 ± 0.025**",
            "oracle-epoch AUROC": "0.900 ± 0.000",
            "rank AUROC": "**1.00**",
            "rank AUPRC": "**1.00**",
            "fit [s]": "1.00",
            "score [s]": "0.50",
        },
        "Q": {
            "AUROC": "0.600 ± 0.000",
            "AUPRC": "0.300 ± 0.000",
            "F1": "0.150 ± 0.000",
            "oracle-epoch AUROC": "",
            "rank AUROC": "2.00",
            "rank AUPRC": "2.00",
            "fit [s]": "1.00",
            "score [s]": "0.50",
        },
    }
    table["fit_seconds"] = [1.0, NAN]
    assert markdown.summary(table, "auroc")["fit [s]"].tolist() == ["1.00", ""]
    plain = markdown.summary(tables.summary(frame({"a": {"P": [0.9]}}), "f1")["one-class"], "f1")
    assert list(plain) == ["AUROC", "AUPRC", "F1", "rank AUROC", "rank AUPRC", "rank F1", "fit [s]", "score [s]"]
    assert plain.loc["P", "F1"] == "0.225"  # one seed has no deviation


def test_details():
    records = [*(record("a", "P", seed, 0.5) for seed in (0, 1)), record("a", "Q", 0, 0.6)]
    records += [record("b", "Q", 0, None, "failed"), record("c", "P", 0, None, "skipped")]
    texts = markdown.details(tables.outcomes(to_frame(records), "auroc"), bold=True)["one-class"]
    assert texts.loc["a"].to_dict() == {"P": "0.500 ± 0.000", "Q": "**0.600 (1 of 2 seeds)**"}
    assert texts.loc[["b", "c"]].values.tolist() == [["", "failed"], ["skipped", ""]]


def test_what_is_level_as_it_is_written_is_bold_together():
    texts, numbers = pd.Series(["0.5", "0.5", "0.4", ""]), pd.Series([0.52, 0.51, 0.4, NAN])
    assert markdown.embolden(texts, numbers.round(1), max).tolist() == ["**0.5**", "**0.5**", "0.4", ""]
    assert markdown.embolden(texts, numbers.round(1), min).tolist() == ["0.5", "0.5", "**0.4**", ""]
    assert markdown.embolden(texts.tail(2), numbers.tail(2), max).tolist() == ["0.4", ""]  # nothing to compare with


def test_error_messages_are_one_line_without_markup():
    assert markdown.escape("a|b\n<c> & __init__") == r"a\|b &lt;c> &amp; \_\_init\_\_"
    assert len(markdown.escape("word " * 200)) <= 300


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("DHAG(n_augmented=0)", "DHAG(n_augmented=0)"),
        ("<script>&amp;", "&lt;script>&amp;amp;"),
        ("a|b\nc", r"a\|b c"),
        ("![x](y) `z` **b** \\", r"![x\](y) \`z\` \*\*b\*\* \\"),
        ("fit [s]", "fit [s]"),
        ("_a_ b_c", r"\_a\_ b_c"),
    ],
)
def test_names_are_shown_as_they_are(text, written):
    assert markdown.name(text) == written


@pytest.mark.parametrize(
    ("text", "written"), [("run mine", "`run mine`"), ("a `b`\n\n# c", "`` a `b` # c ``"), ("``", "``` `` ```")]
)
def test_code(text, written):
    assert markdown.code(text) == written


def test_names_in_tables():
    texts = pd.DataFrame({"a|b": ["**0.5**"], "detector": ["x|y"]}, index=pd.Index(["<b>"], name="*"))
    head, _, row = markdown.table(texts, names=["detector"]).splitlines()
    assert [cell.strip() for cell in head.split(" | ")] == [r"| \*", r"a\|b", "detector |"]
    assert [cell.strip() for cell in row.split(" | ")] == ["| &lt;b>", "**0.5**", r"x\|y |"]
