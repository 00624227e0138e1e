"""Recipes: each answers in its own form, and all are measured once and compared."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.common import names_of
from models.engines.settings import EngineSettings
from models.settings import Settings, load_settings
from models.shopbench_model import ShopBenchModel
from retrieval.settings import KnowledgeSettings
from tests.benchmarks.commands import read, run

pytestmark = pytest.mark.slow


def test_the_recipes_are_measured_once_and_reported_side_by_side(
    data: Path, tmp_path: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "r.json"
    # The package's recipes need no process of an engine here: what is compared are answers and seconds.
    (tmp_path / "settings.yaml").write_text("engine: {name: scripted}\nknowledge: {similarity: lexical}\n")
    monkeypatch.setenv("SHOPALIGN_SETTINGS", str(tmp_path / "settings.yaml"))
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


def test_recipes_are_chosen_by_name_in_one_order() -> None:
    assert names_of(("kit", "digits", "shopalign"), "recipe")("shopalign, kit") == ("kit", "shopalign")


def test_an_unknown_recipe_is_refused(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        run("compare_recipes", "--data", data, "--recipes", "kit,best")
    assert stopped.value.code == 2
    assert "unknown recipe 'best'; choose from kit,digits,untuned,shopalign" in capsys.readouterr().err


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

    def allowed(ids: Any) -> set[str]:
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


def test_the_untuned_recipe_has_no_adapter() -> None:
    from benchmarks.recipes import untuned

    engine = EngineSettings(name="scripted", adapter="some/adapter")
    model = untuned(Settings(engine=engine, knowledge=KnowledgeSettings(similarity="lexical")))
    assert isinstance(model, ShopBenchModel)
    assert model.settings.engine.adapter == ""
