"""Questions with the scores of their candidates: the model's and the evidence's, and what each candidate is worth."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from tqdm import tqdm

from evaluation.metrics import hit_rate_at_3, ndcg
from evaluation.questions import QuestionRow
from models.engines.answering.ways import way_of
from models.engines.interface import Answer, Engine
from models.engines.registry import start_engine
from models.engines.settings import engine_identity
from models.settings import Settings
from prompts.answer_space import Choice, Selection
from prompts.detection import detect_task_type
from prompts.prompt import Prompt
from prompts.reading import Question
from prompts.registry import BUILDERS
from retrieval.bm25 import best_first
from retrieval.fusion import MODEL
from retrieval.knowledge import Knowledge
from retrieval.sources import open_knowledge
from utilities.errors import UserError

_BATCH = 16
_NO_LIMIT = 1e6


@dataclass(frozen=True)
class ScoredRow:
    """One question: `gains` and every source's scores are in the order of its candidates."""

    kind: str
    gains: tuple[float, ...]
    scores: dict[str, tuple[float, ...]]

    def value(self, combined: Sequence[float]) -> float:
        """Return the evaluator's metric for the order of these scores: accuracy, hit rate@3 or NDCG."""
        order = best_first(combined)
        if self.kind == "ranking":
            return ndcg([index + 1 for index in order], self.gains)
        if self.kind == "choice":
            return self.gains[order[0]]
        return hit_rate_at_3(order, [index for index, gain in enumerate(self.gains) if gain])


def scored_rows(questions: Sequence[QuestionRow], settings: Settings, kept: Path) -> list[ScoredRow]:
    """Return a row for each question whose candidates are scored; finished batches are kept in the file `kept`.

    Questions without numbered candidates, or whose reference names none of them, are left out.
    """
    identity = engine_identity(settings.engine)
    knowledge = open_knowledge(settings.knowledge, identity)
    built = [(question, _prompt(question, settings, knowledge)) for question in questions]
    usable = [(question, prompt) for question, prompt in built if _gains(question, prompt)]
    keys = [_key(question, settings, identity["weights_sha256"]) for question, _ in usable]
    finished = _read_kept(kept)
    missing = [index for index, key in enumerate(keys) if key not in finished]
    if missing:
        engine = start_engine(settings.engine)
        with kept.open("a", encoding="utf-8") as file:
            for key, scores in _asked(engine, settings, [(keys[index], usable[index][1]) for index in missing]):
                file.write(json.dumps([key, scores]) + "\n")
                file.flush()
                finished[key] = scores
    rows = zip(usable, keys, strict=True)
    return [_row(question, prompt, finished[key]) for (question, prompt), key in rows if finished[key]]


def _prompt(question: QuestionRow, settings: Settings, knowledge: Knowledge) -> Prompt:
    task_type = detect_task_type(Question(question.input_field), question.is_multiple_choice)
    return BUILDERS[task_type](Question(question.input_field), settings.prompts, knowledge)


def _asked(
    engine: Engine, settings: Settings, prompts: Sequence[tuple[str, Prompt]]
) -> Iterator[tuple[str, list[float]]]:
    batches = range(0, len(prompts), _BATCH)
    for start in tqdm(batches, desc="scoring", unit="batch"):
        batch = prompts[start : start + _BATCH]
        ways = [way_of(prompt.space, settings.engine) for _, prompt in batch]
        answers = engine.answer([prompt for _, prompt in batch], ways, _NO_LIMIT)
        for (key, _), answer in zip(batch, answers, strict=True):
            yield key, list(answer.scores) if isinstance(answer, Answer) else []


def _gains(question: QuestionRow, prompt: Prompt) -> tuple[float, ...]:
    """Return what each candidate is worth by the question's reference; nothing where that does not fit."""
    space, truth = prompt.space, question.output_field
    if not prompt.kind or not isinstance(space, Choice | Selection):
        return ()
    if prompt.kind == "ranking":
        given = tuple(float(each) for each in truth) if isinstance(truth, list) else ()
        return given if len(given) == len(space.labels) and any(given) else ()
    right = {str(each) for each in (truth if isinstance(truth, list) else [truth])}
    gains = tuple(float(label in right) for label in space.labels)
    return gains if any(gains) else ()


def _row(question: QuestionRow, prompt: Prompt, scores: Sequence[float]) -> ScoredRow:
    evidence = {name: tuple(each) for name, each in prompt.evidence.items()}
    return ScoredRow(prompt.kind, _gains(question, prompt), {**evidence, MODEL: tuple(scores)})


def _key(question: QuestionRow, settings: Settings, weights: str) -> str:
    """Return what identifies a model's scores: the question, the prompts' and the engine's settings, the weights."""
    shown = {"text": question.input_field, "prompts": asdict(settings.prompts), "engine": asdict(settings.engine)}
    knowledge = asdict(settings.knowledge) if settings.prompts.external_information else {}
    return sha256(json.dumps([shown, knowledge, weights], sort_keys=True).encode()).hexdigest()


def _read_kept(path: Path) -> dict[str, Any]:
    """Return finished scores; the last line may be half-written and is then left out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").split("\n")
    try:
        whole = dict(json.loads(line) for line in lines[:-1])
    except (ValueError, TypeError):
        raise UserError(f"{path} is no file of scores: remove it or name another") from None
    if lines[-1]:
        path.write_text("".join(f"{line}\n" for line in lines[:-1]), encoding="utf-8")
    return whole
