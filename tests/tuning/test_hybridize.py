"""Hybridising: each method by hand, layers, exact ends, streaming, adapters, bad input."""

import json
import resource
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from models.engines.transformers_engine.loading import load_causal_lm
from tests.tiny_model import save_tiny_model
from tests.tuning.hybridizing import Make, assert_refused, child_of
from tuning import hybridize
from tuning.merging import full_weights
from tuning.merging.checkpoint import Checkpoint
from tuning.merging.folder import write_tensors
from tuning.merging.gradient_slerp import GradientSlerp, spread
from tuning.merging.linear import Linear
from tuning.merging.method import Method, Place, mixed
from tuning.merging.places import places
from tuning.merging.recipe import read_recipe
from tuning.merging.slerp import Slerp
from tuning.merging.wise_ft import WiseFt
from utilities.errors import UserError, exit_code
from utilities.files import ROOT

RECIPES = ROOT / "tuning" / "recipes"
FIVE = (0.0, 0.5, 0.3, 0.7, 1.0)
LAYERS = 3


def mix(method: Method, *tensors: list[float], place: Place | None = None) -> list[float]:
    values: list[float] = mixed(method, place or Place(), [torch.tensor(each) for each in tensors]).tolist()
    return [round(value, 4) for value in values]


# Each method, worked out by hand.


def test_slerp_stays_on_the_arc() -> None:
    assert mix(Slerp(0.5), [1.0, 0.0], [0.0, 1.0]) == [0.7071, 0.7071]
    assert mix(Slerp(1 / 3), [1.0, 0.0], [0.0, 1.0]) == [0.866, 0.5]  # 30 degrees from the first


def test_slerp_of_unequal_lengths_keeps_each_one_s_length() -> None:
    assert mix(Slerp(0.5), [2.0, 0.0], [0.0, 1.0]) == [1.4142, 0.7071]
    # 60 degrees apart: sin 30 / sin 60 = 0.5774 of each.
    assert mix(Slerp(0.5), [4.0, 0.0], [0.5, 0.8660254]) == [round(0.57735 * 4.5, 4), 0.5]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([1.0, 0.0], [-3.0, 0.0], [0.0, 0.0]),  # opposite: 0.75 - 0.75
        ([1.0, 2.0], [3.0, 6.0], [1.5, 3.0]),  # one direction
        ([0.0, 0.0], [4.0, 8.0], [1.0, 2.0]),  # no direction
    ],
)
def test_slerp_averages_where_there_is_no_arc(first: list[float], second: list[float], expected: list[float]) -> None:
    assert mix(Slerp(0.25), first, second) == expected


def test_a_whole_matrix_is_one_vector() -> None:
    first, second = torch.tensor([[3.0, 0.0], [0.0, 4.0]]), torch.tensor([[0.0, 3.0], [4.0, 0.0]])
    assert torch.allclose(mixed(Slerp(0.5), Place(), [first, second]), (first + second) * 0.70710678)


def test_the_angle_of_long_tensors_is_right() -> None:
    torch.manual_seed(0)
    first = torch.randn(4_000_000)
    second = first + 0.2 * torch.randn(4_000_000)
    exact = Slerp(0.3).mix([first.double(), second.double()], (0.7, 0.3))
    assert torch.allclose(mixed(Slerp(0.3), Place(), [first, second]).double(), exact, rtol=1e-5, atol=1e-6)


def test_linear_weighs_by_proportions() -> None:
    assert mix(Linear((2.0, 1.0, 1.0)), [4.0, 0.0], [0.0, 4.0], [8.0, 8.0]) == [4.0, 3.0]
    assert mix(Linear(), [3.0], [6.0], [0.0]) == [3.0]


def test_wise_ft_goes_from_base_to_tuned() -> None:
    assert mix(WiseFt(0.25), [2.0, -4.0], [6.0, 4.0]) == [3.0, -2.0]


def test_gradient_slerp_takes_its_own_t_at_each_place() -> None:
    method = GradientSlerp(attention=(0.0, 1.0), mlp=(1.0, 0.0), elsewhere=0.5)
    shares = {part: method.shares(Place(part, 0.25), 2)[1] for part in ("attention", "mlp", "elsewhere")}
    assert shares == {"attention": 0.25, "mlp": 0.75, "elsewhere": 0.5}
    assert mix(method, [1.0, 0.0], [0.0, 1.0], place=Place("mlp", 0.25)) == [0.3827, 0.9239]  # 67.5 degrees


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        (1, [0.0]),
        (2, [0.0, 1.0]),
        (4, [0.0, 13 / 30, 17 / 30, 1.0]),
        (5, [0.0, 0.5, 0.3, 0.7, 1.0]),
        (9, [0.0, 0.25, 0.5, 0.4, 0.3, 0.5, 0.7, 0.85, 1.0]),
    ],
)
def test_five_anchors_are_spread_over_any_number_of_layers(layers: int, expected: list[float]) -> None:
    names = [f"model.layers.{index}.self_attn.q_proj.weight" for index in range(layers)]
    assert [spread(FIVE, place.depth) for place in places(names).values()] == pytest.approx(expected, abs=1e-12)


def test_places_are_told_by_names() -> None:
    found = places(
        [
            "model.embed_tokens.weight",
            "model.layers.0.input_layernorm.weight",
            "model.layers.1.self_attn.qkv_proj.weight",
            "model.layers.10.mlp.gate_up_proj.weight",
        ]
    )
    assert list(found.values()) == [Place(), Place(), Place("attention", 0.1), Place("mlp", 1.0)]


numbers = st.lists(st.floats(-100, 100, width=32), min_size=3, max_size=3)


@given(numbers, st.floats(0, 1))
@example([0.0, 0.0, 4.793001267376604e-41], 0.5)
def test_equal_parents_have_themselves_as_child(values: list[float], t: float) -> None:
    tensor = torch.tensor(values)
    for method in (Slerp(t), Linear((1 - t, t)), WiseFt(t), GradientSlerp(elsewhere=t)):
        assert torch.equal(mixed(method, Place(), [tensor, tensor]), tensor)


@given(numbers, numbers, st.floats(0, 1))
def test_the_child_of_swapped_parents_at_one_minus_t_is_the_same(a: list[float], b: list[float], t: float) -> None:
    first, second = torch.tensor(a), torch.tensor(b)
    one, other = (
        mixed(Slerp(share), Place(), pair) for share, pair in ((t, [first, second]), (1 - t, [second, first]))
    )
    assert torch.allclose(one, other, rtol=1e-3, atol=1e-3)


# Full weights.


def bits(folder: Path) -> dict[str, bytes]:
    tensors: dict[str, torch.Tensor] = {}
    for path in folder.glob("*.safetensors"):
        tensors |= load_file(path)
    return {name: bytes(tensor.flatten().view(torch.uint8).numpy()) for name, tensor in tensors.items()}


@pytest.fixture(scope="module")
def parents(_one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> dict[torch.dtype, tuple[Path, Path]]:
    """Two models of each dtype; a number of each tensor is the negative zero, which sums lose."""
    made = {}
    for dtype in (torch.float32, torch.bfloat16):
        folders = tmp_path_factory.mktemp("a"), tmp_path_factory.mktemp("b")
        for seed, folder in enumerate(folders):
            save_tiny_model(folder, num_hidden_layers=LAYERS)
            torch.manual_seed(seed)
            tensors = load_file(folder / "model.safetensors")
            changed = {name: (each + 0.1 * torch.randn_like(each)).to(dtype) for name, each in tensors.items()}
            for tensor in changed.values():
                tensor.view(-1)[0] = -0.0
            save_file(changed, folder / "model.safetensors", metadata={"format": "pt"})
        made[dtype] = folders
    return made


@pytest.fixture
def pair(parents: dict[torch.dtype, tuple[Path, Path]], tmp_path: Path) -> tuple[Path, Path]:
    """Copies of the float32 parents, to be damaged."""
    copies = tmp_path / "a", tmp_path / "b"
    for folder, copy in zip(parents[torch.float32], copies, strict=True):
        shutil.copytree(folder, copy)
    return copies


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Run the command and return the child's folder."""

    return partial(child_of, tmp_path)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("end", [0, 1])
@pytest.mark.parametrize(
    "recipe",
    [
        "{{method: slerp, t: {t}}}",
        "{{method: gradient_slerp, attention: [{t}], mlp: [{t}, {t}], elsewhere: {t}}}",
        "{{method: linear, weights: [{rest}, {t}]}}",
        "{{method: wise_ft, share: {t}}}",
    ],
)
def test_the_ends_are_the_parents_bit_for_bit(
    make: Make, parents: dict[torch.dtype, tuple[Path, Path]], recipe: str, end: int, dtype: torch.dtype
) -> None:
    first, second = parents[dtype]
    child = make(recipe.format(t=end, rest=1 - end), second, base=first)
    assert bits(child) == bits((first, second)[end])


def test_a_child_loads_and_has_the_gradient_of_its_layers(
    make: Make, parents: dict[torch.dtype, tuple[Path, Path]]
) -> None:
    first, second = parents[torch.bfloat16]
    child = make("method: gradient_slerp", first, second)
    a, b, c = (load_file(folder / "model.safetensors") for folder in (first, second, child))
    expected = {"layers.0.self_attn.k_proj": a, "layers.2.self_attn.k_proj": b, "layers.0.mlp.up_proj": b}
    for module, parent in expected.items():
        assert torch.equal(c[f"model.{module}.weight"], parent[f"model.{module}.weight"])
    assert not any(torch.equal(c[name], each[name]) for name in c if "norm" in name for each in (a, b))
    assert {tensor.dtype for tensor in c.values()} == {torch.bfloat16}
    assert load_causal_lm(child, torch.float32, "cpu") is not None


def test_the_first_parent_s_files_go_along_and_the_record_says_what_was_done(
    make: Make, pair: tuple[Path, Path]
) -> None:
    (pair[1] / "config.json").write_text((pair[1] / "config.json").read_text() + "\n")
    (pair[0] / "shopalign.json").write_text("{}")
    child = make("{method: slerp, t: 0.25}", *pair)
    copied = {path.name for path in pair[0].iterdir()} - {"shopalign.json"}
    assert {path.name for path in child.iterdir()} == copied | {"hybrid.json"}
    for name in copied - {"model.safetensors"}:
        assert (child / name).read_bytes() == (pair[0] / name).read_bytes()
    record = json.loads((child / "hybrid.json").read_text())
    assert record["recipe"] == {"method": "slerp", "t": 0.25, "rank": 0}
    assert [each["name"] for each in record["mixed"]] == ["a", "b"]
    assert len({each["fingerprint"] for each in record["mixed"]}) == len(set(record["sha256"])) == 2
    assert (child / "model.safetensors").stat().st_mode & 0o777 == 0o644


def test_large_results_are_several_files_with_an_index(
    make: Make, parents: dict[torch.dtype, tuple[Path, Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = bits(make("method: slerp", *parents[torch.float32]))
    monkeypatch.setattr(full_weights, "FILE_BYTES", 60_000)
    child = make("method: slerp", *parents[torch.float32])
    files = sorted(child.glob("*.safetensors"))
    assert len(files) > 3
    assert files[0].name == f"model-00001-of-{len(files):05d}.safetensors"
    index = json.loads((child / "model.safetensors.index.json").read_text())
    assert bits(child) == whole
    assert index["weight_map"] == {name: path.name for path in files for name in load_file(path)}
    assert index["metadata"]["total_size"] == sum(map(len, whole.values()))
    parent = child.rename(tmp_path / "parent")
    assert bits(make("{method: slerp, t: 0.0}", parent, parents[torch.float32][0])) == whole  # read by its index


def test_names_are_split_in_order() -> None:
    sizes = {"a": 4, "b": 6, "c": 1, "d": 30, "e": 5}
    assert full_weights.split(sizes, 10) == [["a", "b"], ["c"], ["d"], ["e"]]


def test_tensors_are_read_once_and_written_before_the_next_file_s_are_read(
    make: Make, parents: dict[torch.dtype, tuple[Path, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    read, write = Checkpoint.read, write_tensors

    def reading(checkpoint: Checkpoint, name: str) -> torch.Tensor:
        events.append(name)
        return read(checkpoint, name)

    def writing(path: Path, tensors: dict[str, torch.Tensor]) -> None:
        events.append("written")
        assert sum(tensor.nbytes for tensor in tensors.values()) <= 60_000 or len(tensors) == 1
        write(path, tensors)

    monkeypatch.setattr(Checkpoint, "read", reading)
    monkeypatch.setattr(full_weights, "write_tensors", writing)
    monkeypatch.setattr(full_weights, "FILE_BYTES", 60_000)
    child = make("method: slerp", *parents[torch.float32])
    assert events.count("written") == len(list(child.glob("*.safetensors")))
    names = [name for name in events if name != "written"]
    assert names == [name for name in names[::2] for _ in range(2)]  # both parents' tensor, then the next one
    assert sorted(names[::2]) == sorted(bits(child))
    assert max(map(len, "".join("w" if name == "written" else "r" for name in events).split("w"))) < len(names) / 2


def test_mergekit_makes_the_same_child(pair: tuple[Path, Path], make: Make, tmp_path: Path) -> None:
    config: Any = pytest.importorskip("mergekit.config")
    merge: Any = pytest.importorskip("mergekit.merge")
    child = load_file(make("method: gradient_slerp", *pair) / "model.safetensors")
    anchors = [
        {"filter": "self_attn", "value": list(FIVE)},
        {"filter": "mlp", "value": [1, 0.5, 0.7, 0.3, 0]},
        {"value": 0.5},
    ]
    models = [{"model": str(folder)} for folder in pair]
    plan = {"merge_method": "slerp", "base_model": str(pair[0]), "models": models, "parameters": {"t": anchors}}
    options = merge.MergeOptions(quiet=True, write_model_card=False)
    merge.run_merge(config.MergeConfiguration.model_validate(plan), str(tmp_path / "theirs"), options)
    theirs = load_file(tmp_path / "theirs" / "model.safetensors")
    assert child.keys() == theirs.keys()
    for name, tensor in child.items():
        assert torch.allclose(tensor, theirs[name], rtol=1e-4, atol=1e-6), name


# Bad input: full weights, recipes.


def _rewrite(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def _cut_file(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:5000])


def _quantised(folder: Path) -> None:
    (folder / "config.json").write_text('{"quantization_config": {"quant_method": "awq"}}')


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
        (_cut_file, "model.safetensors cannot be read"),
        (_quantised, "name the dense ones"),
        (_missing_file, "model-00001-of-00002.safetensors cannot be read"),
        (_single_beside_index, "model.safetensors, which is loaded first, and model.safetensors.index.json"),
        (_several_without_index, "holds 2 safetensors files and no model.safetensors.index.json"),
        (lambda folder: (folder / "model.safetensors").unlink(), "holds no safetensors file"),
        (lambda folder: (folder / "config.json").unlink(), "name an adapter or a model"),
        (shutil.rmtree, "name an adapter or a model"),
        (lambda folder: _rewrite(folder, lambda t: t.pop("model.norm.weight")), "model.norm.weight, which .*b lacks"),
        (_norm(torch.ones(65)), "model.norm.weight is 64 in .*a and 65 in .*b"),
        (_norm(torch.full((64,), float("nan"))), "b/model.safetensors: model.norm.weight holds NaN or infinity"),
        (_norm(torch.full((64,), float("inf"))), "b/model.safetensors: model.norm.weight holds NaN or infinity"),
        (_norm(torch.ones(64).bfloat16()), "model.norm.weight is F32 in .*a and BF16 in .*b: load one of them"),
    ],
)
def test_an_unusable_parent_is_one_sentence_and_leaves_nothing(
    pair: tuple[Path, Path], tmp_path: Path, damage: Callable[[Path], None], words: str
) -> None:
    damage(pair[1])
    assert_refused(tmp_path, pair, words)


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ("method: ties", "choose one of: gradient_slerp, slerp, linear, wise_ft"),
        ("t: 0.5", "method: not given"),
        ("{method: slerp, share: 0.5}", "unknown key share; known ones: t"),
        ("{method: slerp, t: 1.5}", "from 0 to 1"),
        ("{method: gradient_slerp, mlp: []}", "mlp is empty"),
        ("{method: linear, weights: [0, 0]}", "one of them above 0"),
        ("{method: linear, weights: [1, 1, 1]}", "weights has 3 values and 2 models"),
        ("{method: wise_ft, share: 0.5}", "name the base by --base and one by --parents"),
        ("{method: slerp, rank: 8}", "full weights have none"),
        ("{method: slerp, rank: -1}", "rank is -1"),
    ],
)
def test_a_wrong_recipe_is_one_sentence(make: Make, pair: tuple[Path, Path], recipe: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        make(recipe, *pair)


def test_two_models_are_mixed_along_an_arc_not_three(make: Make, pair: tuple[Path, Path]) -> None:
    with pytest.raises(UserError, match="mixes two models, not 3"):
        make("method: slerp", *pair, pair[0])


def test_wise_ft_takes_no_second_parent_in_the_place_of_the_base(
    make: Make, parents: dict[torch.dtype, tuple[Path, Path]], pair: tuple[Path, Path], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"wise_ft goes from the base .* name the base by --base and one by --parents"):
        make("{method: wise_ft, share: 0.56}", *pair, base=parents[torch.float32][0])
    assert not list((tmp_path / "made").glob("*"))


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file of this process can grow beyond 100 kB, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_one_sentence_and_leaves_nothing(
    make: Make, pair: tuple[Path, Path], tmp_path: Path, full_disk: None
) -> None:
    with pytest.raises(UserError, match="make room or name another --output"):
        make("method: slerp", *pair)
    assert not list((tmp_path / "made").glob("*"))


def test_an_output_that_exists_is_left_alone(
    pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, output = RECIPES / "hybridize_slerp.yaml", tmp_path / "there"
    output.mkdir()
    arguments = ["--recipe", str(recipe), "--output", str(output), "--parents", *map(str, pair)]
    assert exit_code(lambda: hybridize.main(arguments)) == 2
    assert capsys.readouterr().err == f"error: --output {output} exists: move it away or name another folder\n"
    assert not list(output.iterdir())


def test_every_recipe_can_be_read() -> None:
    found = {path.name: read_recipe(path) for path in RECIPES.glob("hybridize_*.yaml")}
    assert {recipe.name for recipe in found.values()} == {"gradient_slerp", "slerp", "linear", "wise_ft"}
    assert found["hybridize_gradient_slerp.yaml"].method == GradientSlerp()
