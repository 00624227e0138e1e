"""What a model is trained on: the package's own prompts, scored as the engine scores them."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from evaluation.questions import QuestionRow
from models.engines.answering.scoring import ScoringSettings
from models.engines.answering.solvers import SOLVERS
from models.engines.settings import EngineSettings
from models.engines.transformers_engine.causal_lm import CausalLM
from prompts.answer_space import Choice, Selection, Spans, Text
from prompts.settings import PromptSettings
from tests.tiny_model import save_tiny_model
from tuning.examples import Example, Limits, Term, example
from tuning.objective import AnswerHead, candidate_scores, collate, example_losses, example_values
from tuning.training_form import TrainingForm, training_form
from utilities.errors import UserError
from utilities.task_type import TaskType

LARGE = Limits(prompt=2048, option=128, options=4096, text=256, phrases=100)
OPTIONS = "Which category fits a desk lamp?\n0. Lighting\n1. Shoes\n2. Garden tools\nAnswer:"
RANKING = (
    "You are given a search query and a list of products. Rank them from most to least relevant to the query. "
    "Only output numbers.\nQuery: red mug\nProduct List:\n1. Blue plate\n2. Red mug of stone\n3. Mug rack\nOutput:"
)
ENTITY = (
    "Please extract phrases from the query that correspond to the entity type 'product type'.\n"
    "Query: blue kids bike helmet\nOutput:"
)


def question(text: str, truth: object, task_type: TaskType, metric: str) -> QuestionRow:
    return QuestionRow(text, truth, "task", task_type, metric, task_type is TaskType.MULTIPLE_CHOICE, "track")


CHOICE = question(OPTIONS, 2, TaskType.MULTIPLE_CHOICE, "accuracy")
RANKED = question(RANKING, [0.0, 1.0, 0.1], TaskType.RANKING, "ndcg")
NAMED = question(ENTITY, ["bike helmet"], TaskType.NAMED_ENTITY_RECOGNITION, "micro f1")
WRITTEN = question("Explain the product type teapot.\nOutput:", "A pot.", TaskType.GENERATION, "sent-transformer")
ALL = (CHOICE, RANKED, NAMED, WRITTEN)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> CausalLM:
    folder = tmp_path_factory.mktemp("tiny")
    save_tiny_model(folder)
    return CausalLM(folder, torch.float32, "cpu")


def form(row: QuestionRow) -> TrainingForm:
    found = training_form(row, PromptSettings())
    assert isinstance(found, TrainingForm), found
    return found


def made(model: CausalLM, row: QuestionRow, limits: Limits = LARGE, **ways: str) -> Example:
    return example(model, form(row), replace(EngineSettings(), **ways), limits, "seed")  # type: ignore[arg-type]


def scores(model: CausalLM, examples: Sequence[Example]) -> list[list[float]]:
    head = AnswerHead(model.model.get_output_embeddings())
    with torch.no_grad():
        found = candidate_scores(model.model, head, collate(examples, model.pad))
    return [part.tolist() for part in torch.split(found, [len(each.gains) for each in examples])]


def test_each_task_type_becomes_the_packages_own_prompt_and_answer_space() -> None:
    assert [type(form(row).prompt.space) for row in ALL] == [Choice, Selection, Spans, Text]
    assert form(CHOICE).gains == (0.0, 0.0, 1.0)
    assert form(RANKED).gains == (0.0, 1.0, 0.1)
    assert form(NAMED).texts == ("bike helmet",)
    assert form(WRITTEN).texts == ("A pot.",)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (replace(CHOICE, output_field=7), "answer outside the options"),
        (replace(RANKED, output_field=[1.0, 0.0]), "answer outside the options"),
        (replace(RANKED, output_field=[0.0, 0.0, 0.0]), "answer outside the options"),
        (replace(NAMED, output_field=["skate board"]), "answer not in the text"),
        (replace(WRITTEN, output_field="  "), "empty answer"),
        (replace(WRITTEN, input_field=RANKING), "read as ranking"),
    ],
)
def test_a_row_that_cannot_be_used_says_why(row: QuestionRow, reason: str) -> None:
    assert training_form(row, PromptSettings()) == reason


@pytest.mark.parametrize("way", ["pmi", "text"])
@pytest.mark.parametrize("row", [CHOICE, RANKED])
def test_options_are_trained_by_the_scores_that_the_engine_compares(
    model: CausalLM, way: str, row: QuestionRow
) -> None:
    each = made(model, row, choice=way, selection=way)
    (answer,) = SOLVERS[way](model, [form(row).prompt], ScoringSettings(4096, 2048))
    assert scores(model, [each])[0] == pytest.approx(answer.scores, abs=1e-3)


def test_labels_are_trained_with_the_end_of_the_answer(model: CausalLM) -> None:
    each = made(model, CHOICE, choice="label")
    assert len(each.gains) == 3
    ends = [[tree.tokens[path[-1]] for path in tree.paths] for tree in each.trees]
    assert ends == [[model.ends[0]] * 3]


def test_a_right_phrase_is_compared_with_phrases_that_overlap_it(model: CausalLM) -> None:
    each = made(model, NAMED, replace(LARGE, phrases=4))
    assert len(each.gains) == 4
    assert sum(each.gains) == 1


def test_a_text_is_trained_with_its_end_and_a_long_one_without(model: CausalLM) -> None:
    whole, cut = made(model, WRITTEN), made(model, WRITTEN, replace(LARGE, text=1))
    assert whole.trees[0].tokens[-1] == model.ends[0]
    assert cut.right == 1
    assert model.ends[0] not in cut.trees[0].tokens


def test_examples_of_a_batch_do_not_see_each_other(model: CausalLM) -> None:
    examples = [made(model, row) for row in ALL]
    together = scores(model, examples)
    alone = [scores(model, [each])[0] for each in examples]
    for found, expected in zip(together, alone, strict=True):
        assert found == pytest.approx(expected, abs=1e-4)


def test_the_head_projects_answer_tokens_alone(model: CausalLM) -> None:
    seen: list[tuple[int, ...]] = []
    head = AnswerHead(model.model.get_output_embeddings())
    handle = head.embeddings.register_forward_hook(lambda _module, _inputs, output: seen.append(output.shape[:-1]))
    each = made(model, WRITTEN)
    batch = collate([each], model.pad)
    with torch.no_grad():
        candidate_scores(model.model, head, batch)
        model.model(**batch.inputs, use_cache=False)
    handle.remove()
    assert seen == [(each.right,), (1, each.length)], "the model is not as it was before"
    assert each.right < each.length


def test_losses_are_those_worked_out_by_hand(model: CausalLM) -> None:
    choice, ranked, text = made(model, CHOICE), made(model, RANKED), made(model, WRITTEN)
    found = torch.tensor([1.0, 0.0, 2.0, 0.0, 1.0, 0.0, -6.0])
    text = replace(text, right=3)
    losses = example_losses(found, [choice, ranked, text]).tolist()
    log_sum = math.log(math.e + 1 + math.e**2)
    assert losses[0] == pytest.approx(log_sum - 2)
    shares = (0.0, 1 / 1.1, 0.1 / 1.1)
    log_rank = math.log(1 + math.e + 1)
    assert losses[1] == pytest.approx(-(shares[1] * (1 - log_rank) + shares[2] * (0 - log_rank)))
    assert losses[2] == pytest.approx(2.0)


def test_values_are_accuracy_share_of_right_ones_or_ndcg(model: CausalLM) -> None:
    choice, ranked, text = made(model, CHOICE), made(model, RANKED), made(model, WRITTEN)
    values = example_values(torch.tensor([0.0, 1.0, 2.0, 0.0, 1.0, 0.5, -1.0]), [choice, ranked, text])
    assert values[0] == 1.0
    assert values[1] == pytest.approx(1.0)
    assert math.isnan(values[2])
    assert example_values(torch.tensor([3.0, 1.0, 2.0]), [choice]) == [0.0]


def test_the_gradient_reaches_a_candidates_tokens_with_its_weight() -> None:
    from models.engines.answering.token_tree import grow_tree

    each = Example((grow_tree([5], [[6, 7], [8]]),), (Term(0, 1.0, 1), Term(0, -0.5)), (1.0,))
    batch = collate([each], 0)
    assert batch.tokens.tolist() == [7, 8]
    assert batch.matrix.tolist() == [[1.0, -0.5]]


def test_a_way_that_cannot_be_trained_is_refused(model: CausalLM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuning.examples.way_of", lambda *_: "telepathy")
    with pytest.raises(UserError, match="telepathy"):
        made(model, CHOICE)


def test_options_are_cut_to_what_all_of_them_may_take() -> None:
    assert Limits(option=32, options=120).of_option(4) == 30
    assert Limits(option=32, options=120).of_option(2) == 32
    assert Limits(option=32, options=120).of_option(100) == 6
