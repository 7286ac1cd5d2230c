import json

import pytest

from tenor.formats.model_kind import model_kind
from tiny import tiny_model
from tiny_labels import tiny_encoder_classifier
from tiny_pairs import tiny_cross_encoder
from tiny_tags import tiny_tagger


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda folder: tiny_model(folder), "embedder"),
        (lambda folder: tiny_cross_encoder().save(folder), "cross-encoder"),
        (lambda folder: tiny_cross_encoder(classes=3).save(folder), "cross-encoder"),
        (lambda folder: tiny_encoder_classifier().save(folder), "classifier"),
        (lambda folder: tiny_tagger().save(folder), "tagger"),
    ],
)
def test_each_kind_of_model_is_told_from_its_folder(tmp_path, make, kind):
    make(tmp_path / "model")
    assert model_kind(tmp_path / "model") == kind


def test_version_six_of_sentence_transformers_says_it_elsewhere(tmp_path):
    tiny_cross_encoder(classes=3).save(tmp_path / "model")
    folder = tmp_path / "model"
    config = json.loads((folder / "config.json").read_text())
    del config["sentence_transformers"]
    (folder / "config.json").write_text(json.dumps(config))
    assert model_kind(folder) == "classifier"
    (folder / "modules.json").write_text("[]")
    (folder / "config_sentence_transformers.json").write_text('{"model_type": "CrossEncoder"}')
    assert model_kind(folder) == "cross-encoder"
