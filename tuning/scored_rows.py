"""Questions with the model's and the evidence's scores of their candidates, and the gain of each candidate."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from tqdm import tqdm

from evaluation.metrics import hit_rate_at_3, ndcg
from evaluation.questions import QuestionRow
from models.engines.interface import Answer, Engine
from models.engines.process.supervised import start_engine
from models.engines.settings import engine_identity, way_of
from models.settings import Settings
from prompts.detection import detect_task_type
from prompts.prompt import Choice, Prompt, Selection
from prompts.reading import Question
from prompts.registry import BUILDERS
from retrieval.knowledge import MODEL
from retrieval.lexical import best_first
from retrieval.sources import open_knowledge
from tuning.training_form import candidate_gains
from utilities.errors import UserError

_BATCH = 16
_NO_LIMIT = 1e6


@dataclass(frozen=True)
class ScoredRow:
    """A question; `gains` and the scores of every source are in the order of its candidates."""

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
    """Return a row for each question whose candidates are scored; the file `kept` saves finished batches.

    Questions without numbered candidates, or with a reference that names none of them, are left out.
    """
    identity = engine_identity(settings.engine)
    knowledge = open_knowledge(settings.knowledge, identity)
    usable: list[tuple[str, Prompt, tuple[float, ...]]] = []
    for question in questions:
        asked = Question(question.input_field)
        prompt = BUILDERS[detect_task_type(asked, question.is_multiple_choice)](asked, settings.prompts, knowledge)
        if gains := _gains(question, prompt):
            usable.append((_key(question, settings, identity["weights_sha256"]), prompt, gains))
    finished = _read_kept(kept)
    missing = [(key, prompt) for key, prompt, _ in usable if key not in finished]
    if missing:
        engine = start_engine(settings.engine)
        with kept.open("a", encoding="utf-8") as file:
            for key, scores in _asked(engine, settings, missing):
                file.write(json.dumps([key, scores]) + "\n")
                file.flush()
                finished[key] = scores
    return [
        ScoredRow(prompt.kind, gains, {name: tuple(each) for name, each in {**prompt.evidence, MODEL: scores}.items()})
        for key, prompt, gains in usable
        if (scores := finished[key])
    ]


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
    if not prompt.kind or not isinstance(prompt.space, Choice | Selection):
        return ()
    return candidate_gains(prompt.space, question.output_field, ranked=prompt.kind == "ranking")


def _key(question: QuestionRow, settings: Settings, weights: str) -> str:
    """Return the cache key of a model's scores: the question, the settings of prompts and engine, the weights."""
    shown = {"text": question.input_field, "prompts": asdict(settings.prompts), "engine": asdict(settings.engine)}
    knowledge = asdict(settings.knowledge) if settings.prompts.external_information else {}
    return sha256(json.dumps([shown, knowledge, weights], sort_keys=True).encode()).hexdigest()


def _read_kept(path: Path) -> dict[str, Any]:
    """Return the saved scores, without a last line that is half written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").split("\n")
    try:
        whole = dict(json.loads(line) for line in lines[:-1])
    except (ValueError, TypeError):
        raise UserError(f"{path} is not a file of scores: remove it or name another") from None
    if lines[-1]:
        path.write_text("".join(f"{line}\n" for line in lines[:-1]), encoding="utf-8")
    return whole
