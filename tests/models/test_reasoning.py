"""A real model reasons before it answers, in every way of answering."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from models.engines.transformers_engine.engine import TransformersEngine
from models.settings import Settings
from models.shopbench_model import ShopBenchModel
from models.trace import start_trace
from prompts.chain_of_thought import CUE
from tests.models.test_shopbench_model import CHOICE, RATING
from tests.prompts.test_chain_of_thought import OWN

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("way", ["label", "pmi", "text", "decode"])
def test_a_real_model_thinks_and_answers_in_every_way(
    tiny_engine: Callable[[str], TransformersEngine], way: str
) -> None:
    engine = tiny_engine(way)
    settings = Settings(reasoning=replace(OWN, words=8, kinds=("choice", "rating")))
    model = ShopBenchModel(settings, engine)
    trace = start_trace(model)
    assert trace is not None
    answers = model.batch_predict({"prompt": [CHOICE, RATING]}, True)
    assert answers[0] in "0123"
    assert answers[1] in "12345"
    assert model.fallbacks == {}
    assert [question.cue for question in trace.questions] == [CUE, CUE]
