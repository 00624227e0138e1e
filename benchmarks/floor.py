"""The least time in which this machine could read the questions: every token passes the model's matrices once.

floor seconds = 2 x parameters outside the embeddings x question tokens / measured rate of matrix products
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.common import (
    Json,
    make_parser,
    model_folder,
    open_results,
    read_asked,
    weights_of,
)
from evaluation.questions import DEVELOPMENT
from models.engines.settings import EngineSettings
from models.settings import load_settings
from utilities.errors import exit_code
from utilities.printed_tables import print_table

EXAMPLES = """\
  python -m benchmarks.floor
  python -m benchmarks.floor --data FILE --threads 1
"""
_ROWS = 1024
_LOCAL: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}


@dataclass(frozen=True)
class Floor:
    """The least work and time that a dense model needs to read the questions, in float operations and seconds."""

    question_tokens: int
    parameters: int
    flop_per_second: float

    @property
    def flop(self) -> float:
        """Float operations: one multiplication and one addition for each parameter and token."""
        return 2.0 * self.parameters * self.question_tokens

    @property
    def seconds(self) -> float:
        """The time of the operations at the measured rate."""
        return self.flop / self.flop_per_second

    def to_json(self) -> Json:
        """Return fields and results."""
        return {**asdict(self), "flop": self.flop, "seconds": self.seconds}


def measure_floor(settings: EngineSettings, questions: Sequence[str]) -> Floor:
    """Count the questions' tokens and the model's parameters, and measure the machine."""
    folder = model_folder(settings)
    return Floor(count_tokens(folder, questions), count_parameters(folder), matrix_rate(folder, settings))


def count_tokens(folder: Path, questions: Sequence[str]) -> int:
    """Return the number of tokens of the bare questions, without chat template or special tokens."""
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder, **_LOCAL)
    return sum(len(tokenizer.encode(question, add_special_tokens=False)) for question in questions)


def count_parameters(folder: Path) -> int:
    """Return the number of parameters in a matrix product for every token: all but both embeddings.

    The vocabulary projection does not count, because scores need it at few positions. No weights are loaded.
    """
    # Here and below: torch and transformers take seconds to import, which `--help` need not wait for.
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    kind: Any = AutoModelForCausalLM
    config: Any = AutoConfig.from_pretrained(folder, **_LOCAL)
    with torch.device("meta"):
        model = kind.from_config(config)
    embeddings = {id(part.weight): part.weight.numel() for part in _embeddings(model)}
    return int(sum(parameter.numel() for parameter in model.parameters()) - sum(embeddings.values()))


def _embeddings(model: Any) -> list[Any]:
    return [model.get_input_embeddings(), model.get_output_embeddings()]


def matrix_rate(folder: Path, settings: EngineSettings) -> float:
    """Return float operations per second: the best of several products with the shapes of the model's MLP.

    They are in the precision that the engine has with these settings.
    """
    import torch

    from models.engines.transformers_engine.precision import best_seconds, multiplier, precision_of

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    hidden, intermediate = int(config["hidden_size"]), int(config["intermediate_size"])
    device = _device(settings)
    way = precision_of(settings.dtype, settings.device, folder)
    rows = torch.randn(_ROWS, hidden, device=device).to(way.dtype)
    multiply = multiplier(way, torch.randn(intermediate, hidden, device=device))
    # Reading one number waits until a GPU has finished.
    seconds = best_seconds(lambda: multiply(rows)[0, 0].item())
    return 2.0 * _ROWS * hidden * intermediate / seconds


def _device(settings: EngineSettings) -> str:
    if settings.device != "auto":
        return settings.device
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure the floor by the options of the command line; print a table and return 0."""
    options = make_parser("floor", __doc__, EXAMPLES, data=DEVELOPMENT, threads=True).parse_args(argv)
    questions, data = read_asked(options)
    settings = load_settings().engine
    weights = weights_of(settings)
    results = open_results(options)
    floor = measure_floor(settings, [question.input_field for question in questions])
    results.finish({"floor": floor.to_json(), "weights": weights, "data": data})
    print_floor(floor, len(questions))
    return 0


def print_floor(floor: Floor, questions: int) -> None:
    """Print the floor and the figures it is computed from."""
    rows = [
        ("questions", str(questions)),
        ("question tokens", f"{floor.question_tokens:,}"),
        ("parameters outside the embeddings", f"{floor.parameters:,}"),
        ("TFLOP", f"{floor.flop / 1e12:.2f}"),
        ("measured GFLOP/s", f"{floor.flop_per_second / 1e9:.1f}"),
        ("floor seconds", f"{floor.seconds:.2f}"),
    ]
    print_table(("floor", "value"), rows)


if __name__ == "__main__":
    sys.exit(exit_code(main))
