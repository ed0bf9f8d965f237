"""Whatever users hand over: it is scored by its numbers, or refused by a message that names the argument."""

import decimal
from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

from tests.detectors import DETECTORS, assert_same, offers, small, trains

pytestmark = [
    pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.__name__),
    pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names:UserWarning"),
    pytest.mark.filterwarnings("ignore:AnoRand learns to tell 0 and 1 in y apart:UserWarning"),
]

_RNG = np.random.default_rng(0)
TABLE = np.round(_RNG.normal(size=(36, 3)) * [8.0, 3.0, 20.0] + [0.0, 40.0, 9.0])
FRAME = pd.DataFrame(TABLE, columns=["a", "b", "c"])
IMAGES = np.round(30 * _RNG.normal(size=(12, 1, 6, 5)) + 120).clip(0, 255)
LABELS = np.arange(36) % 9 == 0

# What is right: the scores of TABLE or IMAGES, other finite ones, or an error whose message this pattern is found in.
SAME, WORKS = "the same scores", "finite scores"
NAN, INFINITE = "X contains NaN", "X contains infinity"
NO_ARRAY, ONE, THREE, FIVE = (f"X must have shape .* got {number}-D" for number in (0, 1, 3, 5))
DATES, WORDS = "X must hold numbers, got dates or times", "X: could not convert string to float"
SPARSE, RAGGED, TOO_FEW = "X.*dense", "X: setting an array element with a sequence", "X: Found array with"
COLUMNS = "X must hold numbers, got other values in its columns"
COMPLEX, RECORDS, MASKED = "X: Complex data", "X must hold numbers, got records", "X has masked values"


def changed(X, value):
    X = X.copy()
    X[(3, *[0] * (X.ndim - 1))] = value
    return X


def on_disk(X, folder):
    array = np.memmap(folder / "rows", dtype=X.dtype, mode="w+", shape=X.shape)
    array[:] = X
    return array


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def tensor(X, **options):
    return torch.tensor(X, dtype=torch.float64, **options)


class Array(np.ndarray):
    """A user's own kind of array."""


# kind: rows, or what makes them of plain ones; what is right
OF_ANY_SHAPE = {
    "plain": (lambda X: X, SAME),
    "lists": (lambda X: X.tolist(), SAME),
    "list of arrays": (list, SAME),
    "list of tensors": (lambda X: [torch.tensor(row) for row in X], SAME),
    "float32": (lambda X: X.astype(np.float32), SAME),
    "float16": (lambda X: X.astype(np.float16), SAME),
    "longdouble": (lambda X: X.astype(np.longdouble), SAME),
    "big-endian": (lambda X: X.astype(">f8"), SAME),
    "little-endian": (lambda X: X.astype("<f4"), SAME),
    "int16": (lambda X: X.astype(np.int16), SAME),
    "int64": (lambda X: X.astype(np.int64), SAME),
    "big-endian integers": (lambda X: X.astype(">i4"), SAME),
    "object numbers": (lambda X: X.astype(object), SAME),
    "object integers": (lambda X: X.astype(int).astype(object), SAME),
    "text of numbers": (lambda X: X.astype(str), SAME),
    "bytes of numbers": (lambda X: X.astype("S8"), SAME),
    "Fortran order": (np.asfortranarray, SAME),
    "negative strides": (lambda X: X[::-1][::-1], SAME),
    "strides over rows": (lambda X: np.repeat(X, 2, axis=0)[::2], SAME),
    "strides over the last axis": (lambda X: np.repeat(X, 2, axis=-1)[..., ::2], SAME),
    "read-only": (read_only, SAME),
    "subclass": (lambda X: X.view(Array), SAME),
    "masked, nothing masked": (lambda X: np.ma.masked_array(X, mask=False), SAME),
    "masked, without a mask": (np.ma.masked_array, SAME),
    "masked": (lambda X: np.ma.masked_equal(X, X.flat[4]), MASKED),
    "torch": (tensor, SAME),
    "torch float32": (lambda X: torch.tensor(X).float(), SAME),
    "torch integers": (lambda X: torch.tensor(X).int(), SAME),
    "torch bfloat16": (lambda X: torch.tensor(X).bfloat16(), WORKS),
    "torch with gradients": (lambda X: tensor(X, requires_grad=True), SAME),
    "torch, not contiguous": (lambda X: torch.tensor(np.repeat(X, 2, axis=0))[::2], SAME),
    "torch complex": (lambda X: torch.tensor(X).to(torch.complex64), COMPLEX),
    "bool": (lambda X: np.median(X) < X, WORKS),
    "uint64": (lambda X: (X + 200).astype(np.uint64), WORKS),
    "complex": (lambda X: X.astype(complex), COMPLEX),
    "complex without imaginary part, object": (lambda X: X.astype(complex).astype(object), "X: "),
    "NaN": (lambda X: changed(X, np.nan), NAN),
    "NaN, float32": (lambda X: changed(X, np.nan).astype(np.float32), NAN),
    "infinity": (lambda X: changed(X, np.inf), INFINITE),
    "minus infinity": (lambda X: changed(X, -np.inf), INFINITE),
    "infinity, float16": (lambda X: changed(X, np.inf).astype(np.float16), INFINITE),
    "None among numbers": (lambda X: changed(X.astype(object), None), NAN),
    "NA among numbers": (lambda X: changed(X.astype(object), pd.NA), "X"),
    "text among numbers": (lambda X: changed(X.astype(object), "many"), WORDS),
    "list among numbers": (lambda X: changed(X.astype(object), [1]), "X: "),
    "date among numbers": (lambda X: changed(X.astype(object), pd.Timestamp("2020-01-01")), "X: "),
    "words": (lambda X: np.full(X.shape, "many"), WORDS),
    "nothing but None": (lambda X: np.full(X.shape, None), NAN),
    "dates": (lambda X: X.astype(np.int64).astype("M8[ns]"), DATES),
    "days": (lambda X: X.astype(np.int64).astype("M8[D]"), DATES),
    "spans of time": (lambda X: X.astype(np.int64).astype("m8[s]"), DATES),
    "NaT": (lambda X: np.full(X.shape, np.datetime64("NaT")), DATES),
    "lists of dates": (lambda X: X.astype(np.int64).astype("M8[D]").tolist(), "X: "),
    "numpy dates in lists": (lambda X: list(X.astype(np.int64).astype("M8[D]")), DATES),
    "decimals": (lambda X: np.vectorize(decimal.Decimal, otypes=[object])(X), SAME),
    "thousands of 1e300": (lambda X: X * 1e300, SAME),
    "billionths of 1e-300": (lambda X: X * 1e-300, SAME),
    "range below 1e-160": (lambda X: X * 2.0**-600, SAME),
    "subnormal": (lambda X: X * 2.0**-1060, SAME),
    "around 5e15": (lambda X: X + 5e15, SAME),
    "around -5e15": (lambda X: X - 5e15, SAME),
    "one value of 1e308": (lambda X: changed(X, 1e308), WORKS),
    "one value of -1e200": (lambda X: changed(X, -1e200), WORKS),
    "one subnormal value": (lambda X: changed(X, 5e-324), WORKS),
    "all equal": (lambda X: np.full(X.shape, 7.0), WORKS),
    "all zero": (np.zeros_like, WORKS),
    "all 1e308": (lambda X: np.full(X.shape, 1e308), WORKS),
    "largest and smallest float": (lambda X: np.where(np.median(X) < X, 1.0, -1.0) * np.finfo(float).max, WORKS),
    "minus zero": (lambda X: np.where(np.median(X) < X, 0.0, -0.0), WORKS),
    "differences of a last bit": (lambda X: np.where(np.median(X) < X, 1.0, np.nextafter(1.0, 2.0)), WORKS),
    "two rows": (lambda X: X[:2], WORKS),
    "two equal rows": (lambda X: X[[0, 0]], WORKS),
    "no rows": (lambda X: X[:0], TOO_FEW),
    "one axis too many": (lambda X: X[:, None], "X must have shape .* got (3|5)-D"),
    "first row alone": (lambda X: X[0].reshape(-1), ONE),
    "ragged lists": (lambda X: [*X.tolist(), [1.0]], RAGGED),
    "empty list": (lambda X: [], ONE),
    "records": (lambda X: np.rec.fromarrays([X.reshape(len(X), -1)[:, 0]], names="a"), RECORDS),
    "one number": (lambda X: 3.0, NO_ARRAY),
    "0-D": (lambda X: np.array(3.0), NO_ARRAY),
    "0-D torch": (lambda X: torch.tensor(3.0), NO_ARRAY),
    "nothing": (lambda X: None, NO_ARRAY),
    "dictionary": (lambda X: {"a": X}, NO_ARRAY),
    "set": (lambda X: {1, 2}, NO_ARRAY),
    "one word": (lambda X: "rows", NO_ARRAY),
    "iterator": (lambda X: iter(X), NO_ARRAY),
    "class": (lambda X: dict, NO_ARRAY),
}
OF_TABLES = {
    "tuples": (tuple(map(tuple, TABLE)), SAME),
    "matrix": (np.asmatrix(TABLE), SAME),
    "list of series": ([FRAME.loc[row] for row in range(len(FRAME))], SAME),
    "frame": (FRAME, SAME),
    "frame of integers": (FRAME.astype(int), SAME),
    "frame of mixed types": (FRAME.astype({"a": "int8", "b": "float32"}), SAME),
    "frame with an index": (FRAME.set_index(pd.date_range("2020", periods=len(FRAME))), SAME),
    "frame, shuffled rows' index": (FRAME.set_index(FRAME.index[::-1]), SAME),
    "frame, Int64": (FRAME.astype("Int64"), SAME),
    "frame, Int64 and NA": (FRAME.astype("Int64").mask(FRAME > 44), NAN),
    "frame, Float64": (FRAME.astype("Float64"), SAME),
    "frame, Float64 and NA": (FRAME.astype("Float64").mask(FRAME > 44), NAN),
    "frame, boolean": ((FRAME > 9).astype("boolean"), WORKS),
    "frame, boolean and NA": ((FRAME > 9).astype("boolean").mask(FRAME > 44), NAN),
    "frame, bool": (FRAME > 9, WORKS),
    "frame, pyarrow": (FRAME.astype("float64[pyarrow]"), SAME),
    "frame, NaN": (FRAME.mask(FRAME > 44), NAN),
    "frame, categories of numbers": (FRAME.assign(a=FRAME["a"].astype("category")), SAME),
    "frame, categories of words": (FRAME.assign(a=pd.Categorical(["x"] * len(FRAME))), COLUMNS + r" \['a'\]"),
    "frame, object": (FRAME.astype(object), SAME),
    "frame, text of numbers": (FRAME.astype(str), SAME),
    "frame, words": (FRAME.assign(b="many"), COLUMNS + r" \['b'\]"),
    "frame, dates": (FRAME.assign(c=pd.Timestamp("2020-01-01")), COLUMNS + r" \['c'\]"),
    "frame, spans of time": (FRAME.assign(c=pd.Timedelta("1D")), COLUMNS + r" \['c'\]"),
    "frame, periods": (FRAME.assign(c=pd.Period("2020-01")), COLUMNS + r" \['c'\]"),
    "frame, complex": (FRAME.assign(c=1j), "X"),
    "frame, repeated names": (FRAME.set_axis(["a", "a", "b"], axis=1), r"X must have columns.*\['a'\]"),
    "frame, numbers for names": (FRAME.set_axis([0, 1, 2], axis=1), SAME),
    "frame, names of mixed types": (FRAME.set_axis(["a", 1, 2], axis=1), "Feature names are only supported.*X"),
    "frame, two levels of names": (FRAME.set_axis(pd.MultiIndex.from_product([["a"], [1, 2, 3]]), axis=1), SAME),
    "frame, sparse": (FRAME.astype(pd.SparseDtype(float)), r"X has sparse columns \['a', 'b', 'c'\]"),
    "frame, one sparse": (FRAME.astype({"b": pd.SparseDtype(float, 0)}), r"X has sparse columns \['b'\]"),
    "frame, around 5e15": ((FRAME.astype("int64") + 5 * 10**15), SAME),
    "frame without rows": (FRAME[:0], TOO_FEW),
    "series": (FRAME["a"], ONE),
    "index": (FRAME.index, ONE),
    "csr matrix": (sparse.csr_matrix(TABLE), SPARSE),
    "csc matrix": (sparse.csc_matrix(TABLE), SPARSE),
    "coo matrix": (sparse.coo_matrix(TABLE), SPARSE),
    "csr array": (sparse.csr_array(TABLE), SPARSE),
    "no columns": (TABLE[:, :0], TOO_FEW),
    "3-D": (IMAGES[:, 0], THREE),
    "5-D": (IMAGES[None], FIVE),
    "torch, sparse": (torch.tensor(TABLE).to_sparse(), "X"),
}
OF_IMAGES = {
    "bytes": (IMAGES.astype(np.uint8), SAME),
    "bytes, torch": (torch.tensor(IMAGES).to(torch.uint8), SAME),
    "from channels last": (np.moveaxis(np.moveaxis(IMAGES, 1, -1).copy(), -1, 1), SAME),
    "channels last": (np.moveaxis(IMAGES, 1, -1), r"X.transpose\(0, 3, 1, 2\)"),
    "channels last, bytes": (np.moveaxis(IMAGES, 1, -1).astype(np.uint8), r"np.moveaxis\(X, -1, 1\)"),
    "no channels": (IMAGES[:, :0], "X: Found array with|X holds images of shape"),
    "no pixels": (IMAGES[..., :0], "X: Found array with|X holds images of shape"),
}
OF_LABELS = {
    "integers": (LABELS.astype(int), SAME),
    "int8": (LABELS.astype(np.int8), SAME),
    "bool": (LABELS, SAME),
    "floats": (LABELS.astype(float), SAME),
    "list": (LABELS.astype(int).tolist(), SAME),
    "tuple": (tuple(LABELS), SAME),
    "column": (LABELS[:, None], SAME),
    "torch": (torch.tensor(LABELS), SAME),
    "object": (LABELS.astype(int).astype(object), SAME),
    "series": (pd.Series(LABELS.astype(int)), SAME),
    "series with an index": (pd.Series(LABELS.astype(int), index=FRAME.index[::-1]), SAME),
    "Int64": (pd.Series(LABELS.astype(int), dtype="Int64"), SAME),
    "boolean": (pd.Series(LABELS, dtype="boolean"), SAME),
    "categories": (pd.Series(pd.Categorical(LABELS.astype(int))), SAME),
    "frame": (pd.DataFrame({"y": LABELS.astype(int)}), SAME),
    "all 0": (np.zeros(36, dtype=int), WORKS),
    "all 1": (np.ones(36, dtype=int), WORKS),
    "none": (None, "y is required"),
    "NA": (pd.Series(LABELS, dtype="boolean").mask(LABELS), r"y must hold 0 .* got \['nan'"),
    "NaN": (np.where(LABELS, np.nan, 0), r"y must hold 0 .* got \['nan'"),
    "infinity": (np.where(LABELS, np.inf, 0), r"y must hold 0 .* got \['inf'"),
    "None among labels": ([None if label else 0 for label in LABELS], r"y must hold 0 .* got \['None'"),
    "words": (np.where(LABELS, "bad", "good"), r"y must hold 0 .* got \['bad', 'good'"),
    "text of numbers": (LABELS.astype(int).astype(str), "y must hold 0"),
    "halves": (LABELS / 2, r"y must hold 0 .* got \['0.5'"),
    "-1 and 1": (2 * LABELS - 1, r"y must hold 0 .* got \['-1'"),
    "0 to 2": (np.arange(36) % 3, r"y must hold 0 .* got \['2'"),
    "complex": (LABELS.astype(complex), "y"),
    "dates": (LABELS.astype(int).astype("M8[s]"), "y must hold numbers, got dates"),
    "masked": (np.ma.masked_array(LABELS.astype(int), mask=LABELS), "y has masked values"),
    "two columns": (np.column_stack([LABELS, LABELS]), "y should be a 1d array"),
    "too few": (LABELS[:-1], "y: .* inconsistent"),
    "too many": (np.append(LABELS, True), "y: .* inconsistent"),
    "empty": ([], "y: .* inconsistent"),
    "ragged": ([[0], [0, 1]], "y: setting an array element"),
    "one number": (1, "y should be a 1d array"),
    "one word": ("bad", "y should be a 1d array"),
    "dictionary": ({0: 1}, "y should be a 1d array"),
}
KINDS = [("table", kind) for kind in [*OF_ANY_SHAPE, *OF_TABLES]] + [
    ("images", kind) for kind in [*OF_ANY_SHAPE, *OF_IMAGES]
]


@cache
def fitted(detector, name):
    return small(detector, epoch_num=1).fit(TABLE if name == "table" else IMAGES)


def rows_of(name, kind):
    """Rows of a kind, and what is right."""
    plain, own = (TABLE, OF_TABLES) if name == "table" else (IMAGES, OF_IMAGES)
    if kind in own:
        return own[kind]
    make, right = OF_ANY_SHAPE[kind]
    return make(plain), right


def entry_points(clf, X):
    """All methods that take rows as X."""
    names = ["decision_function", "predict", "predict_proba", "predict_confidence", "embed", "explain"]
    more = [name for name in ("invent", "nearest_normal", "perturb") if offers(clf, name, X)]
    return [getattr(clf, name) for name in names + more]


@pytest.mark.filterwarnings("ignore:overflow encountered in multiply:RuntimeWarning")  # of a test's own making
@pytest.mark.parametrize(("name", "kind"), KINDS, ids=["-".join(pair) for pair in KINDS])
def test_rows_of_any_kind(detector, name, kind):
    X, right = rows_of(name, kind)
    clf, plain = small(detector, epoch_num=1), fitted(detector, name)
    if right not in (SAME, WORKS):
        fits = [clf.fit, lambda X: next(clf.staged_fit(X))] if trains(detector) else [clf.fit]
        for use in fits + entry_points(plain, TABLE if name == "table" else IMAGES):
            with pytest.raises((ValueError, TypeError), match=right):
                use(X)
        return
    scores = clf.fit(X).update_threshold(0.2).decision_scores_
    assert np.isfinite(scores).all()
    assert np.isin(clf.labels_, (0, 1)).all()
    if right == SAME:
        # the same numbers after scaling, to the last bit but for what a factor of 1e300 or 1e-300 rounds
        assert_same(scores, plain.decision_scores_)
    # as it is, and by the detector that knows the plain rows
    for known in (clf, plain):
        for use in entry_points(known, X):
            result = np.asarray(use(X))
            assert len(result) == len(scores)
            assert np.isfinite(result).all()
    assert hasattr(clf, "generate") is False or np.isfinite(clf.generate(3)).all()


@pytest.mark.parametrize("kind", OF_LABELS)
def test_labels_of_any_kind(detector, kind):
    if "use_labels" not in detector().get_params():
        pytest.skip(f"{detector.__name__} learns from no labels")
    y, right = OF_LABELS[kind]
    clf = small(detector, use_labels=True, epoch_num=1)
    if right in (SAME, WORKS):
        assert np.isfinite(clf.fit(TABLE, y).decision_scores_).all()
        if right == SAME:
            expected = small(detector, use_labels=True, epoch_num=1).fit(TABLE, LABELS.astype(int))
            np.testing.assert_array_equal(clf.decision_scores_, expected.decision_scores_)
        return
    fits = [clf.fit, lambda X, y: next(clf.staged_fit(X, y))] if trains(detector) else [clf.fit]
    for fit in fits:
        with pytest.raises((ValueError, TypeError), match=right):
            fit(TABLE, y)


def test_rows_on_disk(detector, tmp_path):
    rows = on_disk(TABLE, tmp_path)
    np.testing.assert_array_equal(
        small(detector, epoch_num=1).fit(rows).decision_scores_, fitted(detector, "table").decision_scores_
    )


def test_columns_in_another_order_are_refused(detector):
    clf = small(detector, epoch_num=1).fit(FRAME)
    for use in entry_points(clf, FRAME):
        with pytest.raises(ValueError, match="feature names.*"):
            use(FRAME[["b", "a", "c"]])
        with pytest.raises(ValueError, match="feature names.*"):
            use(FRAME.rename(columns={"a": "z"}))


def test_grey_images_without_an_axis_for_their_channel(detector):
    expected = fitted(detector, "images").decision_scores_
    clf = small(detector, epoch_num=1, image_shape=(1, 6, 5))
    for X in (IMAGES[:, 0], IMAGES[:, 0].astype(np.uint8), IMAGES, IMAGES.reshape(12, -1)):
        np.testing.assert_array_equal(clf.fit(X).decision_scores_, expected)
        assert_same(clf.decision_function(IMAGES[:, 0]), expected)
    for fit in (
        small(detector).fit,
        small(detector, image_shape=(1, 5, 6)).fit,
        small(detector, image_shape=(3, 6, 5)).fit,
    ):
        with pytest.raises(ValueError, match=r"got 3-D. Grey images .* X\[:, None\], or image_shape=\(1, H, W\)"):
            fit(IMAGES[:, 0])


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels_that_come_last(detector, channels):
    X = np.random.default_rng(0).normal(size=(8, 6, 5, channels))
    clf = small(detector, epoch_num=1)
    with pytest.raises(
        ValueError, match=r"channels seem to come last.*X.transpose\(0, 3, 1, 2\).*image_shape=\(6, 5, "
    ):
        clf.fit(X)
    clf.fit(X.transpose(0, 3, 1, 2))
    with pytest.raises(ValueError, match=r"expects images of shape \(., 6, 5\): X.transpose\(0, 3, 1, 2\)"):
        clf.decision_function(X)
    meant = small(detector, epoch_num=1, image_shape=(6, 5, channels)).fit(X)
    assert meant.input_shape_ == (6, 5, channels)
    # narrow images with few channels are what they are
    assert small(detector, epoch_num=1).fit(np.ascontiguousarray(X[:, :3])).input_shape_ == (3, 5, channels)
