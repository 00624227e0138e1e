"""Training examples are scored as the engine scores them, and have the losses and values of their formulas."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from evaluation.questions import QuestionRow
from models.engines.answering.solvers import SOLVERS
from models.engines.answering.tokens import ScoringSettings
from models.engines.settings import EngineSettings
from models.engines.transformers_engine.engine import CausalLM
from tests.tuning.form_rows import ALL, CHOICE, NAMED, RANKED, WRITTEN, form
from tuning.examples import Example, Limits, example
from tuning.objective import candidate_scores, collate, example_losses, example_values
from utilities.errors import UserError

pytestmark = pytest.mark.slow

LARGE = Limits(prompt=2048, option=128, options=4096, text=256, phrases=100)


def made(model: CausalLM, row: QuestionRow, limits: Limits = LARGE, **ways: str) -> Example:
    return example(model, form(row), replace(EngineSettings(), **ways), limits, "seed")  # type: ignore[arg-type]


def scores(model: CausalLM, examples: Sequence[Example]) -> list[list[float]]:
    head = model.model.get_output_embeddings()
    with torch.no_grad():
        found = candidate_scores(model.model, head, collate(examples, model.pad))
    return [part.tolist() for part in torch.split(found, [len(each.gains) for each in examples])]


@pytest.mark.parametrize("way", ["pmi", "text"])
@pytest.mark.parametrize("row", [CHOICE, RANKED])
def test_options_are_trained_by_the_scores_that_the_engine_compares(
    tiny_model: CausalLM, way: str, row: QuestionRow
) -> None:
    each = made(tiny_model, row, choice=way, selection=way)
    (answer,) = SOLVERS[way](tiny_model, [form(row).prompt], ScoringSettings(4096, 2048))
    assert scores(tiny_model, [each])[0] == pytest.approx(answer.scores, abs=1e-3)


def test_labels_are_trained_with_the_end_of_the_answer(tiny_model: CausalLM) -> None:
    each = made(tiny_model, CHOICE, choice="label")
    assert len(each.gains) == 3
    ends = [[tree.tokens[path[-1]] for path in tree.paths] for tree in each.trees]
    assert ends == [[tiny_model.ends[0]] * 3]


def test_a_right_phrase_is_compared_with_phrases_that_overlap_it(tiny_model: CausalLM) -> None:
    each = made(tiny_model, NAMED, replace(LARGE, phrases=4))
    assert len(each.gains) == 4
    assert sum(each.gains) == 1


def test_a_text_is_trained_with_its_end_and_a_long_one_without(tiny_model: CausalLM) -> None:
    whole, cut = made(tiny_model, WRITTEN), made(tiny_model, WRITTEN, replace(LARGE, text=1))
    assert whole.trees[0].tokens[-1] == tiny_model.ends[0]
    assert cut.right == 1
    assert tiny_model.ends[0] not in cut.trees[0].tokens


def test_examples_of_a_batch_do_not_see_each_other(tiny_model: CausalLM) -> None:
    examples = [made(tiny_model, row) for row in ALL]
    together = scores(tiny_model, examples)
    alone = [scores(tiny_model, [each])[0] for each in examples]
    for found, expected in zip(together, alone, strict=True):
        assert found == pytest.approx(expected, abs=1e-4)


def test_the_head_projects_answer_tokens_alone(tiny_model: CausalLM) -> None:
    seen: list[tuple[int, ...]] = []
    head = tiny_model.model.get_output_embeddings()
    handle = head.register_forward_hook(lambda _module, _inputs, output: seen.append(output.shape[:-1]))
    each = made(tiny_model, WRITTEN)
    batch = collate([each], tiny_model.pad)
    with torch.no_grad():
        candidate_scores(tiny_model.model, head, batch)
        tiny_model.model(**batch.inputs, use_cache=False)
    handle.remove()
    assert seen == [(each.right,), (1, each.length)], "the model is not as it was before"
    assert each.right < each.length


def test_losses_are_those_worked_out_by_hand(tiny_model: CausalLM) -> None:
    choice, ranked, text = made(tiny_model, CHOICE), made(tiny_model, RANKED), made(tiny_model, WRITTEN)
    found = torch.tensor([1.0, 0.0, 2.0, 0.0, 1.0, 0.0, -6.0])
    text = replace(text, right=3)
    losses = example_losses(found, [choice, ranked, text]).tolist()
    log_sum = math.log(math.e + 1 + math.e**2)
    assert losses[0] == pytest.approx(log_sum - 2)
    shares = (0.0, 1 / 1.1, 0.1 / 1.1)
    log_rank = math.log(1 + math.e + 1)
    assert losses[1] == pytest.approx(-(shares[1] * (1 - log_rank) + shares[2] * (0 - log_rank)))
    assert losses[2] == pytest.approx(2.0)


def test_values_are_accuracy_share_of_right_ones_or_ndcg(tiny_model: CausalLM) -> None:
    choice, ranked, text = made(tiny_model, CHOICE), made(tiny_model, RANKED), made(tiny_model, WRITTEN)
    values = example_values(torch.tensor([0.0, 1.0, 2.0, 0.0, 1.0, 0.5, -1.0]), [choice, ranked, text])
    assert values[0] == 1.0
    assert values[1] == pytest.approx(1.0)
    assert math.isnan(values[2])
    assert example_values(torch.tensor([3.0, 1.0, 2.0]), [choice]) == [0.0]


def test_a_way_that_cannot_be_trained_is_refused(tiny_model: CausalLM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuning.examples.way_of", lambda *_: "telepathy")
    with pytest.raises(UserError, match="telepathy"):
        made(tiny_model, CHOICE)
