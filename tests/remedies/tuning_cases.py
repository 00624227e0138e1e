"""Messages of the tools that train, mix and quantise models; their work is replaced by stubs."""

import json
from pathlib import Path

import pytest

from tests.remedies.case import Case, replaced, taken
from tests.tuning.finetuning import RECIPE, rows, write_rows

MISSING = ("models/engines/weights_folder.py", "no model weights at")
QUANTIZE = "tuning.quantize --output new"
CALIBRATED = f"{QUANTIZE} --source model --calibration few.txt --max-tokens 16"
FINETUNE = "tuning.finetune --recipe recipe.yaml --base model --output new"
TRAINED = f"{FINETUNE} --rows selected/train_12.jsonl"
HYBRIDIZE = "tuning.hybridize --output new --recipe recipes/hybridize"
FIT = "tuning.fit_fusion --rows ranking.jsonl"
DETECTION = "tuning.fit_detection --rows ranking.jsonl"
APPLY = "tuning.apply_adapter --base model"
REGISTRY = "tuning/merging/registry.py"


class Words:
    """A tokenizer that makes a token of every word."""

    def __call__(self, text: str) -> dict[str, list[int]]:
        return {"input_ids": [len(word) for word in text.split()]}


def quantizing(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Write few texts; replace the packages that load a tokenizer and quantise."""
    (folder / "few.txt").write_text("a lamp for the desk\n" * 10, encoding="utf-8")
    patch.setattr("tuning.quantize._version", lambda _: "1")
    patch.setattr("tuning.quantize._load_tokenizer", lambda _: Words())
    patch.setattr("tuning.quantize._quantised", taken)


def without_gpu(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Quantise where there is no GPU."""
    quantizing(folder, patch)
    patch.setattr("torch.cuda.is_available", lambda: False)


def finetuning(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Write a recipe and selected rows; the training begins nothing."""
    (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    (folder / "selected").mkdir()
    write_rows(folder / "selected" / "train_12.jsonl", rows(12))
    write_rows(folder / "selected" / "held_out.jsonl", rows(6, 100))
    patch.setattr("tuning.finetune.RunFolder", taken)


def half_adapter(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Remove the matrices of a second adapter."""
    mixing(folder, patch)
    (folder / "half").mkdir()
    (folder / "half" / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"}), encoding="utf-8")


mixing = replaced("tuning.hybridize._mix_adapters", "tuning.hybridize.mix_full_weights")
applying = replaced("tuning.apply_adapter.apply")
fitting_detection = replaced("tuning.fit_detection.held_out_scores")
fitting = replaced("tuning.fit_fusion.scored_rows")

CASES = (
    Case("tuning/quantize.py", "check_model(--source)", f"{QUANTIZE} --source none", f"{QUANTIZE} --source model",
         quantizing, (MISSING,)),
    Case("tuning/quantize.py", "name a file by --recipe", f"{QUANTIZE} --source model --recipe none.yaml",
         f"{QUANTIZE} --source model --recipe recipes/awq.yaml", quantizing),
    Case("tuning/quantize.py", "use --group-size", f"{QUANTIZE} --source narrow", "... --group-size 64", quantizing),
    Case("tuning/calibration_texts.py", "lower --rows", CALIBRATED, "... --rows 3", quantizing),
    Case("tuning/output_folder.py", "exists: move it", "tuning.quantize --source model --output filled",
         f"{QUANTIZE} --source model", quantizing),
    Case("tuning/fit_detection.py", "--rows: two files", f"{DETECTION} --output w.safetensors",
         f"{DETECTION} generation.jsonl --output w.safetensors", fitting_detection),
    Case("tuning/fit_detection.py", "check_folder(--output)",
         f"{DETECTION} generation.jsonl --output file/w.safetensors", "... --output w.safetensors", fitting_detection),
)  # fmt: skip
SLOW = (
    Case("tuning/quantize.py", "--device cuda", f"{QUANTIZE} --source model --device cuda",
         f"{QUANTIZE} --source model --device cpu", without_gpu),
    Case("tuning/finetune.py", "check_model(--base)", f"{TRAINED} --held-out selected/held_out.jsonl --base none",
         f"{TRAINED} --held-out selected/held_out.jsonl", finetuning),
    Case("tuning/finetune.py", "by --size N", f"{FINETUNE} --rows selected", "... --size 12", finetuning),
    Case("tuning/finetune.py", "remove --size", f"{TRAINED} --held-out selected/held_out.jsonl --size 12",
         f"{TRAINED} --held-out selected/held_out.jsonl", finetuning),
    Case("tuning/finetune.py", "--held-out is missing", TRAINED, "... --held-out selected/held_out.jsonl", finetuning),
    Case("tuning/fit_fusion.py", "no row with numbered candidates", "tuning.fit_fusion --rows generation.jsonl",
         FIT, fitting),
    Case("tuning/fit_fusion.py", "is neither a number nor", f"{FIT} --each order=5", f"{FIT} --each ranking=5",
         fitting),
    Case("tuning/hybridize.py", "is an adapter and", f"{HYBRIDIZE}_linear.yaml --parents adapter model",
         f"{HYBRIDIZE}_linear.yaml --parents adapter --base model", mixing),
    Case("tuning/hybridize.py", "(--base)", f"{HYBRIDIZE}_linear.yaml --parents adapter --base none",
         f"{HYBRIDIZE}_linear.yaml --parents adapter --base model", mixing,
         (("tuning/hybridize.py", "name an adapter or a model by"),)),
    Case("tuning/hybridize.py", "(--parents)", f"{HYBRIDIZE}_linear.yaml --parents adapter half",
         f"{HYBRIDIZE}_linear.yaml --parents adapter adapter", half_adapter,
         (("tuning/hybridize.py", "name another folder by"),)),
    Case("tuning/merging/method.py", "mixes two models", f"{HYBRIDIZE}_slerp.yaml --parents model",
         f"{HYBRIDIZE}_slerp.yaml --parents model model", mixing),
    Case("tuning/merging/method.py", "mixes two models", f"{HYBRIDIZE}_slerp.yaml --parents model",
         "... --base model", mixing),
    Case("tuning/merging/methods.py", "averages two models", f"{HYBRIDIZE}_linear.yaml --parents model",
         f"{HYBRIDIZE}_linear.yaml --parents model model", mixing),
    Case(REGISTRY, "name the base by --base", f"{HYBRIDIZE}_wise_ft.yaml --parents model adapter",
         f"{HYBRIDIZE}_wise_ft.yaml --base model --parents adapter", mixing),
    Case("tuning/apply_adapter.py", "check_model(--base)", f"{APPLY} --adapter adapter --output new --base none",
         f"{APPLY} --adapter adapter --output new", applying),
    Case("tuning/apply_adapter.py", "name another folder by --adapter", f"{APPLY} --adapter model --output new",
         f"{APPLY} --adapter adapter --output new", applying),
    Case("tuning/output_folder.py", "name another --output", f"{APPLY} --adapter adapter --output file/below",
         f"{APPLY} --adapter adapter --output new", applying),
)  # fmt: skip
