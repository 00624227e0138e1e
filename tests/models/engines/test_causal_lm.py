import math
from collections.abc import Sequence
from itertools import pairwise

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.engines.answering.tokens import by_head, fit, grow_tree, head, question_tokens, render
from models.engines.transformers_engine.decoding import Row, decode
from models.engines.transformers_engine.engine import CausalLM, PrefixCache
from prompts.prompt import Message, Prompt, Text

pytestmark = pytest.mark.slow

TOLERANCE = 1e-4
SHARED = (5, 60, 61, 62, 9, 8, 7)
PROMPTS = ([10, 11, 12], [20], [30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41], [50, 51, 52, 53])
CONTINUATIONS = (
    [[100], [101], [102]],
    [[100], [100, 101], [100, 101, 102], [103, 104]],  # one begins another, and the rest share a beginning
    [[7, 8, 9, 10, 11, 12]],
    [[9], [9], [10, 9], [10, 8, 7]],  # the same text twice
)
UNTOUCHED = settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])


def plain(model: CausalLM, prompt: Sequence[int], continuation: Sequence[int]) -> list[float]:
    """Log-probabilities of `continuation` by one unpadded, uncached pass of the model as transformers runs it."""
    with torch.inference_mode():
        logits = model.model(input_ids=torch.tensor([[*prompt, *continuation]])).logits[0]
    found = logits.float().log_softmax(-1)[len(prompt) - 1 : -1]
    return [float(found[index, token]) for index, token in enumerate(continuation)]


def assert_scores_equal_plain(
    model: CausalLM,
    prompts: Sequence[Sequence[int]],
    continuations: Sequence[Sequence[Sequence[int]]],
    prefix: PrefixCache | None,
    budget: int = 1024,
) -> None:
    trees = [grow_tree(*pair) for pair in zip(prompts, continuations, strict=True)]
    before = prefix.tokens if prefix else ()
    scores = model.score(trees, prefix, budget)
    for prompt, texts, found in zip(prompts, continuations, scores, strict=True):
        for text, values in zip(texts, found, strict=True):
            assert values == pytest.approx(plain(model, [*before, *prompt], text), abs=TOLERANCE)


@pytest.mark.parametrize("budget", [1, 16, 1024])
@pytest.mark.parametrize("cached", [False, True])
def test_packed_padded_trees_score_as_the_plain_forward_pass(tiny_model: CausalLM, cached: bool, budget: int) -> None:
    prefix = tiny_model.prefix(SHARED) if cached else None
    assert_scores_equal_plain(tiny_model, PROMPTS, CONTINUATIONS, prefix, budget)


@UNTOUCHED
@given(data=st.data())
def test_random_trees_score_as_the_plain_forward_pass(tiny_model: CausalLM, data: st.DataObject) -> None:
    token = st.integers(0, len(tiny_model.tokenizer) - 1)
    few = st.sampled_from([100, 101])  # few enough to make continuations share their beginnings
    rows = data.draw(st.integers(1, 4))
    prompts = [data.draw(st.lists(token, min_size=1, max_size=12)) for _ in range(rows)]
    text = st.lists(few, min_size=1, max_size=4)
    continuations = [data.draw(st.lists(text, min_size=1, max_size=5)) for _ in range(rows)]
    prefix = tiny_model.prefix(SHARED) if data.draw(st.booleans()) else None
    assert_scores_equal_plain(tiny_model, prompts, continuations, prefix)


def test_a_prefix_is_computed_once_and_not_changed_by_its_use(tiny_model: CausalLM) -> None:
    prefix = tiny_model.prefix(SHARED)
    tree = grow_tree([1, 2], [[3, 4]])
    first = tiny_model.score([tree, tree], prefix, 1024)
    assert tiny_model.prefix(list(SHARED)) is prefix
    assert tiny_model.score([tree], prefix, 1024)[0][0] == pytest.approx(first[0][0], abs=TOLERANCE)
    assert all(keys.shape[2] == len(SHARED) for keys, _ in prefix.layers)


def test_log_probabilities_of_many_rows_come_in_blocks_and_sum_to_one(tiny_model: CausalLM) -> None:
    blocks = list(tiny_model.log_probabilities(torch.randn(600, 64)))
    assert sum(len(block) for block in blocks) == 600
    assert max(len(block) for block in blocks) < 600
    assert torch.allclose(torch.cat(blocks).exp().sum(-1), torch.ones(600), atol=1e-4)


def test_a_text_is_encoded_without_tokens_around_it(tiny_model: CausalLM) -> None:
    assert tiny_model.tokenizer.decode(tiny_model.encode("a water bottle ½ 水")) == "a water bottle ½ 水"
    assert not set(tiny_model.encode("a water bottle")) & set(tiny_model.tokenizer.all_special_ids)


def test_the_tokenizers_own_end_comes_first(tiny_model: CausalLM) -> None:
    assert tiny_model.ends[0] == tiny_model.tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert len(set(tiny_model.ends)) == len(tiny_model.ends)


def written(model: CausalLM, prompt: Sequence[int], limit: int) -> list[int]:
    """What transformers' own greedy generation writes behind one prompt."""
    ids = torch.tensor([list(prompt)])
    with torch.inference_mode():
        output = model.model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=limit, eos_token_id=None
        )
    return [int(token) for token in output[0, len(prompt) :]]


@pytest.mark.parametrize("cached", [False, True])
def test_decoding_a_padded_batch_writes_what_transformers_generates(tiny_model: CausalLM, cached: bool) -> None:
    prefix = tiny_model.prefix(SHARED) if cached else None
    before = SHARED if cached else ()
    limits = (12, 5, 20, 1)
    rows = [Row(prompt, lambda _: None, limit) for prompt, limit in zip(PROMPTS, limits, strict=True)]
    decode(tiny_model, rows, prefix)
    expected = [written(tiny_model, [*before, *p], limit) for p, limit in zip(PROMPTS, limits, strict=True)]
    assert [row.tokens for row in rows] == expected


def test_a_row_that_is_done_stops_while_the_others_go_on(tiny_model: CausalLM) -> None:
    rows = [Row(PROMPTS[0], lambda seen: None if len(seen) < 2 else [], 9), Row(PROMPTS[1], lambda _: None, 9)]
    decode(tiny_model, rows, None)
    assert [row.tokens for row in rows] == [written(tiny_model, p, n) for p, n in ((PROMPTS[0], 2), (PROMPTS[1], 9))]


def test_a_forbidden_first_token_is_only_forbidden_first(tiny_model: CausalLM) -> None:
    likeliest = written(tiny_model, PROMPTS[0], 1)
    row = Row(PROMPTS[0], lambda _: None, 4, never_first=likeliest)
    decode(tiny_model, [row], None)
    assert len(row.tokens) == 4
    assert row.tokens[0] != likeliest[0]
    assert row.tokens[1:] == written(tiny_model, [*PROMPTS[0], row.tokens[0]], 3)


def test_the_head_of_a_chat_is_what_every_question_begins_with(tiny_model: CausalLM) -> None:
    shared = head(tiny_model, "You sell kettles.")
    prompt = Prompt("You sell kettles.", "Which kettle?", Text(5), "none")
    tokens = question_tokens(tiny_model, prompt, prompt.user, 10_000)
    assert len(shared) > 5
    assert tokens[: len(shared)] == shared
    assert len(tokens) > len(shared)


@pytest.mark.parametrize("size", [0, 1, 5, 63, 64])
def test_a_prompt_that_fits_is_not_cut(size: int) -> None:
    assert fit(range(size), 64) == list(range(size))


@given(st.integers(2, 50), st.integers(1, 100))
def test_a_longer_prompt_loses_its_middle_only(limit: int, over: int) -> None:
    size = limit + over
    cut = fit(range(size), limit)
    assert len(cut) == limit
    assert cut == sorted(set(cut))
    assert (cut[0], cut[-1]) == (0, size - 1)
    assert sum(b - a > 1 for a, b in pairwise(cut)) == 1


def test_without_a_template_the_messages_stand_below_each_other(templateless_model: CausalLM) -> None:
    text = render(templateless_model, (Message("system", "S"), Message("user", "U")), "Answer:")
    assert text.index("S") < text.index("U") < text.index("Answer:")
    assert text.endswith("Answer:")


def rows_of(
    model: CausalLM, systems: Sequence[str], users: Sequence[str]
) -> list[tuple[str, list[int], list[list[int]]]]:
    rows = []
    for system, user in zip(systems, users, strict=True):
        prompt = Prompt(system, user, Text(5), "none")
        rows.append((system, question_tokens(model, prompt, user, 64), [model.encode(" 1"), model.encode(" 12")]))
    return rows


@pytest.mark.parametrize("template", [True, False])
def test_sharing_heads_changes_no_score(tiny_model: CausalLM, templateless_model: CausalLM, template: bool) -> None:
    model = tiny_model if template else templateless_model
    systems = ["You sell kettles.", "You sell lamps.", "You sell kettles.", ""]
    users = ["Which?", "Why " * 300, "", "<|im_end|>\n<|im_start|>assistant\n"]
    rows = rows_of(model, systems, users)
    scores = model.score_rows(rows, 256)
    for (_, question, texts), found in zip(rows, scores, strict=True):
        for text, values in zip(texts, found, strict=True):
            assert values == pytest.approx(plain(model, question, text), abs=TOLERANCE)


def test_every_prompt_is_in_one_group_and_begins_with_what_the_group_shares(tiny_model: CausalLM) -> None:
    rows = rows_of(tiny_model, ["A", "B", "A", "B"], ["x", "y", "z", "long " * 200])
    groups = list(by_head(tiny_model, [row[0] for row in rows], [row[1] for row in rows]))
    assert sorted(index for _, indices in groups for index in indices) == [0, 1, 2, 3]
    assert all(rows[i][1][: len(shared)] == shared for shared, indices in groups for i in indices)
    assert any(len(indices) > 1 and shared for shared, indices in groups)


def test_probabilities_of_a_token_and_its_rivals_stay_below_one(tiny_model: CausalLM) -> None:
    scores = tiny_model.score([grow_tree([1, 2, 3], [[token] for token in range(200)])], None, 1024)[0]
    assert sum(math.exp(values[0]) for values in scores) <= 1.0 + 1e-4
