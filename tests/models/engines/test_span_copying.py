from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.engines.answering.language_model import WritingRow
from models.engines.answering.spans import copied, copy_spans
from models.engines.answering.tokens import ScoringSettings
from models.engines.settings import EngineSettings, way_of
from models.engines.transformers_engine.engine import CausalLM, TransformersEngine
from models.settings import load_settings
from prompts.prompt import Choice, Prompt, Spans, admits

pytestmark = pytest.mark.slow

SPACE = Spans("Norvane steel bottle, 750 ml, for kids", 2, 3)
PROMPT = Prompt("You help.", "Query: norvane bottle", SPACE, fallback="Norvane")


@pytest.mark.parametrize(
    ("written", "answer"),
    [
        ("norvane", "Norvane"),
        ("NORVANE; steel bottle", "Norvane, steel bottle"),
        ('"Norvane"\n- 750 ml', "Norvane, 750 ml"),
        ("norvane、kids", "Norvane, kids"),
        ("bottle, norvane, kids", "bottle, Norvane"),
        ("steel bottle, bottle", "steel bottle"),
        ("norvane, norvane", "Norvane"),
        ("a red mug", ""),
        ("Norvane steel bottle for kids", ""),
        ("", ""),
    ],
)
def test_only_what_the_source_has_is_kept_and_spelled_as_there(written: str, answer: str) -> None:
    assert copied(SPACE, written) == answer


@given(st.text(max_size=60))
def test_whatever_is_written_the_answer_is_empty_or_lies_in_the_space(text: str) -> None:
    answer = copied(SPACE, text)
    assert answer == "" or admits(SPACE, answer)


def test_the_rows_ask_the_whole_question_for_as_many_words_as_may_be_answered(
    tiny_model: CausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[WritingRow] = []

    def write(rows: Sequence[WritingRow], budget: int) -> list[str]:
        seen.extend(rows)
        return ["KIDS" for _ in rows] if budget == 512 else []

    monkeypatch.setattr(tiny_model, "write_rows", write)
    (answer,) = copy_spans(tiny_model, [PROMPT], ScoringSettings(512, 256))
    assert answer.text == "kids"
    assert tiny_model.tokenizer.decode(seen[0].prompt).count("norvane bottle") == 1
    assert seen[0].limit == 12


def test_the_setting_chooses_between_scoring_and_writing() -> None:
    assert way_of(SPACE, EngineSettings()) == "spans"
    assert way_of(SPACE, EngineSettings(spans="write")) == "copy"
    assert way_of(Choice(("0", "1")), EngineSettings(spans="write")) == "label"


def test_large_models_of_the_catalogue_write_phrases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOPALIGN_MODEL", "llama3-70b-awq")
    file = tmp_path / "settings.yaml"
    file.write_text("", encoding="utf-8")
    assert load_settings(file).engine.spans == "write"


def test_a_tiny_model_that_writes_nonsense_answers_nothing(tiny_engine: Callable[[str], TransformersEngine]) -> None:
    (answer,) = tiny_engine("label").answer([PROMPT], ["copy"])
    assert answer.text == "" or admits(SPACE, answer.text)
