"""Readers of the JSON formats: a list of objects, and one object a line."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator
from typing import IO, Any

from tenor.data.lines import NOT_UTF8, Block, Lines, is_text, row_blocks
from tenor.data.problems import RowProblems
from tenor.errors import DataError

__all__ = ["json_blocks", "json_line_blocks"]


def json_line_blocks(
    file: IO[bytes], choose: Callable[..., list[str]], problems: RowProblems, size: int
) -> Iterator[Block]:
    """Reads one object a line; a blank line is no row."""

    def objects() -> Iterator[tuple[int, Any]]:
        lines = Lines(file)
        for text in lines:
            lines.start_row()
            if lines.number in lines.broken:
                problems.report(lines.number, NOT_UTF8)
            elif not text.isspace():
                try:
                    value = json.loads(text)
                except (ValueError, RecursionError) as error:
                    problems.report(lines.number, f"not valid JSON ({error}).")
                else:
                    if _check_object(lines.number, value, text, problems):
                        yield lines.number, value

    yield from _object_blocks(objects(), choose, problems, size)


def json_blocks(
    file: IO[bytes], choose: Callable[..., list[str]], problems: RowProblems, size: int
) -> Iterator[Block]:
    """Reads a list of objects one by one, to know on which line each starts."""
    raw = file.read()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DataError(NOT_UTF8, path=problems.path, line=line) from error

    def objects() -> Iterator[tuple[int, Any]]:
        decoder, space = json.JSONDecoder(), re.compile(r"[ \t\n\r]*")
        line, counted = 1, 0

        def skip_space(position: int) -> int:
            nonlocal line, counted
            match = space.match(text, position)
            position = match.end() if match else position
            line, counted = line + text.count("\n", counted, position), position
            return position

        def fail(reason: str) -> DataError:
            return DataError(reason, path=problems.path, line=line)

        position = skip_space(0)
        if text[position : position + 1] != "[":
            raise fail("must be a list of objects, [{...}, ...]; name JSON lines .jsonl.")
        position = skip_space(position + 1)
        closed = text[position : position + 1] == "]"
        while not closed:
            try:
                value, end = decoder.raw_decode(text, position)
            except (ValueError, RecursionError) as error:
                raise fail(f"not valid JSON ({error}).") from error
            if _check_object(line, value, text[position:end], problems):
                yield line, value
            position = skip_space(end)
            closed = text[position : position + 1] == "]"
            if not closed:
                if text[position : position + 1] != ",":
                    raise fail("not valid JSON: a comma or ']' is missing.")
                position = skip_space(position + 1)
        if text[position + 1 :].strip():
            raise fail("not valid JSON: something follows the list.")

    yield from _object_blocks(objects(), choose, problems, size)


def _object_blocks(
    objects: Iterator[tuple[int, Any]],
    choose: Callable[..., list[str]],
    problems: RowProblems,
    size: int,
) -> Iterator[Block]:
    first = next(objects, None)
    if first is None:
        return
    wanted = choose(list(first[1]))

    def complete() -> Iterator[tuple[int, Any]]:
        for line, row in itertools.chain([first], objects):
            missing = next((name for name in wanted if name not in row), None)
            if missing is None:
                yield line, row
            else:
                problems.report(line, "the row does not have this column.", missing)

    yield from row_blocks(complete(), {name: name for name in wanted}, size)


def _check_object(line: int, value: Any, source: str, problems: RowProblems) -> bool:
    if not isinstance(value, dict):
        problems.report(line, f"{source[:40].strip()!r} is not an object of column: value.")
        return False
    # Only an escape can bring half a surrogate pair, which no tokenizer takes.
    if "\\u" in source and not is_text(json.dumps(value, ensure_ascii=False)):
        problems.report(line, "an escape \\uD800 to \\uDFFF stands without its other half.")
        return False
    return True
