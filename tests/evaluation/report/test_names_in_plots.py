import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.report.svg import shortened, width_of

SIZE, WIDEST = 10, 160.0


@pytest.mark.filterwarnings("ignore:Glyph")
@settings(deadline=None)
@given(st.text(max_size=200))
def test_no_name_is_wider_than_its_room(name: str) -> None:
    assert 0 < width_of(shortened(name, SIZE, WIDEST), SIZE) <= WIDEST


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("same_product_other_language", "same product other language"),
        ("$x$ of _y", "$x$ of  y"),
        ("", "-"),
        ("W" * 30, "WWWWWWWW…WWWWWWW"),
        ("語" * 30, "語語語語語語語語…語語語語語語語"),
        ("a name whose end says which of several it is: 2", "a name whose en…veral it is: 2"),
        ("one" * 99 + " 2", "oneoneoneone…eoneoneone 2"),
    ],
)
def test_a_name_is_cut_in_its_middle_and_only_where_it_has_no_room(name: str, shown: str) -> None:
    assert shortened(name, SIZE, WIDEST) == shown
