"""Two steps keep the contents of evaluation questions out of a catalogue: write an exclusion list, build with it."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.exclusions import main, write_exclusion_list
from retrieval.products.__main__ import main as products
from retrieval.products.catalogue import Catalog
from retrieval.products.exclusion_list import Exclusions, QuestionParts, read_exclusion_list
from retrieval.products.leak_guard import Guard
from tests.retrieval.products.product_samples import (
    LONG_TITLE,
    RANKING_PARTS,
    SPELLINGS,
    TRANSLATION,
    TRANSLATION_PARTS,
    ranking_parts,
    ranking_text,
    sample,
    titles,
    write_lines,
)
from utilities.errors import exit_code
from utilities.fingerprint import sha256

RANKING: Mapping[str, object] = {
    "input_field": ranking_text("cordless drill set", ("Corded Drill, 500 W", LONG_TITLE, "Camera")),
    "output_field": [1, 0.1, 0],
    "task_name": "ranking",
    "task_type": "ranking",
    "metric": "ndcg",
}
GENERATION: Mapping[str, object] = {
    "input_field": TRANSLATION[0],
    "output_field": TRANSLATION[1],
    "task_name": "translation",
    "task_type": "generation",
    "metric": "bleu",
}


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    return write_lines(tmp_path / "evaluation.jsonl", [RANKING, GENERATION])


def exclusions_of(folder: Path, *rows: Mapping[str, object]) -> Exclusions:
    """Write questions, list them and return what is read back."""
    (folder / "asked.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_exclusion_list([folder / "asked.jsonl"], folder / "exclusions.jsonl")
    (found,) = read_exclusion_list(folder / "exclusions.jsonl")
    return found


def test_a_list_has_each_file_s_name_and_sha256_and_the_parts_of_its_questions(tmp_path: Path, questions: Path) -> None:
    other = write_lines(tmp_path / "other.jsonl", [GENERATION])
    output = tmp_path / "lists" / "exclusions.jsonl"
    assert main([str(questions), str(other), "--output", str(output)]) == 0
    first, second = read_exclusion_list(output)
    assert (first.source.file, first.source.sha256) == ("evaluation.jsonl", sha256(questions))
    assert (second.source.file, second.source.sha256) == ("other.jsonl", sha256(other))
    assert (first.questions, second.questions) == ([RANKING_PARTS, TRANSLATION_PARTS], [TRANSLATION_PARTS])


@pytest.mark.parametrize("item", [*(item for item, _ in SPELLINGS), "\u30ac\u30e9\u30b9", "Camera"])
def test_a_question_s_items_and_query_are_listed_as_they_stand_in_it(tmp_path: Path, item: str) -> None:
    items = (item, "Something else here")
    row = {**RANKING, "input_field": ranking_text("cordless drill-set", items), "output_field": [1, 0]}
    assert exclusions_of(tmp_path, row).questions == [ranking_parts("cordless drill-set", items)]


def test_the_lines_of_a_session_are_listed_as_queries(tmp_path: Path) -> None:
    text = (
        "A customer did the following.\nSession:\nsearched for 'garden hose'\nsearched for 'hose reel 25 ft'\n"
        "What will the customer search for next?\nOutput: "
    )
    (parts,) = exclusions_of(tmp_path, {**GENERATION, "input_field": text}).questions
    assert set(parts.queries) == {"garden hose", "hose reel 25 ft"}
    guard = Guard([exclusions_of(tmp_path, {**GENERATION, "input_field": text})], "plural")
    assert guard.query("hose garden")
    assert not guard.query("lawn mower")


@pytest.mark.parametrize(
    ("reference", "texts", "task_type", "metric"),
    [
        ("Rake", ("Rake",), "generation", "bleu"),
        (["Rake", "Hoe"], ("Rake", "Hoe"), "named_entity_recognition", "micro f1"),
        ([2, 1], (), "retrieval", "hit rate@3"),
        (3, (), "multiple-choice", "accuracy"),
    ],
)
def test_reference_answers_are_listed_where_they_are_text(
    tmp_path: Path, reference: object, texts: Sequence[str], task_type: str, metric: str
) -> None:
    row = {"input_field": "Which one?", "output_field": reference, "task_type": task_type, "metric": metric}
    (parts,) = exclusions_of(tmp_path, {**row, "task_name": "t"}).questions
    assert parts == QuestionParts(("Which one?", *texts), (), ())


@given(text=st.text(), answer=st.text())
def test_any_text_is_read_back_and_held(tmp_path_factory: pytest.TempPathFactory, text: str, answer: str) -> None:
    folder = tmp_path_factory.mktemp("any")
    row = {**GENERATION, "input_field": f"{text}\ud800 garden hose reel", "output_field": answer}
    found = exclusions_of(folder, row)
    assert len(found.questions) == 1
    assert Guard([found], "plural").title("\udfff garden hose reel")


def test_a_catalogue_built_with_the_list_lacks_what_the_questions_hold(
    tmp_path: Path, questions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted, listed = sample(tmp_path), str(tmp_path / "exclusions.jsonl")
    build = ["build", "--output", str(wanted.output), *map(str, wanted.sources)]
    build += ["--judgements", *map(str, wanted.judgements), "--exclude", str(questions)]
    assert exit_code(lambda: products(build)) == 2
    said = capsys.readouterr().err
    assert "evaluation.jsonl, line 1 is a question, and --exclude takes an exclusion list: first run" in said
    assert not wanted.output.exists()
    assert main([str(questions), "--output", listed]) == 0
    assert products([*build[:-1], listed]) == 0
    assert "evaluation.jsonl (2 products, 1 queries; sha256" in capsys.readouterr().out
    catalog = Catalog.open(wanted.output)
    assert titles(catalog, "corded drill") == ["Cordless Drill 18 V with two batteries"]
    assert catalog.related("cordless drill set", 5).source == "products"
    assert [each.sha256 for each in catalog.manifest.excluded] == [sha256(questions)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (json.dumps({**GENERATION, "task_type": "guessing"}), "asked.jsonl, line 1: field 'task_type' is"),
        ('{"title": "Rake"}', "asked.jsonl, line 1: field 'input_field' is missing"),
        ("", "asked.jsonl is empty"),
        ("{", "asked.jsonl, line 1: not JSON"),
    ],
)
def test_a_file_without_questions_is_refused_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, message: str
) -> None:
    (tmp_path / "asked.jsonl").write_text(content)
    assert exit_code(lambda: main([str(tmp_path / "asked.jsonl"), "--output", str(tmp_path / "list.jsonl")])) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "list.jsonl").exists()


def test_the_questions_are_never_written_over(
    tmp_path: Path, questions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = questions.read_bytes()
    (tmp_path / "link.jsonl").symlink_to(questions)
    for output in (questions, tmp_path / "link.jsonl"):
        assert exit_code(partial(main, [str(questions), "--output", str(output)])) == 2
        assert "is one of the evaluation files: name another file" in capsys.readouterr().err
    assert questions.read_bytes() == before


def test_a_list_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, questions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(lambda: main([str(questions), "--output", str(questions / "list.jsonl")])) == 2
    said = capsys.readouterr().err
    assert "cannot be written" in said
    assert said.count("\n") == 1
