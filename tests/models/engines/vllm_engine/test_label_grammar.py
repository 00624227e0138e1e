"""Lists of labels as grammars: different labels, the right number of them, in parts if the grammar is too large."""

from itertools import permutations, product

import pytest

from models.engines.vllm_engine.row_writers import label_grammar, labels_at_once, read_labels
from tests.models.engines.vllm_engine.fake_vllm import Grammar

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("labels", "count"), [("0 1 2 3", 1), ("1 2 3 4 5", 5), ("1 10 100", 2), ('a" b\\ ①', 3), ("7", 1)]
)
def test_a_grammar_admits_every_list_of_different_labels_and_nothing_else(labels: str, count: int) -> None:
    names = labels.split()
    grammar = Grammar(label_grammar(names, count))
    right = {" " + ", ".join(each) for each in permutations(names, count)}
    assert all(grammar.admits(each) for each in right)
    wrong = {" " + ", ".join(each) for size in range(5) for each in product(names, repeat=size)} - right
    assert not any(grammar.admits(each) for each in wrong)
    assert not any(grammar.admits(each[1:]) or grammar.admits(f"{each},") for each in right)


def test_a_list_that_goes_on_ends_in_a_comma() -> None:
    grammar = Grammar(label_grammar(["1", "12", "2"], 2, ends=False))
    assert grammar.admits(" 1, 12,")
    assert not grammar.admits(" 1, 12")


@pytest.mark.parametrize(
    ("labels", "count", "at_once"), [(5, 5, 5), (15, 3, 3), (10, 3, 3), (30, 4, 3), (100, 2, 2), (1000, 3, 1)]
)
def test_one_grammar_lists_as_many_labels_as_it_has_rules_for(labels: int, count: int, at_once: int) -> None:
    assert labels_at_once(labels, count) == at_once


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (" 1, 12, 2", ["1", "12", "2"]),
        (" 12,", ["12"]),
        (" 12, ", ["12"]),
        ("", []),
        (" 3", []),
        (" a,b, 2", ["a,b", "2"]),
    ],
)
def test_labels_are_read_from_a_list_that_may_break_off(text: str, found: list[str]) -> None:
    assert read_labels(text, ["1", "2", "12", "a,b"]) == found
