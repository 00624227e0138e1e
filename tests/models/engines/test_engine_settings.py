"""A wrong setting of an engine is refused with one sentence: file, field, value and remedy."""

from typing import Any

import pytest

from models.engines.settings import EngineSettings
from utilities.errors import UserError
from utilities.typed_yaml import build


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"token_budget": 63}, "token_budget is 63; it must be at least 64"),
        ({"max_prompt_tokens": 0}, "max_prompt_tokens is 0; it must be at least 64"),
        ({"dtype": "float8"}, "dtype is 'float8'; choose one of: auto, float32, float16, bfloat16"),
        ({"device": "tpu"}, "device is 'tpu'; choose one of: auto, cpu, cuda"),
        ({"spans": "copy"}, "spans is 'copy'; choose one of: score, write"),
        ({"adapters": "mine"}, "adapters is 'mine'; it must be a list"),
        ({"vllm": {"tensor_parallel": 0}}, "vllm.tensor_parallel is 0; it must be at least 1"),
        ({"vllm": {"pipeline_parallel": -1}}, "vllm.pipeline_parallel is -1; it must be at least 1"),
        ({"vllm": {"data_parallel": 0}}, "vllm.data_parallel is 0; it must be at least 1"),
        ({"vllm": {"distributed_backend": "mpi"}}, "vllm.distributed_backend is 'mpi'; choose one of: auto, mp, ray"),
        ({"vllm": {"max_model_len": 16}}, "vllm.max_model_len is 16; it must be at least 256"),
        ({"vllm": {"memory_fraction": 0.0}}, "vllm.memory_fraction is 0.0; it must be greater than 0"),
        ({"vllm": {"memory_fraction": 1.0}}, "vllm.memory_fraction is 1.0; it must be less than 1"),
        ({"vllm": {"gpus": 4}}, "unknown setting vllm.gpus; known ones: tensor_parallel, pipeline_parallel,"),
    ],
)
def test_a_wrong_setting_is_named(values: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as refusal:
        build(EngineSettings, values, "mine.yaml: ")
    assert str(refusal.value).startswith(f"mine.yaml: {said}")
    assert "\n" not in str(refusal.value)
