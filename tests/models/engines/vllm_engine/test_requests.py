"""Requests to vLLM and its replies as plain data."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from models.engines.vllm_engine.requests import Reply, Request, read_reply, sampling_fields


def output(tokens: Sequence[int], **fields: Any) -> SimpleNamespace:
    completion = SimpleNamespace(token_ids=list(tokens), text="", logprobs=fields.pop("logprobs", None))
    base = {"num_cached_tokens": 0, "finished": False, "prompt_logprobs": None}
    return SimpleNamespace(outputs=[completion], **{**base, **fields})


def test_a_text_is_cut_at_the_token_that_completes_it_when_several_come_at_once() -> None:
    request = Request([1], limit=9, is_complete=lambda tokens: tokens[-1] == 5)
    reply = Reply()
    read_reply(request, output([3]), reply, 0.5)
    assert (reply.tokens, reply.done, reply.first) == ([3], False, 0.5)
    read_reply(request, output([3, 4, 5, 6, 7]), reply, 0.9)
    assert (reply.tokens, reply.done, reply.first) == ([3, 4, 5], True, 0.5)


def test_of_a_prompt_that_is_partly_cached_the_computed_tokens_count_as_read() -> None:
    reply = Reply()
    read_reply(Request(range(40)), output([1], num_cached_tokens=32, finished=True), reply, 0.1)
    assert (reply.read, reply.done) == (8, True)


def test_scores_of_cached_tokens_are_not_believed() -> None:
    request = Request([1, 2, 3, 4], rows=[[3], [4]])
    places = [None, *({token: SimpleNamespace(logprob=-float(token))} for token in (2, 3, 4))]
    for cached, expected in [(0, [[-3.0], [-4.0]]), (1, [[-3.0], [-4.0]]), (2, None), (3, None)]:
        reply = Reply()
        read_reply(request, output([9], prompt_logprobs=places, num_cached_tokens=cached, finished=True), reply, 0.1)
        assert reply.rows == expected


def test_the_second_runner_is_asked_for_rows_alone() -> None:
    fields = sampling_fields(Request([1, 2, 3, 4], rows=[[3], [4]], asked=(7, 8)), by_rows=True)
    assert (fields["prompt_logprob_start"], fields["prompt_logprob_token_ids"]) == (1, [[3], [4]])
    assert fields["logprob_token_ids"] == [7, 8]
    assert fields["skip_reading_prefix_cache"] is False
    assert "prompt_logprobs" not in fields
