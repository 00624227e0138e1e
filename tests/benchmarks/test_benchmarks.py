import importlib
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.common import Results, conditions, content_key, cpu_name, print_table, source_digest, unhurried
from benchmarks.compare_recipes import recipe_names
from benchmarks.detection_accuracy import Detected, Labelled, read_labelled, summarise
from benchmarks.held_out import ask_questions
from benchmarks.hostile_prompts import ask_hostile, flaw_of, merged
from benchmarks.hostile_text import KINDS, hostile_prompt
from benchmarks.scoring_against_decoding import agreement_of, answered_by, settings_in_use, with_options
from evaluation.questions import QuestionRow
from models.engines.interface import Answer
from models.engines.scripted import ScriptedEngine
from models.settings import Settings, load_settings
from models.shopbench_model import ShopBenchModel
from utilities.errors import UserError, exit_code
from utilities.task_type import TaskType

NAMES = (
    "compare_recipes",
    "floor",
    "scoring_against_decoding",
    "detection_accuracy",
    "hostile_prompts",
    "footprint",
    "held_out",
    "engines_side_by_side",
    "faults",
    "time_budget_accuracy",
)
WITH_THEIR_OWN_ARGUMENTS = ("awq_on_cpu", "awq_against_dense", "seventy_shape")
ROWS: Sequence[Mapping[str, object]] = [
    {"task": "options", "task_type": "multiple-choice", "metric": "accuracy", "output_field": 1},
    {"task": "options", "task_type": "multiple-choice", "metric": "accuracy", "output_field": 0},
    {"task": "shelf", "task_type": "retrieval", "metric": "hit rate@3", "output_field": [1, 4]},
    {"task": "order", "task_type": "ranking", "metric": "ndcg", "output_field": [1, 0, 0.1, 0, 0]},
    {"task": "phrase", "task_type": "generation", "metric": "rougel", "output_field": "long battery"},
]
SETTING = {"cpu": "a", "seed": 0}


def question(text: str, task: str = "task", task_type: TaskType = TaskType.GENERATION) -> QuestionRow:
    return QuestionRow(text, "?", task, task_type, "rougel", task_type is TaskType.MULTIPLE_CHOICE, "track")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    items = "\n".join(f"{number}. lamp {number}" for number in range(1, 6))
    rows = [{**row, "input_field": f"Question {index}: which lamp?\n{items}"} for index, row in enumerate(ROWS)]
    path = tmp_path / "questions.json"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def tiny_weights(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SHOPALIGN_WEIGHTS", str(tiny_folder))
    return tiny_folder


def run(name: str, *arguments: object) -> int:
    main: Callable[[Sequence[str]], int] = importlib.import_module(f"benchmarks.{name}").main
    return exit_code(lambda: main([str(argument) for argument in arguments]))


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("name", [*NAMES, *WITH_THEIR_OWN_ARGUMENTS])
def test_help_explains_the_benchmark_and_shows_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(name, "--help")
    shown = capsys.readouterr().out
    assert stopped.value.code == 0
    assert f"python -m benchmarks.{name}" in shown.partition("examples:")[2]
    assert f"benchmarks/results/{name}.json" in "".join(shown.split())


@pytest.mark.parametrize("name", [name for name in NAMES if name != "hostile_prompts"])
def test_missing_data_is_one_sentence_and_exit_code_2(
    name: str, tmp_path: Path, tiny_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(name, "--data", tmp_path / "none.json", "--results", tmp_path / "r.json") == 2
    assert "none.json does not exist" in capsys.readouterr().err


def test_missing_weights_are_told_with_the_remedy(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SHOPALIGN_WEIGHTS", str(tmp_path / "nowhere"))
    for name in ("compare_recipes", "floor", "scoring_against_decoding", "footprint", "held_out"):
        assert run(name, "--data", data, "--results", tmp_path / "r.json") == 2
        assert "no model weights at" in capsys.readouterr().err


def test_recipes_are_chosen_by_name_in_one_order() -> None:
    assert recipe_names("shopalign, kit") == ("kit", "shopalign")


def test_an_unknown_recipe_is_refused(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        run("compare_recipes", "--data", data, "--recipes", "kit,best")
    assert stopped.value.code == 2
    assert "unknown recipe 'best'; choose from kit,digits,untuned,shopalign" in capsys.readouterr().err


def test_a_finished_part_is_not_measured_again(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    assert Results(path, SETTING, fresh=False).part({"a": 1}, lambda: {"seconds": 3}) == {"seconds": 3}
    again = Results(path, SETTING, fresh=False).part({"a": 1}, lambda: pytest.fail("measured twice"))
    assert again == {"seconds": 3}


@pytest.mark.parametrize(
    ("inputs", "setting", "fresh"),
    [({"a": 2}, SETTING, False), ({"a": 1}, {**SETTING, "cpu": "b"}, False), ({"a": 1}, SETTING, True)],
)
def test_other_inputs_another_machine_or_fresh_measure_anew(
    tmp_path: Path, inputs: Mapping[str, int], setting: Mapping[str, object], fresh: bool
) -> None:
    path = tmp_path / "r.json"
    Results(path, SETTING, fresh=False).part({"a": 1}, lambda: {"seconds": 3})
    assert Results(path, setting, fresh=fresh).part(inputs, lambda: {"seconds": 4}) == {"seconds": 4}


def test_parts_finished_before_an_interruption_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    results = Results(path, SETTING, fresh=False)
    results.part({"a": 1}, lambda: {"seconds": 3})

    def interrupted() -> dict[str, Any]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        results.part({"a": 2}, interrupted)
    assert [part["result"] for part in read(path)["parts"].values()] == [{"seconds": 3}]


@pytest.mark.parametrize("content", ["", "[]", "{}", "no json"])
def test_a_file_that_holds_no_results_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "r.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=r"r\.json holds no results of a benchmark .*: remove it or give --fresh"):
        Results(path, SETTING, fresh=False)


def test_a_key_depends_on_values_and_not_on_their_order() -> None:
    assert content_key({"a": 1, "b": 2}) == content_key({"b": 2, "a": 1}) != content_key({"a": 2, "b": 1})


def test_changed_code_changes_the_digest(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1", encoding="utf-8")
    before = source_digest(("*.py",), tmp_path)
    (tmp_path / "a.py").write_text("2", encoding="utf-8")
    assert source_digest(("*.py",), tmp_path) != before


def test_the_package_itself_is_in_its_digest() -> None:
    assert source_digest() != source_digest(("prompts/*.py",)) != source_digest(())


def test_the_processor_is_named_by_the_system(tmp_path: Path) -> None:
    listed = tmp_path / "cpuinfo"
    listed.write_text("processor\t: 0\nmodel name\t: Abacus 3000\n", encoding="utf-8")
    assert cpu_name(listed) == "Abacus 3000"
    assert cpu_name(tmp_path / "none")


def test_the_conditions_of_a_run_are_recorded() -> None:
    found = conditions(2, 7)
    assert (found["threads"], found["seed"], found["cpu"]) == (2, 7, cpu_name())
    assert {"python", "shopalign", "torch", "transformers"} <= set(found["versions"])


def test_a_table_sets_numbers_flush_right(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("recipe", "seconds"), [("kit", "205.0"), ("shopalign", "9.5")])
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == ["recipe     seconds", "kit          205.0", "shopalign      9.5"]


def test_the_floor_is_two_operations_a_parameter_and_token() -> None:
    from benchmarks.floor import Floor

    floor = Floor(question_tokens=10_000, parameters=100_000_000, flop_per_second=8e10)
    assert floor.flop == 2e12
    assert floor.seconds == 25.0


def test_the_floor_counts_layers_and_no_embedding(tiny_folder: Path) -> None:
    from benchmarks.floor import count_parameters

    config = read(tiny_folder / "config.json")
    hidden, mlp = config["hidden_size"], config["intermediate_size"]
    keys = config["num_key_value_heads"] * hidden // config["num_attention_heads"]
    layer = 2 * hidden * hidden + 2 * hidden * keys + 3 * hidden * mlp + 2 * hidden
    assert count_parameters(tiny_folder) == config["num_hidden_layers"] * layer + hidden


def test_the_floor_counts_the_tokens_of_the_bare_questions(tiny_folder: Path) -> None:
    from benchmarks.floor import count_tokens

    assert count_tokens(tiny_folder, ["12"]) == 2
    assert count_tokens(tiny_folder, ["12", "345", ""]) == 5


def test_the_best_of_several_runs_counts_and_no_warm_up() -> None:
    from benchmarks.floor import best_seconds

    calls: list[int] = []
    assert best_seconds(lambda: calls.append(1), warm_ups=2, runs=3) >= 0
    assert len(calls) == 5


def test_the_recipes_are_measured_once_and_reported_side_by_side(
    data: Path, tmp_path: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "r.json"
    arguments = ("--data", data, "--limit", 4, "--results", path, "--threads", 1)
    assert run("compare_recipes", *arguments) == 0
    first = read(path)
    assert [row["recipe"] for row in first["report"]["recipes"]] == ["kit", "digits", "untuned", "shopalign"]
    kit, _, _, shopalign = first["report"]["recipes"]
    assert kit["times_as_fast"] == 1.0
    assert shopalign["times_as_fast"] == pytest.approx(kit["seconds"] / shopalign["seconds"])
    assert shopalign["share_of_floor"] == pytest.approx(first["report"]["floor"]["seconds"] / shopalign["seconds"])
    assert "times as fast as kit" in capsys.readouterr().out
    monkeypatch.setattr("benchmarks.recipes.RECIPES", {})
    assert run("compare_recipes", *arguments) == 0
    assert read(path)["parts"] == first["parts"]


def test_the_digits_recipe_writes_a_digit_and_then_digits_and_commas(tiny_weights: Path) -> None:
    from benchmarks.recipes import DigitsRecipe

    recipe = DigitsRecipe(load_settings())
    listed = "Rank the products for the query 'lamp'.\n1. a\n2. b\n3. c\n4. d\n5. e\nOutput:"
    choice = recipe.batch_predict({"prompt": ["Which?\n0. a\n1. b", "x"]}, True)
    assert all(len(answer) == 1 and answer.isdecimal() for answer in choice)
    ranked, written = recipe.batch_predict({"prompt": [listed, "Describe the lamp."]}, False)
    assert ranked[0].isdecimal()
    assert set(ranked) <= set("0123456789,")
    assert len(ranked) <= 9
    assert written != ranked


def test_a_number_begins_with_a_digit_and_may_end_later(tiny_weights: Path) -> None:
    import torch

    from benchmarks.recipes import DigitsOnly, NumberTokens, Writer

    writer = Writer(load_settings().engine)
    only, prompt = DigitsOnly(NumberTokens(writer)), torch.zeros(1, 7, dtype=torch.long)
    scores = torch.zeros(1, writer.model.config.vocab_size)

    def allowed(ids: torch.Tensor) -> set[str]:
        return {writer.tokenizer.decode([token]) for token in only(ids, scores)[0].isfinite().nonzero().flatten()}

    assert allowed(prompt) == set("0123456789")
    assert allowed(torch.zeros(1, 8, dtype=torch.long)) == {*"0123456789,", writer.tokenizer.eos_token}


def test_the_kit_recipe_writes_one_token_for_a_choice(tiny_weights: Path, tiny_model: Any) -> None:
    import torch

    from benchmarks.recipes import KIT_SYSTEM, KitRecipe

    recipe = KitRecipe(load_settings())
    (answer,) = recipe.batch_predict({"prompt": ["Which lamp?"]}, True)
    ids = tiny_model.encode(f"{KIT_SYSTEM}\n\nWhich lamp?")
    logits = tiny_model.model(input_ids=torch.tensor([ids])).logits
    expected = int(logits[0, -1].argmax())
    assert answer == tiny_model.tokenizer.decode([expected], skip_special_tokens=True)


def test_padding_does_not_change_what_the_kit_recipe_writes(tiny_weights: Path) -> None:
    from benchmarks.recipes import KitRecipe

    recipe = KitRecipe(load_settings())
    texts = ["Which lamp?", "Which of these lamps is the one that the customer buys? " * 3]
    alone = [recipe.batch_predict({"prompt": [text]}, True)[0] for text in texts]
    assert recipe.batch_predict({"prompt": texts}, True) == alone


def test_every_way_of_scoring_is_compared_with_decoding(
    data: Path, tmp_path: Path, tiny_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "r.json"
    assert run("scoring_against_decoding", "--data", data, "--results", path, "--threads", 1) == 0
    report = read(path)["report"]
    assert [row["way"] for row in report["ways"]] == ["label", "text", "pmi", "decode", "orders"]
    assert report["ways"][3]["times_as_fast_as_decode"] == 1.0
    assert all(row["scores"]["tasks"].keys() == {"options", "shelf", "order"} for row in report["ways"])
    assert "choose alike in" in capsys.readouterr().out


def test_agreement_looks_at_multiple_choice_only() -> None:
    types = [TaskType.MULTIPLE_CHOICE, TaskType.MULTIPLE_CHOICE, TaskType.RANKING]
    asked = [question(str(index), task_type=kind) for index, kind in enumerate(types)]
    assert agreement_of(asked, ["1", "2", "1,2"], ["1", "3", "2,1"]) == 0.5
    assert agreement_of(asked[2:], ["1"], ["1"]) is None


def test_only_questions_with_options_are_scored_against_decoding() -> None:
    asked = [question("a"), question("b", task_type=TaskType.RETRIEVAL)]
    assert with_options(asked) == asked[1:]
    with pytest.raises(UserError, match="name another --data"):
        with_options(asked[:1])


def test_the_model_alone_is_compared_without_any_evidence() -> None:
    assert set(asdict(settings_in_use(model_alone=True).knowledge.fuse).values()) == {False}
    assert settings_in_use(model_alone=False) == unhurried(load_settings())


def test_a_way_is_used_for_choices_and_selections() -> None:
    engine = answered_by(Settings(), "label").engine
    assert (engine.choice, engine.selection) == ("label", "label")


def detected(true: TaskType, found: TaskType, line: int = 1) -> Detected:
    return Detected(Labelled(line, f"prompt {line}", true is TaskType.MULTIPLE_CHOICE, true), found)


def test_detection_is_counted_by_type_with_and_without_multiple_choice() -> None:
    choice, rank, find = TaskType.MULTIPLE_CHOICE, TaskType.RANKING, TaskType.RETRIEVAL
    report = summarise([detected(choice, choice), detected(rank, find, 2), detected(rank, rank), detected(find, find)])
    assert report["all"] == {"prompts": 4, "right": 3, "accuracy": 0.75}
    assert report["without_multiple_choice"] == {"prompts": 3, "right": 2, "accuracy": 2 / 3}
    assert report["task_types"]["ranking"]["accuracy"] == 0.5
    assert report["confusion"]["ranking"]["retrieval"] == 1
    assert [miss["line"] for miss in report["misses"]] == [2]


def test_the_wordings_of_the_tests_are_the_default(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "r.json"
    assert run("detection_accuracy", "--limit", 20, "--results", path) == 0
    assert read(path)["report"]["all"]["prompts"] == 20
    assert "prompts missed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("[]", "no JSON object"),
        ('{"task_type": "ranking"}', "field 'prompt'"),
        ('{"prompt": "a", "task_type": "sorting"}', "field 'task_type' is 'sorting'"),
        ('{"prompt": "a", "task_type": "ranking", "is_multiple_choice": 1}', "field 'is_multiple_choice' is 1"),
    ],
)
def test_a_faulty_labelled_prompt_is_told_by_line_and_field(tmp_path: Path, line: str, complaint: str) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"prompt": "a", "task_type": "ranking"}\n' + line, encoding="utf-8")
    with pytest.raises(UserError, match=rf"p\.jsonl, line 2: {complaint}"):
        read_labelled(path)


def test_multiple_choice_follows_from_the_type_where_it_is_not_given(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"input_field": "a", "task_type": "multiple-choice"}\n{"prompt": "b", "task_type": "ranking"}')
    assert [prompt.is_multiple_choice for prompt in read_labelled(path)] == [True, False]


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_prompts_are_the_same_for_the_same_seed(kind: str) -> None:
    def made(seed: int) -> list[str]:
        generator = random.Random(seed)
        return [hostile_prompt(kind, generator, ["Which lamp?\n1. a\n2. b", "Rank\n1. c"]) for _ in range(20)]

    assert made(1) == made(1)
    assert len(set(made(1))) > 1


class Answering:
    """A model that gives one fixed answer, or raises it."""

    def __init__(self, answer: object) -> None:
        self._answer = answer

    def get_batch_size(self) -> int:
        return 1

    def batch_predict(self, batch: Mapping[str, Sequence[str]], is_multiple_choice: bool) -> list[str]:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("answer", "exceptions", "invalid"),
    [(ValueError("no"), 10, 0), (None, 0, 10), (["1", "2"], 0, 10), ([""], 0, 10)],
)
def test_exceptions_and_answers_that_do_not_count_are_counted(answer: object, exceptions: int, invalid: int) -> None:
    tally = ask_hostile(Answering(answer), 10, random.Random(0), ["Which lamp?"])
    assert (tally.prompts, tally.exceptions, tally.invalid) == (10, exceptions, invalid)
    assert len(tally.troubles) == 10


def test_a_flaw_is_what_the_evaluator_cannot_read() -> None:
    assert flaw_of(["2"], "Which?\n1. a\n2. b", True) is None
    assert flaw_of(["Answer: 2"], "Which?\n1. a\n2. b", True)
    assert flaw_of([" "], "Describe the lamp.", False)


def test_parts_of_a_hostile_run_are_summed(tmp_path: Path) -> None:
    def part(slowest: float, kind: str) -> dict[str, Any]:
        tally = ask_hostile(Answering(["1"]), 2, random.Random(0), ["Which lamp?"])
        counted = {**tally.to_json(), "fallbacks": {"engine failed": 1}}
        return {**counted, "slowest_prompt_seconds": slowest, "slowest_prompt_kind": kind}

    report = merged([part(1.0, "noise"), part(2.0, "nothing")])
    assert (report["prompts"], report["fallbacks"]) == (4, {"engine failed": 2})
    assert (report["slowest_prompt_seconds"], report["slowest_prompt_kind"]) == (2.0, "nothing")


def test_hostile_prompts_go_through_the_package_without_a_model(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    code = run("hostile_prompts", "--count", 40, "--results", path)
    report = read(path)["report"]
    assert (report["prompts"], report["exceptions"]) == (40, 0)
    assert code == (1 if report["invalid_answers"] else 0)


def test_memory_and_start_are_judged_against_their_limits(capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks.footprint import GIB, print_footprint

    print_footprint(2 * GIB, [12.0, 4.0])
    print_footprint(4 * GIB, [12.0, 11.0])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines if line.startswith(("peak", "second"))] == ["within"] * 2 + ["OVER"] * 2


def test_held_out_questions_are_compared_with_intervals_and_resumed(
    data: Path, tmp_path: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "r.json"
    arguments = ("--data", data, "--results", path, "--threads", 1, "--set", "engine.choice=label", "--compare")
    assert run("held_out", *arguments) == 0
    first = read(path)
    rows = {row["task"]: row for row in first["report"]["tasks"]}
    assert set(rows) == {"options", "shelf", "order", "phrase"}
    assert set(rows["options"]["scores"]) == {"settings in use", "changed"}
    assert rows["shelf"]["difference"] == [0.0, 0.0, 0.0]
    assert first["report"]["overall"]["scores"]["changed"][0] == pytest.approx(
        np.mean([row["scores"]["changed"][0] for row in rows.values()])
    )
    assert "mean over tasks" in capsys.readouterr().out
    monkeypatch.setattr("benchmarks.held_out.ShopBenchModel", lambda _: pytest.fail("measured twice"))
    assert run("held_out", *arguments) == 0
    assert read(path)["parts"] == first["parts"]


def test_fallbacks_are_told_apart_by_task(tmp_path: Path) -> None:
    failing = ScriptedEngine(lambda prompt: Answer("outside the space"))
    model = ShopBenchModel(Settings(), failing)
    tasks = {name: [question(f"Which is {name}?\n1. a\n2. b", name, TaskType.MULTIPLE_CHOICE)] for name in "xy"}
    parts = {name: ask_questions(lambda: model, asked) for name, asked in tasks.items()}
    assert [sum(part["fallbacks"].values()) for part in parts.values()] == [1, 1]


def test_a_comparison_needs_a_change(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("held_out", "--data", data, "--compare", "--results", tmp_path / "r.json") == 2
    assert "give --set NAME=VALUE" in capsys.readouterr().err
