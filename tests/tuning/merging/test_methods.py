"""Each way to mix weights, worked out by hand, and its layers."""

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from tuning.merging.method import Method, Place, mixed, places
from tuning.merging.methods import GradientSlerp, Linear, Slerp, WiseFt, spread
from tuning.merging.registry import read_recipe
from utilities.files import ROOT

pytestmark = pytest.mark.slow

FIVE = (0.0, 0.5, 0.3, 0.7, 1.0)


def mix(method: Method, *tensors: list[float], place: Place | None = None) -> list[float]:
    values: list[float] = mixed(method, place or Place(), [torch.tensor(each) for each in tensors]).tolist()
    return [round(value, 4) for value in values]


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


def test_every_recipe_can_be_read() -> None:
    found = {path.name: read_recipe(path) for path in (ROOT / "tuning" / "recipes").glob("hybridize_*.yaml")}
    assert {recipe.name for recipe in found.values()} == {"gradient_slerp", "slerp", "linear", "wise_ft"}
    assert found["hybridize_gradient_slerp.yaml"].method == GradientSlerp()
