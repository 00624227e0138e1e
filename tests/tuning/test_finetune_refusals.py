"""Recipes of fine-tuning, and bad input of its command: one sentence before anything is trained."""

from pathlib import Path

import pytest

from tests.tuning.finetuning import RECIPE, rows, write_rows
from tuning import finetune
from tuning.finetune_recipe import FinetuneRecipe, read_recipe, steps_of, training_arguments
from utilities.errors import UserError, exit_code
from utilities.files import ROOT

pytestmark = pytest.mark.slow

RECIPES = ROOT / "tuning" / "recipes"


def test_every_recipe_fits_the_code() -> None:
    found = [path for path in RECIPES.glob("*.yaml") if not path.name.startswith(("awq", "hybridize", "chain", "fsdp"))]
    assert len(found) >= 4
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
        ("based_on: smollm2.yaml", "unknown key based_on"),
    ],
)
def test_a_recipe_with_a_mistake_is_refused(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "recipe.yaml"
    model = "" if line.startswith("model") else "model: smollm2-135m-instruct\n"
    path.write_text(f"{model}{line}\n", encoding="utf-8")
    with pytest.raises(UserError, match=words):
        read_recipe(path)


def test_steps_are_those_of_the_trainer() -> None:
    recipe = read_recipe(RECIPES / "smollm2.yaml")
    assert steps_of(recipe, 750) == 47
    assert steps_of(recipe, 1) == 1


def test_rows_that_are_held_out_too_are_refused(command: list[str], tmp_path: Path) -> None:
    write_rows(tmp_path / "held.jsonl", [*rows(6, 100), *rows(2, 3)])
    with pytest.raises(
        UserError, match=r"train.jsonl: 2 rows, the first of them row 4, are held out too in .*held.jsonl"
    ):
        finetune.main(command)
    assert not list(tmp_path.glob("adapter*"))


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
    assert "remove --size" in run("--size", "12")
    (tmp_path / "broken.jsonl").write_text('{"input_field": 1}\n', encoding="utf-8")
    assert "line 1" in run("--rows", str(tmp_path / "broken.jsonl"))
    (tmp_path / "empty.jsonl").write_text("", encoding="utf-8")
    assert "is empty" in run("--rows", str(tmp_path / "empty.jsonl"))
    unusable = [{**rows(1)[0], "output_field": 9}]
    assert "no row can be trained on" in run("--rows", str(write_rows(tmp_path / "unusable.jsonl", unusable)))


def test_an_output_that_exists_is_kept(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "adapter").mkdir()
    with pytest.raises(UserError, match="exists"):
        finetune.main(command)


def test_a_recipe_for_several_gpus_wants_a_launcher(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(f"{RECIPE}distributed: fsdp\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"distributed: fsdp needs a process for each GPU.*accelerate launch"):
        finetune.main(command)


def test_dense_weights_are_sent_from_one_process_to_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    (tmp_path / "recipe.yaml").write_text(f"{RECIPE}distributed: fsdp\n", encoding="utf-8")
    made = training_arguments(read_recipe(tmp_path / "recipe.yaml"), tmp_path / "work", 12)
    assert made.fsdp_plugin_args is not None
    assert made.fsdp_plugin_args["fsdp_version"] == 2
    assert made.fsdp_plugin_args["cpu_ram_efficient_loading"] is True
