"""AWQ by gptqmodel: layer after layer, kept on disk so that it can be resumed, and written as AutoAWQ writes it."""

import json
import os
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from tqdm import tqdm

from tuning.output_folder import copy_files
from utilities.errors import UserError, is_disk_full, with_causes
from utilities.files import write_json

RESUMABLE = ("llama",)
"""The model types whose finished layers gptqmodel 7.5 keeps; runs of others start over."""

_LOG = "gptqmodel.log"
_WORKERS = "GPTQMODEL_CPU_WORKERS"
_FEWEST_WORKERS = 2  # gptqmodel refuses to start with fewer
_NO_MEMORY = ("out of memory", "can't allocate memory", "Cannot allocate memory", "bad_alloc", "can't start new thread")
_WEIGHTS = ("*.safetensors", "model.safetensors.index.json")


class StoppedError(Exception):
    """The run was interrupted and has kept its finished layers."""


@dataclass(frozen=True)
class Job:
    """A model to be quantised on `device` (auto, cpu or cuda).

    gptqmodel keeps finished layers, its log and the result in `work`.
    """

    source: Path
    work: Path
    model_type: str
    layers: int
    group_size: int
    device: str

    @property
    def built(self) -> Path:
        """The folder that gptqmodel writes."""
        return self.work / "built"


def keeps_layers(work: Path) -> bool:
    """Return whether a work folder holds layers of an earlier run."""
    return (work / "layers").is_dir()


@contextmanager
def failures_reported(job: Job) -> Iterator[None]:
    """Turn a shortage of the machine into one sentence; finished layers stay in `job.work`.

    Raises:
        UserError: the disk is full, memory ran out, or a file cannot be read or written.
    """
    try:
        yield
    except (OSError, MemoryError, RuntimeError, SafetensorError) as error:
        reason = _reason(job, error)
        if reason is None:
            raise
        raise UserError(reason) from error


def _reason(job: Job, error: BaseException) -> str | None:
    """Return the shortage that ended the run, with its remedy; None for any other error."""
    problem = _shortage(job, error)
    again = "resumes after the last finished layer" if job.model_type in RESUMABLE else "starts over"
    return f"{problem}, then repeat the command, which {again}" if problem else None


def _shortage(job: Job, error: BaseException) -> str | None:
    import torch

    errors = list(with_causes(error))
    said = " ".join(map(str, errors))
    files = [each for each in errors if isinstance(each, OSError)]
    if is_disk_full(error):
        return f"{job.work}: the disk is full: make room there"
    if any(isinstance(each, torch.OutOfMemoryError) for each in errors):
        return f"{job.source}: the GPU has too little memory: free it, or take one with more"
    if any(isinstance(each, MemoryError) for each in errors) or any(text in said for text in _NO_MEMORY):
        return f"{job.source}: the machine has too little memory: end other programs, or take one with more"
    named = next((each for each in files if each.filename), None)
    return f"{named.filename}: {named.strerror}: make it accessible" if named else None


@contextmanager
def _thread_failures_reported(job: Job, screen: Any) -> Iterator[None]:
    """Report the errors of gptqmodel's threads, which end the process with code 1 and without a reason."""
    from gptqmodel.utils.threadx import _DeviceWorker

    reported = threading.Lock()

    def end(_: Any, error: BaseException) -> None:
        if reported.acquire(blocking=False):
            with suppress(OSError):
                traceback.print_exception(error)
            other = f"gptqmodel failed ({type(error).__name__}: {error}): see {job.work / _LOG}"
            print(f"\nerror: {_reason(job, error) or other}", file=screen, flush=True)
            os._exit(2)

    usual, _DeviceWorker._abort_process = _DeviceWorker._abort_process, end
    try:
        yield
    except BaseException:
        if not reported.acquire(blocking=False):
            threading.Event().wait()  # the process is ending
        raise
    _DeviceWorker._abort_process = usual


def quantise(job: Job, rows: Sequence[Sequence[int]], tokenizer: Any) -> None:
    """Quantise `job.source` into `job.built` on calibration `rows` of tokens, after the layers of an earlier run.

    Raises:
        StoppedError: the run was interrupted; the finished layers are kept.
        UserError: the kept layers cannot be used.
    """
    os.environ.setdefault(_WORKERS, str(max(_FEWEST_WORKERS, os.cpu_count() or 1)))
    screen = sys.stderr
    # gptqmodel prints hundreds of lines and writes a folder of logs into the working directory.
    log = (job.work / _LOG).open("a", encoding="utf-8")
    with log, redirect_stdout(log), redirect_stderr(log), chdir(job.work), _thread_failures_reported(job, screen):
        _run(job, rows, tokenizer, _Progress(job.layers, screen))


def _run(job: Job, rows: Sequence[Sequence[int]], tokenizer: Any, progress: "_Progress") -> None:
    # Imported late: both take seconds, which a bad input need not wait for.
    import torch
    from gptqmodel import BACKEND, GPTQModel
    from gptqmodel.looper.checkpoint import CheckpointStopped
    from gptqmodel.looper.checkpoint_store import CheckpointConfig, CheckpointError
    from gptqmodel.quantization.config import AWQConfig

    config = AWQConfig(
        bits=4,
        group_size=job.group_size,
        sym=False,
        offload_to_disk=True,
        offload_to_disk_path=str(job.work / "offload"),
        device=None if job.device == "auto" else job.device,
    )
    kept = CheckpointConfig(path=str(job.work / "layers")) if job.model_type in RESUMABLE else None
    batch = [{"input_ids": list(row), "attention_mask": [1] * len(row)} for row in rows]
    try:
        model: Any = GPTQModel.load(str(job.source), config, dtype=torch.float16)
        model.layer_callback = progress
        # The portable kernel packs on every device; the format is the same for all.
        model.quantize(batch, tokenizer=tokenizer, batch_size=1, backend=BACKEND.AWQ_TORCH, checkpoint=kept)
        model.save(str(job.built))
    except CheckpointStopped as stop:
        raise StoppedError from stop
    except CheckpointError as error:
        if _reason(job, error):
            raise
        raise UserError(f"{job.work}: the layers kept there cannot be used ({error}): remove the folder") from error
    finally:
        progress.close()


class _Progress:
    """A bar with the remaining time; gptqmodel calls it when a layer is searched and again when it is packed."""

    def __init__(self, layers: int, screen: Any) -> None:
        self._bar = tqdm(total=layers, desc="layers quantised", unit="layer", file=screen)
        self._screen = screen
        self._begun = False

    def __call__(self, layer_idx: int, submodule_finalized: bool) -> None:
        if not self._begun:
            self._begin_at(layer_idx)
        if submodule_finalized:
            self._bar.update(layer_idx + 1 - self._bar.n)

    def close(self) -> None:
        self._bar.close()

    def _begin_at(self, layer: int) -> None:
        """Count the layers of an earlier run as done, so that they do not make this run look fast."""
        self._begun = True
        self._bar.initial = self._bar.n = layer
        if layer:
            print(f"resuming after {layer} finished layers", file=self._screen, flush=True)


def finish_folder(job: Job, folder: Path, record: Mapping[str, Any]) -> None:
    """Move the weights that gptqmodel built into `folder`, and add the other files of a model and the record.

    The config has the fields that AutoAWQ 0.2.9 writes; transformers and vLLM read them alike.
    """
    copy_files(job.source, folder)
    for pattern in _WEIGHTS:
        for path in job.built.glob(pattern):
            path.chmod(0o644)  # safetensors writes for its owner alone; the evaluator is another user
            path.replace(folder / path.name)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    quantised = {
        "bits": 4,
        "group_size": job.group_size,
        "modules_to_not_convert": None,
        "quant_method": "awq",
        "version": "gemm",
        "zero_point": True,
    }
    for name in ("dtype", "torch_dtype"):
        config.pop(name, None)
    write_json(folder / "config.json", {**config, "dtype": "float16", "quantization_config": quantised})
    write_json(folder / "quantization.json", record)
