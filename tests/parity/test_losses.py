"""Losses against those of sentence-transformers: value and gradient to 1e-5."""

import pytest
import torch
from sentence_transformers.sentence_transformer import losses as peers
from sentence_transformers.sentence_transformer.losses.contrastive import SiameseDistanceMetric
from sentence_transformers.sentence_transformer.losses.triplet import TripletDistanceMetric
from sentence_transformers.util import dot_score

from tenor.losses.contrastive import contrastive, online_contrastive
from tenor.losses.cosent import cosent
from tenor.losses.cosine_similarity import cosine_similarity
from tenor.losses.matryoshka import matryoshka
from tenor.losses.ranking import multiple_negatives_ranking
from tenor.losses.softmax import softmax
from tenor.losses.triplet import triplet

SIZES = [(0, 3, 4), (1, 16, 32), (2, 64, 384)]  # seed, rows, dimension
DISTANCES = ["cosine", "euclidean", "manhattan"]


class Given(torch.nn.Module):
    """Stands for the model: its embeddings are the features."""

    device = torch.device("cpu")

    def __init__(self, dimension):
        super().__init__()
        self.dimension = dimension

    def get_embedding_dimension(self):
        return self.dimension

    def forward(self, features):
        return {"sentence_embedding": features["given"]}


@pytest.fixture(params=SIZES, ids=lambda size: f"seed{size[0]}-{size[1]}x{size[2]}")
def size(request):
    return request.param


def assert_equal(ours, peer, labels, size, columns=2):
    """Compare on ``columns`` columns of random embeddings, in value and in every gradient."""
    seed, rows, dimension = size
    generator = torch.Generator().manual_seed(seed)
    given = torch.randn(columns, rows, dimension, generator=generator)
    mine = [column.clone().requires_grad_() for column in given]
    theirs = [column.clone().requires_grad_() for column in given]
    value = ours(*mine)
    expected = peer([{"given": column} for column in theirs], labels)
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-5)
    value.backward()
    expected.backward()
    for column, reference in zip(mine, theirs, strict=True):
        largest = reference.grad.abs().max().item()
        assert largest > 0
        # A mean over many rows has gradients so small that 1e-5 alone would hide a difference.
        atol = 1e-5 * min(1.0, largest)
        torch.testing.assert_close(column.grad, reference.grad, rtol=1e-5, atol=atol)


def ranking(anchors, positives, *negatives, **options):
    candidates = torch.cat([positives, *negatives])
    return multiple_negatives_ranking(anchors, candidates, torch.arange(len(anchors)), **options)


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("negatives", [0, 1, 3])
@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_multiple_negatives_ranking(size, similarity, negatives, symmetric):
    options = {"scale": 0.1, "similarity_fct": dot_score} if similarity == "dot" else {}
    if symmetric:
        options |= {"directions": ("query_to_doc", "doc_to_query")}
        options |= {"partition_mode": "per_direction"}
    scale = 0.1 if similarity == "dot" else 20.0
    assert_equal(
        lambda *columns: ranking(*columns, similarity=similarity, scale=scale, symmetric=symmetric),
        peers.MultipleNegativesRankingLoss(Given(size[2]), **options),
        None,
        size,
        columns=2 + negatives,
    )


def test_cosine_similarity(size):
    scores = torch.rand(size[1], generator=torch.Generator().manual_seed(7))
    assert_equal(
        lambda left, right: cosine_similarity(left, right, scores),
        peers.CosineSimilarityLoss(Given(size[2])),
        scores,
        size,
    )


@pytest.mark.parametrize("scale", [20.0, 5.0])
def test_cosent(size, scale):
    # In steps of a fifth, so that there are ties.
    scores = torch.arange(size[1]) % 6 / 5
    assert_equal(
        lambda left, right: cosent(left, right, scores, scale=scale),
        peers.CoSENTLoss(Given(size[2]), scale=scale),
        scores,
        size,
    )


@pytest.mark.parametrize("multiply", [False, True])
def test_softmax(size, multiply):
    labels = torch.arange(size[1]) % 3
    torch.manual_seed(0)
    peer = peers.SoftmaxLoss(
        Given(size[2]), size[2], num_labels=3, concatenation_sent_multiplication=multiply
    )
    weight = peer.classifier.weight.detach().clone().requires_grad_()
    bias = peer.classifier.bias.detach().clone().requires_grad_()
    concatenate = ("u", "v", "|u-v|", "u*v") if multiply else ("u", "v", "|u-v|")
    assert_equal(
        lambda left, right: softmax(left, right, labels, weight, bias, concatenate=concatenate),
        peer,
        labels,
        size,
    )
    for mine, theirs in ((weight, peer.classifier.weight), (bias, peer.classifier.bias)):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize(
    ("ours", "peer"),
    [
        (contrastive, peers.ContrastiveLoss),
        (online_contrastive, peers.OnlineContrastiveLoss),
    ],
)
def test_contrastive(size, ours, peer, distance):
    labels = (torch.arange(size[1]) + 1) % 2
    name = "COSINE_DISTANCE" if distance == "cosine" else distance.upper()
    # A margin about the typical distance, so that pairs lie on both sides.
    margin = {"cosine": 1.0, "euclidean": (2 * size[2]) ** 0.5, "manhattan": 1.1 * size[2]}
    assert_equal(
        lambda left, right: ours(left, right, labels, margin=margin[distance], distance=distance),
        peer(
            Given(size[2]),
            distance_metric=getattr(SiameseDistanceMetric, name),
            margin=margin[distance],
        ),
        labels,
        size,
    )


@pytest.mark.parametrize("label", [0, 1])
def test_online_contrastive_with_pairs_of_one_kind(size, label):
    labels = torch.full((size[1],), label)
    assert_equal(
        lambda left, right: online_contrastive(left, right, labels, margin=1.5),
        peers.OnlineContrastiveLoss(Given(size[2]), margin=1.5),
        labels,
        size,
    )


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("margin", [0.5, 5.0])
def test_triplet(size, distance, margin):
    assert_equal(
        lambda *columns: triplet(*columns, margin=margin, distance=distance),
        peers.TripletLoss(
            Given(size[2]),
            distance_metric=getattr(TripletDistanceMetric, distance.upper()),
            triplet_margin=margin,
        ),
        None,
        size,
        columns=3,
    )


def test_matryoshka_around_multiple_negatives_ranking(size):
    dimension = size[2]
    dimensions, weights = [dimension, dimension // 2, dimension // 4], [1.0, 0.5, 0.25]
    model = Given(dimension)
    wrapped = matryoshka(multiple_negatives_ranking, dimensions, weights)
    assert_equal(
        lambda anchors, positives: wrapped(anchors, positives, torch.arange(len(anchors))),
        peers.MatryoshkaLoss(model, peers.MultipleNegativesRankingLoss(model), dimensions, weights),
        None,
        size,
    )


def test_matryoshka_around_cosent(size):
    dimension = size[2]
    dimensions = [dimension, dimension // 2, dimension // 4]
    scores = torch.arange(size[1]) % 6 / 5
    model = Given(dimension)
    wrapped = matryoshka(cosent, dimensions)
    assert_equal(
        lambda left, right: wrapped(left, right, scores),
        peers.MatryoshkaLoss(model, peers.CoSENTLoss(model), dimensions),
        scores,
        size,
    )
