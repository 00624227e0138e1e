"""Lists of labels as grammars for vLLM's structured outputs: different labels, the right number of them."""

import json
from collections.abc import Sequence
from itertools import combinations
from math import comb

_MOST_RULES = 512  # a rule for each set of labels that may already stand there; more take long to compile


def labels_at_once(labels: int, count: int) -> int:
    """Return how many of `count` labels one grammar may list where there are so many `labels`."""
    rules = 0
    for size in range(count):
        rules += comb(labels, size)
        if rules > _MOST_RULES:
            return max(size, 1)
    return count


def label_grammar(labels: Sequence[str], count: int, *, ends: bool = True) -> str:
    """Return a grammar, in xgrammar's EBNF, of `count` different labels with commas between them.

    Every label has a space before it. Without `ends` a comma follows the last one, because the list goes on.
    """
    rules = [f'root ::= " " {_rule(())}']
    for size in range(count):
        for used in combinations(range(len(labels)), size):
            left = [index for index in range(len(labels)) if index not in used]
            last = size + 1 == count
            closing = "" if ends else ' ","'
            then = [closing if last else f' ", " {_rule((*used, index))}' for index in left]
            options = (f"{json.dumps(labels[index])}{after}" for index, after in zip(left, then, strict=True))
            rules.append(f"{_rule(used)} ::= {' | '.join(options)}")
    return "\n".join(rules) + "\n"


def read_labels(text: str, labels: Sequence[str]) -> list[str]:
    """Return the labels that `text` lists; what follows the last whole one is left out."""
    found: list[str] = []
    rest = text.strip()
    longest_first = sorted(labels, key=len, reverse=True)
    while label := next((each for each in longest_first if f"{rest},".startswith(f"{each},")), ""):
        found.append(label)
        rest = rest[len(label) + 1 :].strip()
    return found


def _rule(used: Sequence[int]) -> str:
    return "_".join(["after", *map(str, sorted(used))])
