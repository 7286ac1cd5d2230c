"""Changes of an index, really killed: the old index is whole, and the next change goes through."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tenor.models.embedder import Embedder
from tenor.search.index import SearchIndex
from tiny import random_texts, tiny_model, write_csv

pytestmark = pytest.mark.slow

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
PATIENCE = 240  # seconds
CHANGE = """
import sys
from tenor.models.embedder import Embedder
from tenor.search.index import SearchIndex

what, folder, model, corpus = sys.argv[1:]
if what == "build":
    SearchIndex.build(folder, Embedder.load(model), corpus)
else:
    SearchIndex.load(folder).add(corpus)
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("model") / "model")


@pytest.fixture(scope="module")
def small(tmp_path_factory, model, corpora):
    """An index of the small corpus, to be copied."""
    folder = tmp_path_factory.mktemp("small") / "index"
    SearchIndex.build(folder, Embedder.load(model), corpora["small"])
    return folder


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    """A small corpus, and a large one with other texts, which takes a while to encode."""
    folder = tmp_path_factory.mktemp("corpora")
    sizes = {"small": 40, "large": 6000}
    return {
        name: write_csv(
            folder / f"{name}.csv",
            {"id": range(size), "text": [f"{text} {size}" for text in random_texts(size)]},
        )
        for name, size in sizes.items()
    }


def killed(arguments, when):
    """Start a change and kill it as soon as `when()`."""
    process = subprocess.Popen(
        [sys.executable, "-c", CHANGE, *map(str, arguments)],
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        end = time.monotonic() + PATIENCE
        while not when():
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < end, "the moment to kill it never came"
            time.sleep(0.0002)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=PATIENCE)
        assert process.returncode == -signal.SIGKILL
    finally:
        process.kill()
        process.wait()


def contents(folder):
    """The bytes of every file that counts."""
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.parts[-2:])
    }


@pytest.mark.parametrize(
    ("what", "file"),
    [("build", "vectors.npy"), ("add", "incoming.parquet"), ("add", "documents.parquet")],
)
def test_a_killed_change_leaves_the_old_index_whole(tmp_path, small, model, corpora, what, file):
    folder = tmp_path / "index"
    shutil.copytree(small, folder)
    before = contents(folder)
    killed(
        [what, folder, model, corpora["large"]],
        lambda: any(folder.glob(f".data-2-*/{file}")),
    )
    assert any(folder.glob(".data-2-*"))  # it was in the middle of it
    assert contents(folder) == before
    index = SearchIndex.load(folder)
    assert index.search("red cat", 40) == SearchIndex.load(small).search("red cat", 40)
    index.delete(["0"])
    assert len(SearchIndex.load(folder)) == 39
    assert not any(folder.glob(".data-*"))


def test_a_first_build_that_is_killed_can_be_done_again(tmp_path, model, corpora):
    folder = tmp_path / "index"
    killed(
        ["build", folder, model, corpora["large"]],
        lambda: any(folder.glob(".data-1-*/vectors.npy")),
    )
    assert not (folder / "index.json").exists()
    index = SearchIndex.build(folder, Embedder.load(model), corpora["small"])
    assert len(SearchIndex.load(folder)) == len(index) == 40
    assert len(list(folder.glob("*data-*"))) == 1
