"""The training data of a tagger, and its loss."""

import numpy as np
import pytest
import torch

from tenor.data.tagging import read_tagged
from tenor.errors import DataError
from tenor.training.tagging import Tagging, TaggingData, balanced_weights
from tiny_tags import LABELS, tagged_rows, tiny_tagger, write_jsonl


def read(tmp_path, rows):
    return read_tagged(write_jsonl(tmp_path / "rows.jsonl", rows))


def tags_of(data, row):
    part = data.tags[data.ids.offsets[row] : data.ids.offsets[row + 1]]
    return [LABELS[tag] if tag >= 0 else "-" for tag in part]


LONG_WORD = [{"tokens": ["the", "catz", "near", "xy"], "ner_tags": [
    "O", "B-ANIMAL", "B-PLACE", "I-PLACE"]}]  # fmt: skip


def test_the_first_token_of_a_word_has_its_tag(tmp_path):
    data = TaggingData.of_texts(read(tmp_path, LONG_WORD), tiny_tagger())
    expected = ["-", "O", "B-ANIMAL", "-", "B-PLACE", "I-PLACE", "-", "-"]
    assert tags_of(data, 0) == expected


def test_or_all_of_its_tokens_have(tmp_path):
    table = read(tmp_path, LONG_WORD)
    data = TaggingData.of_texts(table, tiny_tagger(), label_pieces="all")
    expected = ["-", "O", "B-ANIMAL", "I-ANIMAL", "B-PLACE", "I-PLACE", "I-PLACE", "-"]
    assert tags_of(data, 0) == expected


def test_no_tag_of_a_long_text_is_lost(tmp_path):
    table = read(tmp_path, tagged_rows(20, words=(30, 60)))
    model = tiny_tagger(max_length=16)
    data = TaggingData.of_texts(table, model, overlap=4)
    words = sum(map(len, table.words))
    assert (data.tags >= 0).sum() == words and data.lost == {"words": 0, "spans": 0}
    assert data.split == 20 and len(data) > 60
    cut = TaggingData.of_texts(table, model, split_long=False)
    assert cut.lost["words"] == words - (cut.tags >= 0).sum() > 0
    assert cut.ids.truncated == 20 == len(cut)
    assert 0 < cut.lost["spans"] < sum(table.counts.values())
    begun = sum(LABELS[tag].startswith("B-") for tag in cut.tags[cut.tags >= 0])
    # A span of two words whose second is cut off has begun and is lost all the same.
    assert 0 <= sum(table.counts.values()) - cut.lost["spans"] <= begun


def test_words_without_a_token_are_counted(tmp_path):
    rows = [{"tokens": ["\u200e", "cat"], "ner_tags": ["B-ANIMAL", "I-ANIMAL"]}]
    data = TaggingData.of_texts(read(tmp_path, [*rows, *LONG_WORD]), tiny_tagger())
    assert data.lost == {"words": 1, "spans": 1}


SPANS = [
    {"text": "the cat.", "spans": [[4, 7, "ANIMAL"]]},
    {"text": "a red-green dog", "spans": [[3, 11, "COLOUR"]]},
]


def test_spans_are_aligned_to_words_of_the_text(tmp_path):
    data = TaggingData.of_texts(read(tmp_path, SPANS[:1]), tiny_tagger())
    assert tags_of(data, 0) == ["-", "O", "B-ANIMAL", "O", "-"]


def test_a_span_that_cuts_a_word_is_reported_skipped_or_expanded(tmp_path, caplog):
    table, model = read(tmp_path, SPANS), tiny_tagger()
    with pytest.raises(DataError, match=r"COLOUR 3 to 11, 'ed-green'.*'red-green'") as error:
        TaggingData.of_texts(table, model)
    assert error.value.line == 2
    data = TaggingData.of_texts(table, model, misaligned="skip")
    assert len(data) == 1 and [bad.line for bad in data.skipped] == [2]
    assert "ed-green" in caplog.text
    grown = TaggingData.of_texts(table, model, misaligned="expand")
    assert grown.expanded == 1 and len(grown) == 2
    inside = ["B-COLOUR", "I-COLOUR", "I-COLOUR"]
    assert tags_of(grown, 1) == ["-", "O", *inside, "O", "-"]


def test_spans_that_meet_in_a_word_cannot_be_expanded(tmp_path):
    rows = [{"text": "a redgreen dog", "spans": [[2, 5, "COLOUR"], [5, 10, "COLOUR"]]}]
    with pytest.raises(DataError, match="within a word"):
        TaggingData.of_texts(read(tmp_path, rows), tiny_tagger(), misaligned="expand")


def test_the_loss_is_the_mean_over_tagged_tokens(tmp_path):
    model = tiny_tagger()
    data = TaggingData.of_texts(read(tmp_path, tagged_rows(6)), model)
    batch = data.batch(np.array([4, 0, 2]))
    logits, targets = [], []
    for row in batch.texts.tolist():
        with torch.no_grad():
            one = model(data.batch(np.array([row])).packed())
        tags = torch.from_numpy(data.tags[data.ids.offsets[row] : data.ids.offsets[row + 1]])
        logits.append(one)
        targets.append(tags)
    for weights in (None, torch.arange(1.0, len(LABELS) + 1)):
        expected = torch.nn.functional.cross_entropy(
            torch.cat(logits), torch.cat(targets), weight=weights, ignore_index=-1
        )
        loss = Tagging(weights=weights)(model, batch)
        torch.testing.assert_close(loss, expected, atol=1e-5, rtol=1e-5)
    loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_a_batch_without_tags_counts_for_nothing(tmp_path):
    model = tiny_tagger()
    data = TaggingData.of_texts(read(tmp_path, tagged_rows(2)), model)
    data.tags[:] = -1
    loss = Tagging()(model, data.batch(np.array([0, 1])))
    assert loss.item() == 0.0
    loss.backward()


@pytest.mark.parametrize("weights", [None, torch.arange(1.0, len(LABELS) + 1)])
def test_shares_of_several_processes_add_up(weights, tmp_path, monkeypatch):
    import tenor.training.tagging as module

    model = tiny_tagger()
    data = TaggingData.of_texts(read(tmp_path, tagged_rows(5)), model)
    step, batch = Tagging(weights=weights), data.batch(np.arange(5))
    whole = step(model, batch)

    def share(process, processes):
        monkeypatch.setattr(module, "this_process", lambda: (process, processes))
        return step(model, batch)

    for processes in (2, 7):  # of seven, two have no window
        parts = [share(process, processes) for process in range(processes)]
        torch.testing.assert_close(sum(parts) / processes, whole, atol=1e-5, rtol=1e-5)


def test_balanced_weights():
    found = balanced_weights(np.array([0, 0, 0, 1, -1]), 3)
    torch.testing.assert_close(found, torch.tensor([2 / 3, 2.0, 1.0]))
