"""Cross-encoders against sentence-transformers: the same folders, scores, losses and gradients."""

import json

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder as Peer
from sentence_transformers.cross_encoder import losses as peers

from tenor.models.cross_encoder import CrossEncoder
from tenor.tokens.token_ids import TokenIds
from tenor.training.batch import TrainingBatch
from tenor.training.pair_objectives import make_pair_objective
from tiny import tiny_hf_tokenizer
from tiny_pairs import random_pairs, tiny_classifier, tiny_cross_encoder

PAIRS = [*random_pairs(20), ("the cat " * 20, "a dog"), ("a", "sky " * 30), ("", "red")]
FAMILIES = ["bert", "roberta", "distilbert", "electra", "modernbert", "mpnet", "deberta-v2"]
# What sentence-transformers 6 says about layouts older than its own.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def load(folder):
    return CrossEncoder.load(folder, device="cpu", dtype="fp32")


def overrides(family):
    return {"type_vocab_size": 2} if family == "roberta" else {}


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("family", FAMILIES)
def test_what_we_save_scores_the_same_there(family, classes, tmp_path):
    model = tiny_cross_encoder(family, classes=classes, max_length=20, **overrides(family))
    model.save(tmp_path / "model")
    theirs = Peer(str(tmp_path / "model"), device="cpu")
    expected = model.score(PAIRS)
    assert expected.shape == ((len(PAIRS),) if classes == 1 else (len(PAIRS), classes))
    np.testing.assert_allclose(theirs.predict(PAIRS), expected, atol=1e-5, rtol=1e-5)
    assert theirs.max_seq_length == 20


@pytest.mark.parametrize("activation", ["identity", "sigmoid", "tanh"])
def test_the_activation_is_kept_there(activation, tmp_path):
    model = tiny_cross_encoder(activation=activation)
    model.save(tmp_path / "model")
    theirs = Peer(str(tmp_path / "model"), device="cpu")
    np.testing.assert_allclose(theirs.predict(PAIRS), model.score(PAIRS), atol=1e-5)


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("activation", [None, torch.nn.Identity(), torch.nn.Sigmoid()])
def test_what_they_save_scores_the_same_here(classes, activation, tmp_path):
    source = tmp_path / "source"
    tiny_classifier(classes=classes).save_pretrained(source)
    tiny_hf_tokenizer().save_pretrained(source)
    theirs = Peer(str(source), device="cpu", max_length=18, activation_fn=activation)
    theirs.save_pretrained(str(tmp_path / "model"))
    model = load(tmp_path / "model")
    assert model.max_seq_length == 18
    np.testing.assert_allclose(model.score(PAIRS), theirs.predict(PAIRS), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "key",
    [
        {"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}},
        {"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"},
        {"sbert_ce_default_activation_function": None},
        {},
    ],
)
def test_folders_of_older_versions_score_the_same_here(key, tmp_path):
    tiny_classifier().save_pretrained(tmp_path)
    tiny_hf_tokenizer().save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | key))
    theirs = Peer(str(tmp_path), device="cpu")
    np.testing.assert_allclose(load(tmp_path).score(PAIRS), theirs.predict(PAIRS), atol=1e-5)


def test_ranking_is_theirs(tmp_path):
    model = tiny_cross_encoder()
    model.save(tmp_path / "model")
    theirs = Peer(str(tmp_path / "model"), device="cpu")
    texts = [right for _, right in PAIRS]
    expected = [hit["corpus_id"] for hit in theirs.rank("the cat", texts)]
    assert [place for place, _ in model.rank("the cat", texts)] == expected


class Given(Peer):
    """Stands for the model: the features are its logits."""

    def __init__(self, logits):
        torch.nn.Module.__init__(self)
        self.logits = logits

    num_labels = property(lambda self: self.logits.shape[1])
    device = torch.device("cpu")

    def preprocess(self, pairs, **options):
        return {"rows": torch.tensor([int(left) for left, _ in pairs])}

    def forward(self, features):
        return {"scores": self.logits[features["rows"]]}


def assert_equal(name, peer, columns, target, logits, inputs, labels, **options):
    """Compare our objective with a loss of theirs, in value and gradient."""
    ours = logits.clone().requires_grad_()
    theirs = logits.clone().requires_grad_()
    batch = TrainingBatch(
        rows=np.arange(len(next(iter(columns.values())))),
        columns=columns,
        target=target,
        texts=np.arange(len(logits)),
        ids=TokenIds.of([[1]] * len(logits)),
    )
    value = make_pair_objective(name, **options)(ours, batch)
    expected = peer(Given(theirs))(inputs, labels)
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-5)
    value.backward()
    expected.backward()
    largest = theirs.grad.abs().max().item()
    assert largest > 0
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-5, atol=1e-5 * min(1.0, largest))


@pytest.mark.parametrize("rows", [2, 33])
@pytest.mark.parametrize("name", ["bce", "mse", "cross-entropy"])
def test_losses_of_scores_and_labels_are_theirs(name, rows):
    generator = torch.Generator().manual_seed(rows)
    classes = 3 if name == "cross-entropy" else 1
    logits = 2 * torch.randn(rows, classes, generator=generator)
    target = torch.rand(rows, generator=generator)
    if classes == 3:
        target = torch.randint(3, (rows,), generator=generator)
    peer = {
        "bce": peers.BinaryCrossEntropyLoss,
        "mse": lambda model: peers.MSELoss(model, activation_fn=torch.nn.Sigmoid()),
        "cross-entropy": peers.CrossEntropyLoss,
    }[name]
    texts = [str(row) for row in range(rows)]
    columns = {"pair": torch.arange(rows)}
    assert_equal(name, peer, columns, target, logits, [texts, texts], target)


@pytest.mark.parametrize("rows", [2, 33])
@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_the_listwise_loss_is_theirs(rows, scale):
    """With three given negatives and none from the batch; every pair has logits of its own."""
    generator = torch.Generator().manual_seed(rows)
    logits = 2 * torch.randn(rows * 4, 1, generator=generator)
    columns = {
        name: torch.arange(rows) * 4 + place
        for place, name in enumerate(["positive", "negative_1", "negative_2", "negative_3"])
    }

    class Theirs(peers.MultipleNegativesRankingLoss):
        def call_model_with_columns(self, anchors, candidates, **options):
            return self.model.logits[[int(text) for text in candidates], 0]

        def get_in_batch_negatives(self, anchors, candidates):
            return []

    anchors = [str(row) for row in range(rows)]
    inputs = [anchors, *([str(int(place)) for place in column] for column in columns.values())]
    assert_equal(
        "mnr",
        lambda model: Theirs(model, scale=scale),
        columns,
        None,
        logits,
        inputs,
        None,
        scale=scale,
    )
