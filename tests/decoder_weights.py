"""Weights of `transformers`' decoder, put into ours: for the tests of equality."""

import torch


def copy_from(decoder, theirs):
    """Give our decoder the weights of a `BertLMHeadModel` with cross-attention."""
    bert, head = theirs.bert, theirs.cls.predictions
    pairs = [
        (decoder.words, bert.embeddings.word_embeddings),
        (decoder.positions, bert.embeddings.position_embeddings),
        (decoder.types, bert.embeddings.token_type_embeddings),
        (decoder.norm, bert.embeddings.LayerNorm),
        (decoder.head.dense, head.transform.dense),
        (decoder.head.norm, head.transform.LayerNorm),
    ]
    for ours, layer in zip(decoder.layers, bert.encoder.layer, strict=True):
        own, cross = layer.attention, layer.crossattention
        pairs += [
            (ours.query, own.self.query),
            (ours.key, own.self.key),
            (ours.value, own.self.value),
            (ours.attention_output, own.output.dense),
            (ours.attention_norm, own.output.LayerNorm),
            (ours.cross_value, cross.self.value),
            (ours.cross_output, cross.output.dense),
            (ours.cross_norm, cross.output.LayerNorm),
            (ours.up, layer.intermediate.dense),
            (ours.down, layer.output.dense),
            (ours.norm, layer.output.LayerNorm),
        ]
    for ours, other in pairs:
        ours.load_state_dict(other.state_dict())
    with torch.no_grad():
        decoder.head.bias.copy_(head.bias)
