"""Losses as pure functions of tensors, one a file."""

from tenor.losses.binary_cross_entropy import binary_cross_entropy
from tenor.losses.contrastive import contrastive, online_contrastive
from tenor.losses.cosent import cosent
from tenor.losses.cosine_pairs import cosine_pairs
from tenor.losses.cosine_similarity import cosine_similarity
from tenor.losses.cross_entropy import cross_entropy
from tenor.losses.listwise import listwise
from tenor.losses.matryoshka import matryoshka
from tenor.losses.mean_squared_error import mean_squared_error
from tenor.losses.multi_label_contrastive import multi_label_contrastive
from tenor.losses.multi_label_cross_entropy import multi_label_cross_entropy
from tenor.losses.ranking import exclusions, multiple_negatives_ranking
from tenor.losses.softmax import softmax
from tenor.losses.supervised_contrastive import supervised_contrastive
from tenor.losses.triplet import triplet
from tenor.losses.vocabulary_cross_entropy import vocabulary_cross_entropy, vocabulary_losses

__all__ = [
    "binary_cross_entropy",
    "contrastive",
    "cosent",
    "cosine_pairs",
    "cosine_similarity",
    "cross_entropy",
    "exclusions",
    "listwise",
    "matryoshka",
    "mean_squared_error",
    "multi_label_contrastive",
    "multi_label_cross_entropy",
    "multiple_negatives_ranking",
    "online_contrastive",
    "softmax",
    "supervised_contrastive",
    "triplet",
    "vocabulary_cross_entropy",
    "vocabulary_losses",
]
