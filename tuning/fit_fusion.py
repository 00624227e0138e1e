"""Fit how the model's scores and the evidence are weighed, for each kind of question, on training rows.

The result is a small YAML file, by default `retrieval/fitted_weights/<model>.yaml`, or `<model>+<adapter>.yaml` for a
model with an adapter; what lies there is used for the weights that it was fitted for, by their fingerprint. Rows are
drawn with a seed, so many of each task; rows that share eight words in a row with a file of --against are left out. The
model's scores are kept in a file while they are made, so that an interrupted run goes on where it stopped. The model is
the one of the settings (SHOPALIGN_SETTINGS, SHOPALIGN_MODEL, SHOPALIGN_ADAPTER).
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from evaluation.question_sample import Overlap, draw_sample
from evaluation.questions import QuestionRow, read_questions
from evaluation.run_record import describe_data, versions
from models.engines.settings import engine_identity
from models.settings import Settings, load_settings
from retrieval.fusion import KINDS, LEXICAL, MODEL, RELATED, VECTORS
from retrieval.sources import weights_name
from tuning.fusion_fit import alone, cross_validated, fitted_kind
from tuning.scored_rows import ScoredRow, scored_rows
from utilities.errors import UserError, exit_code
from utilities.files import write_text
from utilities.task_type import TaskType

EXAMPLES = """\
examples:
  python -m tuning.fit_fusion --rows train.jsonl ranking_train.jsonl --against development.json ranking_dev.jsonl
  python -m tuning.fit_fusion --rows train.jsonl --each 50 ranking=400 --output mine.yaml     set knowledge.weights then
"""
_SOURCES = (LEXICAL, MODEL, RELATED, VECTORS)
_POOLED: Mapping[str, Sequence[str]] = {"next_query": ("also_bought", "aspects", "snippets")}
"""Kinds without training rows of their own, and those whose rows stand in for them."""
_TASK_TYPES = (TaskType.MULTIPLE_CHOICE, TaskType.RETRIEVAL, TaskType.RANKING)
_FUSED = "fused, cross-validated"
_NOTE = "# Made by `python -m tuning.fit_fusion`: how much each source weighs, by the sources that are at hand.\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Fit by the options of the command line, write the file, print what was gained; return 0."""
    options = _options(argv)
    settings = load_settings()
    output = options.output or weights_name(settings.knowledge, engine_identity(settings.engine))
    questions = drawn(options.rows, options.against, dict(options.each), options.seed)
    kept = options.scores or output.with_name(f".{output.name}.scores")
    by_kind: dict[str, list[ScoredRow]] = defaultdict(list)
    for row in scored_rows(questions, settings, kept):
        by_kind[row.kind].append(row)
    kinds = {kind: _fitted(by_kind, kind) for kind in KINDS}
    content = {"fitted": _record(options, settings), "kinds": {kind: each for kind, each in kinds.items() if each}}
    write_text(output, _NOTE + yaml.safe_dump(content, sort_keys=False, width=110))
    _print_gains(content["kinds"])
    print(f"weights: {output}")
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tuning.fit_fusion",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rows", type=Path, nargs="+", required=True, metavar="FILE", help="training rows, JSON Lines")
    parser.add_argument("--against", type=Path, nargs="+", default=[], metavar="FILE", help="evaluation questions")
    parser.add_argument(
        "--each",
        type=_count,
        nargs="+",
        default=[("", 100)],
        metavar="[TYPE=]N",
        help="rows of each task, and of each task of a task type (default: 100)",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the sample (default: 0)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="default: the model's in retrieval/fitted_weights")
    parser.add_argument("--scores", type=Path, metavar="FILE", help="where the model's scores are kept meanwhile")
    return parser.parse_args(argv)


def _count(text: str) -> tuple[str, int]:
    """Read `100` or `ranking=800`."""
    task_type, _, number = text.rpartition("=")
    if not number.isdecimal() or task_type not in ("", *_TASK_TYPES):
        known = ", ".join(f"{each}=N" for each in _TASK_TYPES)
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor one of: {known}")
    return task_type, int(number)


def drawn(files: Sequence[Path], against: Sequence[Path], each: Mapping[str, int], seed: int) -> list[QuestionRow]:
    """Return questions with candidates of each task of the files, none that `against` holds.

    `each` is how many of each task, by task type; "" stands for the task types that it lacks.

    Raises:
        UserError: a file cannot be read, or nothing is left.
    """
    overlap = Overlap([question.input_field for path in against for question in read_questions(path)])
    rows = [question for path in files for question in read_questions(path)]
    chosen: list[QuestionRow] = []
    for task_type in _TASK_TYPES:
        of_type = [question for question in rows if question.task_type is task_type]
        sample = draw_sample(of_type, each.get(task_type, each.get("", 0)), seed, overlap)
        chosen += [question for members in sample.tasks.values() for question in members]
    if not chosen:
        raise UserError("--rows: no row with numbered candidates is left: name other files")
    return chosen


def _fitted(by_kind: Mapping[str, Sequence[ScoredRow]], kind: str) -> dict[str, Any]:
    """Return a kind's entry of the file; nothing where it has no rows."""
    pooled = () if by_kind.get(kind) else _POOLED.get(kind, ())
    rows = [row for name in (pooled or (kind,)) for row in by_kind.get(name, ())]
    if not rows:
        return {}
    names = [name for name in _SOURCES if any(name in row.scores for row in rows)]
    entry: dict[str, Any] = {"rows": len(rows)}
    if pooled:
        entry["rows_of"] = list(pooled)
    gains = {f"{name} alone": round(score, 3) for name, score in alone(rows, names).items()}
    entry["training_score"] = {**gains, _FUSED: round(cross_validated(rows, names), 3)}
    entry["weights"] = fitted_kind(rows, names)
    return entry


def _record(options: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    files = (describe_data(path, 0) for path in options.rows)
    return {
        **engine_identity(settings.engine),
        "rows": [{"file": Path(str(each["path"])).name, "sha256": each["sha256"]} for each in files],
        "rows_of_each_task": {task_type or "others": count for task_type, count in options.each},
        "seed": options.seed,
        "versions": {name: versions()[name] for name in ("torch", "transformers", "numpy")},
    }


def _print_gains(kinds: Mapping[str, Mapping[str, Any]]) -> None:
    for kind, entry in kinds.items():
        scores = ", ".join(f"{name} {score:.3f}" for name, score in entry["training_score"].items())
        print(f"{kind} ({entry['rows']} rows{_stand_in(entry)}): {scores}")
        best = max((score, name) for name, score in entry["training_score"].items())[1]
        if best != _FUSED:
            print(f"  not ahead of {best}: more rows may tell, or knowledge.fuse.{kind} switches it off")


def _stand_in(entry: Mapping[str, Any]) -> str:
    return f" of {', '.join(entry['rows_of'])}, none of its own" if "rows_of" in entry else ""


if __name__ == "__main__":
    sys.exit(exit_code(main))
