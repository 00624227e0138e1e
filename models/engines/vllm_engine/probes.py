"""What vLLM is asked so that every token of every continuation of a prompt is scored.

vLLM has no trees: a request is one row of tokens, and its prefix cache holds what rows begin with, in blocks. A request
tells how likely up to 128 named tokens are behind its own tokens, and how likely tokens are in the place of its own
that the cache does not already hold: any named ones with its second model runner, only its own with the first, which it
has on a CPU.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from models.engines.answering.tokens import TokenTree

MOST_ASKED = 128  # vllm.sampling_params.MAX_LOGPROB_TOKEN_IDS


@dataclass(frozen=True)
class Probe:
    """One request.

    `asked` are nodes of the tree whose tokens may follow `tokens`. `rows` are about the last of `tokens`, as many as
    there are rows: each holds the nodes that are asked for in that place.
    """

    tokens: tuple[int, ...]
    asked: tuple[int, ...]
    rows: tuple[tuple[int, ...], ...] = ()


def probes(tree: TokenTree, *, by_rows: bool = True) -> list[Probe]:
    """Return requests that score every node of `tree` once.

    `by_rows` says that other tokens than a request's own can be asked for. What a request needs of its own places then
    begins where it leaves all requests before it, so that nothing which these leave in the cache hides it.
    """
    children: dict[int, list[int]] = {}
    for node, parent in enumerate(tree.parents):
        children.setdefault(parent, []).append(node)
    return list(_paths(tree, children) if by_rows else _forks(tree, children))


def _paths(tree: TokenTree, children: Mapping[int, list[int]]) -> Iterator[Probe]:
    """Yield a request for every path to where continuations only end; it is asked of all forks on its way."""
    told: set[int] = set()
    for end in sorted(children):
        if not any(child in children for child in children[end]):
            path = _path(tree, end)
            rows = tuple(tuple(children[node]) for node in path[:-1] if node not in told)
            told.update(path)
            yield from _requests(tree, path, children[end], rows)


def _forks(tree: TokenTree, children: Mapping[int, list[int]]) -> Iterator[Probe]:
    """Yield a request for every fork and every end: what follows is named.

    So what the next request needs of its own tokens begins one token behind the fork.
    """
    stops = {node for node, below in children.items() if len(below) > 1 or below[0] not in children}
    for node in sorted(stops):
        path = _path(tree, node)
        before = [index for index, each in enumerate(path[:-1]) if each in stops]
        unasked = path[before[-1] + 2 if before else 1 :]
        yield from _requests(tree, path, children[node], tuple((each,) for each in unasked))


def _path(tree: TokenTree, node: int) -> list[int]:
    """Return the nodes from the prompt's last token, -1, to `node`."""
    path = [node]
    while path[-1] >= 0:
        path.append(tree.parents[path[-1]])
    return path[::-1]


def _requests(tree: TokenTree, path: list[int], asked: list[int], rows: tuple[tuple[int, ...], ...]) -> Iterator[Probe]:
    tokens = (*tree.prompt, *(tree.tokens[each] for each in path[1:]))
    for start in range(0, len(asked), MOST_ASKED):
        yield Probe(tokens, tuple(asked[start : start + MOST_ASKED]), () if start else rows)
