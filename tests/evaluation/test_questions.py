import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.questions import QuestionRow, read_questions
from utilities.errors import UserError
from utilities.task_type import TaskType

MISSING = object()
RATING: Mapping[str, object] = {
    "input_field": "How many stars?",
    "output_field": 4,
    "task_name": "stars",
    "task_type": "multiple-choice",
    "metric": "accuracy",
    "is_multiple_choice": True,
    "track": "a track",
}
SLOGAN: Mapping[str, object] = {
    "input_field": "Write a slogan.",
    "output_field": "Warm feet",
    "task": "slogan",
    "task_type": "generation",
    "metric": "rougel",
}


def with_fields(row: Mapping[str, object], **changes: object) -> str:
    changed = {**row, **changes}
    return json.dumps({name: value for name, value in changed.items() if value is not MISSING})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "questions.json"


def test_every_field_is_read(data: Path) -> None:
    data.write_text(json.dumps(RATING), encoding="utf-8")
    assert read_questions(data) == [
        QuestionRow("How many stars?", 4, "stars", TaskType.MULTIPLE_CHOICE, "accuracy", True, "a track")
    ]


def test_a_training_row_needs_no_track_and_names_its_task_shortly(data: Path) -> None:
    data.write_text(json.dumps(SLOGAN), encoding="utf-8")
    (question,) = read_questions(data)
    assert (question.task_name, question.track, question.is_multiple_choice) == ("slogan", "unknown", False)


def test_is_multiple_choice_follows_from_the_task_type(data: Path) -> None:
    data.write_text(with_fields(RATING, is_multiple_choice=MISSING), encoding="utf-8")
    assert read_questions(data)[0].is_multiple_choice


def test_blank_lines_a_byte_order_mark_and_windows_line_ends_are_skipped(data: Path) -> None:
    data.write_bytes(b"\xef\xbb\xbf\r\n" + json.dumps(RATING).encode() + b"\r\n \r\n")
    assert len(read_questions(data)) == 1


def test_a_line_separator_inside_a_string_does_not_end_the_line(data: Path) -> None:
    text = "one\u2028two\x85three"
    data.write_text(json.dumps({**SLOGAN, "input_field": text}, ensure_ascii=False), encoding="utf-8")
    assert read_questions(data)[0].input_field == text


@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=4))
def test_any_text_is_read_back_in_order(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    path = tmp_path_factory.mktemp("data") / "questions.json"
    lines = (json.dumps({**SLOGAN, "input_field": text}, ensure_ascii=False) for text in texts)
    path.write_bytes("\n".join(lines).encode())
    assert [question.input_field for question in read_questions(path)] == texts


@pytest.mark.parametrize(
    ("task_type", "metric", "reference"),
    [
        ("multiple-choice", "accuracy", 0),
        ("retrieval", "hit rate@3", [1, 2]),
        ("ranking", "ndcg", [1, 0.1, 0.01, 0, 0]),
        ("named_entity_recognition", "micro f1", []),
        ("named_entity_recognition", "micro f1", ["red"]),
        ("generation", "bleu", ""),
        ("generation", "sent-transformer", "one"),
        ("generation", "multilingual-sent-transformer", ["one", "two"]),
    ],
)
def test_a_reference_of_the_metrics_own_kind_is_accepted(
    data: Path, task_type: str, metric: str, reference: object
) -> None:
    row = {"input_field": "?", "task": "t", "task_type": task_type, "metric": metric}
    data.write_text(json.dumps({**row, "output_field": reference}), encoding="utf-8")
    assert read_questions(data)[0].output_field == reference


@pytest.mark.parametrize(
    ("task_type", "metric", "reference"),
    [
        ("multiple-choice", "accuracy", "2"),
        ("multiple-choice", "accuracy", 2.0),
        ("multiple-choice", "accuracy", True),
        ("multiple-choice", "accuracy", None),
        ("retrieval", "hit rate@3", []),
        ("retrieval", "hit rate@3", 3),
        ("retrieval", "hit rate@3", ["3"]),
        ("ranking", "ndcg", []),
        ("ranking", "ndcg", "1,2"),
        ("ranking", "ndcg", [1, "0"]),
        ("ranking", "ndcg", [1, True]),
        ("ranking", "ndcg", [1, -0.1]),
        ("ranking", "ndcg", [10**400]),
        ("named_entity_recognition", "micro f1", "red"),
        ("named_entity_recognition", "micro f1", ["red", 1]),
        ("generation", "rougel", ["red"]),
        ("generation", "bleu", 1),
        ("generation", "sent-transformer", []),
        ("generation", "sent-transformer", ["one", None]),
    ],
)
def test_a_reference_of_another_kind_is_refused_with_its_line(
    data: Path, task_type: str, metric: str, reference: object
) -> None:
    row = {"input_field": "?", "task": "t", "task_type": task_type, "metric": metric}
    lines = [json.dumps(RATING), json.dumps({**row, "output_field": reference})]
    data.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(UserError, match=r"questions\.json, line 2: field 'output_field' .* needs a") as raised:
        read_questions(data)
    assert metric in str(raised.value)


@pytest.mark.parametrize("name", ["input_field", "output_field", "task_name", "task_type", "metric"])
def test_a_missing_field_is_named(data: Path, name: str) -> None:
    data.write_text(with_fields(RATING, **{name: MISSING}), encoding="utf-8")
    with pytest.raises(UserError, match=rf"line 1: field '{name}' is missing"):
        read_questions(data)


@pytest.mark.parametrize("name", ["input_field", "task_name", "task_type", "metric", "track"])
@pytest.mark.parametrize("value", [None, 3, ["x"]])
def test_a_field_that_is_no_string_is_named(data: Path, name: str, value: object) -> None:
    data.write_text(with_fields(RATING, **{name: value}), encoding="utf-8")
    with pytest.raises(UserError, match=rf"line 1: field '{name}' is .*: it should be "):
        read_questions(data)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"task_type": "multichoice"}, "'task_type' is 'multichoice': it should be 'multiple-choice', 'retrieval', "),
        ({"metric": "f1"}, "'metric' is unknown: 'f1'; use one of accuracy, "),
        ({"metric": "rougel"}, "metric 'rougel' cannot score a multiple-choice answer: use one of accuracy"),
        (
            {"is_multiple_choice": False},
            "'is_multiple_choice' is false: for task_type multiple-choice write true",
        ),
        ({"is_multiple_choice": 1}, "'is_multiple_choice' is 1"),
    ],
)
def test_what_contradicts_the_evaluator_is_refused(data: Path, changes: Mapping[str, object], problem: str) -> None:
    data.write_text(with_fields(RATING, **changes), encoding="utf-8")
    with pytest.raises(UserError) as raised:
        read_questions(data)
    assert f"{data}, line 1: " in str(raised.value)
    assert problem in str(raised.value)


@pytest.mark.parametrize(
    ("content", "line", "problem"),
    [
        ("[3]", 1, "not a JSON object"),
        ('[\n  {"input_field": "?"}\n]', 1, "field 'output_field' is missing"),
        ("{\n}", 1, "one whole JSON value on each line"),
        (f"{json.dumps(RATING)}\nnonsense", 2, "not JSON"),
        (f"{json.dumps(RATING)}\n\n3", 3, "not a JSON object"),
        ('{"output_field": -Infinity}', 1, "not JSON .-Infinity is not a JSON number"),
        ("1" * 5000, 1, "not JSON"),
        ("[" * 100_000, 1, "damaged JSON array .too deep"),
        ('{"a":' + "[" * 100_000, 1, "not JSON .too deep"),
    ],
)
def test_a_line_that_is_no_question_is_named(data: Path, content: str, line: int, problem: str) -> None:
    data.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=rf"questions\.json, (line|item) {line}: .*{problem}"):
        read_questions(data)


def test_a_long_wrong_value_is_shortened_in_the_message(data: Path) -> None:
    data.write_text(with_fields(RATING, output_field="x" * 1000), encoding="utf-8")
    with pytest.raises(UserError) as raised:
        read_questions(data)
    assert len(str(raised.value)) < 300


def test_another_encoding_is_refused_with_its_line(data: Path) -> None:
    data.write_bytes(json.dumps(RATING).encode() + b'\n{"input_field": "caf\xe9"}')
    with pytest.raises(UserError, match="line 2: not UTF-8"):
        read_questions(data)


@pytest.mark.parametrize("content", ["", "\n \n"])
def test_an_empty_file_is_refused(data: Path, content: str) -> None:
    data.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=r"questions\.json is empty"):
        read_questions(data)


def test_a_missing_file_is_named(data: Path) -> None:
    with pytest.raises(UserError, match=r"questions\.json does not exist"):
        read_questions(data)


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_questions(tmp_path)


def test_a_task_may_mix_metrics_that_share_a_mean(data: Path) -> None:
    data.write_text("\n".join([json.dumps(SLOGAN), with_fields(SLOGAN, metric="bleu")]), encoding="utf-8")
    assert [question.metric for question in read_questions(data)] == ["rougel", "bleu"]


def test_a_task_may_not_mix_f1_with_another_metric(data: Path) -> None:
    phrases = {"task_type": "named_entity_recognition", "metric": "micro f1", "output_field": ["red"]}
    data.write_text("\n".join([json.dumps(SLOGAN), with_fields(SLOGAN, **phrases)]), encoding="utf-8")
    with pytest.raises(UserError, match="task 'slogan' mixes the metrics 'rougel' and 'micro f1'"):
        read_questions(data)
