"""`tenor duplicates` over a million short texts: time, memory, share of what is planted it finds.

The texts are the distinct sentences of nine public sets, and, as they are not enough, pairs of them
drawn at random and joined. Of some texts of eight words or more a copy with one word left out is
added: the pairs to be found. The model is all-MiniLM-L6-v2 distilled without text (256 dimensions).

The command runs in a process of its own. Its memory is sampled twice a second: `own` is what the
process itself holds, `mapped` are pages of files (the vectors lie on disk, and the system may drop
these pages at any time), both at their highest.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks._data import FOLDER, MODEL
from benchmarks._sides import THREADS, write

COLUMNS = {
    "nli_train_pool/train": ("premise", "hypothesis"),
    "twitter_url/train": ("sentence1", "sentence2"),
    "snli/test": ("premise", "hypothesis"), "stackoverflow_titles/train": ("text",),
    "banking77/train": ("text",), "rotten_tomatoes/train": ("text",), "trec/train": ("text",),
    "medquad/corpus": ("text",), "travel_se/corpus": ("body",),
}  # fmt: skip


def sentences() -> list[str]:
    """Every distinct sentence, on one line each."""
    import pyarrow.parquet as pq

    from tenor.data.sentences import split_sentences

    found: dict[str, None] = {}
    for name, columns in COLUMNS.items():
        table = pq.read_table(FOLDER / f"{name}.parquet", columns=list(columns))
        for column in columns:
            for text in table[column].to_pylist():
                for sentence in split_sentences(text):
                    found[" ".join(sentence.split())] = None
    found.pop("", None)
    return list(found)


def make(path: Path, texts: int, planted: int) -> tuple[int, set[tuple[int, int]]]:
    """Write the file, a text a line; how many are single sentences, and the rows planted."""
    draw = random.Random(0)
    single = sentences()
    draw.shuffle(single)
    rows = dict.fromkeys(single[: texts - planted])
    count = len(rows)
    while len(rows) < texts - planted:
        rows[f"{draw.choice(single)} {draw.choice(single)}"] = None
    lines = list(rows)
    pairs: set[tuple[int, int]] = set()
    for row in draw.sample(range(len(lines)), len(lines)):
        words = lines[row].split()
        if len(pairs) == planted:
            break
        if len(words) < 8:
            continue
        del words[draw.randrange(len(words))]
        copy = " ".join(words)
        if copy not in rows:
            rows[copy] = None
            pairs.add((row, len(lines)))
            lines.append(copy)
    path.write_text("\n".join(lines) + "\n")
    return count, pairs


def watched(command: list[str]) -> tuple[str, float, dict[str, float]]:
    """What a command writes, its seconds, and the most memory seen, in MiB."""
    names = {"RssAnon": "own", "RssFile": "mapped"}
    most = dict.fromkeys(names.values(), 0.0)
    start = time.perf_counter()
    environment = os.environ | {"OMP_NUM_THREADS": str(THREADS)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True)
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        for line in status.read_text().splitlines():
            name, _, value = line.partition(":")
            if name in names:
                most[names[name]] = max(most[names[name]], int(value.split()[0]) / 1024)
        time.sleep(0.5)
    assert process.stdout is not None
    out = process.stdout.read()
    if process.returncode:
        sys.exit(f"{command} failed")
    return out, time.perf_counter() - start, most


def found_of(pairs: set[tuple[int, int]], path: Path) -> int:
    import pyarrow.parquet as pq

    table = pq.read_table(path, columns=["row1", "row2"])
    return len(pairs & set(zip(*(column.to_pylist() for column in table.columns), strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=1_000_000)
    parser.add_argument("--planted", type=int, default=10_000)
    given = parser.parse_args()
    from tenor.recipes.distill import DistillConfig, distill

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        distill(DistillConfig(model=MODEL, out=str(folder / "static")))
        count, planted = make(folder / "texts.txt", given.texts, given.planted)
        command = [
            sys.executable, "-m", "tenor", "duplicates", str(folder / "static" / "model"),
            str(folder / "texts.txt"), "--out", str(folder / "pairs.parquet"),
            "--clusters", str(folder / "clusters.parquet"), "--json",
        ]  # fmt: skip
        out, seconds, most = watched(command)
        told: dict[str, Any] = json.loads(out)
        found = found_of(planted, folder / "pairs.parquet")
    counts = ("texts", "distinct", "pairs", "complete", "threshold", "clusters", "largest_cluster")
    write(
        "duplicates",
        {
            "dimensions": 256, "single_sentences": count, "planted": len(planted),
            "planted_found": found, "seconds": seconds,
            "most_mib_own": most["own"], "most_mib_mapped": most["mapped"],
            **{name: told[name] for name in counts},
        },
    )  # fmt: skip
    print(f"{seconds:,.0f} s, own {most['own']:,.0f} MiB, {found} of {len(planted)} planted found")


if __name__ == "__main__":
    main()
