"""Exclusion lists: what is not one, or not all of one, is refused in one sentence."""

import json
from pathlib import Path

import pytest

from retrieval.products.exclusion_list import read_exclusion_list
from tests.retrieval.products.product_samples import (
    RANKING_PARTS,
    SHA256,
    TRANSLATION_PARTS,
    exclusions,
    write_exclusions,
)
from utilities.errors import UserError, exit_code

FILE = {"file": "a.json", "sha256": SHA256, "questions": 1}
QUESTION = {"texts": ["t"], "items": ["i"], "queries": ["q"]}


@pytest.mark.parametrize("name", ["exclusions.jsonl", "exclusions.jsonl.gz", "exclusions"])
def test_a_list_is_read_as_it_was_written(tmp_path: Path, name: str) -> None:
    listed = [exclusions(RANKING_PARTS, TRANSLATION_PARTS), exclusions(TRANSLATION_PARTS, file="other.json")]
    assert read_exclusion_list(write_exclusions(tmp_path / name, *listed)) == listed


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([FILE, {**QUESTION, "texts": ["t", 5]}], r"line 2: texts\[1\] is 5; it must be a text"),
        ([FILE, {**QUESTION, "items": "i"}], r"line 2: items is 'i'; it must be a list"),
        ([FILE, {"texts": [], "items": []}], r"line 2: queries: not given"),
        ([FILE, {**QUESTION, "answers": []}], r"line 2: unknown field answers; known ones: texts, items, queries"),
        ([{**FILE, "sha256": "5E" * 32}, QUESTION], r"line 1: sha256 is '5E.*'; it must be 64 hexadecimal digits"),
        ([{"file": "a.json", "questions": 1}], r"line 1: sha256: not given"),
        ([{**FILE, "questions": 0}], r"line 1: questions is 0; it must be at least 1"),
        ([{**FILE, "questions": "1"}, QUESTION], r"line 1: questions is '1'; it must be a whole number"),
        ([QUESTION], r"line 1: the first line must name an evaluation file: write the list with"),
        ([FILE], r"has 0 of the 1 questions of a\.json: write the list again with"),
        ([FILE, QUESTION, QUESTION], r"has 2 of the 1 questions of a\.json"),
        ([FILE, FILE, QUESTION], r"has 0 of the 1 questions of a\.json"),
        ([], r"is empty: get the file again"),
        ([FILE, [1]], r"line 2: not a JSON object"),
    ],
)
def test_a_damaged_list_is_refused_with_line_and_field(tmp_path: Path, rows: list[object], message: str) -> None:
    path = tmp_path / "list.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(UserError, match=rf"list\.jsonl.*{message}") as error:
        read_exclusion_list(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("data", [b'{"file": ', b"\xff\n", b'{"file": "a", "sha256": "\\ud800", "questions": 1}'])
def test_a_line_that_is_no_text_or_no_json_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "list.jsonl").write_bytes(data)
    with pytest.raises(UserError, match=r"list\.jsonl, line 1"):
        read_exclusion_list(tmp_path / "list.jsonl")


def test_a_list_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"list\.jsonl does not exist"):
        read_exclusion_list(tmp_path / "list.jsonl")


def test_questions_are_refused_with_the_command_to_run_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "my_questions.json"
    path.write_text('{"input_field": "Which one?", "output_field": 1}\n')
    assert exit_code(lambda: len(read_exclusion_list(path))) == 2
    said = capsys.readouterr().err
    assert f"first run `python -m evaluation.exclusions {path} --output exclusions.jsonl`, then give" in said
    assert said.count("\n") == 1
