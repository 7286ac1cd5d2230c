"""The real data beside the checkout, and where the default model lies."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

MODEL = "all-MiniLM-L6-v2"
FOLDER = Path(os.environ.get("TENOR_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def read(name: str, split: str) -> dict[str, list[Any]]:
    path = FOLDER / name / f"{split}.parquet"
    if not path.exists():
        sys.exit(f"{path} is missing; set TENOR_DATA to the folder that holds {name}/")
    columns: dict[str, list[Any]] = pq.read_table(path).to_pydict()
    return columns


def model_folder() -> str:
    from tenor.formats.locate import locate

    return str(locate(MODEL))
