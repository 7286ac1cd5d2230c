"""Losses as pure functions of tensors, one a file."""

from tenor.losses.contrastive import contrastive, online_contrastive
from tenor.losses.cosent import cosent
from tenor.losses.cosine_similarity import cosine_similarity
from tenor.losses.matryoshka import matryoshka
from tenor.losses.ranking import exclusions, multiple_negatives_ranking
from tenor.losses.softmax import softmax
from tenor.losses.supervised_contrastive import supervised_contrastive
from tenor.losses.triplet import triplet

__all__ = [
    "contrastive",
    "cosent",
    "cosine_similarity",
    "exclusions",
    "matryoshka",
    "multiple_negatives_ranking",
    "online_contrastive",
    "softmax",
    "supervised_contrastive",
    "triplet",
]
