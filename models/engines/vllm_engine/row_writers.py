"""Generators that write one row, request by request: text, or a list of labels under a grammar."""

import json
from collections.abc import Generator, Sequence
from itertools import combinations
from math import comb

from models.engines.answering.language_model import LanguageModel, WritingRow
from models.engines.answering.writing import text_is_complete, text_of
from models.engines.vllm_engine.requests import Reply, Request
from prompts.prompt import Choice, Selection, Text

Writer = Generator[Request, Reply, str]
"""Yields a request, receives the reply to it, and so on; it returns the row's text."""

_TOKENS_PER_TOKEN = 3  # a grammar fixes characters; the model may spell them in more tokens than the tokenizer does
_MOST_RULES = 512  # of one grammar: it has a rule for each set of labels already written, and more compile slowly


def writer_of(model: LanguageModel, row: WritingRow, replica: int) -> Writer:
    """Return the writer for a row's answer space; its requests go to the replica of this number."""
    if isinstance(row.space, Text):
        return _write_text(model, row, row.space, replica)
    return _write_labels(model, row, row.space, replica)


def _write_text(model: LanguageModel, row: WritingRow, space: Text, replica: int) -> Writer:
    reply = yield Request(
        row.prompt,
        limit=row.limit,
        ends=model.ends,
        is_complete=lambda tokens: text_is_complete(model, tokens, space),
        replica=replica,
    )
    return text_of(model, reply.tokens)


def _write_labels(model: LanguageModel, row: WritingRow, space: Choice | Selection, replica: int) -> Writer:
    """Write a list of labels, in parts if one grammar of the whole list would be too large."""
    prompt, left, chosen = list(row.prompt), list(space.labels), list[str]()
    count = space.count if isinstance(space, Selection) else 1
    while len(chosen) < count:
        missing = count - len(chosen)
        part = labels_at_once(len(left), missing)
        grammar = label_grammar(left, part, ends=part == missing)
        reply = yield Request(prompt, limit=_TOKENS_PER_TOKEN * row.limit, grammar=grammar, replica=replica)
        found = read_labels(reply.text, left)
        chosen += found
        if not reply.done or not found:
            break
        left = [label for label in left if label not in found]
        prompt = prompt + [token for token in reply.tokens if token not in model.ends]
    return ", ".join(chosen)


def labels_at_once(labels: int, count: int) -> int:
    """Return how many of `count` labels one grammar may list if there are `labels` labels to choose from."""
    rules = 0
    for size in range(count):
        rules += comb(labels, size)
        if rules > _MOST_RULES:
            return max(size, 1)
    return count


def label_grammar(labels: Sequence[str], count: int, *, ends: bool = True) -> str:
    """Return a grammar, in xgrammar's EBNF, of `count` different labels with commas between them.

    Every label has a space before it. With `ends` false a comma follows the last label, because the list goes on.
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


def _rule(used: Sequence[int]) -> str:
    return "_".join(["after", *map(str, sorted(used))])


def read_labels(text: str, labels: Sequence[str]) -> list[str]:
    """Return the labels that `text` lists, without an incomplete one at its end."""
    found: list[str] = []
    rest = text.strip()
    longest_first = sorted(labels, key=len, reverse=True)
    while label := next((each for each in longest_first if f"{rest},".startswith(f"{each},")), ""):
        found.append(label)
        rest = rest[len(label) + 1 :].strip()
    return found
