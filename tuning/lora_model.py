"""Loads the model of a fine-tuning run, dense or in 4 bits, attaches adapters and saves them."""

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from peft import LoraConfig, TaskType, get_peft_model, get_peft_model_state_dict, prepare_model_for_kbit_training

from models.engines.adapter_config import CONFIG, TENSORS
from models.engines.answering.tokens import TextCoder
from models.engines.damaged_files import read_model_json
from models.engines.local_folder import LOCAL
from models.engines.model_registry import model_entry, template_text
from models.engines.quantization import quantization_of
from tuning.finetune_recipe import FinetuneRecipe, engine_settings
from tuning.model_files import write_tensors
from utilities.errors import UserError
from utilities.files import write_json

_ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj", "qkv_proj"]


def load_base(recipe: FinetuneRecipe, folder: Path) -> tuple[Any, TextCoder]:
    """Load the dense weights of `folder`, in 4 bits if the recipe says so, and their tokenizer.

    Raises:
        UserError: the weights are quantised or cannot be loaded, or 4 bits are requested without a GPU.
    """
    model = _loaded(recipe, folder)
    coder = TextCoder(folder, model.generation_config)
    template = template_text(engine_settings(recipe).chat_template)
    if template is not None:
        coder.tokenizer.chat_template = template
    return model, coder


def _loaded(recipe: FinetuneRecipe, folder: Path) -> Any:
    if quantization_of(folder, read_model_json(folder / "config.json")):
        raise UserError(f"{folder} holds quantised weights: fine-tune the dense ones, then quantise the result")
    try:
        return transformers.AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=getattr(torch, recipe.dtype),
            quantization_config=_four_bits(recipe),
            use_safetensors=True,
            attn_implementation="sdpa",
            **LOCAL,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(f"{folder}: the model cannot be loaded: {' '.join(str(error).split())}") from error


def _four_bits(recipe: FinetuneRecipe) -> Any:
    """Return QLoRA's settings of the base: NF4 with doubly quantised scales (Dettmers et al., 2023)."""
    if recipe.base == "dense":
        return None
    if not torch.cuda.is_available():
        raise UserError("recipe key base: nf4 needs a GPU and bitsandbytes: choose dense, or run it on a GPU")
    dtype = getattr(torch, recipe.dtype)
    four_bits: Any = transformers.BitsAndBytesConfig
    return four_bits(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        bnb_4bit_quant_storage=dtype,
    )


def adapted(model: Any, recipe: FinetuneRecipe) -> tuple[Any, torch.nn.Module]:
    """Attach fresh adapters to `model`; return it with its output embeddings."""
    transformers.set_seed(recipe.seed)
    if recipe.base == "nf4":
        prepare: Any = prepare_model_for_kbit_training
        model = prepare(model, use_gradient_checkpointing=recipe.gradient_checkpointing)
    elif recipe.gradient_checkpointing:
        model.enable_input_require_grads()
    model.config.use_cache = False
    lora = recipe.lora
    present = {name.rpartition(".")[2] for name, _ in model.named_modules()}
    config = LoraConfig(
        task_type=TaskType.CAUSAL_LM,
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.targets if lora.targets == "all-linear" else [n for n in _ATTENTION if n in present],
    )
    model = get_peft_model(model, config)
    return model, model.get_base_model().get_output_embeddings()


def save_adapter(model: Any, output: Path, name: str, gathered: dict[str, torch.Tensor]) -> None:
    """Write the adapter in half precision; its config names the published base of the model `name`, not a local folder.

    `gathered` are the trained tensors, whole even if the model is sharded over processes.

    Raises:
        UserError: a value is not finite.
        OSError: a file cannot be written.
    """
    found = get_peft_model_state_dict(model, state_dict=gathered, save_embedding_layers=False)
    state = {key: tensor.to(torch.float16) for key, tensor in found.items()}
    for key, tensor in state.items():
        if not bool(torch.isfinite(tensor).all()):
            raise UserError(
                f"training has diverged: {key} has values that are not finite in half precision: lower "
                "optimiser.learning_rate or optimiser.max_gradient_norm, and train again"
            )
    write_tensors(output / TENSORS, state)
    config = model.peft_config["default"].to_dict()
    config |= {"base_model_name_or_path": model_entry(name).source, "inference_mode": True}
    given = {key: value for key, value in config.items() if value is not None}
    write_json(output / CONFIG, json.loads(json.dumps(given, default=sorted)))  # sets become lists
