"""The predicted seconds and bytes of a pass are those worked out by hand."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.engines.model_registry import ModelEntry, ModelShape, model_entry
from submission.time_budget.devices import Assumptions, Device, device_named
from submission.time_budget.prediction import Machine, Pass, Work, side_by_side
from utilities.errors import UserError

ASSUMED = Assumptions(disk_gb=1.0, start_seconds=10.0, pass_tokens=1000, unpack_from_tokens=256, runtime_gb=1.0)
SHAPE = ModelShape("llama", 2, 100, 200, 10, 10, 10, 1000)
ENTRY = dataclasses.replace(model_entry("llama3-8b"), name="tiny", tensor_parallel=1, shape=SHAPE)
# One TFLOP/s and one GB/s, all of it reached, and kernels that start at once.
DEVICE = Device("plain", 1.0, 0.5, 1.0, 16.0, 15.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1e-9)
READ = Pass(rows=2, tokens=100, padded=128, pairs=0, causal_pairs=0, cached=0, outputs=0)
STEP = Pass(rows=4, tokens=4, padded=4, pairs=0, causal_pairs=0, cached=40, outputs=4, decode=True)


def machine(entry: ModelEntry = ENTRY, device: Device = DEVICE, count: int = 1) -> Machine:
    return Machine(entry, device, count, ASSUMED)


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


def test_a_head_that_chats_share_is_held_once() -> None:
    batch = (dataclasses.replace(READ, tokens=100, padded=100),)
    alone = machine().memory(Work(1, [batch, batch])).cache
    with_head = machine().memory(Work(1, [batch, batch], {(1, 2): dataclasses.replace(READ, tokens=40)})).cache
    assert with_head - alone == pytest.approx(40 * ENTRY.kv_bytes_a_token)


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
