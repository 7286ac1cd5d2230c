import numpy as np
import pytest

from tenor.data.mine import text_digests
from tenor.data.overlap import normalise
from tenor.errors import DataError, ModelError
from tenor.models.embedder import Embedder
from tenor.recipes.text_vectors import TextVectors, scratch_folder
from tiny import random_texts, tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("start") / "model"
    return Embedder.load(tiny_model(folder), device="cpu", dtype="fp32")


def test_each_distinct_text_is_kept_once_and_read_back(model, tmp_path):
    texts = [*random_texts(40, words=(3, 9)), "", " \n", "ünï cat", "日本 dog"]
    store = TextVectors(tmp_path, model, form=normalise)
    store.add([texts[:7], texts[7:20]])
    store.add([texts[20:], [f" {texts[3].upper()} ", "the new one"]])
    store.seal()
    distinct = list(dict.fromkeys(text for text in texts if text.strip()))
    assert store.texts(range(len(store))) == [*distinct, "the new one"]
    assert (store.given, store.empty) == (len(texts) + 2, 2)
    assert [texts[line] for line in store.lines[: len(distinct)]] == distinct
    assert store.repeats[-1].tolist() == [len(texts), distinct.index(texts[3])]
    np.testing.assert_allclose(store.vectors, model.encode([*distinct, "the new one"]), atol=1e-5)
    found = store.find(text_digests(["unheard of", texts[5].upper(), "ÜNÏ cat"]))
    assert found.tolist() == [-1, distinct.index(texts[5]), distinct.index("ünï cat")]


def test_nothing_to_keep(model, tmp_path):
    store = TextVectors(tmp_path, model, form=normalise)
    store.add([["", "  "]])
    with pytest.raises(DataError, match="not empty"):
        store.seal()


def test_a_model_that_gives_nan_is_named(model, tmp_path, monkeypatch):
    blocks = [(np.full((1, 4), np.nan, dtype=np.float32), 0)]
    monkeypatch.setattr(model, "encode_blocks", lambda *_, **__: blocks)
    with pytest.raises(ModelError, match="NaN"):
        TextVectors(tmp_path, model, form=normalise).add([["the cat"]])


def test_the_scratch_folder_goes_whatever_happens(tmp_path):
    out = tmp_path / "new" / "out.csv"
    for error in (None, KeyboardInterrupt):
        try:
            with scratch_folder(beside=out) as folder:
                assert folder.parent == out.parent
                (folder / "file").write_text("x")
                if error is not None:
                    raise error
        except KeyboardInterrupt:
            pass
        assert not list(out.parent.iterdir())
    (tmp_path / "file").write_text("x")
    with (
        pytest.raises(DataError, match="cannot be written"),
        scratch_folder(tmp_path / "file" / "o"),
    ):
        pass
