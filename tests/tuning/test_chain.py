"""Chains of commands: order, places, resuming, mistakes in recipes."""

import json
import subprocess
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tuning import chain
from utilities.errors import UserError
from utilities.files import ROOT

RECIPES = ROOT / "tuning" / "recipes"
RECIPE = """\
given: {base: the dense model, source: rows}
steps:
  - name: rows
    run: tuning.select_data
    options: {source: ["{source}", b.jsonl], output: "{rows}"}
  - name: scored
    run: local_evaluation
    options: {data: "{rows}/held_out.jsonl", no-report: true}
    environment: {SHOPALIGN_WEIGHTS: "{base}"}
"""
FIRST = "steps:\n  - {name: first, run: tuning.select_data, options: {}}"


class Commands:
    """Stands for `subprocess.run`: keeps what was run, makes its output, fails or is stopped where it is told to."""

    def __init__(self) -> None:
        self.run: list[list[str]] = []
        self.environments: list[dict[str, str]] = []
        self.codes: dict[str, int] = {}
        self.stop_behind = ""

    def __call__(
        self, command: Sequence[str], *, env: dict[str, str], **_: object
    ) -> "subprocess.CompletedProcess[bytes]":
        self.run.append(list(command[1:]))
        self.environments.append(env)
        if "--output" in command:
            Path(command[list(command).index("--output") + 1]).mkdir(parents=True, exist_ok=True)
        if command[2] == self.stop_behind:
            raise KeyboardInterrupt
        return subprocess.CompletedProcess(list(command), self.codes.get(command[2], 0))

    def modules(self) -> list[str]:
        return [command[1] for command in self.run]


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Commands:
    fake = Commands()
    monkeypatch.setattr("tuning.chain.subprocess.run", fake)
    return fake


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE, encoding="utf-8")
    given = []
    for name, file in (("source", "one"), ("source", "two"), ("base", "base")):
        (tmp_path / file).touch()
        given += ["--given", f"{name}={tmp_path / file}"]
    return ["--recipe", str(recipe), "--output", str(tmp_path / "out"), *given]


def test_steps_run_in_order_with_places_filled_in(commands: Commands, arguments: list[str], tmp_path: Path) -> None:
    assert chain.main(arguments) == 0
    rows = str(tmp_path / "out" / "rows")
    assert commands.run == [
        [
            "-m",
            "tuning.select_data",
            "--source",
            str(tmp_path / "one"),
            str(tmp_path / "two"),
            "b.jsonl",
            *("--output", rows),
        ],
        ["-m", "local_evaluation", "--data", f"{rows}/held_out.jsonl", "--no-report"],
    ]
    assert commands.environments[1]["SHOPALIGN_WEIGHTS"] == str(tmp_path / "base")


def test_finished_steps_are_not_done_again(commands: Commands, arguments: list[str], tmp_path: Path) -> None:
    commands.codes["local_evaluation"] = 2
    with pytest.raises(UserError, match="step scored failed"):
        chain.main(arguments)
    commands.codes.clear()
    assert chain.main(arguments) == 0
    assert commands.modules() == ["tuning.select_data", "local_evaluation", "local_evaluation"]
    lines = (tmp_path / "out" / "finished.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["step"] for line in lines] == ["rows", "scored"]


def test_another_recipe_in_the_same_folder_is_refused(commands: Commands, arguments: list[str]) -> None:
    chain.main(arguments)
    recipe = Path(arguments[1])
    recipe.write_text(RECIPE.replace("b.jsonl", "c.jsonl"), encoding="utf-8")
    with pytest.raises(UserError, match="other options"):
        chain.main(arguments)


@pytest.mark.parametrize("changed", ["one", "base/config.json", "settings.yaml"])
def test_a_finished_step_whose_files_have_changed_is_refused(
    commands: Commands, arguments: list[str], tmp_path: Path, changed: str
) -> None:
    recipe = Path(arguments[1])
    recipe.write_text(RECIPE.replace("no-report: true", f"set: paths={tmp_path}/settings.yaml"), encoding="utf-8")
    (tmp_path / "settings.yaml").touch()
    (tmp_path / "base").unlink()
    (tmp_path / "base").mkdir()
    assert chain.main(arguments) == chain.main(arguments) == 0
    (tmp_path / changed).write_text("other: 1", encoding="utf-8")
    path = tmp_path / changed.partition("/")[0]
    with pytest.raises(UserError, match=f"was done with another content of {path}: .*name another --output"):
        chain.main(arguments)
    assert len(commands.run) == 2


def test_a_finished_step_whose_output_is_gone_is_done_again(
    commands: Commands, arguments: list[str], tmp_path: Path
) -> None:
    chain.main(arguments)
    (tmp_path / "out" / "rows").rmdir()
    assert chain.main(arguments) == 0
    assert commands.modules() == ["tuning.select_data", "local_evaluation", "tuning.select_data"]


def test_a_chain_that_was_killed_behind_a_step_goes_on(
    commands: Commands, arguments: list[str], tmp_path: Path
) -> None:
    recipe = Path(arguments[1])
    recipe.write_text(RECIPE.replace("tuning.select_data", "tuning.hybridize"), encoding="utf-8")
    commands.stop_behind = "tuning.hybridize"
    with pytest.raises(KeyboardInterrupt):
        chain.main(arguments)
    (tmp_path / "one").write_text("other", encoding="utf-8")
    with pytest.raises(UserError, match=r"another content of .*one: remove .*rows to have it done again"):
        chain.main(arguments)
    (tmp_path / "one").write_text("", encoding="utf-8")
    recipe.write_text(recipe.read_text(encoding="utf-8").replace("steps:", FIRST), encoding="utf-8")
    assert chain.main(arguments) == 0
    assert commands.modules() == ["tuning.hybridize", "tuning.select_data", "local_evaluation"]


def test_a_step_that_was_killed_while_it_was_done_again_is_not_taken_for_finished(
    commands: Commands, arguments: list[str], tmp_path: Path
) -> None:
    chain.main(arguments)
    (tmp_path / "out" / "rows").rmdir()
    commands.stop_behind = "tuning.select_data"
    with pytest.raises(KeyboardInterrupt):
        chain.main(arguments)
    commands.stop_behind = ""
    assert chain.main(arguments) == 0
    assert commands.modules() == ["tuning.select_data", "local_evaluation", *["tuning.select_data"] * 2]


@pytest.mark.parametrize("line", ['{"step": "rows"}', "[]", '"rows"', '{"step": 1, "command": [], "inputs": {}}'])
def test_a_damaged_record_is_one_sentence(commands: Commands, arguments: list[str], tmp_path: Path, line: str) -> None:
    chain.main(arguments)
    record = tmp_path / "out" / "finished.jsonl"
    record.write_text(f"{record.read_text(encoding='utf-8')}{line}\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"finished.jsonl, line 3: not the record of a step: remove the line"):
        chain.main(arguments)


@pytest.mark.parametrize(
    ("last", "words"),
    [
        ([], "needs --given base=PATH: the dense model"),
        (["--given", "base=/no/such/folder"], "does not exist: name the dense model"),
        (["--given", "model=/"], "asks for base, source"),
    ],
)
def test_what_is_not_given_is_told_before_anything_is_run(
    commands: Commands, arguments: list[str], last: list[str], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        chain.main([*arguments[:-2], *last])
    assert commands.run == []


def test_a_step_of_several_processes_is_launched_by_accelerate(commands: Commands, arguments: list[str]) -> None:
    recipe = Path(arguments[1])
    recipe.write_text(RECIPE.replace("run: tuning", "accelerate: eight.yaml\n    run: tuning"), encoding="utf-8")
    chain.main(arguments)
    launch = ["-m", "accelerate.commands.launch", "--config_file", "eight.yaml", "-m", "tuning.select_data"]
    assert commands.run[0][: len(launch)] == launch


def test_a_name_without_a_path_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit):
        chain.main([*arguments, "--given", "base"])


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("tuning.select_data", "os", "name a command of this package"),
        ("tuning.select_data", "tuning.nothing", "name a command of this package"),
        ("tuning.select_data", "tuning.nothing.deep", "name a command of this package"),
        ("tuning.select_data", "tuning..deep", "name a command of this package"),
        ("tuning.select_data", "tuning.chain.deep", "name a command of this package"),
        (RECIPE[RECIPE.index("steps:") :], "steps: []", "steps is empty; name at least one"),
        ('"{rows}/held_out', '"{later}/held_out', "before it is made"),
        ("name: scored", "name: rows", "the name of another"),
        ("name: scored", "name: base", "the name of another"),
        ("name: rows", "name: a-b", "letters, digits and _"),
        ("run: local", "runs: local", r"unknown key steps\[1\].runs"),
    ],
)
def test_a_mistake_in_a_recipe_is_one_sentence(arguments: list[str], old: str, new: str, words: str) -> None:
    recipe = Path(arguments[1])
    recipe.write_text(RECIPE.replace(old, new), encoding="utf-8")
    with pytest.raises(UserError, match=words):
        chain.main(arguments)


def _options_of(module: str, capsys: pytest.CaptureFixture[str]) -> str:
    main: Any = import_module(module).main
    with pytest.raises(SystemExit):
        main(["--help"])
    return capsys.readouterr().out


@pytest.mark.slow
def test_every_chain_names_options_that_its_commands_have(capsys: pytest.CaptureFixture[str]) -> None:
    recipes = sorted(RECIPES.glob("chain_*.yaml"))
    assert len(recipes) >= 3
    for path in recipes:
        for step in chain.read_chain(path).steps:
            said = _options_of(step.run, capsys)
            assert all(f"--{name}" in said for name in step.options), (path.name, step.name)


def test_recipes_that_chains_name_exist() -> None:
    for path in sorted(RECIPES.glob("chain_*.yaml")):
        for step in chain.read_chain(path).steps:
            named = step.options.get("recipe")
            assert named is None or (RECIPES.parent.parent / named).is_file(), (path.name, named)
