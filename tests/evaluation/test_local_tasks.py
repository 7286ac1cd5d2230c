"""What files and folders are told to be tasks of."""

import gzip

import pytest

from mteb_tasks import write_retrieval, write_tasks
from tenor.errors import DataError
from tenor.evaluation.local_tasks import find_local_task, list_local_tasks


@pytest.fixture
def data(tmp_path):
    return write_tasks(tmp_path / "data")


def test_the_columns_tell_the_kind(data):
    found = {name: find_local_task(folder) for name, folder in list_local_tasks(data).items()}
    assert {name: task.kind for name, task in found.items()} == {
        "help": "retrieval", "same": "pair classification", "sts": "sts",
        "topics": "classification",
    }  # fmt: skip
    assert found["topics"].train == data / "topics" / "train.csv"
    assert found["sts"].files == [data / "sts" / "test.csv"]


def test_a_file_is_a_task_too_and_is_named_after_it(data, tmp_path):
    assert find_local_task(data / "sts" / "test.csv").name == "sts-test"
    (tmp_path / "mine.csv").write_text((data / "sts" / "test.csv").read_text())
    assert find_local_task(tmp_path / "mine.csv").name == "mine"
    (tmp_path / "faq.jsonl").write_text('{"question": "a", "answer": "b"}\n')
    assert find_local_task(tmp_path / "faq.jsonl").kind == "ranking"


def test_a_train_and_a_test_file_with_a_comma_between(data):
    topics = data / "topics"
    task = find_local_task(f"{topics / 'train.csv'},{topics / 'test.csv'}")
    assert (task.kind, task.name) == ("classification", "topics-test")
    assert task.files == [topics / "train.csv", topics / "test.csv"]


def test_compressed_files_are_found(tmp_path):
    with gzip.open(tmp_path / "test.tsv.gz", "wt") as file:
        file.write("sentence1\tsentence2\tscore\na\tb\t1\nb\tc\t0\n")
    assert find_local_task(tmp_path).kind == "sts"


def test_a_single_task_folder_is_a_list_of_one(tmp_path):
    write_retrieval(tmp_path / "help")
    assert list_local_tasks(tmp_path / "help") == {"help": tmp_path / "help"}


@pytest.mark.parametrize(
    ("write", "message"),
    [
        ({}, "holds no task"),
        ({"test.csv": "text,label\na,b\n"}, "TRAIN,TEST"),
        ({"test.csv": "premise,hypothesis,label\na,b,neutral\n"}, "evaluate pairs"),
        ({"test.csv": "tokens,ner_tags\na,O\n"}, "none of those that can be used"),
        (
            {"test.csv": "text,label\na,b\n", "train.csv": "anchor,positive\na,b\n"},
            "labelled texts are needed",
        ),
    ],
)
def test_what_is_no_task_says_what_it_takes(tmp_path, write, message):
    for name, text in write.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        find_local_task(tmp_path)


def test_what_is_not_there_is_never_looked_for_on_the_hub(tmp_path):
    with pytest.raises(DataError, match="no such file or folder"):
        find_local_task("owner/name")
    with pytest.raises(DataError, match="no such folder"):
        list_local_tasks(tmp_path / "nothing")
    with pytest.raises(DataError, match="holds no task"):
        list_local_tasks(tmp_path)


def test_a_train_file_where_none_is_taken(data):
    sts = data / "sts" / "test.csv"
    with pytest.raises(DataError, match="takes no train file"):
        find_local_task(f"{sts},{sts}")
