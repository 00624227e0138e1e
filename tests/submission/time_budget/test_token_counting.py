"""The counted tokens, passes and steps are those of the engines."""

from pathlib import Path

import pytest

from evaluation.questions import read_questions
from models.engines.answering.language_model import AdaptedModel, WritingRow
from models.engines.model_registry import Scoring, model_entry
from models.engines.settings import EngineSettings
from models.engines.transformers_engine.engine import TransformersEngine
from models.settings import WEIGHTS_VARIABLE, load_settings
from prompts.prompt import Text
from submission.time_budget.token_counting import (
    Counting,
    CountingModel,
    CountingVllm,
    count_work,
    counting_for,
    prompts_of,
)
from utilities.errors import UserError

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("_tiny_default")]


@pytest.mark.parametrize("way", ["label", "text", "pmi", "decode"])
def test_the_engine_reads_exactly_the_tokens_that_were_counted(
    tiny_folder: Path, data: Path, counting: Counting, way: Scoring
) -> None:
    settings = EngineSettings(weights=str(tiny_folder), choice=way, selection=way)
    prompts = prompts_of(read_questions(data), load_settings().prompts)
    engine = TransformersEngine(tiny_folder, settings)
    engine.answer(prompts)
    work = count_work(counting.tokenizer, [prompts], settings)
    read = sum(each.tokens for each in work.batches[0] if not each.decode)
    # Of long sources the model chooses the phrases that it reads again.
    assert read == pytest.approx(engine.usage().prefill_tokens, rel=0.02)
    steps = sum(each.decode for each in work.batches[0])
    assert steps >= engine.usage().decode_steps
    assert all(each.tokens <= each.padded for each in work.batches[0])


@pytest.fixture
def vllm(counting: Counting) -> CountingVllm:
    return CountingVllm(counting.tokenizer)


def test_vllm_reads_a_prompt_once_where_its_labels_are_single_tokens(vllm: CountingVllm) -> None:
    vllm.score_rows([(None, [*range(40)], [[5], [6]]), (None, [*range(1, 41)], [[5], [6]])], 0)
    (made,) = vllm.passes
    # One row of logits tells all labels of a prompt.
    assert (made.tokens, made.padded, made.outputs) == (80, 80, 2)


def test_vllm_reads_what_lies_behind_the_last_full_block_again_for_labels_that_fork(vllm: CountingVllm) -> None:
    """Behind 40 tokens, two blocks of 16 are kept: 41 for all of the first path, then 8 and the other path's own."""
    vllm.score_rows([(None, [*range(40)], [[5], [6, 7], [8, 9]])], 0)
    assert vllm.passes[0].tokens == 41 + 9


def test_vllm_writes_all_rows_side_by_side_until_the_longest_is_done(vllm: CountingVllm) -> None:
    """The first token comes with the prompt."""
    rows = [WritingRow("", [*range(20)], Text(9), limit) for limit in (3, 5)]
    vllm.write_rows(rows, 0)
    assert [(made.rows, made.decode) for made in vllm.passes] == [(2, False), *[(2, True)] * 2, *[(1, True)] * 2]


def test_labels_need_one_pass_and_no_step(data: Path, counting: Counting) -> None:
    questions = [question for question in read_questions(data) if question.is_multiple_choice]
    prompts = prompts_of(questions, load_settings().prompts)
    settings = EngineSettings(choice="label", selection="label")
    work = count_work(counting.tokenizer, [prompts], settings)
    assert not any(each.decode for each in work.batches[0])
    assert work.heads


def test_a_missing_tokenizer_is_answered_with_how_to_get_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(tmp_path / "nothing"))
    with pytest.raises(UserError, match="no model weights at"):
        counting_for(model_entry("llama3-70b-awq"))


@pytest.mark.parametrize("kind", [CountingModel, CountingVllm])
def test_counting_is_a_model_of_the_protocol_without_weights(counting: Counting, kind: type[CountingModel]) -> None:
    model: AdaptedModel = kind(counting.tokenizer)
    model.use("another")
    assert model.score_rows([("", [1, 2, 3], [[5], [6, 7]])], 100) == [[[0.0], [0.0, 0.0]]]
    assert model.continuation("12") == counting.tokenizer.continuation("12")
    assert kind.__mro__[-2] is CountingModel
