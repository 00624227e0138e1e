"""The vLLM engine over a stand-in for vLLM: it answers as the transformers engine does, with either model runner."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from models.engines.interface import EngineError, LostEngineError
from models.engines.model_registry import Scoring
from models.engines.settings import WRITE, VllmSettings, way_of
from models.engines.transformers_engine.engine import CausalLM, TransformersEngine
from models.engines.vllm_engine.engine import VllmEngine
from prompts.prompt import Choice, Prompt, Selection, Text, admits
from tests.conftest import TINY
from tests.models.engines.test_engine import MIXED, ask
from tests.models.engines.vllm_engine.fake_vllm import VLLM, DeadError, FakeVllm, install
from utilities.errors import UserError

pytestmark = pytest.mark.slow

Engines = Callable[..., tuple[VllmEngine, FakeVllm]]


@pytest.fixture
def engines(tiny_model: CausalLM, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engines]:
    """Make a vLLM engine over a stand-in for vLLM, with one or the other of its model runners."""
    made: list[VllmEngine] = []

    def make(*, by_rows: bool = True, vllm: VllmSettings = VLLM) -> tuple[VllmEngine, FakeVllm]:
        fake = FakeVllm(tiny_model, by_rows=by_rows)
        install(monkeypatch, fake)
        made.append(VllmEngine(tiny_folder, replace(TINY, weights=str(tiny_folder), vllm=vllm)))
        return made[-1], fake

    yield make
    for engine in made:
        engine.close()


def ways_of(prompts: Sequence[Prompt], way: str) -> list[str]:
    return [
        way_of(prompt.space, replace(TINY, choice=cast(Scoring, way), selection=cast(Scoring, way)))
        for prompt in prompts
    ]


@pytest.mark.parametrize("by_rows", [True, False])
@pytest.mark.parametrize("way", ["label", "text", "pmi"])
def test_both_runners_of_vllm_give_the_scores_and_answers_of_transformers(
    engines: Engines, tiny_engine: Callable[[str], TransformersEngine], by_rows: bool, way: str
) -> None:
    engine, _ = engines(by_rows=by_rows)
    expected = tiny_engine(way).answer(MIXED)
    for _ in range(2):  # the second time everything is cached
        found = engine.answer(MIXED, ways_of(MIXED, way))
        assert [answer.text for answer in found] == [answer.text for answer in expected]
        for ours, theirs in zip(found, expected, strict=True):
            assert ours.scores == pytest.approx(theirs.scores, abs=1e-3)


def test_written_labels_belong_to_their_space(engines: Engines) -> None:
    engine, fake = engines()
    prompts = [MIXED[0], MIXED[2], ask(Selection(("1", "12", "123"), 3)), ask(Choice(("1", "12")))]
    answers = engine.answer(prompts, ways_of(prompts, "decode"))
    assert [admits(p.space, a.text) for p, a in zip(prompts, answers, strict=True)] == [True] * len(prompts)
    assert all(asked.sampling.structured_outputs.grammar for asked in fake.asked)


def test_a_list_too_long_for_one_grammar_is_written_in_parts(engines: Engines) -> None:
    engine, fake = engines()
    prompt = ask(Selection(tuple(map(str, range(30))), 4))
    answer = engine.answer([prompt], ["decode"])[0]
    assert admits(prompt.space, answer.text)
    assert len(fake.asked) == 2
    assert fake.asked[1].tokens[: len(fake.asked[0].tokens)] == fake.asked[0].tokens


def test_only_tokens_that_are_not_cached_are_read_and_what_the_cache_hides_is_asked_again(engines: Engines) -> None:
    engine, fake = engines()
    prompts, ways = [ask(Choice(("1", "2"), ("a red mug for tea", "a blue mug for tea")))], ["text"]
    engine.answer(prompts, ways)
    once, first = engine.usage().prefill_tokens, len(fake.asked)
    assert once < sum(len(asked.tokens) for asked in fake.asked)
    assert not any(getattr(asked.sampling, "skip_reading_prefix_cache", False) for asked in fake.asked)
    engine.answer(prompts, ways)
    again = [getattr(asked.sampling, "skip_reading_prefix_cache", False) for asked in fake.asked[first:]]
    assert any(again)


def test_one_request_tells_all_labels_of_one_token(engines: Engines) -> None:
    engine, fake = engines()
    for cue in ("", "Answer:"):  # behind a cue a label has a space before it, which is a token of its own here
        engine.answer([ask(Choice(tuple("01234567")), cue=cue)], ["label"])
        assert len(fake.asked) == 1
        assert len(fake.asked.pop().sampling.logprob_token_ids) == 8


def test_what_shares_a_prompt_goes_to_one_replica_and_all_replicas_have_work(
    engines: Engines, tiny_model: CausalLM
) -> None:
    engine, fake = engines(vllm=replace(VLLM, data_parallel=2))
    assert fake.arguments["data_parallel_size"] == 2
    engine.answer([replace(MIXED[2], bare=f"question {number}") for number in range(4)], ["text"] * 4)
    texts = [(tiny_model.tokenizer.decode(asked.tokens), asked.rank) for asked in fake.asked]
    ranks = [{rank for text, rank in texts if f"question {number}" in text} for number in range(4)]
    assert [len(each) for each in ranks] == [1] * 4
    assert set.union(*ranks) == {0, 1}


def test_without_replicas_none_is_named(engines: Engines) -> None:
    engine, fake = engines()
    engine.answer([MIXED[0]], ["label"])
    assert fake.asked[0].rank is None


def test_text_ends_where_it_is_complete_and_never_begins_with_an_end(
    engines: Engines, tiny_engine: Callable[[str], TransformersEngine]
) -> None:
    engine, fake = engines()
    prompts = [ask(Text(6), "Write about a mug."), ask(Text(30, stop=("e",)), "Why?"), ask(Text(2, stop=()), "Who?")]
    found = engine.answer(prompts, [WRITE] * 3)
    assert [a.text for a in found] == [a.text for a in tiny_engine("pmi").answer(prompts)]
    assert all(asked.sampling.min_tokens == 1 and asked.sampling.stop_token_ids for asked in fake.asked)
    assert all(asked.sampling.temperature == 0.0 for asked in fake.asked)


def test_scores_are_given_up_and_texts_cut_when_the_time_is_over(engines: Engines) -> None:
    engine, fake = engines()
    fake.pause = 0.05
    with pytest.raises(EngineError, match="deadline passed"):
        engine.answer([MIXED[0]], ["label"], seconds=0.0)
    cut = engine.answer([ask(Text(60, stop=()), "Why?")], [WRITE], seconds=0.3)[0]
    assert 0 < len(cut.text.split()) < 60


def test_an_engine_whose_processes_are_gone_says_that_it_is_lost(engines: Engines) -> None:
    engine, fake = engines()
    fake.fault = DeadError("gone")
    with pytest.raises(LostEngineError):
        engine.answer([MIXED[0]], ["label"])
    fake.fault = ValueError("too long")
    with pytest.raises(EngineError, match="too long") as raised:
        engine.answer([MIXED[0]], ["label"])
    assert not isinstance(raised.value, LostEngineError)


def test_a_prompt_without_room_for_its_answer_is_cut(engines: Engines) -> None:
    engine, fake = engines(vllm=VllmSettings(max_model_len=384))
    prompts = [ask(Text(100), "Which? " * 900), ask(Choice(("1", "2"), ("mug " * 300, "cup")), "Which? " * 900)]
    engine.answer(prompts, [WRITE, "text"])
    assert max(len(asked.tokens) + asked.sampling.max_tokens for asked in fake.asked) <= 384


def test_vllm_is_started_offline_with_safetensors_and_without_foreign_code(
    engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("VLLM_NO_USAGE_STATS", raising=False)
    _, fake = engines(vllm=replace(VLLM, tensor_parallel=4, pipeline_parallel=2, distributed_backend="ray"))
    assert (os.environ["HF_HUB_OFFLINE"], os.environ["VLLM_NO_USAGE_STATS"]) == ("1", "1")
    told = {
        "load_format": "safetensors",
        "trust_remote_code": False,
        "dtype": "float32",
        "tensor_parallel_size": 4,
        "pipeline_parallel_size": 2,
        "distributed_executor_backend": "ray",
        "max_model_len": 1024,
        "enable_prefix_caching": True,
        "enforce_eager": False,
        "gpu_memory_utilization": 0.9,
    }
    assert {name: fake.arguments[name] for name in told} == told


def test_the_engine_tells_what_it_runs_and_ends_what_it_started(engines: Engines) -> None:
    engine, fake = engines()
    told = engine.describe()
    assert (told["engine"], told["vllm"], told["device"], told["data_parallel"]) == ("vllm", "0.32.0", "fake", 1)
    assert len(str(told["fingerprint"])) == 64
    engine.close()
    assert fake.closed


def test_usage_counts_what_was_read_and_written(engines: Engines) -> None:
    engine, _ = engines()
    answer = engine.answer([ask(Text(30, stop=()), "Why?")], [WRITE])[0]
    usage = engine.usage()
    assert usage.prefill_tokens > 5
    assert usage.decode_tokens == usage.decode_steps + 1 > len(answer.text.split())
    assert usage.prefill_seconds > 0
    assert usage.decode_seconds > 0


def test_a_missing_vllm_names_the_command_that_installs_it(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(UserError, match=r"pip install -r requirements\.txt && pip install .* -r requirements-gpu\.txt"):
        VllmEngine(tiny_folder, replace(TINY, vllm=VLLM))


def test_what_vllm_cannot_run_is_one_sentence(
    engines: Engines, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, fake = engines()

    def refuse(_: object) -> None:
        raise ValueError("Free memory\n is less than desired")

    monkeypatch.setattr(fake, "from_engine_args", refuse)
    with pytest.raises(UserError, match="Free memory is less than desired"):
        VllmEngine(tiny_folder, replace(TINY, vllm=VLLM))


def test_the_longest_prompt_and_an_answer_must_fit(tiny_folder: Path) -> None:
    said = "max_model_len is 300; it must be at least 384: engine.max_prompt_tokens and 128 tokens"
    with pytest.raises(UserError, match=said):
        VllmEngine(tiny_folder, replace(TINY, vllm=VllmSettings(max_model_len=300)))


def test_no_prompts_get_no_answers(engines: Engines) -> None:
    engine, fake = engines()
    assert engine.answer([]) == []
    assert fake.asked == []
