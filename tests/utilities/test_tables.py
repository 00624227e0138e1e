"""Rows of files as people have them: formats, encodings, separators, and files that hold something else."""

import csv
import gzip
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from evaluation.questions import read_questions
from retrieval.products.exclusion_list import read_exclusion_list
from tuning import select_data
from tuning.fit_fusion import drawn
from utilities.errors import UserError
from utilities.opened_files import text_lines
from utilities.tables import read_rows, rows_or_faults, shown

ROWS = [{"a": "ä", "b": 'a 24" desk, wide'}, {"a": "電", "b": "tab"}]


def lines(rows: list[dict[str, str]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def table(rows: Sequence[Mapping[str, object]], **form: Any) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n", **form)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


WRITTEN: dict[str, str] = {
    "rows.jsonl": lines(ROWS),
    "rows.ndjson": lines(ROWS),
    "rows": lines(ROWS),
    "lines.json": lines(ROWS),
    "array.json": json.dumps(ROWS, indent=2),
    "rows.csv": table(ROWS),
    "rows.tsv": "a\tb\n" + "".join(f"{row['a']}\t{row['b']}\n" for row in ROWS),
    "pandas.tsv": table(ROWS, delimiter="\t"),
    "quoted.TSV": table(ROWS, delimiter="\t", quoting=csv.QUOTE_ALL),
}
FORMS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "byte order mark": lambda data: b"\xef\xbb\xbf" + data,
    "CRLF": lambda data: data.replace(b"\n", b"\r\n"),
    "blank lines": lambda data: data.replace(b"\n", b"\n\n \n") if data[:1] != b"[" else b"\n\n" + data,
}


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [found.value for found in read_rows(path)]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", WRITTEN)
def test_every_format_holds_the_same_rows(tmp_path: Path, name: str, form: str, packed: bool) -> None:
    data = FORMS[form](WRITTEN[name].encode())
    path = tmp_path / (f"{name}.gz" if packed else name)
    path.write_bytes(gzip.compress(data) if packed else data)
    assert rows_of(path) == ROWS


@pytest.mark.parametrize("packed", [False, True])
def test_parquet_holds_the_same_rows_and_only_the_chosen_columns(tmp_path: Path, packed: bool) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.Table.from_pylist(ROWS), tmp_path / "rows.parquet")
    path = tmp_path / "rows.parquet"
    if packed:
        path = tmp_path / "rows.parquet.gz"
        path.write_bytes(gzip.compress((tmp_path / "rows.parquet").read_bytes()))
    assert rows_of(path) == ROWS
    assert [found.value for found in read_rows(path, lambda names: names[:1])] == [{"a": row["a"]} for row in ROWS]


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 11\n"
FOREIGN: dict[str, tuple[bytes, str]] = {
    "pointer": (POINTER, "is a Git LFS pointer, not the file itself: run `git lfs pull`"),
    "packed pointer": (gzip.compress(POINTER), "is a Git LFS pointer"),
    "page": (b"\n<!DOCTYPE html><html>", "is an HTML page: download the file itself"),
    "bare page": (b"<HTML><head>", "is an HTML page"),
    "XML": (b"<?xml version='1.0'?><Error>", "is an XML file"),
    "zip": (b"PK\x03\x04\x14\x00", "is a zip archive or a workbook"),
    "7z": (b"7z\xbc\xaf\x27\x1c", "is a 7z archive: unpack it"),
    "RAR": (b"Rar!\x1a\x07", "is a RAR archive: unpack it"),
    "old workbook": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is a workbook: save its table as CSV"),
    "PDF": (b"%PDF-1.7", "is a PDF document"),
    "bzip2": (b"BZh91AY", "bunzip2"),
    "zstd": (b"\x28\xb5\x2f\xfd\x04", "unzstd"),
    "UTF-16": ("a,b\n".encode("utf-16"), "is UTF-16 text: save the file in UTF-8"),
    "UTF-16 without mark": ("a,b\n".encode("utf-16-le"), "binary data or UTF-16 text"),
    "empty": (b"", "is empty: get the file again"),
    "packed nothing": (gzip.compress(b""), "is empty"),
    "cut gzip": (gzip.compress(b'{"a": 1}\n' * 9999)[:40], "damaged or cut gzip data"),
}


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv", "rows.tsv", "rows.parquet", "rows.json"])
@pytest.mark.parametrize("kind", FOREIGN)
def test_a_file_of_something_else_is_named_as_it_is(tmp_path: Path, kind: str, name: str) -> None:
    data, message = FOREIGN[kind]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match=message) as error:
        rows_of(tmp_path / name)
    assert str(error.value).startswith(str(tmp_path / name))
    assert "\n" not in str(error.value)


READERS: dict[str, Callable[[Path], object]] = {
    "questions": read_questions,
    "--source": lambda path: select_data.main(["--source", str(path), "--output", str(path.parent / "out")]),
    "--against": lambda path: drawn([], [path], {}, 0),
    "fit_fusion --rows": lambda path: drawn([path], [], {}, 0),
    "--exclude": read_exclusion_list,
    "calibration": lambda path: [*text_lines(path)],
}


@pytest.mark.parametrize("reader", READERS)
def test_all_readers_name_a_pointer(tmp_path: Path, reader: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(POINTER)
    with pytest.raises(UserError, match=r"rows\.jsonl is a Git LFS pointer, not the file itself: run `git lfs pull`"):
        READERS[reader](path)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "a;b\n1;2\n", "line 1: the columns are separated by semicolons, not by commas: save the file with"),
        ("a.csv", "a\tb\n1\t2\n", "separated by tabs, not by commas"),
        ("a.tsv", "a,b\n1,2\n", "separated by commas, not by tabs: save the file with tabs"),
        ("a.csv", "a|b\n1|2\n", "separated by vertical bars, not by commas"),
        ("a.tsv", 'a\tb\n"two\nlines"\t1\n', "line 2: 1 values, .* quotation marks count only if all fields"),
        ("a.jsonl", " \n\n", "is empty but for white space"),
        ("a.json", "[1] [2]", "line 1: damaged JSON array"),
        ("a.txt", "words", "has no known format"),
        ("a.jsonl", '{"a": 1}\n"text"\n', "line 2: not a JSON object"),
    ],
)
def test_a_file_that_cannot_be_read_names_place_and_remedy(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=message):
        rows_of(tmp_path / name)


def test_damaged_json_lines_take_the_place_of_their_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a": 1}\n{"a": \n[1]\n{"a": "\xff"}\n{"a": NaN}\n')
    found = [str(each) if isinstance(each, UserError) else each.value for each in rows_or_faults(path)]
    assert [found[0], found[4]] == [{"a": 1}, {"a": None}]
    for number, problem in ((2, "not JSON"), (3, "not a JSON object"), (4, "not UTF-8 text")):
        assert found[number - 1].startswith(f"{path}, line {number}: {problem}")


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "null"), (True, "true"), ([1.0, None], "[1.0, null]"), ("None", "'None'"), ("x" * 99, f"'{'x' * 59}...")],
)
def test_values_are_shown_as_json_has_them(value: object, text: str) -> None:
    assert shown(value) == text


QUESTIONS = [
    ("Which?\n0. a\n1. b", "1", "multiple-choice", "accuracy", "True", 1),
    ("Rank.\n1. a\n2. b", "[1, 0.1]", "ranking", "ndcg", "", [1, 0.1]),
    ("Write.", "12", "generation", "rougel", "False", "12"),
]


@pytest.mark.parametrize("name", ["questions.csv", "questions.parquet"])
def test_questions_of_a_table_get_the_types_of_json(tmp_path: Path, name: str) -> None:
    names = ("input_field", "output_field", "task_type", "metric", "is_multiple_choice")
    rows = [{**dict(zip(names, row, strict=False)), "task": "t"} for row in QUESTIONS]
    path = tmp_path / name
    if path.suffix == ".csv":
        path.write_text(table(rows))
    else:
        arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        parquet.write_table(arrow.Table.from_pylist(rows), path)
    assert [question.output_field for question in read_questions(path)] == [row[5] for row in QUESTIONS]
