import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import seventy_shape, time_budget_accuracy
from benchmarks.random_awq import write_random_checkpoint
from evaluation.questions import read_questions
from models.engines.answering.language_model import WritingRow
from models.engines.model_registry import DEFAULT_MODEL, ModelEntry, ModelShape, model_entry
from models.engines.settings import EngineSettings, Scoring
from models.engines.transformers_engine.engine import TransformersEngine
from models.settings import WEIGHTS_VARIABLE, load_settings
from prompts.answer_space import Text
from prompts.prompt import Prompt
from submission.time_budget.__main__ import main
from submission.time_budget.devices import Assumptions, Device, device_named, read_devices
from submission.time_budget.prediction import Machine
from submission.time_budget.token_counting import CountingVllm, count_work, prompts_of
from submission.time_budget.token_figures import counting_for
from submission.time_budget.track_questions import assumed_questions, budgets, count_groups, full_batches
from submission.time_budget.work import Pass, Work, side_by_side
from utilities.errors import UserError, exit_code
from utilities.files import ROOT
from utilities.tracks import TRACK_3_QUESTIONS, TRACKS

DATA = ROOT / "data" / "development.json"
ASSUMED = Assumptions(disk_gb=1.0, start_seconds=10.0, pass_tokens=1000, unpack_from_tokens=256, runtime_gb=1.0)
SHAPE = ModelShape("llama", 2, 100, 200, 10, 10, 10, 1000)
ENTRY = dataclasses.replace(model_entry("llama3-8b"), name="tiny", tensor_parallel=1, shape=SHAPE)
# One TFLOP/s and one GB/s, all of it reached, and kernels that start at once.
DEVICE = Device("plain", 1.0, 0.5, 1.0, 16.0, 15.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1e-9)
READ = Pass(rows=2, tokens=100, padded=128, pairs=0, causal_pairs=0, cached=0, outputs=0)
STEP = Pass(rows=4, tokens=4, padded=4, pairs=0, causal_pairs=0, cached=40, outputs=4, decode=True)


def machine(entry: ModelEntry = ENTRY, device: Device = DEVICE, count: int = 1) -> Machine:
    return Machine(entry, device, count, ASSUMED)


@pytest.fixture(autouse=True)
def _tiny_default(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(tiny_folder))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Every seventh question: all task types and all tracks."""
    lines = DATA.read_text(encoding="utf-8").splitlines()[::7]
    path = tmp_path / "questions.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def run(*options: object) -> int:
    return exit_code(lambda: main([str(option) for option in options]))


def test_reading_is_bound_by_operations_or_by_bytes_whichever_takes_longer() -> None:
    """Linear weights: 2 layers x (4 x 100 x 100 + 3 x 100 x 200) = 200,000, so 4e7 operations and 4e5 bytes."""
    assert SHAPE.linear_parameters == 200_000
    assert machine().floor_seconds([READ]) == pytest.approx(4e5 / 1e9)
    faster_memory = dataclasses.replace(DEVICE, bandwidth_gb=1000.0)
    assert machine(device=faster_memory).floor_seconds([READ]) == pytest.approx(4e7 / 1e12)


def test_a_pass_takes_what_was_worked_out_by_hand() -> None:
    """Bytes 4e5 at 1 GB/s; element-wise 100 tokens x 2 layers x (16 x 100 + 6 x 200) values x 2 bytes on top."""
    assert machine().seconds([READ]) == pytest.approx(4e-4 + 100 * 2 * 2800 * 2 / 1e9)


def test_a_step_reads_weights_projection_and_cache() -> None:
    """Blocks 4e5 bytes, projection 1000 x 100 x 2, cache 40 tokens x 2 x 2 layers x 100 values x 2 bytes."""
    assert machine().floor_seconds([STEP]) == pytest.approx((4e5 + 2e5 + 40 * 800) / 1e9)


def test_attention_costs_four_operations_a_pair_and_value() -> None:
    device = dataclasses.replace(DEVICE, bandwidth_gb=1e9)
    with_pairs = dataclasses.replace(READ, causal_pairs=1000)
    more = machine(device=device).floor_seconds([with_pairs]) - machine(device=device).floor_seconds([READ])
    assert more == pytest.approx(4 * 2 * 100 * 1000 / 1e12)


def test_two_devices_share_the_work_and_exchange_states_twice_a_layer() -> None:
    """2 x 2 layers x 2 steps of (1/2 x 100 tokens x 100 x 2 bytes / 1 GB/s + 1 us)."""
    alone, both = machine().seconds([READ]), machine(count=2).seconds([READ])
    assert both == pytest.approx(alone / 2 + 4 * (2e4 / 1e9 + 2e-6))


def test_under_transformers_devices_work_one_after_the_other_on_padded_rows() -> None:
    entry = dataclasses.replace(ENTRY, engine="transformers")
    assert machine(entry, count=2).seconds([READ]) == machine(entry).seconds([READ])
    assert machine(entry).seconds([READ]) > machine().seconds([READ])


def test_four_bit_matrices_are_read_packed_in_steps_and_unpacked_for_long_passes() -> None:
    entry = dataclasses.replace(ENTRY, quantisation="awq")
    assert machine(entry).floor_seconds([READ]) == pytest.approx(200_000 * (0.5 + 2.5 / 128) / 1e9, rel=1e-4)
    long = dataclasses.replace(READ, tokens=256)
    elementwise = 156 * 2 * 2800 * 2 / 1e9
    unpacking = (entry.block_bytes + 2 * 200_000 * 2) / 1e9
    assert machine(entry).seconds([long]) - machine(entry).seconds([READ]) == pytest.approx(unpacking + elementwise)


def test_float32_runs_at_the_single_precision_peak() -> None:
    entry = dataclasses.replace(ENTRY, dtype="float32")
    device = dataclasses.replace(DEVICE, bandwidth_gb=1e9)
    ratio = machine(entry, device).floor_seconds([READ]) / machine(device=device).floor_seconds([READ])
    assert ratio == pytest.approx(2)


def test_loading_reads_every_weight_once_and_starts_vllm() -> None:
    assert machine().load_seconds() == pytest.approx(ENTRY.weight_bytes / 1e9 + 10)


@given(st.integers(2, 4), st.floats(1, 1e4), st.floats(0, 1e6), st.booleans())
def test_more_layers_tokens_or_pairs_never_take_less_time(factor: int, tokens: float, pairs: float, wide: bool) -> None:
    each = Pass(1, tokens, tokens, pairs, pairs, 0, 1)
    deeper = dataclasses.replace(ENTRY, shape=dataclasses.replace(SHAPE, layers=SHAPE.layers * factor))
    longer = dataclasses.replace(each, tokens=tokens * factor, causal_pairs=pairs * factor)
    assert machine(deeper).seconds([each]) > machine().seconds([each])
    assert machine().seconds([longer]) > machine().seconds([each])
    assert machine().floor_seconds([each]) <= machine().seconds([each]) * (1 + 1e-9)


def test_what_cannot_be_shared_is_refused() -> None:
    with pytest.raises(UserError, match=r"--count 3: that many devices cannot share the 10 heads"):
        machine(count=3)


def test_memory_counts_weights_cache_activations_and_runtime() -> None:
    memory = machine(count=2).memory(Work(2, [(READ, STEP)]))
    assert memory.weights == ENTRY.weight_bytes / 2
    assert memory.cache == (100 + 4) * ENTRY.kv_bytes_a_token / 2
    assert memory.fits
    assert memory.needed > memory.weights + memory.cache + memory.runtime


def test_llama3_70b_fits_four_t4_and_not_two() -> None:
    t4, assumptions = device_named("t4")
    entry, work = model_entry("llama3-70b-awq"), Work(16, [(dataclasses.replace(READ, tokens=8000, padded=8000),)])
    assert Machine(entry, t4, 4, assumptions).memory(work).fits
    assert not Machine(entry, t4, 2, assumptions).memory(work).fits


def test_continuous_batching_fills_passes_and_writes_all_texts_together() -> None:
    read = dataclasses.replace(READ, tokens=1500)
    made = side_by_side((read, STEP, STEP, READ, STEP), pass_tokens=1000)
    assert [(each.tokens, each.rows, each.decode) for each in made] == [
        (800, 4, False),
        (800, 4, False),
        (8, 8, True),
        (4, 4, True),
    ]


def test_another_tokenizer_scales_what_is_read_and_not_what_is_written() -> None:
    assert READ.scaled(0.5).tokens == 50
    assert (STEP.scaled(0.5).tokens, STEP.scaled(0.5).cached) == (4, 20)


@pytest.mark.parametrize("way", ["label", "text", "pmi", "decode"])
def test_the_engine_reads_exactly_the_tokens_that_were_counted(tiny_folder: Path, data: Path, way: Scoring) -> None:
    settings = EngineSettings(weights=str(tiny_folder), choice=way, selection=way)
    prompts = prompts_of(read_questions(data), load_settings().prompts)
    engine = TransformersEngine(tiny_folder, settings)
    engine.answer(prompts)
    work = count_work(counting_for(model_entry(DEFAULT_MODEL)).tokenizer, [prompts], settings)
    read = sum(each.tokens for each in work.batches[0] if not each.decode)
    # Of long sources the model chooses the phrases that it reads again.
    assert read == pytest.approx(engine.usage().prefill_tokens, rel=0.02)
    steps = sum(each.decode for each in work.batches[0])
    assert steps >= engine.usage().decode_steps
    assert all(each.tokens <= each.padded for each in work.batches[0])


@pytest.fixture
def vllm(tiny_folder: Path) -> CountingVllm:
    return CountingVllm(counting_for(model_entry(DEFAULT_MODEL)).tokenizer)


def test_vllm_reads_a_prompt_once_where_its_labels_are_single_tokens(vllm: CountingVllm) -> None:
    vllm.score_rows([(None, [*range(40)], [[5], [6]]), (None, [*range(1, 41)], [[5], [6]])], 0)
    (made,) = vllm.passes
    # One row of logits tells all labels of a prompt.
    assert (made.tokens, made.padded, made.outputs) == (80, 80, 2)


def test_vllm_reads_what_lies_behind_the_last_full_block_again_for_labels_that_fork(vllm: CountingVllm) -> None:
    """Behind 40 tokens, two blocks of 16 are kept: 41 for all of the first path, then 8 and the other path's own."""
    vllm.score_rows([(None, [*range(40)], [[5], [6, 7], [8, 9]])], 0)
    assert vllm.passes[0].tokens == 41 + 9


def test_vllm_writes_all_rows_side_by_side_until_the_longest_is_done(vllm: CountingVllm) -> None:
    """The first token comes with the prompt."""
    rows = [WritingRow("", [*range(20)], Text(9), limit) for limit in (3, 5)]
    vllm.write_rows(rows, 0)
    assert [(made.rows, made.decode) for made in vllm.passes] == [(2, False), *[(2, True)] * 2, *[(1, True)] * 2]


def test_labels_need_one_pass_and_no_step(data: Path) -> None:
    questions = [question for question in read_questions(data) if question.is_multiple_choice]
    prompts = prompts_of(questions, load_settings().prompts)
    settings = EngineSettings(choice="label", selection="label")
    work = count_work(counting_for(model_entry(DEFAULT_MODEL)).tokenizer, [prompts], settings)
    assert not any(each.decode for each in work.batches[0])
    assert work.heads


def predicted(entry: ModelEntry, data: Path) -> list[float]:
    made = Machine(entry, *_t4())
    groups = count_groups(read_questions(data), made, counting_for(entry), load_settings())
    return [budget.minutes for budget in budgets(groups, made, assumed_questions({}))]


def _t4() -> tuple[Device, int, Assumptions]:
    devices, assumptions = read_devices()
    return devices["t4"], 4, assumptions


def test_a_model_of_twice_the_layers_takes_longer_in_every_track(data: Path) -> None:
    entry = model_entry("llama3-8b")
    shape = dataclasses.replace(entry.shape, layers=2 * entry.shape.layers)
    once, twice = predicted(entry, data), predicted(dataclasses.replace(entry, shape=shape), data)
    assert len(once) == 5
    assert all(1.5 * a < b < 2.5 * a for a, b in zip(once, twice, strict=True))


def test_the_fifth_track_takes_as_long_as_the_four_together(data: Path) -> None:
    *four, all_of_them = predicted(model_entry("llama3-70b-awq"), data)
    assert all_of_them == pytest.approx(sum(four), rel=0.02)


def test_batches_are_filled_up_with_prompts_that_differ() -> None:
    prompts = [Prompt("", name, Text(3), fallback="x", bare=name) for name in ("one", "two", "three")]
    (batch,) = full_batches(prompts, 8)
    assert batch[:3] == prompts
    assert len(batch) == len({each.user for each in batch}) == len({each.bare for each in batch}) == 8
    assert full_batches(prompts, 3) == [prompts]


def test_few_samples_cost_as_much_a_question_as_many(data: Path, tmp_path: Path) -> None:
    one = tmp_path / "one.jsonl"
    lines = data.read_text(encoding="utf-8").splitlines()
    one.write_text(next(line for line in lines if '"ranking"' in line), encoding="utf-8")
    same = tmp_path / "same.jsonl"
    question = json.loads(one.read_text(encoding="utf-8"))
    words = [dict(question, input_field=f"{question['input_field']} {number}") for number in range(16)]
    same.write_text("\n".join(map(json.dumps, words)), encoding="utf-8")
    entry = model_entry("llama3-70b-awq")
    assert predicted(entry, one)[2] == pytest.approx(predicted(entry, same)[2], rel=0.03)


def test_questions_are_assumed_in_proportion_to_the_minutes() -> None:
    assert assumed_questions({}) == {1: 5537, 2: 1582, 3: TRACK_3_QUESTIONS, 4: 1582, 5: 11074}
    assert assumed_questions({1: 100})[5] == 100 + 1582 + 2373 + 1582
    assert assumed_questions({5: 7})[5] == 7


def test_the_command_prints_all_tracks_memory_and_assumptions(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--model", "llama3-70b-awq", "--gpu", "t4", "--count", 4, "--track", 3, "--data", data) == 0
    lines = capsys.readouterr().out.splitlines()
    tracks = [line.split()[0] for line in lines if line.split()[-4:-3] in (["within"], ["OVER"]) or "within" in line]
    assert tracks == ["1", "2", "3", "4", "5"]
    for name in ("prefill_efficiency", "weights", "track 3 by task type", "decode_efficiency", "3.18"):
        assert any(name in line for line in lines)


def test_the_figures_are_written_as_json(data: Path, tmp_path: Path) -> None:
    output = tmp_path / "budget.json"
    options = ("--model", "qwen2-72b-awq", "--gpu", "l4", "--all-tracks", "--data", data, "--questions", "3=100")
    assert run(*options, "--output", output) == 0
    found = json.loads(output.read_text(encoding="utf-8"))
    assert [track["track"] for track in found["tracks"]] == [track.number for track in TRACKS]
    assert sum(share["questions"] for share in found["tracks"][2]["shares"]) == pytest.approx(100)
    assert found["count"] == 4
    assert all(track["floor_minutes"] < track["minutes"] for track in found["tracks"])


def test_a_model_that_does_not_fit_is_told_so(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--model", "llama3-70b-awq", "--gpu", "t4", "--count", 1, "--data", data) == 0
    out = capsys.readouterr().out
    assert "DOES NOT FIT" in out
    assert out.count("NO MEMORY") == 5


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--gpu", "abacus"), "there is no device 'abacus'"),
        (("--gpu", "t4", "--model", "gpt-2"), "there is no model 'gpt-2'"),
        (("--gpu", "t4", "--track", "6"), "there is no track 6"),
        (("--gpu", "t4", "--questions", "many"), "--questions many: write the track's number"),
        (("--gpu", "t4", "--questions", "9=3"), "there is no track 9"),
        (("--gpu", "t4", "--data", "nowhere.json"), "nowhere.json does not exist"),
        (("--gpu", "t4", "--model", "llama3-8b", "--count", "3"), "--count 3: that many devices cannot share"),
    ],
)
def test_a_wrong_option_is_answered_with_one_sentence_and_exit_code_2(
    options: Sequence[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*options) == 2
    message = capsys.readouterr().err
    assert said in message
    assert "Traceback" not in message
    assert message.count("error:") == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("devices: {}\n", "two blocks are needed"),
        ("assumptions: {disk_gb: 0}\ndevices: {}\n", "assumptions.start_seconds, pass_tokens"),
        ("devices: {t4: 3}\nassumptions: {}\n", "devices.t4 is 3"),
    ],
)
def test_a_wrong_device_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "devices.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        read_devices(path)
    assert str(path) in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize(("field", "value"), [("half_tflops", 0.0), ("decode_efficiency", 1.5)])
def test_a_figure_out_of_its_range_is_refused(field: str, value: float) -> None:
    changed: dict[str, Any] = {field: value}
    with pytest.raises(ValueError, match=field):
        dataclasses.replace(DEVICE, **changed)


def test_a_missing_tokenizer_is_answered_with_how_to_get_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(tmp_path / "nothing"))
    with pytest.raises(UserError, match="no model weights at"):
        counting_for(model_entry("llama3-70b-awq"))


def test_accuracy_is_measured_once_and_taken_from_the_results_afterwards(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--data", str(data), "--limit", "12", "--gpu", "t4", "--results", str(tmp_path / "results.json")]
    assert time_budget_accuracy.main(options) == 0
    first = capsys.readouterr().out
    assert first.splitlines()[-2 if not first.splitlines()[-1] else -1].startswith("all")
    monkeypatch.setattr(time_budget_accuracy, "_warm", lambda _: pytest.fail("measured again"))
    assert time_budget_accuracy.main(options) == 0
    assert capsys.readouterr().out == first


@pytest.fixture
def random_entry(tmp_path: Path, tiny_folder: Path) -> ModelEntry:
    shape = ModelShape("llama", 2, 128, 256, 2, 1, 64, 512)
    entry = dataclasses.replace(seventy_shape.shaped_entry(2, "transformers"), tensor_parallel=1)
    entry = dataclasses.replace(entry, shape=shape, dtype="float32", weights=str(tmp_path / "random"))
    write_random_checkpoint(Path(entry.weights), entry, tiny_folder)
    return entry


def test_a_random_checkpoint_answers_and_is_measured(random_entry: ModelEntry) -> None:
    settings = dataclasses.replace(seventy_shape.engine_settings(random_entry, 1), awq="dense", device="cpu")
    engine = TransformersEngine(Path(random_entry.weights), settings)
    row = seventy_shape.timed(engine, seventy_shape.machine_of(random_entry, "t4", 1), settings, rows=2)
    assert row["prefill_tokens_a_second"] > 0 < row["decode_tokens_a_second"]
    assert 0 < row["prefill_floor_share"] < 1 > row["decode_floor_share"] > 0


def test_random_weights_have_the_size_that_the_catalogue_computes(random_entry: ModelEntry) -> None:
    from safetensors.torch import load_file

    files = Path(random_entry.weights).glob("*.safetensors")
    size = sum(tensor.numel() * tensor.element_size() for file in files for tensor in load_file(file).values())
    assert size == dataclasses.replace(random_entry, dtype="float16").weight_bytes


def test_a_finished_random_checkpoint_is_kept(random_entry: ModelEntry, tiny_folder: Path) -> None:
    shard = next(Path(random_entry.weights).glob("model-layer*"))
    shard.unlink()
    write_random_checkpoint(Path(random_entry.weights), random_entry, tiny_folder)
    assert not shard.exists()


def test_without_a_gpu_the_seventy_shape_is_refused_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert exit_code(lambda: seventy_shape.main([])) == 2
    assert capsys.readouterr().err == ("error: no GPU is at hand: run this where torch.cuda.is_available() says True\n")


def test_a_quarter_of_the_layers_quarters_the_speeds(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"rows": 16, "prefill_tokens_a_second": 4000, "prefill_floor_share": 0.5, "used_gb": 10.0}
    seventy_shape.print_speeds([{**row, "decode_tokens_a_second": 800, "decode_floor_share": 0.25}], layers=20)
    out = capsys.readouterr().out
    assert "1,000" in out
    assert "200" in out
    assert "measured with 20 layers" in out


def test_the_benchmarks_prompts_have_the_sizes_that_they_say() -> None:
    read, written = seventy_shape.prompts_of(3)
    assert [type(each) for each in (*read, *written)] == [Prompt] * 6
    assert len({each.user for each in read}) == 3


def test_a_folder_as_output_is_refused_before_anything_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("submission.time_budget.__main__._predict", lambda *_: pytest.fail("it was counted"))
    assert exit_code(lambda: main(["--gpu", "t4", "--output", str(tmp_path)])) == 2
    assert capsys.readouterr().err == f"error: --output {tmp_path} is a folder: name a file in it\n"


def test_a_head_that_chats_share_is_held_once() -> None:
    batch = (dataclasses.replace(READ, tokens=100, padded=100),)
    alone = machine().memory(Work(1, [batch, batch])).cache
    with_head = machine().memory(Work(1, [batch, batch], {(1, 2): dataclasses.replace(READ, tokens=40)})).cache
    assert with_head - alone == pytest.approx(40 * ENTRY.kv_bytes_a_token)
