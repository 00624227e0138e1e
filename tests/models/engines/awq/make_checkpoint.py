"""Make `tests/awq/llama`: a tiny random Llama that AutoAWQ itself quantised, to prove that its format is read right.

AutoAWQ is archived and not in this package's environment; it needs one of its own, from the repository's root:

    python3.11 -m venv /tmp/autoawq
    /tmp/autoawq/bin/pip install -r requirements.txt
    /tmp/autoawq/bin/pip install --no-build-isolation -c requirements.txt gptqmodel==7.5.0 datasets
    /tmp/autoawq/bin/pip install --no-deps autoawq==0.2.9
    /tmp/autoawq/bin/python -m tests.awq.make_checkpoint

The checkpoint in the repository was written so by autoawq 0.2.9 with torch 2.13.0 and transformers 5.19.0, in half a
minute on two cores. AutoAWQ's search for clipping thresholds wants layers whose outputs are multiples of 64.
"""

import argparse
import tempfile
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from transformers import AutoTokenizer

from tests.tiny_model import save_tiny_model
from utilities.files import write_json

FOLDER = Path(__file__).parent / "llama"
GROUP_SIZE = 32
CALIBRATION = (
    "Which of these bottles keeps tea hot for twelve hours? The steel one with two walls and a lid that closes well. ",
    "The customer searched for a garden hose of twenty metres and bought it with two connectors and a spray nozzle. ",
    "Rank the products by how well they fit the query: 1, 2, 3, 4, 5. The battery of the lamp lasts three weeks. ",
    "Die Kanne hält zwölf Stunden warm. La botella es de acero. A kettle with a whistle, 1.5 l, for gas stoves. ",
)


def make(folder: Path) -> None:
    """Quantise a tiny Llama with AutoAWQ and save it with its tokenizer."""
    awq = import_module("awq")
    with tempfile.TemporaryDirectory() as dense:
        save_tiny_model(Path(dense), hidden_size=128, intermediate_size=192, dtype="float16")
        tokenizer = AutoTokenizer.from_pretrained(dense)
        model = awq.AutoAWQForCausalLM.from_pretrained(dense, device_map="cpu", safetensors=True)
    settings = {"zero_point": True, "q_group_size": GROUP_SIZE, "w_bit": 4, "version": "GEMM"}
    model.quantize(tokenizer, quant_config=settings, calib_data=list(CALIBRATION), max_calib_seq_len=128)
    model.save_quantized(str(folder))
    tokenizer.save_pretrained(folder)
    write_json(folder / "made_with.json", {name: version(name) for name in ("autoawq", "torch", "transformers")})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make the checkpoint that tests/models/engines/test_awq.py reads.")
    parser.add_argument("--output", type=Path, default=FOLDER, help="default: %(default)s")
    make(parser.parse_args().output)
