"""Log-probabilities of continuations by vLLM, whose prefix cache computes their common beginnings once.

vLLM has no trees. A request is one row of tokens, and the prefix cache holds blocks of tokens at the beginning of rows.
A request can return two kinds of log-probabilities: those of up to 128 named tokens behind the row, and those of tokens
in place of the row's last tokens. The second kind needs tokens that are not cached. vLLM's second model runner returns
it for any tokens; the first one, the only one on a CPU, for the row's tokens alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from models.engines.answering.tokens import TokenTree
from models.engines.interface import EngineError
from models.engines.vllm_engine.client import VllmClient
from models.engines.vllm_engine.requests import Reply, Request

MOST_ASKED = 128  # vllm.sampling_params.MAX_LOGPROB_TOKEN_IDS


def score_trees(client: VllmClient, trees: Sequence[TokenTree], deadline: float) -> tuple[list[list[float]], int]:
    """Return the log-probability of every node of every tree, and how many tokens were read for them.

    Raises:
        EngineError: the deadline has passed, or vLLM refused a request.
    """
    probed = [(index, probe) for index, tree in enumerate(trees) for probe in probes(tree, by_rows=client.by_rows)]
    requests = [_request(trees[index], probe, index) for index, probe in probed]
    replies = client.run(requests, deadline)
    read = sum(reply.read for reply in replies)
    # The cache may hold rows of an earlier batch, which then get no log-probabilities: these are asked for once more.
    cached = [i for i, reply in enumerate(replies) if reply.done and requests[i].rows and reply.rows is None]
    for i, reply in zip(cached, client.run([replace(requests[i], reuse=False) for i in cached], deadline), strict=True):
        replies[i] = reply
        read += reply.read
    values = [[0.0] * len(tree.tokens) for tree in trees]
    for (index, probe), request, reply in zip(probed, requests, replies, strict=True):
        for node, score in _scores(trees[index], probe, request, reply):
            values[index][node] = score
    return values, read


@dataclass(frozen=True)
class Probe:
    """A request that scores nodes of a tree.

    `asked` are nodes whose tokens may follow `tokens`. There is a row of nodes for each of the last `tokens`, as many
    as there are `rows`: the nodes whose tokens may stand in its place.
    """

    tokens: tuple[int, ...]
    asked: tuple[int, ...]
    rows: tuple[tuple[int, ...], ...] = ()


def probes(tree: TokenTree, *, by_rows: bool = True) -> list[Probe]:
    """Return probes that score every node of `tree` once.

    With `by_rows`, tokens in place of the prompt's own can be scored. A probe's rows begin behind the tokens that it
    shares with earlier probes, so the cache holds none of them.
    """
    children: dict[int, list[int]] = {}
    for node, parent in enumerate(tree.parents):
        children.setdefault(parent, []).append(node)
    return list(_path_probes(tree, children) if by_rows else _fork_probes(tree, children))


def _path_probes(tree: TokenTree, children: Mapping[int, list[int]]) -> Iterator[Probe]:
    """Yield a probe for every node whose children are all leaves; its rows score the forks on the path to that node."""
    scored: set[int] = set()
    for end in sorted(children):
        if not any(child in children for child in children[end]):
            path = _path(tree, end)
            rows = tuple(tuple(children[node]) for node in path[:-1] if node not in scored)
            scored.update(path)
            yield from _in_parts(tree, path, children[end], rows)


def _fork_probes(tree: TokenTree, children: Mapping[int, list[int]]) -> Iterator[Probe]:
    """Yield a probe for every fork and every node before leaves; its rows score its own tokens behind the fork above.

    The probe of the fork above scores the first token behind that fork, so the rows begin one token later.
    """
    stops = {node for node, below in children.items() if len(below) > 1 or below[0] not in children}
    for node in sorted(stops):
        path = _path(tree, node)
        above = [index for index, each in enumerate(path[:-1]) if each in stops]
        unscored = path[above[-1] + 2 if above else 1 :]
        yield from _in_parts(tree, path, children[node], tuple((each,) for each in unscored))


def _path(tree: TokenTree, node: int) -> list[int]:
    """Return the nodes from the prompt's last token, -1, to `node`."""
    path = [node]
    while path[-1] >= 0:
        path.append(tree.parents[path[-1]])
    return path[::-1]


def _in_parts(tree: TokenTree, path: list[int], asked: list[int], rows: tuple[tuple[int, ...], ...]) -> Iterator[Probe]:
    """Yield the probe of a path; more than `MOST_ASKED` nodes behind it become several probes."""
    tokens = (*tree.prompt, *(tree.tokens[each] for each in path[1:]))
    for start in range(0, len(asked), MOST_ASKED):
        yield Probe(tokens, tuple(asked[start : start + MOST_ASKED]), () if start else rows)


def _request(tree: TokenTree, probe: Probe, replica: int) -> Request:
    asked = [tree.tokens[node] for node in probe.asked]
    rows = [[tree.tokens[node] for node in row] for row in probe.rows]
    return Request(probe.tokens, asked=asked, rows=rows, replica=replica)


def _scores(tree: TokenTree, probe: Probe, request: Request, reply: Reply) -> Iterator[tuple[int, float]]:
    """Yield the probe's nodes, each with its log-probability."""
    if not reply.done:
        raise EngineError("the deadline passed before all options were scored")
    if len(reply.asked) != len(set(request.asked)) or len(reply.rows or ()) != len(request.rows):
        raise EngineError("vLLM left out log-probabilities that it was asked for")
    yield from ((node, reply.asked[tree.tokens[node]]) for node in probe.asked)
    for nodes, scores in zip(probe.rows, reply.rows or (), strict=True):
        yield from zip(nodes, scores, strict=True)
