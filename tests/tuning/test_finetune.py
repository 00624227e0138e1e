"""Fine-tuning: recipes, a whole run on a tiny model, resuming, bad input."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from models.engines.transformers_engine.causal_lm import CausalLM
from tests.tiny_model import save_tiny_model
from tuning import finetune
from tuning.answer_trainer import AnswerTrainer
from tuning.finetune_recipe import FinetuneRecipe, read_recipe
from tuning.training_arguments import steps_of
from utilities.errors import UserError, exit_code
from utilities.files import ROOT

REPOSITORY = ROOT
RECIPES = REPOSITORY / "tuning" / "recipes"
RECIPE = """\
model: smollm2-135m-instruct
lora: {rank: 4, alpha: 8, targets: all-linear}
optimiser: {learning_rate: 0.01, schedule: constant, warmup: 0.0}
limits: {prompt: 96, option: 8, options: 32, text: 8, phrases: 6}
epochs: 2
batch: 2
accumulate: 2
evaluate_every: 2
held_out: 4
keep: last
"""


def rows(count: int, first: int = 0) -> list[dict[str, object]]:
    made: list[dict[str, object]] = []
    for index in range(first, first + count):
        if index % 3 == 0:
            text = f"Which category fits item {index}?\n0. Lighting\n1. Shoes {index}\n2. Garden tools\nAnswer:"
            each = {"task_type": "multiple-choice", "metric": "accuracy", "output_field": index % 2}
        elif index % 3 == 1:
            text = f"Explain the product type teapot {index}.\nOutput:"
            each = {"task_type": "generation", "metric": "sent-transformer", "output_field": f"A pot {index}."}
        else:
            text = (
                "Please extract phrases from the query that correspond to the entity type 'product type'.\n"
                f"Query: blue kids helmet {index}\nOutput:"
            )
            each = {"task_type": "named_entity_recognition", "metric": "micro f1", "output_field": ["helmet"]}
        made.append({"input_field": text, "task_name": f"task{index % 3}", **each})
    return made


def write_rows(path: Path, given: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in given), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    save_tiny_model(folder)
    return folder


def make_command(folder: Path, base: Path) -> list[str]:
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE, encoding="utf-8")
    training, held = write_rows(folder / "train.jsonl", rows(12)), write_rows(folder / "held.jsonl", rows(6, 100))
    options = {"recipe": recipe, "rows": training, "held-out": held, "output": folder / "adapter", "base": base}
    return [part for name, value in options.items() for part in (f"--{name}", str(value))]


@pytest.fixture
def command(tmp_path: Path, base: Path) -> list[str]:
    return make_command(tmp_path, base)


def metrics(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def test_rows_that_are_held_out_too_are_refused(command: list[str], tmp_path: Path) -> None:
    write_rows(tmp_path / "held.jsonl", [*rows(6, 100), *rows(2, 3)])
    with pytest.raises(
        UserError, match=r"train.jsonl: 2 rows, the first of them row 4, are held out too in .*held.jsonl"
    ):
        finetune.main(command)
    assert not list(tmp_path.glob("adapter*"))


def test_every_recipe_fits_the_code() -> None:
    found = [path for path in RECIPES.glob("*.yaml") if not path.name.startswith(("awq", "hybridize", "chain", "fsdp"))]
    assert len(found) >= 9
    for path in found:
        assert isinstance(read_recipe(path), FinetuneRecipe), path


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("learning_rate: 0.1", "unknown key learning_rate"),
        ("lora: {rang: 8}", "unknown key lora.rang"),
        ("lora: {rank: 0}", "lora.rank"),
        ("optimiser: {learning_rate: 0}", "learning_rate"),
        ("batch: 0", "batch is 0"),
        ("epochs: 0", "epochs is 0"),
        ("epochs: .inf", "epochs is inf"),
        ("seed: -1", "seed is -1"),
        ("seed: 99999999999", "seed is 99999999999"),
        ("optimiser: {weight_decay: .nan}", "optimiser.weight_decay is nan"),
        ("limits: {prompt: 0}", "limits.prompt is 0"),
        ("limits: {phrases: -2}", "limits.phrases is -2"),
        ("keep: first", "keep is 'first'"),
        ("model: nobody", "nobody"),
    ],
)
def test_a_recipe_with_a_mistake_is_refused(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "recipe.yaml"
    model = "" if line.startswith("model") else "model: smollm2-135m-instruct\n"
    path.write_text(f"{model}{line}\n", encoding="utf-8")
    with pytest.raises(UserError, match=words):
        read_recipe(path)


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


def test_peft_loads_the_adapter(command: list[str], tmp_path: Path, base: Path) -> None:
    from peft import PeftModel

    finetune.main(command)
    model = CausalLM(base, torch.float32, "cpu").model
    before = model.model.layers[0].self_attn.q_proj.weight.clone()
    merged = PeftModel.from_pretrained(model, str(tmp_path / "adapter")).merge_and_unload()
    assert not torch.equal(merged.model.layers[0].self_attn.q_proj.weight, before)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Path:
    """A run of four epochs of three steps, each of two batches, that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    finetune.main([*make_command(folder, base), "--epochs", "4"])
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
    assert "dropped, it was not written to its end" in capsys.readouterr().err
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


def test_two_processes_train_one_adapter(command: list[str], tmp_path: Path) -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone"]
    told = subprocess.run(
        [*launcher, "-m", "tuning.finetune", *command], capture_output=True, text=True, cwd=REPOSITORY, check=False
    )
    assert told.returncode == 0, told.stderr[-2000:]
    assert told.stdout.count("finished") == 1
    record = json.loads((tmp_path / "adapter" / "training.json").read_text(encoding="utf-8"))
    # Twelve rows, two at a time in each of two processes, two batches a step: two steps an epoch, not three.
    assert record["steps"] == 4
    assert [line["step"] for line in metrics(tmp_path / "adapter") if "loss" in line] == [1, 2, 3, 4]


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
    with pytest.raises(UserError, match="begun with another recipe"):
        finetune.main([*command, "--seed", "5"])
    (tmp_path / "mine.yaml").write_text("prompts: {generation: base}\n", encoding="utf-8")
    monkeypatch.setenv("SHOPALIGN_SETTINGS", str(tmp_path / "mine.yaml"))
    with pytest.raises(UserError, match="begun with another prompts"):
        finetune.main(command)


def test_bad_input_is_one_sentence_and_leaves_nothing(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*others: str) -> str:
        monkeypatch.setattr("sys.argv", ["finetune", *command, *others])
        assert exit_code(finetune.main) == 2
        assert not (tmp_path / "adapter").exists()
        return capsys.readouterr().err

    missing = run("--base", str(tmp_path / "nowhere"))
    assert "nowhere: copy the files of HuggingFaceTB/SmolLM2-135M-Instruct there" in missing
    assert missing.endswith("by --base\n")
    assert "leave --size out" in run("--size", "12")
    based = tmp_path / "based.yaml"
    based.write_text("based_on: ../recipe.yaml\n", encoding="utf-8")
    assert "name a file of the same folder" in run("--recipe", str(based))
    (tmp_path / "broken.jsonl").write_text('{"input_field": 1}\n', encoding="utf-8")
    assert "line 1" in run("--rows", str(tmp_path / "broken.jsonl"))
    (tmp_path / "empty.jsonl").write_text("", encoding="utf-8")
    assert "holds no question" in run("--rows", str(tmp_path / "empty.jsonl"))
    unusable = [{**rows(1)[0], "output_field": 9}]
    assert "no row can be trained on" in run("--rows", str(write_rows(tmp_path / "unusable.jsonl", unusable)))


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
        patched.setattr("tuning.base_model.save_file", full)
        with pytest.raises(UserError, match=r"(No space left on device|the disk is full).*make room"):
            finetune.main(command)
    assert not (tmp_path / "adapter").exists()
    assert finetune.main(command) == 0


def test_an_output_that_exists_is_kept(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "adapter").mkdir()
    with pytest.raises(UserError, match="exists"):
        finetune.main(command)


def test_a_recipe_for_several_gpus_wants_a_launcher(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(f"{RECIPE}distributed: fsdp\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"distributed: fsdp wants a process for each GPU.*accelerate launch"):
        finetune.main(command)


def test_steps_are_those_of_the_trainer() -> None:
    recipe = read_recipe(RECIPES / "smollm2.yaml")
    assert steps_of(recipe, 750) == 47
    assert steps_of(recipe, 1) == 1
