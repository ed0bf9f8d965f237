"""``python -m pyod_synth score``: a CSV in, the same CSV with scores out, or one sentence on stderr."""

import io
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from pyod_synth import GatedKNN
from pyod_synth.__main__ import _detector, main
from pyod_synth.csv_scoring import CSVFile, Preparation

PLANTED = 17


@pytest.fixture
def payments():
    """Text, gaps, an identifier, a constant; row 17 (counted from 0) has an amount and a card like no other."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "id": [f"p{number:03}" for number in range(200)],
            "amount": rng.lognormal(3, 0.5, size=200).round(2),
            "hour": rng.normal(14, 3, size=200).round(1),
            "country": rng.choice(["DE", "FR", "PT"], size=200),
            "card": rng.choice(["debit", "credit"], size=200),
            "currency": "EUR",
            "nothing": np.nan,
        }
    )
    frame.loc[[3, 50, 60], "hour"] = np.nan
    frame.loc[[4, 51], "country"] = None
    frame.loc[PLANTED, ["amount", "card"]] = [9000.0, "stolen"]
    return frame


@pytest.fixture
def path(payments, tmp_path):
    payments.to_csv(tmp_path / "payments.csv", index=False)
    return tmp_path / "payments.csv"


@pytest.fixture
def score(capsys):
    """The command, in this process; it gives a data frame and what it said."""

    def run(*arguments):
        assert main(["score", *map(str, arguments)]) == 0
        out, said = capsys.readouterr()
        return pd.read_csv(io.StringIO(out), dtype={"because": str}, keep_default_na=False), said

    return run


@pytest.fixture
def refusal(capsys):
    """What the command says when it does not work: one sentence."""

    def run(*arguments):
        assert main(["score", *map(str, arguments)]) == 2
        out, said = capsys.readouterr()
        assert out == ""
        *left_out, error = said.splitlines()
        assert all(line.startswith("left out") for line in left_out)
        assert error.startswith("error: ")
        return error.removeprefix("error: ")

    return run


def test_the_planted_anomaly_comes_first_and_its_columns_are_named(path, score):
    top, said = score(path, "--top", 5, "--explain")
    assert len(top) == 5
    assert top.loc[0, "id"] == f"p{PLANTED:03}"
    assert top.loc[0, "row"] == PLANTED + 1
    assert sorted(top.loc[0, "because"].split(", ")[:2]) == ["amount", "card"]
    assert top["score"].is_monotonic_decreasing
    assert said.splitlines() == [
        "left out, being an identifier, text that differs from row to row: id",
        "left out, being constant: currency",
        "left out, being without any value: nothing",
    ]


def test_the_input_comes_back_in_order_and_as_it_stood(tmp_path):
    text = 'code,x,note\n007,1.50,"a, ""b"""\n008,2,\n009,1e1,NA\n010,3,"a, ""b"""\n'
    (tmp_path / "rows.csv").write_text(text)
    assert main(["score", str(tmp_path / "rows.csv"), "--out", str(tmp_path / "out.csv")]) == 0
    out = pd.read_csv(tmp_path / "out.csv", dtype=str, keep_default_na=False)
    assert list(out.columns) == ["row", "code", "x", "note", "score", "anomaly"]
    given = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    pd.testing.assert_frame_equal(out[["code", "x", "note"]], given)
    assert out["row"].tolist() == ["1", "2", "3", "4"]
    assert set(out["anomaly"]) == {"0", "1"}


def test_numbers_score_as_in_python(tmp_path, score):
    X = np.random.default_rng(0).normal(size=(100, 3)).round(3)
    pd.DataFrame(X, columns=list("abc")).to_csv(tmp_path / "x.csv", index=False)
    clf = GatedKNN(n_neighbors=3, contamination=0.05).fit(X)
    scored, said = score(tmp_path / "x.csv", "--detector", "GatedKNN:n_neighbors=3", "--contamination", 0.05)
    np.testing.assert_allclose(scored["score"], clf.decision_scores_, rtol=1e-5, atol=1e-6)
    assert scored["anomaly"].tolist() == clf.labels_.tolist()
    assert said == ""


def test_other_rows_can_be_learned_from(tmp_path, score):
    rng = np.random.default_rng(0)
    X, X_new = rng.normal(size=(100, 2)), np.array([[0.0, 0.0], [9.0, 9.0]])
    pd.DataFrame(X, columns=["a", "b"]).to_csv(tmp_path / "train.csv", index=False)
    pd.DataFrame(X_new, columns=["a", "b"])[["b", "a"]].assign(more="x").to_csv(tmp_path / "new.csv", index=False)
    clf = GatedKNN().fit(X)
    scored, _ = score(tmp_path / "new.csv", "--train", tmp_path / "train.csv")
    np.testing.assert_allclose(scored["score"], clf.decision_function(X_new), rtol=1e-5)
    assert scored["anomaly"].tolist() == clf.predict(X_new).tolist() == [0, 1]
    assert list(scored.columns) == ["row", "b", "a", "more", "score", "anomaly"]


def test_a_text_that_was_not_learned_is_unusual(path, payments, tmp_path, score):
    new = payments.iloc[[30, 30]].assign(country=["DE", "US"])
    new.to_csv(tmp_path / "new.csv", index=False)
    scored, _ = score(tmp_path / "new.csv", "--train", path, "--explain")
    assert scored["score"][1] > scored["score"][0]
    assert "country" in scored["because"][1]


def test_numbers_of_texts_are_texts(tmp_path, score):
    """A column that is text where it was learned is so where it is scored, though it holds digits only there."""
    (tmp_path / "train.csv").write_text("zone,x\n" + "1,1\nA,2\n1,3\nA,2\n" * 5)
    (tmp_path / "new.csv").write_text("zone,x\n1,1\n1,2\n")
    scored, _ = score(tmp_path / "new.csv", "--train", tmp_path / "train.csv")
    learned, _ = score(tmp_path / "train.csv")
    assert scored["score"][0] == pytest.approx(learned["score"][0], abs=1e-5)


def test_columns_can_be_dropped(path, payments, score):
    top, said = score(path, "--drop", "amount,nothing, id", "--explain", "--top", 200)
    assert not any("amount" in because for because in top["because"])
    assert said == "left out, being constant: currency\n"
    assert "amount" in top.columns


def test_other_separators(tmp_path, score):
    (tmp_path / "rows.csv").write_text("a;b\n1;2\n2;3\n9;-9\n1;3\n")
    assert main(["score", str(tmp_path / "rows.csv"), "--separator", ";", "--out", str(tmp_path / "out.csv")]) == 0
    assert (tmp_path / "out.csv").read_text().startswith("row;a;b;score;anomaly\n1;1;2;")


def test_truths_are_numbers_and_texts_beside_gaps(tmp_path):
    (tmp_path / "rows.csv").write_text("whole,gaps\nTrue,True\nFalse,\nTrue,False\nTrue,False\n")
    values = CSVFile(tmp_path / "rows.csv", ",").values(["whole", "gaps"])
    assert values["whole"].tolist() == [1.0, 0.0, 1.0, 1.0]
    preparation = Preparation(values)
    assert (preparation.numbers, preparation.texts) == (["whole"], ["gaps"])
    assert preparation.transform(values)[:, 1].tolist() == [0, 1, 1, 1]  # of "False", which fills the gap


def test_rare_texts_share_a_column():
    """Each of 400 names stands twice: none is frequent, and none is an anomaly for that."""
    frame = pd.DataFrame({"name": np.array([f"{number // 2}" for number in range(800)], dtype=object)})
    preparation = Preparation(frame)
    assert preparation.texts == ["name"]
    assert (preparation.transform(frame) == np.ones((800, 1))).all()


def test_many_texts_become_a_bounded_number_of_columns():
    frame = pd.DataFrame({"name": np.array([f"{number % 50}" for number in range(800)], dtype=object)})
    assert Preparation(frame).transform(frame).shape == (800, 20)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "cannot be read as a CSV: No columns"),
        (b"a,b\n", "must have at least 2 rows to learn from, got 0"),
        (b"a,b\n1,2\n", "must have at least 2 rows to learn from, got 1"),
        (b"a,b\n1,x\n1,y\n", "has no column to go by"),
        (b"a;b\n1;2\n3;4\n", "--separator"),
        ("a,b\nü,1\nx,2\n".encode("latin-1"), "must be text in UTF-8"),
        (b"a,b\n1,2,3\n4,5,6\n", "has rows with more fields than its header"),
        (b"a,b\n1,2\n4,5,6\n", "Expected 2 fields in line 3, saw 3"),
        (b"a,b\n1,inf\n2,3\n", "has infinite numbers in its columns ['b']"),
        (b"a,score\n1,2\n2,3\n", "has the columns ['score'] itself"),
    ],
)
def test_files_that_cannot_be_scored(content, sentence, tmp_path, refusal):
    (tmp_path / "rows.csv").write_bytes(content)
    said = refusal(tmp_path / "rows.csv")
    assert sentence in said
    assert "rows.csv" in said


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--detector", "KNN"], "--detector must be one of AnoRand, DHAG, "),
        (["--detector", "GatedKNN:k=3"], "the parameters of GatedKNN are contaminated, contamination"),
        (["--detector", "GatedKNN:n_neighbors"], "must be NAME or NAME:parameter=value,..."),
        (["--detector", "GatedKNN:n_neighbors=0"], "The 'n_neighbors' parameter of GatedKNN must be"),
        (["--contamination", "0.7"], "contamination must be in (0, 0.5]"),
        (["--drop", "amount,price"], "has no columns ['price']"),
        (["--drop", "id,amount,hour,country,card,currency,nothing"], "has no column to go by"),
        (["--out", "no/such/out.csv"], "there is no folder"),
        (["--train", "missing.csv"], "No such file or directory: 'missing.csv'"),
    ],
)
def test_arguments_that_are_wrong(arguments, sentence, path, refusal):
    assert sentence in refusal(path, *arguments)


def test_an_unknown_detector_is_told_which_there_are(path, refusal):
    said = refusal(path, "--detector", "KNN")
    listed = said.removeprefix("--detector must be one of ").removesuffix(", got 'KNN'").split(", ")
    # other tests may have added theirs
    assert {"AnoRand", "DHAG", "GatedKNN", "NCAE", "NoveltyNormalization", "PLAD"} <= set(listed)
    assert listed == sorted(listed)


def test_columns_of_the_training_rows_are_required(path, payments, tmp_path, refusal):
    payments.drop(columns=["amount", "id"]).to_csv(tmp_path / "new.csv", index=False)
    assert f"must have the columns of {path}, and lacks ['amount']" in refusal(tmp_path / "new.csv", "--train", path)
    payments.assign(amount="much").to_csv(tmp_path / "new.csv", index=False)
    assert "must have numbers in ['amount']" in refusal(tmp_path / "new.csv", "--train", path)
    payments[:0].to_csv(tmp_path / "new.csv", index=False)
    assert "has no rows" in refusal(tmp_path / "new.csv", "--train", path)


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("GatedKNN", {}),
        ("GatedKNN:n_neighbors=3,contaminated=True", {"n_neighbors": 3, "contaminated": True}),
        ("GatedKNN:n_neighbors=3:contaminated=null", {"n_neighbors": 3, "contaminated": None}),
        ("DHAG:space=input,lr_schedule=[5,10],contamination=.2", {"space": "input", "lr_schedule": [5, 10]}),
        ('GatedKNN:preprocessing="minmax"', {"preprocessing": "minmax"}),
    ],
)
def test_parameters_of_detectors(text, parameters):
    clf = _detector(text, 0.1)
    assert type(clf).__name__ == text.partition(":")[0]
    assert {name: clf.get_params()[name] for name in parameters} == parameters
    assert clf.contamination == (0.2 if "contamination=" in text else 0.1)


def test_without_pandas_the_extra_is_named(path, refusal, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert 'pip install "pyod_synth[cli]"' in refusal(path)


def test_in_a_process_of_its_own(path, payments):
    command = [sys.executable, "-m", "pyod_synth", "score", str(path), "--top", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    header, row = done.stdout.splitlines()
    assert header == "row,id,amount,hour,country,card,currency,nothing,score,anomaly"
    assert row.startswith(f"{PLANTED + 1},p{PLANTED:03},9000.0,")
    assert subprocess.run([*command[:4], "no.csv"], capture_output=True, text=True).returncode == 2
