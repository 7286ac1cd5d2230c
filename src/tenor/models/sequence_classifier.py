"""A `…ForSequenceClassification` of `transformers` on packed texts.

Shape legend: N texts or pairs, C labels.
"""

from __future__ import annotations

import logging

from torch import Tensor, nn

from tenor.models.encoder import Encoder
from tenor.models.head_layers import head_layers
from tenor.models.heads import SequenceHead
from tenor.models.probe import is_close, one_length_at_a_time
from tenor.models.transformer_classifier import TransformerClassifier
from tenor.tokens.packed import PackedBatch

__all__ = ["SequenceClassifier"]

log = logging.getLogger("tenor")

TOLERANCE = 5e-5  # of the probe, relative to the largest logit


class SequenceClassifier(TransformerClassifier):
    """An encoder on packed texts, and the classifier that its architecture has on top of it.

    How that classifier can be fed from packed texts is not looked up but tried, when the model is
    made: a few texts must come out as they do from `transformers` alone. One that cannot be fed so
    runs as a whole, texts of one length together.

    Args:
        classifier: a `…ForSequenceClassification` of `transformers`, in fp32, in memory.
        tokenizer: its tokenizer, with the length limit.
    """

    head: SequenceHead
    new_pooler = False  # whether the encoder's pooler, if it has one, is new and the head's

    def build(self, batch: PackedBatch) -> None:
        """Find out which of the encoder's vectors the classifier must be given."""
        whole = self.whole
        name, attention = type(whole).__name__, whole.config._attn_implementation
        expected = one_length_at_a_time(whole, batch)
        self.head = SequenceHead(whole)
        self.encoder = Encoder(whole.base_model)
        for reads in ("first", "all"):
            self.head.reads = reads
            try:
                if is_close(self(batch), expected, TOLERANCE):
                    return
            except Exception as problem:  # an unknown architecture may fail in any way
                log.debug("%s cannot be given %s vectors: %s", name, reads, problem)
        log.info("%s does not run packed here: %s of one length run together.", name, self.unit)
        whole.base_model.set_attn_implementation(attention)
        self.encoder = Encoder(whole.base_model, packed=False)
        self.head.reads = "nothing"

    def head_parameters(self) -> list[nn.Parameter]:
        """Parameters inside the encoder that belong to the head: those of a pooler that is new.

        A pooler that came with the encoder belongs to the encoder.
        """
        pooler = head_layers(self.whole).pooler if self.new_pooler else ()
        return [parameter for layer in pooler for parameter in layer.parameters()]

    def top_parameters(self) -> list[nn.Parameter]:
        """Parameters of all that stands above the encoder's blocks, its pooler included."""
        pooler = head_layers(self.whole).pooler
        return [each for layer in (self.head, *pooler) for each in layer.parameters()]

    def forward(self, batch: PackedBatch) -> Tensor:
        """Classify packed texts: (N, C) fp32 logits, in the order of the batch."""
        if self.head.reads == "nothing":
            return one_length_at_a_time(self.whole, self.known_types(batch))
        logits: Tensor = self.head(self.token_vectors(batch), batch)
        return logits
