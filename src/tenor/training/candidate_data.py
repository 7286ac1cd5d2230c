"""Anchors with a positive and negatives each, for a cross-encoder: lists drawn anew every epoch.

Shape legend: R rows of the data, B rows of a batch, K negatives of a row, D distinct texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import numpy.typing as npt
import torch

from tenor.data.overlap import normalise
from tenor.errors import DataError
from tenor.tokens.distinct_texts import distinct_texts
from tenor.tokens.pairs import PairTokens
from tenor.tokens.tokenizer import Tokenizer
from tenor.training.batch import TrainingBatch, TrainingData

__all__ = ["CandidateData"]

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class CandidateData(TrainingData):
    """Rows of anchor, positive and given negatives; each batch adds random negatives.

    The negatives of a row are drawn from all texts of the data that are not anchors only, by the
    seed and the rows of the batch alone. A batch is another one in every epoch, so the negatives
    are, too, and a run that is resumed draws the same. Never drawn are the anchor itself and the
    texts that stand as a positive of the same anchor anywhere in the data, where texts are the same
    that `normalise` makes so.

    Attributes:
        ids: the distinct texts, and the special tokens of a pair behind them.
        columns: anchor, positive, negative, ...: (R,) which text stands there.
        pairs: how texts are put together; of its `ids` only those above count.
        pool: texts that may serve as negatives.
        form: (D,) number of each text's normalised form.
        positives: sorted, form of an anchor · D + form of a text that is none of its negatives.
        negatives: K, how many to draw for each row.
        seed: decides which.
    """

    pairs: PairTokens = field(kw_only=True)
    pool: Integers = field(kw_only=True)
    form: Integers = field(kw_only=True)
    positives: Integers = field(kw_only=True)
    negatives: int = field(kw_only=True)
    seed: int = field(kw_only=True)

    @classmethod
    def lists(
        cls,
        columns: Mapping[str, Sequence[str]],
        tokenizer: Tokenizer,
        *,
        negatives: int,
        seed: int,
    ) -> Self:
        """Tokenise every distinct text once.

        Args:
            columns: anchor, positive and any given negatives.
            tokenizer: the model's.
            negatives: how many to draw for each row beside those given.
            seed: decides which.

        Raises:
            DataError: when there is nothing to be a negative of anything, or for something that is
                no text.
        """
        distinct, places = distinct_texts(columns)
        forms: dict[str, int] = {}
        form = np.fromiter(
            (forms.setdefault(normalise(text), len(forms)) for text in distinct),
            dtype=np.int64,
            count=len(distinct),
        )
        pool = np.unique(np.concatenate([p for name, p in places.items() if name != "anchor"]))
        anchors = form[places["anchor"]]
        positives = np.unique(
            np.concatenate(
                [anchors * len(form) + form[places["positive"]], anchors * len(form) + anchors]
            )
        )
        if len(places) == 2 and (negatives == 0 or len(np.unique(form[pool])) < 2):
            raise DataError(
                "there are no negatives, and none can be drawn: give a negative column, or more "
                "than one positive text."
            )
        pairs = tokenizer.pair_tokens(distinct)
        # Which pairs are cut is known only once they are made; a text alone may be too long.
        too_long = pairs.lengths > pairs.limit - pairs.template.special
        return cls(
            ids=replace(pairs.ids, cut=too_long),
            columns=places,
            target=None,
            filler_id=tokenizer.filler_id,
            pairs=pairs,
            pool=pool,
            form=form,
            positives=positives,
            negatives=negatives,
            seed=seed,
        )

    @property
    def reads_ids_as_they_are(self) -> bool:
        """No: batches are of pairs of them, other ones in every epoch."""
        return False

    def batch(self, rows: Integers) -> TrainingBatch:
        """The pairs of each row's anchor with its candidates.

        The columns of the batch are `positive` and `negative_1`, ...; where a row has too few
        negatives its positive stands in their place.
        """
        anchors = self.columns["anchor"][rows]
        positive = self.columns["positive"][rows]
        given = [column[rows] for name, column in self.columns.items() if name.startswith("neg")]
        candidates = np.stack([positive, *given, *self._drawn(rows, given)], axis=1)
        repeated = self._forbidden(anchors[:, None], candidates)
        candidates = np.where(repeated, positive[:, None], candidates)
        codes = anchors[:, None] * len(self.form) + candidates
        distinct, places = np.unique(codes, return_inverse=True)
        left, right = np.divmod(distinct, len(self.form))
        ids = replace(self.pairs, ids=self.ids)(left, right)
        order = np.argsort(-ids.lengths, kind="stable")
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        index = torch.from_numpy(rank[places.reshape(codes.shape)])
        names = ["positive", *(f"negative_{n}" for n in range(1, candidates.shape[1]))]
        return TrainingBatch(
            rows=rows,
            columns={name: index[:, n].contiguous() for n, name in enumerate(names)},
            target=None,
            texts=order,
            ids=ids,
            filler_id=self.filler_id,
        )

    def _drawn(self, rows: Integers, given: list[Integers]) -> list[Integers]:
        """K columns of (B,) texts of the pool; a row with too few takes its positive instead."""
        if not self.negatives:
            return []
        generator = np.random.default_rng([self.seed, *rows.tolist()])
        drawn = self.pool[
            generator.integers(len(self.pool), size=(len(rows), 2 * self.negatives + 8))
        ]
        fine = ~self._forbidden(self.columns["anchor"][rows][:, None], drawn)
        found = np.repeat(self.columns["positive"][rows][:, None], self.negatives, axis=1)
        for place, row in enumerate(rows.tolist()):
            taken = {int(self.form[column[place]]) for column in given}
            texts = drawn[place][fine[place]].tolist()
            chosen = self._first_unlike(texts, taken)
            if len(chosen) < self.negatives:  # few texts, or a row with many positives: look at all
                shuffled = generator.permutation(self.pool)
                anchor = self.columns["anchor"][row : row + 1]
                rest = shuffled[~self._forbidden(anchor, shuffled)].tolist()
                chosen = self._first_unlike([*chosen, *rest], taken)
            found[place, : len(chosen)] = chosen
        return list(found.T)

    def _first_unlike(self, texts: list[int], taken: set[int]) -> list[int]:
        """The first K texts of different forms, none of them taken."""
        chosen: dict[int, int] = {}
        for text in texts:
            form = int(self.form[text])
            if form not in taken:
                chosen.setdefault(form, text)
            if len(chosen) == self.negatives:
                break
        return list(chosen.values())

    def _forbidden(self, anchors: Integers, texts: Integers) -> npt.NDArray[np.bool_]:
        """Whether each text is the anchor itself or a positive of it."""
        codes = self.form[anchors] * len(self.form) + self.form[texts]
        places = np.searchsorted(self.positives, codes)
        return np.asarray(self.positives[np.minimum(places, len(self.positives) - 1)] == codes)
