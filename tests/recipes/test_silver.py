"""Silver labels: every pair once, also when the run that labels is killed."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow.parquet as pq
import pytest

from tenor.data.candidates import random_pairs
from tenor.data.pool import Pool
from tenor.errors import TrainingError
from tenor.recipes import silver_candidates
from tenor.recipes.silver import Chunk, SilverLabels
from tenor.recipes.silver_candidates import write_candidates
from tiny import random_texts

COUNT = 700


class Counting:
    """Labels a pair by its lengths, and remembers what it was asked."""

    name, sha256 = "counting", "a" * 64

    def __init__(self):
        self.asked = []

    def score_counted(self, pairs, /, **options):
        self.asked += pairs
        scores = [len(left) / (1 + len(left) + len(right)) for left, right in pairs]
        return np.array(scores, dtype=np.float32), sum(len(left) > 40 for left, _ in pairs)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(silver_candidates, "CHUNK", 100)
    monkeypatch.setattr(silver_candidates, "PROBE", 50)
    texts = [f"{text} {row}" for row, text in enumerate(random_texts(200, words=(1, 20)))]
    found = random_pairs(200, COUNT, np.random.default_rng(0))
    write_candidates(tmp_path, Pool(texts, "pool.txt"), found)
    return tmp_path


def test_every_pair_is_labelled_once_and_stands_in_its_place(folder):
    labeller = Counting()
    labels = SilverLabels(folder, labeller.sha256).label(labeller)
    assert len(labeller.asked) == len(set(labeller.asked)) == labels.labelled == COUNT
    pairs = pq.read_table(folder / "candidates.parquet").to_pydict()
    expected, truncated = labeller.score_counted(
        list(zip(pairs["sentence1"], pairs["sentence2"], strict=True))
    )
    assert np.array_equal(labels.scores, expected)
    assert labels.truncated == truncated > 0


def test_after_a_sample_of_all_lengths_the_longest_pairs_come_first(folder):
    labeller = Counting()
    SilverLabels(folder, labeller.sha256).label(labeller)
    lengths = np.array([len(left) + len(right) for left, right in labeller.asked])
    probe, rest = lengths[:50], lengths[50:]
    assert (np.diff(rest) <= 0).all()
    assert abs(probe.mean() - rest.mean()) < 2


def test_a_labelled_chunk_is_not_labelled_again(folder):
    class Breaking(Counting):
        def score_counted(self, pairs, /, **options):
            if len(self.asked) > 300:
                raise MemoryError
            return super().score_counted(pairs, **options)

    first, second, untouched = Breaking(), Counting(), Counting()
    with pytest.raises(MemoryError):
        SilverLabels(folder, first.sha256).label(first)
    labels = SilverLabels(folder, second.sha256).label(second)
    assert not set(first.asked) & set(second.asked)
    assert len(first.asked) + len(second.asked) == COUNT
    assert labels.labelled == len(second.asked)
    for part in (folder / "labels").glob("*"):
        part.unlink()
    whole = SilverLabels(folder, untouched.sha256).label(untouched)
    assert np.array_equal(labels.scores, whole.scores)
    assert labels.truncated == whole.truncated


def test_labels_of_another_model_are_refused(folder):
    labels = SilverLabels(folder, "a" * 64)
    labels.add(Chunk(0, np.zeros(len(labels.chunks[0]), dtype=np.float32), 0))
    with pytest.raises(TrainingError, match="labels of another model"):
        SilverLabels(folder, "b" * 64).label(Counting())


def test_a_score_that_is_not_finite_is_an_error_and_not_a_label(folder):
    labels = SilverLabels(folder, "a" * 64)
    scores = np.full(len(labels.chunks[0]), np.nan, dtype=np.float32)
    with pytest.raises(TrainingError, match="not finite"):
        labels.add(Chunk(0, scores, 0))
    assert labels.pending() == list(range(len(labels.chunks)))


SCRIPT = """
import json, sys, time
import numpy as np
from pathlib import Path
from tenor.recipes import silver, silver_candidates
silver_candidates.CHUNK, silver_candidates.PROBE = 20, 20

class Slow:
    name, sha256 = "slow", "a" * 64
    def score_counted(self, pairs, /, **options):
        time.sleep(0.02)
        with open(sys.argv[2], "a") as file:
            file.write(json.dumps(pairs) + "\\n")
        return np.array([len(a) / 100 for a, _ in pairs], dtype=np.float32), 0

labels = silver.SilverLabels(Path(sys.argv[1]), "a" * 64).label(Slow())
print(json.dumps([labels.labelled, labels.scores.tolist()]))
"""


def test_killed_while_labelling_it_goes_on_with_what_is_not_labelled(folder, tmp_path):
    log = tmp_path / "asked.jsonl"
    command = [sys.executable, "-c", SCRIPT, str(folder), str(log)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    parts = folder / "labels"

    def labelled():
        return sorted(parts.glob("part-*.parquet"))

    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while len(labelled()) < 6:
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.001)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL
    stored = {row for path in labelled() for row in pq.read_table(path)["row"].to_pylist()}
    assert 0 < len(stored) < COUNT
    (parts / ".part-000030.parquet.part").write_bytes(b"half a file")
    log.unlink()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    count, scores = json.loads(done.stdout)
    again = [tuple(pair) for line in log.read_text().splitlines() for pair in json.loads(line)]
    assert len(again) == len(set(again)) == count == COUNT - len(stored)
    pairs = pq.read_table(folder / "candidates.parquet").to_pydict()
    before = {(pairs["sentence1"][row], pairs["sentence2"][row]) for row in stored}
    assert not before & set(again)
    assert scores == pytest.approx([len(text) / 100 for text in pairs["sentence1"]])
