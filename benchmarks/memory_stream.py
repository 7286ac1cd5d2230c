"""Memory while one million short texts stream from a file through `tenor encode`.

Samples the resident memory of the process at every block, and compares its height over the second
half of the file with that over the first: flat means that the second adds nothing.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path

from benchmarks._data import MODEL
from benchmarks._sides import write

WORDS = ("river", "stone", "market", "letter", "winter", "garden", "engine", "signal", "copper")


def resident_mib() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmRSS in /proc/self/status")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=1_000_000)
    given = parser.parse_args()
    from tenor import Embedder
    from tenor.models.bulk import keep_few_kernels
    from tenor.recipes.encode import encode_file

    keep_few_kernels()  # as `tenor encode` does

    model = Embedder.load(MODEL, device="cpu")
    samples: list[tuple[float, float]] = []
    plain = model.encode_blocks

    def sampled(*arguments: object, **options: object) -> object:
        for answer in plain(*arguments, **options):  # type: ignore[arg-type]
            samples.append((time.perf_counter(), resident_mib()))
            yield answer

    model.encode_blocks = sampled  # type: ignore[method-assign, assignment]
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "texts.txt"
        draw = random.Random(0)
        with source.open("w") as file:
            for number in range(given.texts):
                file.write(f"{draw.choice(WORDS)} {draw.choice(WORDS)} {number}\n")
        figures = encode_file(model, source, Path(folder) / "vectors.parquet")
        size = (Path(folder) / "vectors.parquet").stat().st_size / 2**20
    half = len(samples) // 2
    write(
        "memory_stream",
        {
            "texts": int(figures["texts"]),
            "texts_per_second": figures["texts"] / figures["seconds"],
            "vectors_mib_on_disk": size,
            "blocks": len(samples),
            "resident_mib": [round(memory) for _, memory in samples],
            "resident_mib_first_half": max(memory for _, memory in samples[:half]),
            "resident_mib_second_half": max(memory for _, memory in samples[half:]),
        },
    )


if __name__ == "__main__":
    main()
