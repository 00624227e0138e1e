"""Log-probabilities of continuations by vLLM, which shares what they have in common through its prefix cache."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from models.engines.answering.tokens import TokenTree
from models.engines.interface import EngineError
from models.engines.vllm_engine.client import VllmClient
from models.engines.vllm_engine.probes import Probe, probes
from models.engines.vllm_engine.requests import Reply, Request


def score_trees(client: VllmClient, trees: Sequence[TokenTree], deadline: float) -> tuple[list[list[float]], int]:
    """Return the log-probability of every node of every tree, and how many tokens were read for that.

    Raises:
        EngineError: the deadline has passed, or vLLM refused a request.
    """
    jobs = [(index, probe) for index, tree in enumerate(trees) for probe in probes(tree, by_rows=client.by_rows)]
    requests = [_request(trees[index], probe, index) for index, probe in jobs]
    replies = client.run(requests, deadline)
    read = sum(reply.read for reply in replies)
    # What an earlier batch left in the cache may hide places that are asked for.
    hidden = [
        index for index, (request, reply) in enumerate(zip(requests, replies, strict=True)) if _hid(request, reply)
    ]
    for index, reply in zip(
        hidden, client.run([replace(requests[i], reuse=False) for i in hidden], deadline), strict=True
    ):
        replies[index] = reply
        read += reply.read
    values = [[0.0] * len(tree.tokens) for tree in trees]
    for (index, probe), request, reply in zip(jobs, requests, replies, strict=True):
        for node, score in _scores(trees[index], probe, request, reply):
            values[index][node] = score
    return values, read


def _request(tree: TokenTree, probe: Probe, replica: int) -> Request:
    asked = [tree.tokens[node] for node in probe.asked]
    rows = [[tree.tokens[node] for node in row] for row in probe.rows]
    return Request(probe.tokens, asked=asked, rows=rows, replica=replica)


def _hid(request: Request, reply: Reply) -> bool:
    return reply.done and len(request.rows) > 0 and reply.rows is None


def _scores(tree: TokenTree, probe: Probe, request: Request, reply: Reply) -> Iterator[tuple[int, float]]:
    if not reply.done:
        raise EngineError("the time was over before all was scored")
    if len(reply.asked) != len(set(request.asked)) or len(reply.rows or ()) != len(request.rows):
        raise EngineError("vLLM left out log-probabilities that it was asked for")
    yield from ((node, reply.asked[tree.tokens[node]]) for node in probe.asked)
    for nodes, scores in zip(probe.rows, reply.rows or (), strict=True):
        yield from zip(nodes, scores, strict=True)
