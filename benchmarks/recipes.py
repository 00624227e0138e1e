"""The recipes of `benchmarks.compare_recipes`: the starter kit's, one with digits only, and this package's two."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LogitsProcessor, LogitsProcessorList

from evaluation.loop import Model
from models.engines.settings import AUTO, EngineSettings, weights_folder
from models.settings import Settings
from models.shopbench_model import ShopBenchModel
from prompts.detection import detect_task_type
from prompts.reading import Question
from utilities.grouping import grouped, in_order
from utilities.task_type import TaskType

BATCH_SIZE = 16
KIT_SYSTEM = (
    "You assist people who shop online. Please read this question about online shopping, answer it helpfully "
    "and do as its instructions say."
)
DIGITS_SYSTEM = "You are an expert of online shopping. Answer the question and keep to the form that it asks for."
OUTPUT_LIMITS: Mapping[TaskType, int] = {
    TaskType.MULTIPLE_CHOICE: 1,
    TaskType.RANKING: 9,
    TaskType.RETRIEVAL: 8,
    TaskType.NAMED_ENTITY_RECOGNITION: 15,
    TaskType.GENERATION: 50,
}
_NUMBERS = (TaskType.MULTIPLE_CHOICE, TaskType.RANKING, TaskType.RETRIEVAL)
_KIT_LIMIT = 100


class Writer:
    """Writes texts with the plain `generate` of transformers: greedy, batches padded on the left."""

    def __init__(self, settings: EngineSettings) -> None:
        folder = weights_folder(settings)
        options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        tokenizer: Any = AutoTokenizer
        model: Any = AutoModelForCausalLM
        self.tokenizer = tokenizer.from_pretrained(folder, padding_side="left", **options)
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        dtype = torch.float32 if settings.dtype == AUTO else getattr(torch, settings.dtype)
        self.model = model.from_pretrained(folder, dtype=dtype, device_map=settings.device, **options).eval()

    def write(
        self, texts: Sequence[str], limit: int, processors: Sequence[LogitsProcessor] = (), *, is_chat: bool = False
    ) -> list[str]:
        """Continue every text by at most `limit` tokens; `is_chat` says that it has its special tokens already."""
        batch = self.tokenizer(list(texts), return_tensors="pt", padding=True, add_special_tokens=not is_chat)
        batch = batch.to(self.model.device)
        written = self.model.generate(
            **batch,
            do_sample=False,
            max_new_tokens=limit,
            pad_token_id=self.tokenizer.pad_token_id,
            logits_processor=LogitsProcessorList(list(processors)),
        )
        new: list[str] = self.tokenizer.batch_decode(
            written[:, batch["input_ids"].shape[1] :], skip_special_tokens=True
        )
        return new


class KitRecipe:
    """The starter kit's baseline: a system sentence and the question as plain text, up to 100 new tokens."""

    def __init__(self, settings: Settings) -> None:
        self._writer = Writer(settings.engine)

    def get_batch_size(self) -> int:
        """Return 16."""
        return BATCH_SIZE

    def batch_predict(self, batch: Mapping[str, Sequence[str]], is_multiple_choice: bool) -> list[str]:
        """Continue every question by up to 100 tokens, a multiple-choice question by one."""
        texts = [f"{KIT_SYSTEM}\n\n{question}" for question in batch["prompt"]]
        return self._writer.write(texts, 1 if is_multiple_choice else _KIT_LIMIT)


class DigitsRecipe:
    """After NVIDIA's entry: chat template, output limits by task type, numbers in digits and commas only."""

    def __init__(self, settings: Settings) -> None:
        self._writer = Writer(settings.engine)
        self._tokens = NumberTokens(self._writer)

    def get_batch_size(self) -> int:
        """Return 16."""
        return BATCH_SIZE

    def batch_predict(self, batch: Mapping[str, Sequence[str]], is_multiple_choice: bool) -> list[str]:
        """Answer by the detected task type; each type of a batch is written as its own batch."""
        questions = batch["prompt"]

        def write(task_type: TaskType, indices: Sequence[int]) -> list[str]:
            processors = [DigitsOnly(self._tokens)] if task_type in _NUMBERS else []
            texts = [self._chat(questions[index]) for index in indices]
            return self._writer.write(texts, OUTPUT_LIMITS[task_type], processors, is_chat=True)

        types = [detect_task_type(Question(question), is_multiple_choice) for question in questions]
        return in_order(grouped(types), write)

    def _chat(self, question: str) -> str:
        tokenizer = self._writer.tokenizer
        if tokenizer.chat_template is None:
            return f"{DIGITS_SYSTEM}\n\n{question}\n"
        turns = [{"role": "system", "content": DIGITS_SYSTEM}, {"role": "user", "content": question}]
        return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))


class NumberTokens:
    """Masks for logits that allow only numbers, [vocabulary]: 0 or minus infinity.

    `first` allows tokens of digits, `later` also commas and the end of the answer.
    """

    def __init__(self, writer: Writer) -> None:
        size = writer.model.get_output_embeddings().weight.shape[0]
        texts = writer.tokenizer.batch_decode([[token] for token in range(min(size, len(writer.tokenizer)))])
        ends = _end_tokens(writer)
        digits = [token for token, text in enumerate(texts) if re.fullmatch("[0-9]+", text)]
        either = [token for token, text in enumerate(texts) if re.fullmatch("[0-9,]+", text)]
        self.first = _allowing(digits, size, writer.model.device)
        self.later = _allowing([*either, *ends], size, writer.model.device)


class DigitsOnly(LogitsProcessor):
    """Restricts one call of `generate` to digits and commas."""

    def __init__(self, tokens: NumberTokens) -> None:
        self._tokens = tokens
        self._prompt_length: int | None = None

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Mask every other token; `input_ids` is [batch, length], `scores` [batch, vocabulary]."""
        length = input_ids.shape[1]
        if self._prompt_length is None:
            self._prompt_length = length
        return scores + (self._tokens.first if length == self._prompt_length else self._tokens.later)


def _end_tokens(writer: Writer) -> list[int]:
    configured = writer.model.generation_config.eos_token_id
    listed = configured if isinstance(configured, list) else [configured]
    return [token for token in listed if token is not None]


def _allowing(tokens: Sequence[int], size: int, device: torch.device) -> torch.Tensor:
    mask = torch.full((size,), float("-inf"), device=device)
    mask[list(tokens)] = 0.0
    return mask


def untuned(settings: Settings) -> Model:
    """Return this package's model without its adapter."""
    return ShopBenchModel(replace(settings, engine=replace(settings.engine, adapter="")))


RECIPES: Mapping[str, Callable[[Settings], Model]] = {
    "kit": KitRecipe,
    "digits": DigitsRecipe,
    "untuned": untuned,
    "shopalign": ShopBenchModel,
}
