"""Bad input of `tuning.hybridize` is one sentence: unusable full weights, wrong recipes, a full disk, an old output."""

import resource
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.tuning.merging.hybridizing import Make, assert_refused
from tuning import hybridize
from utilities.errors import UserError, exit_code
from utilities.files import ROOT

pytestmark = pytest.mark.slow


def _rewrite(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def _cut_file(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:5000])


def _quantised(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "llama", "quantization_config": {"quant_method": "awq"}}')


def _single_beside_index(folder: Path) -> None:
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model-00001-of-00002.safetensors"}}')


def _missing_file(folder: Path) -> None:
    _single_beside_index(folder)
    (folder / "model.safetensors").unlink()


def _several_without_index(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    shutil.copyfile(folder / "model-00001-of-00002.safetensors", folder / "model-00002-of-00002.safetensors")


def _norm(values: torch.Tensor) -> Callable[[Path], None]:
    return lambda folder: _rewrite(folder, lambda tensors: tensors.update({"model.norm.weight": values}))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_cut_file, "model.safetensors is cut short"),
        (_quantised, "name the dense ones"),
        (_missing_file, "names model-00001-of-00002.safetensors, which is missing"),
        (_single_beside_index, "model.safetensors, which is loaded first, and model.safetensors.index.json"),
        (_several_without_index, "holds 2 shards and no model.safetensors.index.json"),
        (lambda folder: (folder / "model.safetensors").unlink(), "holds no safetensors file"),
        (lambda folder: (folder / "config.json").unlink(), "config.json is missing"),
        (shutil.rmtree, "name an adapter or a model"),
        (lambda folder: _rewrite(folder, lambda t: t.pop("model.norm.weight")), "model.norm.weight, which .*b lacks"),
        (_norm(torch.ones(65)), "model.norm.weight is 64 in .*a and 65 in .*b"),
        (_norm(torch.full((64,), float("nan"))), "b/model.safetensors: model.norm.weight holds NaN or infinity"),
        (_norm(torch.full((64,), float("inf"))), "b/model.safetensors: model.norm.weight holds NaN or infinity"),
        (_norm(torch.ones(64).bfloat16()), "model.norm.weight is F32 in .*a and BF16 in .*b: load one of them"),
    ],
)
def test_an_unusable_parent_is_one_sentence_and_leaves_nothing(
    full_pair: tuple[Path, Path], tmp_path: Path, damage: Callable[[Path], None], words: str
) -> None:
    damage(full_pair[1])
    assert_refused(tmp_path, full_pair, words)


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ("method: ties", "choose one of: gradient_slerp, slerp, linear, wise_ft"),
        ("t: 0.5", "method: not given"),
        ("{method: slerp, share: 0.5}", "unknown key share; known ones: t"),
        ("{method: slerp, t: 1.5}", "t is 1.5; it must be at most 1"),
        ("{method: gradient_slerp, mlp: []}", r"mlp is \[\]; Tuple should have at least 1 item"),
        ("{method: linear, weights: [0, 0]}", "one of them above 0"),
        ("{method: linear, weights: [1, 1, 1]}", "linear has 3 weights and 2 models"),
        ("{method: wise_ft, share: 0.5}", "name the base by --base and one by --parents"),
        ("{method: slerp, rank: 8}", "full weights have none"),
        ("{method: slerp, rank: -1}", "rank is -1"),
    ],
)
def test_a_wrong_recipe_is_one_sentence(make: Make, full_pair: tuple[Path, Path], recipe: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        make(recipe, *full_pair)


def test_two_models_are_mixed_along_an_arc_not_three(make: Make, full_pair: tuple[Path, Path]) -> None:
    with pytest.raises(UserError, match="mixes two models, not 3"):
        make("method: slerp", *full_pair, full_pair[0])


def test_wise_ft_takes_no_second_parent_in_the_place_of_the_base(
    make: Make, parents: dict[torch.dtype, tuple[Path, Path]], full_pair: tuple[Path, Path], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"wise_ft goes from the base .* name the base by --base and one by --parents"):
        make("{method: wise_ft, share: 0.56}", *full_pair, base=parents[torch.float32][0])
    assert not list((tmp_path / "made").glob("*"))


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file of this process can grow beyond 100 kB, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_one_sentence_and_leaves_nothing(
    make: Make, full_pair: tuple[Path, Path], tmp_path: Path, full_disk: None
) -> None:
    with pytest.raises(UserError, match="make room or name another --output"):
        make("method: slerp", *full_pair)
    assert not list((tmp_path / "made").glob("*"))


def test_an_output_that_exists_is_left_alone(
    full_pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, output = ROOT / "tuning" / "recipes" / "hybridize_slerp.yaml", tmp_path / "there"
    output.mkdir()
    arguments = ["--recipe", str(recipe), "--output", str(output), "--parents", *map(str, full_pair)]
    assert exit_code(lambda: hybridize.main(arguments)) == 2
    assert capsys.readouterr().err == f"error: --output {output} exists: move it or name another folder\n"
    assert not list(output.iterdir())
