"""What the figures show."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from benchmarks.reporting import figures, significance
from benchmarks.reporting.sweeps import Panel, Sweep

LONG = "DHAG(space=input, n_perturbators=10, n_augmented=50)"
DETECTORS = [LONG, "NoveltyNormalization", "PLAD", *(f"rival{number}" for number in range(12))]


@pytest.fixture
def kept(monkeypatch):
    """The figures that are drawn."""
    figures = []
    monkeypatch.setattr(plt, "close", figures.append)
    yield figures
    monkeypatch.undo()
    plt.close("all")


@pytest.fixture
def scores():
    """15 detectors, the first the best, on 12 data sets."""
    noise = np.random.default_rng(0).uniform(0, 0.05, size=(12, 15))
    return pd.DataFrame(np.linspace(0.9, 0.6, 15) + noise, columns=DETECTORS)


def assert_nothing_is_cut_off(path):
    picture = plt.imread(path)[..., :3]
    for edge in (picture[0], picture[-1], picture[:, 0], picture[:, -1]):
        assert (edge == 1).all()


def texts(axis):
    return [text.get_text() for text in axis.texts]


def test_boxes(scores, tmp_path, kept):
    figures.boxes({"one-class": scores, "unsupervised": scores[["PLAD", LONG]]}, "AUROC", tmp_path / "auroc.png")
    assert_nothing_is_cut_off(tmp_path / "auroc.png")
    first, second = kept[0].axes
    assert [label.get_text() for label in first.get_yticklabels()] == DETECTORS[::-1]  # the best on top
    assert texts(first) == [f"{mean:.3f}" for mean in scores.mean()[::-1]]
    assert first.get_title() == "one-class (12 data sets)"
    assert [label.get_text() for label in second.get_yticklabels()] == [LONG, "PLAD"]


def test_boxes_of_ours_are_of_another_colour(scores, tmp_path, kept):
    figures.boxes({"one-class": scores}, "AUROC", tmp_path / "auroc.png", ours={LONG, "PLAD"})
    colours = [box.get_facecolor()[:3] for box in kept[0].axes[0].patches]
    assert len(set(colours)) == 2
    names = [label.get_text() for label in kept[0].axes[0].get_yticklabels()]
    assert [colour == colours[-1] for colour in colours] == [name in (LONG, "PLAD") for name in names]


def test_boxes_of_ranks(scores, tmp_path, kept):
    figures.boxes({"one-class": scores.rank(axis=1, ascending=False)}, "rank", tmp_path / "a.png", low_is_best=True)
    assert [label.get_text() for label in kept[0].axes[0].get_yticklabels()][-1] == LONG


def test_boxes_of_one_data_set(scores, tmp_path):
    figures.boxes({"one-class": scores.head(1)}, "AUROC", tmp_path / "auroc.png")
    assert_nothing_is_cut_off(tmp_path / "auroc.png")


def test_many_panels(scores, tmp_path, kept):
    figures.boxes({f"protocol {number}": scores for number in range(5)}, "AUROC", tmp_path / "auroc.png")
    assert_nothing_is_cut_off(tmp_path / "auroc.png")
    assert len(kept[0].axes) == 5


def test_critical_differences(scores, tmp_path, kept):
    ranks = scores.rank(axis=1, ascending=False)
    figures.critical_differences({"one-class": ranks}, tmp_path / "cd.png")
    assert_nothing_is_cut_off(tmp_path / "cd.png")
    (axis,) = kept[0].axes
    shown = texts(axis)
    for detector, mean in ranks.mean().items():
        assert any(detector in text and f"{mean:.2f}" in text for text in shown)
    assert f"CD = {significance.critical_difference(ranks):.2f}" in shown
    # every bar joins what the test does not tell apart
    mean, p_values = ranks.mean(), significance.nemenyi(ranks)
    bars = [line.get_xdata() for line in axis.lines if len(set(line.get_ydata())) == 1 and line.get_ydata()[0] < 0]
    assert bars
    for bar in bars:
        joined = mean.index[(mean >= min(bar) - 1e-9) & (mean <= max(bar) + 1e-9)]
        assert (p_values.loc[joined, joined] >= significance.ALPHA).all(axis=None)


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([0.01, 0.05, 0.1, 0.2], "linear"),
        ([0.02, 0.32, 0.62, 0.92, 1.22], "linear"),
        ([1, 10, 1000], "log"),
        ([0, 10, 30, 512], "symlog"),
        ([0, 0.2, 1], "linear"),
        ([-1, 0, 100], "linear"),
    ],
)
def test_curves_are_logarithmic_where_labels_would_touch(values, scale, tmp_path, kept):
    mean = pd.DataFrame({"PLAD": np.linspace(0.5, 0.6, len(values))}, index=values)
    panel = Panel(mean, mean * 0 + 0.1, pd.DataFrame({"wine": mean["PLAD"], "kdd": mean["PLAD"] + 0.1}))
    figures.curves(Sweep("PLAD, lam", "lam", {"one-class": panel}), "AUROC", tmp_path / "sweep.png")
    assert_nothing_is_cut_off(tmp_path / "sweep.png")
    (axis,) = kept[0].axes
    assert axis.get_xscale() == scale
    assert [label.get_text() for label in axis.get_xticklabels()] == [f"{value:g}" for value in values]
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["wine", "kdd", "mean"]
    thin, _, thick = axis.lines
    assert thin.get_linewidth() < thick.get_linewidth()
    assert thick.get_ydata().tolist() == pytest.approx(mean["PLAD"].tolist())
    band = axis.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((0.4, 0.7))


def test_curves_of_several_detectors(scores, tmp_path, kept):
    mean = scores.head(3)
    sweep = Sweep("contaminated", "contaminated", {"mnist": Panel(mean, mean * 0, None)})
    figures.curves(sweep, "AUROC", tmp_path / "sweep.png")
    assert_nothing_is_cut_off(tmp_path / "sweep.png")
    assert [text.get_text() for text in kept[0].axes[0].get_legend().get_texts()] == DETECTORS
    assert len({line.get_color() for line in kept[0].axes[0].lines}) == 15


def test_curves_that_coincide_are_all_seen(tmp_path, kept):
    mean = pd.DataFrame({name: [0.9, 0.8] for name in "ABC"}, index=[1.0, 2.0])
    figures.curves(Sweep("lam", "lam", {"one-class": Panel(mean, mean * 0, None)}), "AUROC", tmp_path / "sweep.png")
    lines = kept[0].axes[0].lines
    assert len({(line.get_linestyle(), line.get_marker(), line.get_markersize()) for line in lines}) == 3
    assert [line.get_markersize() for line in lines] == sorted((line.get_markersize() for line in lines), reverse=True)
