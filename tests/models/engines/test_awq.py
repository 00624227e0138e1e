import json
import logging
import shutil
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from models.engines.transformers_engine.awq import dequantise
from models.engines.transformers_engine.engine import CausalLM
from models.engines.transformers_engine.loading import load_causal_lm
from tests.tiny_awq import quantised, save_tiny_awq
from tests.tiny_model import save_tiny_model
from tuning.merging.checkpoint import Checkpoint
from utilities.errors import UserError

pytestmark = pytest.mark.slow

AUTOAWQ = Path(__file__).parent / "awq" / "llama"
NIBBLE_OF_COLUMN = (0, 4, 1, 5, 2, 6, 3, 7)  # the inverse of AutoAWQ's order 0, 2, 4, 6, 1, 3, 5, 7
IDS = torch.tensor([[1, *range(20, 80), *range(300, 340)], [1, *range(100, 200)]])

needs_gptqmodel = pytest.mark.skipif(find_spec("gptqmodel") is None, reason="gptqmodel is not installed")


def unpack(packed: NDArray[np.int32]) -> NDArray[np.int64]:
    """Spread [n, columns / 8] int32 into the [n, columns] 4-bit numbers that they hold, one column after another."""
    bits = packed.astype(np.uint32)
    columns = [(bits[:, c // 8] >> np.uint32(4 * NIBBLE_OF_COLUMN[c % 8])) & 15 for c in range(8 * packed.shape[1])]
    return np.stack(columns, axis=1).astype(np.int64)


def by_hand(tensors: dict[str, NDArray[Any]], layer: str) -> NDArray[np.float32]:
    """Dequantise one layer, w = (q - z) x s, into [outputs, inputs]."""
    q, z = unpack(tensors[f"{layer}.qweight"]), unpack(tensors[f"{layer}.qzeros"])
    s = tensors[f"{layer}.scales"].astype(np.float32)
    size = len(q) // len(s)
    return ((q - z.repeat(size, axis=0)) * s.repeat(size, axis=0)).T.astype(np.float32)


@pytest.fixture(scope="module")
def dense_by_hand(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The AutoAWQ checkpoint as a plain dense folder, made without any code of the package or of gptqmodel."""
    folder = tmp_path_factory.mktemp("by-hand")
    packed = load_file(AUTOAWQ / "model.safetensors")
    layers = {name.removesuffix(".qweight") for name in packed if name.endswith(".qweight")}
    assert len(layers) == 2 * 7
    kept = {name: tensor for name, tensor in packed.items() if name.rpartition(".")[0] not in layers}
    dense = {f"{layer}.weight": np.ascontiguousarray(by_hand(packed, layer)) for layer in layers}
    save_file(kept | dense, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((AUTOAWQ / "config.json").read_text(encoding="utf-8"))
    assert config.pop("quantization_config")["quant_method"] == "awq"
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


@torch.inference_mode()
def logits(model: Any) -> torch.Tensor:
    found: torch.Tensor = model(input_ids=IDS).logits.float()
    return found


def plain_logits(folder: Path, dtype: torch.dtype, **others: Any) -> torch.Tensor:
    """Logits as transformers itself loads the folder."""
    model: Any = transformers.AutoModelForCausalLM
    return logits(model.from_pretrained(folder, dtype=dtype, local_files_only=True, **others))


def through_gptqmodel(folder: Path) -> torch.Tensor:
    """Logits in float16 by the kernel that rounds nothing on the way; the others are faster and rougher."""
    config: Any = transformers.AwqConfig
    with warnings.catch_warnings(category=UserWarning, action="ignore"):  # that the folder names no kernel
        return plain_logits(folder, torch.float16, quantization_config=config(backend="torch_awq"), device_map="cpu")


def test_the_checkpoint_was_written_by_autoawq() -> None:
    versions = json.loads((AUTOAWQ / "made_with.json").read_text(encoding="utf-8"))
    assert versions["autoawq"] == "0.2.9"
    assert sum(path.stat().st_size for path in AUTOAWQ.parent.rglob("*") if path.is_file()) < 1_000_000


def test_autoawqs_weights_made_dense_give_the_logits_of_those_dequantised_by_hand(dense_by_hand: Path) -> None:
    found = logits(load_causal_lm(AUTOAWQ, torch.float32, "cpu"))
    assert torch.allclose(found, plain_logits(dense_by_hand, torch.float32), atol=1e-4)
    assert found.std() > 1


@needs_gptqmodel
def test_autoawqs_weights_through_gptqmodel_give_the_logits_of_those_dequantised_by_hand(dense_by_hand: Path) -> None:
    found = through_gptqmodel(AUTOAWQ)
    assert torch.allclose(found, plain_logits(dense_by_hand, torch.float16), atol=2e-2)


@needs_gptqmodel
def test_the_fast_kernels_stay_near_the_logits_of_the_dense_weights(dense_by_hand: Path) -> None:
    model = load_causal_lm(AUTOAWQ, torch.float32, "cpu", "kernels")
    assert "Awq" in type(model.model.layers[0].mlp.up_proj).__name__
    found, wanted = logits(model), plain_logits(dense_by_hand, torch.float32)
    assert (found - wanted).abs().mean() < 0.05 * wanted.std()
    assert (found.argmax(-1) == wanted.argmax(-1)).float().mean() > 0.9


def test_dense_loading_keeps_type_and_end_of_text_and_takes_no_quantised_layer() -> None:
    model = load_causal_lm(AUTOAWQ, torch.bfloat16, "cpu", "dense")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert type(model.model.layers[0].mlp.up_proj) is torch.nn.Linear
    assert model.generation_config.eos_token_id == 2
    assert not model.training


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 3), st.integers(1, 4), st.sampled_from([8, 32]), st.integers(0, 2**32 - 1))
def test_dequantising_undoes_packing(groups: int, eights: int, size: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    qweight, qzeros = (
        torch.randint(-(2**31), 2**31, (rows, eights), generator=generator).int() for rows in (groups * size, groups)
    )
    scales = torch.rand(groups, 8 * eights, generator=generator).half()
    tensors = {f"x.{k}": v.numpy() for k, v in (("qweight", qweight), ("qzeros", qzeros), ("scales", scales))}
    assert np.array_equal(dequantise(qweight, qzeros, scales).numpy(), by_hand(tensors, "x"))


def test_rounding_to_nearest_stays_within_half_a_step_of_the_weight() -> None:
    weight = torch.randn(16, 64, generator=torch.Generator().manual_seed(1))
    packed = quantised(weight, 32)
    step = packed["scales"].float().T.repeat_interleave(32, dim=1)
    # The zero point is rounded too, so that a group's outermost weight can be off by a whole step.
    assert ((dequantise(**packed) - weight).abs() <= 1.01 * step).all()


def test_layers_that_were_not_converted_stay_as_they_are(tmp_path: Path) -> None:
    save_tiny_awq(tmp_path, keep=["o_proj"])
    tensors = load_file(tmp_path / "model.safetensors")
    model = load_causal_lm(tmp_path, torch.float32, "cpu")
    kept = tensors["model.layers.1.self_attn.o_proj.weight"].astype(np.float32)
    assert np.array_equal(model.model.layers[1].self_attn.o_proj.weight.detach().numpy(), kept)


@needs_gptqmodel
@pytest.mark.parametrize("architecture", ["llama", "mistral", "qwen2", "phi3"])
def test_every_architecture_loads_through_gptqmodel(tmp_path: Path, architecture: str) -> None:
    save_tiny_awq(tmp_path, architecture, keep=["o_proj"])
    found = through_gptqmodel(tmp_path)
    wanted = logits(load_causal_lm(tmp_path, torch.float16, "cpu", "dense"))
    assert torch.allclose(found, wanted, atol=5e-2)


def test_a_checkpoint_in_several_files_is_read_by_its_index(tmp_path: Path) -> None:
    save_tiny_awq(tmp_path)
    wanted = logits(load_causal_lm(tmp_path, torch.float32, "cpu"))
    tensors = load_file(tmp_path / "model.safetensors")
    files = {name: f"model-{number % 2 + 1:05}-of-00002.safetensors" for number, name in enumerate(sorted(tensors))}
    for file in set(files.values()):
        save_file({n: t for n, t in tensors.items() if files[n] == file}, tmp_path / file, metadata={"format": "pt"})
    (tmp_path / "model.safetensors").unlink()
    save_file({"another": np.zeros(2)}, tmp_path / "consolidated.safetensors")
    index = {"metadata": {}, "weight_map": files}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    assert torch.equal(logits(load_causal_lm(tmp_path, torch.float32, "cpu")), wanted)


def _without(name: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        del tensors[name]
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})

    return spoil


def _quantization(**changed: Any) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        config["quantization_config"] |= changed
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")

    return spoil


def _cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def _unknown_model(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "nobody knows"}', encoding="utf-8")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_without("model.layers.0.mlp.up_proj.scales"), "layer model.layers.0.mlp.up_proj has no scales"),
        (_without("model.layers.0.mlp.up_proj.qweight"), "model.layers.0.mlp.up_proj.weight among them"),
        (_without("model.norm.weight"), "1 tensors are missing, model.norm.weight among them"),
        (_quantization(version="gemv"), "quantization_config.version is 'gemv'; only 'gemm' is read"),
        (_quantization(bits=8), "quantization_config.bits is 8; only 4 is read"),
        (_quantization(quant_method="gptq"), "quantization_config.quant_method is 'gptq'; only 'awq' is read"),
        (_cut, "the model cannot be loaded"),
        (_unknown_model, "the model cannot be loaded"),
    ],
)
def test_a_damaged_checkpoint_is_refused_in_one_sentence(
    tmp_path: Path, spoil: Callable[[Path], None], says: str
) -> None:
    save_tiny_awq(tmp_path)
    spoil(tmp_path)
    with pytest.raises(UserError, match=says) as refusal:
        load_causal_lm(tmp_path, torch.float32, "cpu")
    assert str(tmp_path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_dense_checkpoint_that_lacks_a_tensor_is_refused(tmp_path: Path) -> None:
    save_tiny_model(tmp_path)
    _without("model.layers.1.mlp.up_proj.weight")(tmp_path)
    with pytest.raises(UserError, match=r"1 tensors are missing, model.layers.1.mlp.up_proj.weight among them"):
        load_causal_lm(tmp_path, torch.float32, "cpu")


def test_kernels_without_gptqmodel_are_refused_with_the_way_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.engines.transformers_engine.loading.find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"gptqmodel.*pip install .* requirements-gpu.txt.*engine.awq to dense"):
        load_causal_lm(AUTOAWQ, torch.float32, "cpu", "kernels")


def test_the_kernels_are_chosen_on_a_gpu_and_dense_weights_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.engines.transformers_engine.loading.find_spec", lambda _: None)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    with pytest.raises(UserError, match="gptqmodel"):
        load_causal_lm(AUTOAWQ, torch.float32, "auto")
    assert load_causal_lm(AUTOAWQ, torch.float32, "cpu") is not None


def test_the_engines_model_reads_awq_weights() -> None:
    model = CausalLM(AUTOAWQ, torch.float32, "cpu")
    assert model.ends == [2]
    assert model.tokenizer.decode(model.encode("a water bottle")) == "a water bottle"


def with_older_file(folder: Path, version: str) -> Path:
    """Copy the checkpoint as early AutoAWQ wrote it: the quantisation is described in a file of its own."""
    copied = folder / version
    shutil.copytree(AUTOAWQ, copied)
    config = json.loads((copied / "config.json").read_text(encoding="utf-8"))
    group = config.pop("quantization_config")["group_size"]
    (copied / "config.json").write_text(json.dumps(config), encoding="utf-8")
    older = {"zero_point": True, "q_group_size": group, "w_bit": 4, "version": version}
    (copied / "quant_config.json").write_text(json.dumps(older), encoding="utf-8")
    return copied


def test_autoawqs_older_file_is_read_and_noted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = with_older_file(tmp_path, "GEMM")
    with caplog.at_level(logging.WARNING, logger="shopalign"):
        found = logits(load_causal_lm(folder, torch.float32, "cpu"))
    assert torch.equal(found, logits(load_causal_lm(AUTOAWQ, torch.float32, "cpu")))
    assert "AutoAWQ's quant_config.json is read instead" in caplog.text
    with pytest.raises(UserError, match="holds quantised weights"):
        Checkpoint(folder)
    folder = with_older_file(tmp_path, "GEMV")
    with pytest.raises(UserError, match="version is 'gemv'; only 'gemm' is read"):
        load_causal_lm(folder, torch.float32, "cpu")


@needs_gptqmodel
def test_autoawqs_older_file_is_read_for_the_kernels(tmp_path: Path) -> None:
    folder = with_older_file(tmp_path, "GEMM")
    model = load_causal_lm(folder, torch.float32, "cpu", "kernels")
    assert "Awq" in type(model.model.layers[0].mlp.up_proj).__name__
