"""What vLLM is asked so that every token of every continuation of a prompt is scored.

vLLM has no trees: a request is one row of tokens, and its prefix cache holds what rows begin with in blocks. One
request tells how likely up to 128 named tokens are behind its own, and how likely those of its own tokens are that the
cache does not already hold.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from models.engines.token_tree import TokenTree

MOST_ASKED = 128  # vllm.sampling_params.MAX_LOGPROB_TOKEN_IDS


@dataclass(frozen=True)
class Probe:
    """One request.

    `asked` are nodes of the tree whose tokens may follow `tokens`; `chain` are the nodes that the last of `tokens` are,
    of which each but the first follows the one before.
    """

    tokens: tuple[int, ...]
    asked: tuple[int, ...]
    chain: tuple[int, ...]


def probes(tree: TokenTree) -> list[Probe]:
    """Return requests that score every node of `tree` once.

    The tokens behind every fork are asked for by name. So what a request needs of its own tokens begins one token
    behind a fork, and all that the requests before it leave in the cache ends at that fork or earlier.
    """
    children: dict[int, list[int]] = {}
    for node, parent in enumerate(tree.parents):
        children.setdefault(parent, []).append(node)
    stops = {node for node, below in children.items() if len(below) > 1 or below[0] not in children}
    found: list[Probe] = []
    for node in sorted(stops):
        path = _path(tree, node)
        chain = path[_first_unasked(path, stops) :]
        tokens = (*tree.prompt, *(tree.tokens[each] for each in path[1:]))
        first, *others = _blocks(children[node])
        found.append(Probe(tokens, first, tuple(chain)))
        found.extend(Probe(tokens, block, ()) for block in others)
    return found


def _path(tree: TokenTree, node: int) -> list[int]:
    """Return the nodes from the prompt's last token, -1, to `node`."""
    path = [node]
    while path[-1] >= 0:
        path.append(tree.parents[path[-1]])
    return path[::-1]


def _first_unasked(path: list[int], stops: set[int]) -> int:
    """Return where on the path to a stop the nodes begin that the stop before it does not ask for by name."""
    before = [index for index, node in enumerate(path[:-1]) if node in stops]
    return before[-1] + 2 if before else 1


def _blocks(nodes: list[int]) -> Iterator[tuple[int, ...]]:
    for start in range(0, len(nodes), MOST_ASKED):
        yield tuple(nodes[start : start + MOST_ASKED])
