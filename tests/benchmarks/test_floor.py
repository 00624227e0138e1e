"""The floor: tokens, parameters and the machine's rate."""

from pathlib import Path

import pytest

from tests.benchmarks.commands import read


def test_the_floor_is_two_operations_a_parameter_and_token() -> None:
    from benchmarks.floor import Floor

    floor = Floor(question_tokens=10_000, parameters=100_000_000, flop_per_second=8e10)
    assert floor.flop == 2e12
    assert floor.seconds == 25.0


@pytest.mark.slow
def test_the_floor_counts_layers_and_no_embedding(tiny_folder: Path) -> None:
    from benchmarks.floor import count_parameters

    config = read(tiny_folder / "config.json")
    hidden, mlp = config["hidden_size"], config["intermediate_size"]
    keys = config["num_key_value_heads"] * hidden // config["num_attention_heads"]
    layer = 2 * hidden * hidden + 2 * hidden * keys + 3 * hidden * mlp + 2 * hidden
    assert count_parameters(tiny_folder) == config["num_hidden_layers"] * layer + hidden


@pytest.mark.slow
def test_the_floor_counts_the_tokens_of_the_bare_questions(tiny_folder: Path) -> None:
    from benchmarks.floor import count_tokens

    assert count_tokens(tiny_folder, ["12"]) == 2
    assert count_tokens(tiny_folder, ["12", "345", ""]) == 5


def test_the_best_of_several_runs_counts_and_no_warm_up() -> None:
    from models.engines.transformers_engine.precision import best_seconds

    calls: list[int] = []
    assert best_seconds(lambda: calls.append(1), warm_ups=2, runs=3) >= 0
    assert len(calls) == 5
