"""Sequences: Japanese Vowels, of nine speakers, one of whom is normal."""

from functools import partial

import numpy as np

from benchmarks.data.source import Source, reading

_SPEAKERS = range(1, 10)


def find(folder):
    """Find the two files of Japanese Vowels (Kudo et al. 1999), in the format of the UEA archive.

    The packages aeon and sktime ship them. Utterances of 7 to 29 steps are stretched to the longest by linear
    interpolation between their steps: all rows are to have one shape, and padding would tell the speakers apart by how
    long they speak.

    Parameters
    ----------
    folder : Path
        Searched with its subfolders.

    Returns
    -------
    dict of str to Source
        ``japanese-vowels-1`` to ``-9``: that speaker's utterances of the vowels "ae" are normal, the others' are
        anomalies. 12 channels, the coefficients of a linear prediction, and 29 steps.
    """
    for path in sorted(folder.rglob("JapaneseVowels_TRAIN.ts")):
        files = (path, path.with_name("JapaneseVowels_TEST.ts"))
        if files[1].is_file():
            return {
                f"japanese-vowels-{speaker}": Source(
                    "japanese-vowels",
                    f"Japanese Vowels, speaker {speaker} against the rest, stretched to one length, {path.parent}",
                    partial(_read, files, speaker),
                    files,
                )
                for speaker in _SPEAKERS
            }
    return {}


def _read(files, normal):
    (sequences, classes), (others, classes_of_others) = map(_read_ts, files)
    sequences, classes = sequences + others, np.array(classes + classes_of_others)
    steps = max(sequence.shape[1] for sequence in sequences)
    train = np.arange(len(classes)) < len(classes) - len(others)
    return np.stack([_stretch(sequence, steps) for sequence in sequences]), classes != normal, train, classes


def _read_ts(path):
    """Read sequences (channels, steps) and their classes: a line each, channels parted by colons, the class last."""
    sequences, classes = [], []
    with reading(path, "a .ts of sequences, each with its class"):
        _, mark, lines = path.read_text().partition("@data\n")
        if not mark:
            raise ValueError("it has no line @data")
        for line in lines.split():
            *channels, label = line.split(":")
            sequences.append(np.array([channel.split(",") for channel in channels], dtype=np.float64))
            classes.append(int(label))
    return sequences, classes


def _stretch(sequence, steps):
    """Interpolate (channels, any steps) to (channels, steps), from the first step to the last."""
    places = np.linspace(0, sequence.shape[1] - 1, steps)
    return np.array([np.interp(places, np.arange(len(channel)), channel) for channel in sequence])
