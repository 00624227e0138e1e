"""Fine-tuning a tiny model: the adapter, resuming after a kill, divergence, a full disk."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from models.engines.transformers_engine.engine import CausalLM
from tests.tuning.finetuning import RECIPE, make_command, metrics
from tuning import finetune
from tuning.answer_trainer import AnswerTrainer
from utilities.errors import UserError

pytestmark = pytest.mark.slow


def test_a_run_lowers_the_held_out_loss_and_leaves_an_adapter(command: list[str], tmp_path: Path) -> None:
    assert finetune.main([*command, "--epochs", "8"]) == 0
    output = tmp_path / "adapter"
    found = metrics(output)
    held_out = [line["eval_loss"] for line in found if "eval_loss" in line]
    assert held_out[-1] < held_out[0]
    assert all("tokens_per_second" in line for line in found if "loss" in line)
    record = json.loads((output / "training.json").read_text(encoding="utf-8"))
    assert record["steps"] == 8 * 3
    config = json.loads((output / "adapter_config.json").read_text(encoding="utf-8"))
    assert config["base_model_name_or_path"] == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert str(tmp_path) not in (output / "adapter_config.json").read_text(encoding="utf-8")
    tensors = load_file(output / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    assert not (tmp_path / "adapter.partial").exists()


def test_peft_loads_the_adapter(command: list[str], tmp_path: Path, tiny_folder: Path) -> None:
    from peft import PeftModel

    finetune.main(command)
    model = CausalLM(tiny_folder, torch.float32, "cpu").model
    before = model.model.layers[0].self_attn.q_proj.weight.clone()
    merged = PeftModel.from_pretrained(model, str(tmp_path / "adapter")).merge_and_unload()
    assert not torch.equal(merged.model.layers[0].self_attn.q_proj.weight, before)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:
    """A run of four epochs of three steps, each of two batches, that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    finetune.main([*make_command(folder, tiny_folder), "--epochs", "4"])
    return folder / "adapter"


# Batch 8 belongs to the second epoch, but its checkpoint to the first; batch 14 begins the third; there are 24.
@pytest.mark.parametrize("batch", [8, 12, 14, 20])
def test_a_killed_run_that_goes_on_ends_with_the_same_adapter_and_lines(
    command: list[str],
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    batch: int,
) -> None:
    command, expected = [*command, "--epochs", "4"], tmp_path / "adapter"
    real, calls = AnswerTrainer.training_step, []

    def dies(self: AnswerTrainer, *args: object, **others: object) -> object:
        calls.append(1)
        if len(calls) == batch:
            raise KeyboardInterrupt
        return real(self, *args, **others)  # type: ignore[arg-type]

    monkeypatch.setattr(AnswerTrainer, "training_step", dies)
    with pytest.raises(KeyboardInterrupt):
        finetune.main(command)
    assert not expected.exists()
    with (tmp_path / "adapter.partial" / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"step": 3, "lo')
    assert finetune.main(command) == 0
    assert len(calls) < batch + 24, "it began anew"
    assert "dropped because it is incomplete" in capsys.readouterr().err
    first, second = (load_file(folder / "adapter_model.safetensors") for folder in (whole, expected))
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    told = [
        [(line["step"], line.get("loss"), line.get("eval_loss")) for line in metrics(each)]
        for each in (whole, expected)
    ]
    # The last line sums up the run, its loss the part that was done last.
    assert told[0][:-1] == told[1][:-1]


@pytest.mark.parametrize("keep", ["last", "best_loss", "best_score"])
def test_a_run_that_diverges_leaves_no_adapter_and_says_so(command: list[str], tmp_path: Path, keep: str) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.replace("0.01", "1.0e+30").replace("keep: last", f"keep: {keep}"), encoding="utf-8")
    with pytest.raises(UserError, match=r"diverged.*lower optimiser.learning_rate"):
        finetune.main(command)
    assert not (tmp_path / "adapter").exists()


def test_weights_that_overflow_after_the_last_held_out_score_are_no_adapter(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = AnswerTrainer.train

    def overflows(self: AnswerTrainer, *args: object, **others: object) -> object:
        told = real(self, *args, **others)  # type: ignore[arg-type]
        next(each for each in self.model.parameters() if each.requires_grad).data.fill_(1e9)  # type: ignore[union-attr]
        return told

    monkeypatch.setattr(AnswerTrainer, "train", overflows)
    with pytest.raises(UserError, match="diverged"):
        finetune.main(command)
    assert not (tmp_path / "adapter").exists()


def test_another_recipe_does_not_go_on_with_a_begun_run(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(self: AnswerTrainer, *_: object, **__: object) -> None:
        checkpoint = Path(str(self.args.output_dir)) / "checkpoint-2"
        checkpoint.mkdir()
        (checkpoint / "trainer_state.json").write_text("{}", encoding="utf-8")
        raise KeyboardInterrupt

    monkeypatch.setattr(AnswerTrainer, "train", dies)
    with pytest.raises(KeyboardInterrupt):
        finetune.main(command)
    with pytest.raises(UserError, match="started with another recipe"):
        finetune.main([*command, "--seed", "5"])
    (tmp_path / "mine.yaml").write_text("prompts: {generation: base}\n", encoding="utf-8")
    monkeypatch.setenv("SHOPALIGN_SETTINGS", str(tmp_path / "mine.yaml"))
    with pytest.raises(UserError, match="started with another prompts"):
        finetune.main(command)


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device", "adapter.partial/x"),
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
        RuntimeError("[enforce fail at inline_container.cc:858] . PytorchStreamWriter failed: file write failed"),
        RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 149568 vs 149456"),
    ],
)
def test_a_full_disk_is_one_sentence_and_the_run_can_go_on(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def full(*_: object, **__: object) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr("tuning.model_files.save_file", full)
        with pytest.raises(UserError, match=r"(No space left on device|the disk is full).*make room"):
            finetune.main(command)
    assert not (tmp_path / "adapter").exists()
    assert finetune.main(command) == 0
