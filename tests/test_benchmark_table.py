"""The README's benchmark table says what the results say."""

from __future__ import annotations

import json

import pytest
from benchmarks.table import BEGIN, END, NOTHING, collect, main, render

SETTING = {
    "commit": "abc1234",
    "machine": {"processor": "A processor", "cores": 2, "threads": 2},
    "versions": {"python": "3.11.7", "torch": "2.13.0", "sentence-transformers": "6.2.0"},
}
FASTER = {"median": 2.5, "min": 2.25, "max": 2.75}


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "results"
    folder.mkdir()
    encode = [
        {"side": "tenor", "texts_per_second": 1234.4, "peak_mib": 830.8,
         "share_of_bf16_products": 0.638, "tenor_is_faster": None, "stsb_test_spearman": 0.8205},
        {"side": "peer", "texts_per_second": 493.8, "peak_mib": 1032.3,
         "tenor_is_faster": FASTER, "stsb_test_spearman": 0.8203},
    ]  # fmt: skip
    speed = [{"side": "tenor", "rows_per_second": 141.3, "peak_mib": 900.0}]
    quality = [
        {"side": "tenor", "stsb_test_spearman": [0.81, 0.83], "mean": 0.82, "deviation": 0.0141,
         "peak_mib": 1793.4},
        {"side": "peer", "stsb_test_spearman": [0.8], "mean": 0.8, "deviation": 0.0,
         "peak_mib": 2183.4},
    ]  # fmt: skip
    for name, document in {
        "encode_reviews": {**SETTING, "sides": encode},
        "train_mnr_speed": {**SETTING, "sides": speed},
        "train_mnr_quality": {**SETTING, "commit": "def5678", "sides": quality},
        "memory_stream": {"sides": ["anything"]},
        "few_shot_trec": {
            "sides": [
                {
                    "side": "tenor",
                    "accuracy": [0.7, 0.8, 0.9],
                    "mean": 0.8,
                    "deviation": 0.1,
                    "seconds": [11.0, 12.0, 19.0],
                },
            ]
        },
        "encode_other": {"figures": 1},
        "list": [1, 2],
    }.items():
        (folder / f"{name}.json").write_text(json.dumps(document))
    return folder


def test_every_known_result_becomes_a_row_and_the_others_are_passed_over(results):
    lines = render(collect(results)).splitlines()
    assert [line for line in lines if line.startswith("| ")][2:] == [
        "| encode reviews | tenor | 1,234 texts/s |  | 831 MiB | 0.8205 STS-B test Spearman |",
        "|  | peer | 494 texts/s | 2.50× [2.25, 2.75] | 1,032 MiB | 0.8203 STS-B test Spearman |",
        "| few shot trec | tenor | 12 s |  |  | 0.8000 accuracy ± 0.1000, 3 seeds |",
        "| train mnr | tenor | 141 rows/s |  | 900 MiB "
        "| 0.8200 STS-B test Spearman ± 0.0141, 2 seeds |",
        "|  | peer |  |  | 2,183 MiB | 0.8000 STS-B test Spearman, 1 seed |",
    ]


def test_machine_versions_and_commit_stand_below_with_what_they_belong_to(results):
    text = render(collect(results))
    common = "On A processor, 2 cores, python 3.11.7, torch 2.13.0, sentence-transformers 6.2.0"
    assert f"{common}, at commit abc1234: encode_reviews, train_mnr_speed." in text
    assert f"{common}, at commit def5678: train_mnr_quality." in text
    assert "matrix-product rate in encode reviews: tenor 64%." in text


def test_what_plans_said_stands_beside_what_it_took(results):
    one = {"data": "stsb", "recipe": "contrastive", "steps": 60, "estimated_seconds": 100.4,
           "real_seconds": 110.4, "real_to_estimated": 1.1, "estimated_gib": 1.13,
           "real_gib": 1.16}  # fmt: skip
    path = results / "plan.json"
    path.write_text(json.dumps({**SETTING, "rows": "all", "data": [one]}))
    said = "stsb, contrastive, 60 steps: 100 s and 110 s (1.10×), 1.1 and 1.2 GiB."
    assert said in render(collect(results))
    path.write_text(json.dumps({**SETTING, "rows": 300, "data": [one]}))
    assert said not in render(collect(results)), "of a few rows it is only a try"


def test_check_fails_until_the_table_is_written(results, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"Before.\n{BEGIN}\nold \\1\n{END}\nAfter.\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="out of date"):
        main(["--check"], readme=readme, results=results)
    assert "old" in readme.read_text(encoding="utf-8")
    main([], readme=readme, results=results)
    text = readme.read_text(encoding="utf-8")
    assert text.startswith(f"Before.\n{BEGIN}\n| workload ")
    assert text.endswith(f"{END}\nAfter.\n")
    main(["--check"], readme=readme, results=results)


def test_without_results_the_block_says_so(tmp_path):
    assert NOTHING in render(collect(tmp_path))


def test_a_readme_without_the_marks_is_refused(results, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("No table here.", encoding="utf-8")
    with pytest.raises(SystemExit, match="exactly once"):
        main([], readme=readme, results=results)
