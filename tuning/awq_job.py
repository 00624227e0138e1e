"""AWQ by gptqmodel: the search for scales and thresholds, layer after layer, kept on disk so that it can go on."""

import os
import sys
from collections.abc import Sequence
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm
from transformers import AutoTokenizer

from utilities.errors import UserError

RESUMABLE = ("llama",)
"""The model types whose finished layers gptqmodel 7.5 keeps; others begin anew."""

_LOG = "gptqmodel.log"
_WORKERS = "GPTQMODEL_CPU_WORKERS"
_FEWEST_WORKERS = 2  # with fewer gptqmodel refuses to start


class StoppedError(Exception):
    """The run was asked to stop and has kept its finished layers."""


@dataclass(frozen=True)
class Job:
    """What is quantised and how: `device` is auto, cpu or cuda.

    `work` is where gptqmodel keeps finished layers, its log and the result.
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


def quantise(job: Job, rows: Sequence[Sequence[int]]) -> None:
    """Quantise `job.source` into `job.built`, from the last finished layer if it was begun before.

    Raises:
        StoppedError: an interrupt came; the finished layers are kept.
        UserError: another run is at work on the same folder, or it holds layers of other settings.
    """
    os.environ.setdefault(_WORKERS, str(max(_FEWEST_WORKERS, os.cpu_count() or 1)))
    screen = sys.stderr
    # gptqmodel prints hundreds of lines and writes a folder of logs to wherever it is started.
    log = (job.work / _LOG).open("a", encoding="utf-8")
    with log, redirect_stdout(log), redirect_stderr(log), chdir(job.work):
        _run(job, rows, _Progress(job.layers, screen))


def _run(job: Job, rows: Sequence[Sequence[int]], progress: "_Progress") -> None:
    # Imported late: it takes seconds, and only this command needs it.
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
    model: Any = GPTQModel.load(str(job.source), config, dtype=torch.float16)
    model.layer_callback = progress
    batch = [{"input_ids": list(row), "attention_mask": [1] * len(row)} for row in rows]
    tokenizer = AutoTokenizer.from_pretrained(job.source, local_files_only=True)
    try:
        # The portable kernel packs on every device; the format is the same for all.
        model.quantize(batch, tokenizer=tokenizer, batch_size=1, backend=BACKEND.AWQ_TORCH, checkpoint=kept)
        model.save(str(job.built))
    except CheckpointStopped as stop:
        raise StoppedError from stop
    except CheckpointError as error:
        raise UserError(f"{job.work}: the layers kept there cannot be used ({error}): remove the folder") from error
    finally:
        progress.close()


class _Progress:
    """A bar with the time that is left; gptqmodel calls it when a layer is searched and again when it is packed."""

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
        """Count what an earlier run finished as done, so that it does not make this one look fast."""
        self._begun = True
        self._bar.initial = self._bar.n = layer
        if layer:
            print(f"going on behind {layer} finished layers", file=self._screen, flush=True)
