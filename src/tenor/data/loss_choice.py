"""Which loss a kind of data can be trained on, and which one is the best first choice."""

from __future__ import annotations

from tenor.data.roles import Kind
from tenor.errors import ConfigError

__all__ = ["accepts", "check_loss", "choose_loss"]

_LOSSES: dict[str, frozenset[Kind]] = {
    "mnr": frozenset(["pairs", "triplets", "nli", "scored", "labelled_pairs"]),
    "cosine": frozenset(["scored", "labelled_pairs"]),
    "softmax": frozenset(["nli", "labelled_pairs"]),
    "contrastive": frozenset(["labelled_pairs"]),
    "online-contrastive": frozenset(["labelled_pairs"]),
    "triplet": frozenset(["triplets", "nli"]),
    "cosent": frozenset(["scored", "labelled_pairs"]),
    "supervised-contrastive": frozenset(["labelled_texts"]),
}
_CHOICES: dict[Kind, tuple[str, str]] = {
    "pairs": ("mnr", "positive pairs: the other texts of a batch serve as negatives"),
    "triplets": ("mnr", "triplets: their negatives join the other texts of a batch"),
    "nli": ("mnr", "NLI labels: entailments and contradictions of a premise make triplets"),
    "scored": ("cosent", "scored pairs: their order by cosine is to be their order by score"),
    "labelled_pairs": (
        "online-contrastive",
        "pairs labelled same or different: only the hard ones of a batch count",
    ),
    "labelled_texts": (
        "supervised-contrastive",
        "labelled texts: those of a class are drawn together, away from the other classes",
    ),
}
_DESCRIPTIONS: dict[Kind, str] = {
    "pairs": "positive pairs",
    "triplets": "triplets",
    "nli": "pairs with NLI labels",
    "scored": "scored pairs",
    "labelled_pairs": "pairs labelled same or different",
    "labelled_texts": "labelled texts",
}


def choose_loss(kind: Kind) -> tuple[str, str]:
    """The loss that `--loss auto` takes for a kind of data, and why, in words for the log.

    Raises:
        ConfigError: for texts with several labels, which no contrastive loss here takes.

    >>> choose_loss("scored")[0]
    'cosent'
    """
    if kind not in _CHOICES:
        allowed = "used with one label a text; for several, train a classifier or few-shot"
        raise ConfigError("loss", "auto", allowed)
    return _CHOICES[kind]


def accepts(loss: str) -> frozenset[Kind]:
    """The kinds of data a loss can be trained on.

    `mnr` takes `nli` through `triplets_from_nli`, `scored` and `labelled_pairs` through
    `positives_from_scored`; `triplet` takes `nli` through `triplets_from_nli`.

    Raises:
        ConfigError: there is no such loss.

    >>> sorted(accepts("triplet"))
    ['nli', 'triplets']
    """
    if loss not in _LOSSES:
        raise ConfigError("loss", loss, "auto or one of " + ", ".join(_LOSSES))
    return _LOSSES[loss]


def check_loss(loss: str, kind: Kind) -> None:
    """Raises `ConfigError` where a loss does not exist or cannot be trained on a kind of data."""
    if kind not in accepts(loss):
        fitting = ", ".join(name for name, kinds in _LOSSES.items() if kind in kinds)
        allowed = f"a loss for {_DESCRIPTIONS[kind]}, which the data is: {fitting}"
        raise ConfigError("loss", loss, allowed)
