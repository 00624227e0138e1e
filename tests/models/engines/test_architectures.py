from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from models.engines.settings import EngineSettings
from models.engines.transformers_engine.attention import newest, windowed
from models.engines.transformers_engine.decoding import Row, decode
from models.engines.transformers_engine.engine import CausalLM, TransformersEngine
from models.settings import Settings
from models.shopbench_model import ShopBenchModel
from prompts.detection import detect_task_type
from prompts.prompt import admits
from prompts.reading import Question
from prompts.registry import BUILDERS
from retrieval.knowledge import QUESTION_ALONE
from tests.conftest import TINY
from tests.models.engines.test_causal_lm import CONTINUATIONS, assert_scores_equal_plain, plain, written
from tests.tiny_awq import save_tiny_awq
from tests.tiny_model import ARCHITECTURES, WINDOW, save_tiny_model
from utilities.task_type import TaskType

pytestmark = pytest.mark.slow

CHECKPOINTS = [(architecture, form) for architecture in ARCHITECTURES for form in ("dense", "awq")]
SHARED = tuple(range(40, 40 + WINDOW + 9))  # longer than the window: what scrolls out of it shows
PROMPTS = ([10, 11, 12], [20], list(range(100, 100 + WINDOW + 20)), list(range(50, 50 + WINDOW)))

QUESTIONS = {
    TaskType.MULTIPLE_CHOICE: (
        "Which material keeps a bottle light?\n0. lead\n1. titanium\n2. granite\n3. concrete\nAnswer: "
    ),
    TaskType.RETRIEVAL: (
        "A customer looks for things to brew tea with. Which three of these products fit best? Give the numbers of "
        "three products, separated by commas.\n\nProduct list:\n1. kettle\n2. garden hose\n3. tea strainer\n"
        "4. bicycle bell\n5. teapot\n6. desk lamp\nOutput: "
    ),
    TaskType.RANKING: (
        "Rank these products by how well they fit the query. Query: steel water bottle\n\nProduct List:\n"
        "1. glass jar\n2. steel bottle, 1 l\n3. steel bottle for children\n4. bottle brush\n5. water filter\n"
        "Output a permutation of 1 to 5, separated by commas.\nOutput: "
    ),
    TaskType.NAMED_ENTITY_RECOGNITION: (
        "You are an entity extractor. From the query below extract the phrases of the entity type 'color'. "
        "Query: red cotton scarf for winter\nEntity type: color\nOutput the phrases as they stand in the query: "
    ),
    TaskType.GENERATION: "Explain in one sentence what the product category 'tea strainer' is.\nOutput: ",
}


@pytest.fixture(scope="module")
def folders(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    made = {}
    for architecture, form in CHECKPOINTS:
        made[architecture, form] = tmp_path_factory.mktemp(f"{architecture}-{form}")
        save = save_tiny_model if form == "dense" else save_tiny_awq
        save(made[architecture, form], architecture)
    return made


@pytest.fixture(scope="module")
def models(folders: dict[tuple[str, str], Path]) -> dict[tuple[str, str], CausalLM]:
    return {name: CausalLM(folder, torch.float32, "cpu") for name, folder in folders.items()}


@pytest.mark.parametrize("checkpoint", CHECKPOINTS, ids="-".join)
def test_every_architecture_answers_every_task_type(
    folders: dict[tuple[str, str], Path], checkpoint: tuple[str, str]
) -> None:
    settings = replace(Settings(), engine=replace(TINY, weights=str(folders[checkpoint])))
    model = ShopBenchModel(settings, TransformersEngine(folders[checkpoint], settings.engine))
    outside = {}
    for task_type, question in QUESTIONS.items():
        is_multiple_choice = task_type is TaskType.MULTIPLE_CHOICE
        assert detect_task_type(Question(question), is_multiple_choice) is task_type
        answer = model.batch_predict({"prompt": [question]}, is_multiple_choice)[0]
        if not answer or not admits(
            BUILDERS[task_type](Question(question), settings.prompts, QUESTION_ALONE).space, answer
        ):
            outside[task_type] = answer
    assert outside == {}
    assert model.fallbacks == {}


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("checkpoint", CHECKPOINTS, ids="-".join)
def test_packed_trees_behind_a_prefix_score_as_the_plain_forward_pass(
    models: dict[tuple[str, str], CausalLM], checkpoint: tuple[str, str], cached: bool
) -> None:
    model = models[checkpoint]
    assert_scores_equal_plain(model, PROMPTS, CONTINUATIONS, model.prefix(SHARED) if cached else None)


LAYERS_THAT_DIFFER = {"use_sliding_window": True, "sliding_window": WINDOW, "max_window_layers": 1}
LONG_ROPE = {"rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0, 1.1] * 4, "long_factor": [1.0, 4.0] * 4}


@pytest.mark.parametrize(
    ("architecture", "shape"),
    [("qwen2", LAYERS_THAT_DIFFER), ("phi3", {"rope_parameters": LONG_ROPE}), ("qwen2", {"tie_word_embeddings": True})],
    ids=["qwen2 with windows in some layers", "phi3 with long rope", "qwen2 with tied embeddings"],
)
def test_variants_of_an_architecture_score_as_the_plain_forward_pass(
    tmp_path: Path, architecture: str, shape: dict[str, Any]
) -> None:
    save_tiny_awq(tmp_path, architecture, **shape)
    model = CausalLM(tmp_path, torch.float32, "cpu")
    assert_scores_equal_plain(model, PROMPTS, CONTINUATIONS, model.prefix(SHARED))


@pytest.mark.parametrize("architecture", ["mistral", "phi3"])
def test_a_window_changes_what_is_scored(tmp_path: Path, architecture: str) -> None:
    prompt, text = PROMPTS[2], [7, 8, 9]
    scores = []
    for name, window in (("near", WINDOW), ("all", None)):
        save_tiny_model(tmp_path / name, architecture, sliding_window=window)
        scores.append(plain(CausalLM(tmp_path / name, torch.float32, "cpu"), prompt, text))
    assert scores[0] != pytest.approx(scores[1], abs=1e-2)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_decoding_behind_a_prefix_writes_what_transformers_generates(
    models: dict[tuple[str, str], CausalLM], architecture: str
) -> None:
    model = models[architecture, "dense"]
    texts = [Row(prompt, lambda _: None, 8) for prompt in PROMPTS]
    decode(model, texts, model.prefix(SHARED))
    assert [text.tokens for text in texts] == [written(model, [*SHARED, *prompt], 8) for prompt in PROMPTS]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("text", [" 2", " 12", ",", "2", " a red mug", "\n", " ½ 水筒"])
def test_a_continuation_has_the_tokens_that_it_has_behind_other_text(
    models: dict[tuple[str, str], CausalLM], architecture: str, text: str
) -> None:
    model = models[architecture, "dense"]
    before = "<|im_start|>user\nWhich bottle?<|im_end|>\n<|im_start|>assistant\nAnswer:"
    assert model.encode(before) + model.continuation(text) == model.encode(before + text)


def rows(*seen: Sequence[int]) -> torch.Tensor:
    return torch.tensor(seen, dtype=torch.bool)[None, None]


def test_a_window_keeps_the_newest_keys_that_a_token_sees() -> None:
    mask = rows([1, 0, 0, 1, 1], [1, 1, 0, 0, 0], [0, 0, 0, 0, 1], [1, 1, 1, 1, 1])
    assert torch.equal(newest(mask, 2), rows([0, 0, 0, 1, 1], [1, 1, 0, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 1, 1]))
    assert newest(mask, 5) is mask


def test_a_model_without_a_window_gets_the_mask_itself() -> None:
    mask = rows([1, 1])
    assert windowed(mask, EngineSettings()) is mask
