"""Sequences of speakers."""

import numpy as np
import pytest

from benchmarks import data, detectors
from benchmarks.detectors import DetectorSpec
from benchmarks.experiments import Experiment
from benchmarks.protocols import split
from benchmarks.running.grid import grid
from benchmarks.running.records_file import RecordsFile
from benchmarks.running.runner import run

HEAD = "#Speakers.\n@problemName JapaneseVowels\n@equalLength false\n@classLabel true 1 2 3\n@data\n"


def line(speaker, steps):
    """Twelve channels that rise evenly from 0 to their number, times the speaker."""
    channels = [np.linspace(0, channel * speaker, steps) for channel in range(1, 13)]
    return ":".join(",".join(f"{value:.6f}" for value in channel) for channel in channels) + f":{speaker}\n"


@pytest.fixture
def vowels(tmp_path):
    """A data folder with 12 + 6 utterances of three speakers, of 4 to 7 steps."""
    (tmp_path / "vowels").mkdir()
    for part, n in [("TRAIN", 12), ("TEST", 6)]:
        lines = [line(1 + number % 3, 4 + number % 4) for number in range(n)]
        (tmp_path / "vowels" / f"JapaneseVowels_{part}.ts").write_text(HEAD + "".join(lines))
    return tmp_path


def test_utterances_are_stretched_to_the_longest(vowels):
    assert data.expand(["japanese-vowels"], vowels) == [f"japanese-vowels-{speaker}" for speaker in range(1, 10)]
    loaded = data.load("japanese-vowels-2", vowels)
    assert (loaded.X.shape, loaded.X.dtype, loaded.kind) == ((18, 12, 7), np.float64, "sequence")
    np.testing.assert_array_equal(loaded.classes, np.tile([1, 2, 3], 6))
    np.testing.assert_array_equal(loaded.y, loaded.classes != 2)
    np.testing.assert_array_equal(loaded.train, np.repeat([True, False], [12, 6]))
    rising = np.linspace(0, 1, 7) * np.arange(1, 13)[:, None]
    np.testing.assert_allclose(loaded.X, rising * loaded.classes[:, None, None], atol=1e-5)
    assert "speaker 2" in loaded.provenance


def test_channels_are_scaled_by_the_training_rows(vowels):
    loaded = data.load("japanese-vowels-1", vowels)
    parts = split(loaded, "one-class-official", 0)
    assert parts.X_train.shape == (4, 12, 7)
    train = loaded.X[loaded.train & (loaded.y == 0)]
    mean, deviation = train.mean(axis=(0, 2), keepdims=True), train.std(axis=(0, 2), keepdims=True)
    np.testing.assert_allclose(parts.X_train, (train - mean) / deviation, atol=1e-9)
    np.testing.assert_allclose(parts.X_test, (loaded.X[~loaded.train] - mean) / deviation, atol=1e-9)


def test_only_a_detector_that_is_told_their_shape_sees_sequences(vowels):
    X = data.load("japanese-vowels-1", vowels).X
    told, others = DetectorSpec("PLAD", {"sequence_shape": [12, 7]}), [DetectorSpec("PLAD"), DetectorSpec("ECOD")]
    assert detectors.shape_for(told, X) is X
    for spec in others:
        np.testing.assert_array_equal(detectors.shape_for(spec, X), X.reshape(18, 84))
    cheap = {"epoch_num": 1, "hidden_size": 4}
    told = DetectorSpec("PLAD", told.parameters | cheap)
    experiment = Experiment(
        "vowels", ["japanese-vowels-1"], [told, DetectorSpec("PLAD", cheap), others[1]], ["one-class-official"], [0]
    )
    records = run(grid(experiment, vowels), RecordsFile(vowels / "records.jsonl"), vowels)
    assert [record.status for record in records] == ["ok"] * 3


@pytest.mark.parametrize(
    "text", ["no mark\n1,2:1\n", HEAD + "1,2:3,4:first\n", HEAD + "1,2:3:1\n", HEAD + "1,a:3,4:1\n"]
)
def test_broken_files_are_named(vowels, text):
    (vowels / "vowels" / "JapaneseVowels_TEST.ts").write_text(text)
    with pytest.raises(ValueError, match=r"JapaneseVowels_TEST.ts must be a .ts of sequences"):
        data.load("japanese-vowels-1", vowels)


def test_nothing_is_found_without_both_files(vowels):
    (vowels / "vowels" / "JapaneseVowels_TEST.ts").unlink()
    with pytest.raises(ValueError, match="python -m benchmarks download japanese-vowels-1"):
        data.load("japanese-vowels-1", vowels)
