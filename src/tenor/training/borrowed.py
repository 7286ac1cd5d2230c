"""A model as training borrows it, and how it is given back."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from torch import nn

from tenor.training.batch import TrainingData
from tenor.training.vocabulary import UsedVocabulary

__all__ = ["BorrowedModel"]


class BorrowedModel:
    """Changes of a model that only training needs; `give_back` undoes them, its weights aside.

    Parameters that the model's `unused_parameters()` names take no part: no loss reaches them, and
    neither an optimiser nor several processes may wait for their gradients. A model without that
    method trains all it has. The vocabulary is cut down to what the data uses, where that changes
    nothing.

    Args:
        model: what is trained.
        data: the training data.
        weight_decay: of the optimiser.

    Attributes:
        data: the training data, by the rows of the cut vocabulary.
    """

    def __init__(self, model: nn.Module, data: TrainingData, weight_decay: float) -> None:
        self.model, self.data = model, data
        self._was_training = model.training
        self._borrowed = True
        self._vocabulary: UsedVocabulary | None = None
        # Asked first: a model may have to run to know, and it runs on its whole vocabulary.
        unused = getattr(model, "unused_parameters", tuple)
        self._left_out = [parameter for parameter in unused() if parameter.requires_grad]
        if embedding := UsedVocabulary.applies(model, weight_decay):
            self._vocabulary = UsedVocabulary(embedding, data)
            self.data = self._vocabulary.data
        for parameter in self._left_out:
            parameter.requires_grad_(False)

    def whole(self) -> AbstractContextManager[None]:
        """The model with its whole vocabulary: for evaluation, saving and loading."""
        return nullcontext() if self._vocabulary is None else self._vocabulary.whole()

    def give_back(self) -> None:
        """Leave the model as it was, with the weights of the moment; later calls do nothing."""
        if not self._borrowed:
            return
        self._borrowed = False
        self.model.zero_grad()
        if self._vocabulary is not None:
            self._vocabulary.restore()
            self._vocabulary = None
        for parameter in self._left_out:
            parameter.requires_grad_()
        self.model.train(self._was_training)
