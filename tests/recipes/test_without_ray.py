"""Without the extra, the engine says which one is missing."""

import sys

import pytest

from tenor.errors import MissingExtraError
from tenor.recipes.encode import encode_file_on_ray
from tiny import tiny_model


def test_the_missing_extra_is_named(monkeypatch, tmp_path):
    model = tiny_model(tmp_path / "model")
    (tmp_path / "texts.txt").write_text("a\nb\n")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'tenor\[ray\]'"):
        encode_file_on_ray(model, tmp_path / "texts.txt", tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()
