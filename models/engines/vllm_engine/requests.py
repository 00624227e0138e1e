"""Requests to vLLM and its replies as plain data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Completeness = Callable[[Sequence[int]], bool]


@dataclass(frozen=True)
class Request:
    """One row of tokens and what vLLM is to do with it.

    Attributes:
        tokens: the prompt.
        limit: the most tokens that are written behind it.
        asked: tokens whose log-probabilities behind the prompt are wanted.
        rows: for each of the prompt's last tokens, as many as there are rows: tokens whose log-probabilities in its
            place are wanted.
        reuse: whether the prefix cache may be read; where it holds tokens that have rows these are not scored.
        ends: tokens that end what is written, but may not come first.
        grammar: what may be written, in xgrammar's EBNF; without it anything.
        is_complete: told the tokens so far, whether no further one is needed.
        replica: which of the model's replicas is asked, so that what shares a beginning shares a cache.
    """

    tokens: Sequence[int]
    limit: int = 1
    asked: Sequence[int] = ()
    rows: Sequence[Sequence[int]] = ()
    reuse: bool = True
    ends: Sequence[int] = ()
    grammar: str = ""
    is_complete: Completeness | None = None
    replica: int = 0


@dataclass
class Reply:
    """What came back so far.

    Attributes:
        tokens: what was written.
        text: the same as text, where a grammar was given.
        asked: the log-probability of each token that was asked for.
        rows: those of the rows, or nothing where the cache held some of their tokens.
        read: how many of the prompt's tokens were computed.
        first: seconds until the first token was written, counted from the start of the batch.
        done: whether nothing more will come.
    """

    tokens: list[int] = field(default_factory=list)
    text: str = ""
    asked: Mapping[int, float] = field(default_factory=dict)
    rows: list[list[float]] | None = None
    read: int = 0
    first: float | None = None
    done: bool = False


def sampling_fields(request: Request, *, by_rows: bool) -> dict[str, Any]:
    """Return the fields of vLLM's `SamplingParams`, without structured outputs and the kind of output.

    `by_rows` is for vLLM's second model runner, which computes logits for the rows alone; the first one, which it has
    on a CPU, only tells the log-probability of every token of a prompt in its own place.
    """
    fields: dict[str, Any] = {
        "temperature": 0.0,
        "max_tokens": request.limit,
        "detokenize": bool(request.grammar),
        "logprob_token_ids": list(request.asked) or None,
    }
    if request.ends:
        # Tokens that stop are not taken before so many others were written.
        fields |= {"stop_token_ids": list(request.ends), "min_tokens": 1}
    if request.rows and by_rows:
        fields |= {
            "prompt_logprob_token_ids": [list(row) for row in request.rows],
            "prompt_logprob_start": len(request.tokens) - len(request.rows) - 1,
        }
    elif request.rows:
        fields |= {"prompt_logprobs": 0}
    if request.rows:
        # Left alone, vLLM reads the whole prompt anew for these.
        fields |= {"skip_reading_prefix_cache": not request.reuse}
    return fields


def read_reply(request: Request, output: Any, reply: Reply, seconds: float) -> None:
    """Take over what vLLM's `RequestOutput` tells, `seconds` after the start of the batch."""
    completion = output.outputs[0]
    reply.read = len(request.tokens) - (output.num_cached_tokens or 0)
    reply.text = completion.text
    if completion.token_ids and reply.first is None:
        reply.first = seconds
    if request.asked and completion.logprobs:
        reply.asked = {token: completion.logprobs[0][token].logprob for token in request.asked}
    if request.rows:
        reply.rows = _rows(request, output) or _own_tokens(request, output)
    _take_tokens(request, completion.token_ids, reply)
    reply.done |= output.finished


def _take_tokens(request: Request, written: Sequence[int], reply: Reply) -> None:
    """Take over new tokens one by one: several may come at once, and the text may be complete before the last."""
    for token in written[len(reply.tokens) :]:
        if reply.done:
            return
        reply.tokens.append(int(token))
        reply.done = request.is_complete is not None and request.is_complete(reply.tokens)


def _rows(request: Request, output: Any) -> list[list[float]]:
    """Read what was told by rows; shorter rows are padded."""
    told = getattr(output, "prompt_token_id_logprobs", None)
    if told is None:
        return []
    return [[float(score) for score in row[: len(asked)]] for asked, row in zip(request.rows, told, strict=True)]


def _own_tokens(request: Request, output: Any) -> list[list[float]] | None:
    """Read rows of nothing but own tokens from what is told of the whole prompt, where cached ones are not computed."""
    start = len(request.tokens) - len(request.rows)
    if not output.prompt_logprobs or start - 1 < (output.num_cached_tokens or 0):
        return None
    told = output.prompt_logprobs[start:]
    return [[place[token].logprob] for place, token in zip(told, request.tokens[start:], strict=True)]
