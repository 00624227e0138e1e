"""The ranks that vLLM reserves memory for, and the adapters that exceed them."""

import json
from pathlib import Path
from typing import Any

import pytest

from models.engines.vllm_engine.adapters import RANKS, adapter_fields, reserved_rank
from utilities.errors import UserError


def configured(folder: Path, rank: int) -> Path:
    config: dict[str, Any] = {"peft_type": "LORA", "r": rank, "lora_alpha": 1, "init_lora_weights": True}
    (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


@pytest.mark.parametrize(("rank", "reserved"), [(1, 1), (2, 8), (16, 16), (17, 32), (512, 512)])
def test_the_reserved_rank_is_the_lowest_that_holds_the_adapter(tmp_path: Path, rank: int, reserved: int) -> None:
    assert reserved_rank(configured(tmp_path, rank)) == reserved


def test_a_rank_beyond_vllms_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="an adapter of rank 513; vLLM takes up to 512: merge it"):
        reserved_rank(configured(tmp_path, RANKS[-1] + 1))


def test_without_adapters_vllm_gets_no_field_for_them(tmp_path: Path) -> None:
    assert adapter_fields(tmp_path, {"": None}) == {}
