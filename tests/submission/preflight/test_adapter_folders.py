"""LoRA adapters before a submission: what is missing, damaged, not committed or not run by the engine is named."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from submission.preflight.machine_fit import check_gpu
from submission.preflight.named_folders import check_adapters
from submission.preflight.registry import verdicts
from submission.preflight.repository import FailedError, Repository, Request
from submission.preflight.weight_files import check_sizes
from tests.submission.submission_copies import (
    ADAPTER,
    Change,
    add_adapter,
    commit,
    edit,
    edit_aicrowd,
    failing,
    write_sparse_tensors,
)

VLLM = f"engine: {{name: vllm, adapter: {ADAPTER}}}\n"

pytestmark = pytest.mark.slow


def adapter(settings: str = "", **values: Any) -> Change:
    return lambda root: add_adapter(root, settings, **values)


def damaged(name: str, content: str) -> Change:
    def change(root: Path) -> None:
        add_adapter(root)
        (root / ADAPTER / name).write_text(content, encoding="utf-8")

    return change


def without(name: str) -> Change:
    def change(root: Path) -> None:
        add_adapter(root)
        (root / ADAPTER / name).unlink()

    return change


def configured(**values: Any) -> Change:
    def change(root: Path) -> None:
        add_adapter(root)
        path = root / ADAPTER / "adapter_config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return change


def with_matrix(name: str, tensor: torch.Tensor) -> Change:
    def change(root: Path) -> None:
        add_adapter(root)
        path = root / ADAPTER / "adapter_model.safetensors"
        save_file({**load_file(path), name: tensor}, path)

    return change


def ignored(root: Path) -> None:
    add_adapter(root)
    edit(root, ".gitignore", lambda text: f"{text}\nmodels/adapters/\n")


def linked(root: Path) -> None:
    add_adapter(root)
    shutil.move(root / ADAPTER, root.parent / "one")
    (root / ADAPTER).symlink_to(root.parent / "one")


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
MODULE = "base_model.model.model.layers.0.self_attn.q_proj"
BROKEN: dict[str, tuple[str, Change, str]] = {
    "no config": ("adapters", without("adapter_config.json"), "without adapter_config.json"),
    "no matrices": ("adapters", without("adapter_model.safetensors"), "without adapter_model.safetensors"),
    "a Git LFS pointer": ("adapters", damaged("adapter_model.safetensors", POINTER), "is a Git LFS pointer"),
    "a config that is a pointer": ("adapters", damaged("adapter_config.json", POINTER), "is a Git LFS pointer"),
    "another kind of adapter": ("adapters", configured(peft_type="IA3"), "only 'LORA' is supported"),
    "another rank": ("adapters", configured(r=8), "adapter_config.json says rank 8"),
    "packed matrices": (
        "adapters",
        with_matrix(f"{MODULE}.lora_A.weight", torch.ones(4, 64, dtype=torch.int8)),
        "(I8, [4, 64]) is not a matrix",
    ),
    "a lonely matrix": (
        "adapters",
        with_matrix(f"{MODULE.replace('.0.', '.7.')}.lora_A.weight", torch.ones(4, 64)),
        "layers.7.self_attn.q_proj has lora_A [4, 64]; adapter_config.json says rank 4",
    ),
    "an embedding": (
        "adapters",
        with_matrix("base_model.model.model.embed_tokens.lora_embedding_A", torch.ones(4, 64)),
        "is not a matrix of a linear layer's LoRA",
    ),
    "a rank over vLLM's": ("adapters", adapter(VLLM, rank=513), "an adapter of rank 513; vLLM takes up to 512"),
    "a projection for vLLM": ("adapters", adapter(VLLM, modules=("lm_head",)), "changes lm_head"),
    "an adapter not in git": ("adapters", ignored, f"not in git: {ADAPTER}/adapter_config.json"),
    "a further adapter": (
        "adapters",
        adapter(f"engine: {{adapter: {ADAPTER}, adapters: [models/adapters/two]}}\n"),
        "models/adapters/two: there is no adapter",
    ),
    "an adapter of one task type": (
        "adapters",
        adapter("cooperation: {adapters: {ranking: models/adapters/three}}\n"),
        "models/adapters/three: there is no adapter",
    ),
    "an adapter elsewhere": ("paths", adapter("engine: {adapter: /etc}\n"), "setting engine.adapter is '/etc'"),
    "a linked adapter": ("paths", linked, "an adapter lies outside of the repository"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_adapter_is_named_and_nothing_else_is(copy: Path, name: str) -> None:
    check, change, phrase = BROKEN[name]
    change(copy)
    commit(copy)
    found = failing(copy)
    assert list(found) == [check]
    assert phrase in found[check].found


@pytest.mark.parametrize("settings", ["", VLLM, f"cooperation: {{adapters: {{generation: {ADAPTER}}}}}\n"])
def test_a_whole_adapter_that_is_committed_passes(copy: Path, settings: str) -> None:
    add_adapter(copy, settings)
    commit(copy)
    assert failing(copy) == {}
    assert check_adapters(Repository(Request(copy))).startswith(f"{ADAPTER}: 0.0 MB")


def test_a_rank_that_vllm_lacks_is_no_matter_without_vllm(copy: Path) -> None:
    add_adapter(copy, rank=513)
    commit(copy)
    assert failing(copy) == {}


def test_the_adapter_of_a_catalogues_entry_is_checked(copy: Path) -> None:
    edit(
        copy,
        "models/engines/model_registry.yaml",
        lambda text: text.replace("\n  dtype:", f"\n  adapter: {ADAPTER}\n  dtype:", 1),
    )
    commit(copy)
    assert f"{ADAPTER}: there is no adapter" in failing(copy)["adapters"].found


def test_without_an_adapter_or_a_model_there_is_nothing_to_check(copy: Path) -> None:
    write = (copy / "models" / "settings.yaml").write_text
    write("engine: {adapter: none}\n")
    assert check_adapters(Repository(Request(copy))) == "none is named"
    write("engine: {name: scripted}\n")
    found = {each.check: each.state for each in verdicts(Request(copy))}
    assert found["adapters"] == "skip"


def test_adapters_count_in_the_size(copy: Path) -> None:
    add_adapter(copy, rank=1200)
    before = megabytes_in_git(copy)
    commit(copy)
    size = (copy / ADAPTER / "adapter_model.safetensors").stat().st_size / 1e6
    assert size > 5
    assert megabytes_in_git(copy) - before == pytest.approx(size, abs=0.2)


def megabytes_in_git(root: Path) -> float:
    return float(check_sizes(Repository(Request(root))).rpartition(", ")[2].split()[0])


def test_adapters_count_in_the_memory(copy: Path) -> None:
    add_adapter(copy)
    edit_aicrowd(copy, gpu=False)
    assert check_gpu(Repository(Request(copy))).startswith("gpu false with 0.0 GB")
    shapes = {f"{MODULE}.lora_A.weight": [4, 5 * 10**8], f"{MODULE}.lora_B.weight": [64, 4]}
    write_sparse_tensors(copy / ADAPTER / "adapter_model.safetensors", shapes)
    with pytest.raises(FailedError, match=r"8.0 GB of weights, but gpu is false"):
        check_gpu(Repository(Request(copy)))
