"""Requests to vLLM and its replies as plain data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Request:
    """A prompt, and the output that vLLM is to return for it.

    Attributes:
        tokens: the prompt.
        limit: the most tokens to generate.
        asked: tokens whose log-probabilities directly behind the prompt are wanted.
        rows: one row for each of the prompt's last tokens: the tokens whose log-probabilities in its place are wanted.
        reuse: whether the prefix cache may be read; rows of cached tokens get no log-probabilities.
        ends: tokens that end the generated text, but may not be its first.
        grammar: a grammar of the generated text in xgrammar's EBNF; empty for free text.
        is_complete: returns whether the tokens generated so far need no further one.
        replica: a number that selects a replica; requests with a common prefix use one replica and its prefix cache.
    """

    tokens: Sequence[int]
    limit: int = 1
    asked: Sequence[int] = ()
    rows: Sequence[Sequence[int]] = ()
    reuse: bool = True
    ends: Sequence[int] = ()
    grammar: str = ""
    is_complete: Callable[[Sequence[int]], bool] | None = None
    replica: int = 0


@dataclass
class Reply:
    """The output for a request so far.

    Attributes:
        tokens: the generated tokens.
        text: the generated text; only a request with a grammar has it.
        asked: the log-probability of each token in the request's `asked`.
        rows: the log-probabilities of the request's `rows`; None if the prefix cache held some of their tokens.
        read: how many of the prompt's tokens were computed.
        first: seconds from the start of the batch to the first generated token.
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

    `by_rows` is true for vLLM's second model runner, which computes logits for the rows alone. The first one, the only
    one on a CPU, returns the log-probability of each of the prompt's own tokens.
    """
    fields: dict[str, Any] = {
        "temperature": 0.0,
        "max_tokens": request.limit,
        "detokenize": bool(request.grammar),
        "logprob_token_ids": list(request.asked) or None,
    }
    if request.ends:
        # vLLM masks the stop tokens until `min_tokens` tokens are generated.
        fields |= {"stop_token_ids": list(request.ends), "min_tokens": 1}
    if request.rows:
        # By default vLLM skips the prefix cache for a request with log-probabilities of its prompt.
        fields["skip_reading_prefix_cache"] = not request.reuse
        if by_rows:
            fields["prompt_logprob_token_ids"] = [list(row) for row in request.rows]
            fields["prompt_logprob_start"] = len(request.tokens) - len(request.rows) - 1
        else:
            fields["prompt_logprobs"] = 0
    return fields


def read_reply(request: Request, output: Any, reply: Reply, seconds: float) -> None:
    """Update `reply` from vLLM's `RequestOutput`, which came `seconds` after the start of the batch."""
    completion = output.outputs[0]
    reply.read = len(request.tokens) - (output.num_cached_tokens or 0)
    reply.text = completion.text
    if completion.token_ids and reply.first is None:
        reply.first = seconds
    if request.asked and completion.logprobs:
        reply.asked = {token: completion.logprobs[0][token].logprob for token in request.asked}
    if request.rows:
        reply.rows = _rows(request, output)
    # Several new tokens may come at once; those behind the one that completes the text are left out.
    for token in completion.token_ids[len(reply.tokens) :]:
        if not reply.done:
            reply.tokens.append(int(token))
            reply.done = request.is_complete is not None and request.is_complete(reply.tokens)
    reply.done |= output.finished


def _rows(request: Request, output: Any) -> list[list[float]] | None:
    """Return the log-probabilities of the request's rows; None if the prefix cache held some of their tokens."""
    by_rows = getattr(output, "prompt_token_id_logprobs", None)
    if by_rows is not None:  # every row is padded to the length of the longest
        return [[float(score) for score in row[: len(asked)]] for asked, row in zip(request.rows, by_rows, strict=True)]
    start = len(request.tokens) - len(request.rows)
    if not output.prompt_logprobs or start - 1 < (output.num_cached_tokens or 0):
        return None
    own = zip(output.prompt_logprobs[start:], request.tokens[start:], strict=True)
    return [[place[token].logprob] for place, token in own]
