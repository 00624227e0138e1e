"""Prints the scores, times and fallbacks of a run."""

from collections.abc import Mapping
from typing import Any

from evaluation.run_record import RunRecord
from evaluation.scores import Scores
from utilities.errors import UserError
from utilities.files import ROOT
from utilities.printed_tables import print_table
from utilities.tracks import SECONDS_A_QUESTION, track_of

NOT_SCORED = "not scored"
NOT_THE_MODELS = "NOT THE MODEL'S SCORES"


def print_scores(scores: Scores) -> None:
    """Print tables by task, task type and track, the overall score, and the reason for each task not scored."""
    tasks = ((t.name, t.task_type, t.metric, str(t.questions), _shown(t.score)) for t in scores.tasks)
    print_table(("task", "type", "metric", "questions", "score"), tasks, texts=3)
    for group, means in (("task type", scores.task_types), ("track", scores.tracks)):
        print_table((group, "score"), ((name, _shown(mean)) for name, mean in means.items()))
    print(f"overall: {_shown(scores.overall)} (mean over tasks)")
    for task in scores.tasks:
        if task.not_scored is not None:
            print(f"{task.name} is {NOT_SCORED} and left out of the means: {task.not_scored}")


def print_warnings(run: RunRecord) -> None:
    """Print whether the scores are those of the model, before the scores: fallbacks and cut answers."""
    questions, reasons = len(run.prediction.answers), run.fallbacks or {}
    if run.failed_by:
        print(
            f"{NOT_THE_MODELS}: {reasons[run.failed_by]} of {questions} questions have a fallback instead of the "
            f"model's answer ({run.failed_by})"
        )
    if run.clock == "track":
        late = reasons.get("out of time", 0)
        events = run.events or {}
        shorter = sum(events.get(f"questions answered by {effort}", 0) for effort in ("label", "short"))
        ended = events.get("texts cut by the timeout", 0)
        print(
            f"the track's clock cut {late + shorter + ended} of {questions} answers: {late} are fallbacks, "
            f"{shorter} are cheaper answers, {ended} are texts that a timeout ended"
        )


def print_run(run: RunRecord, data_sha256: object) -> None:
    """Print the run's times against the evaluator's limit, its fallbacks and events, and the catalogue it used."""
    prediction, slowest = run.prediction, run.prediction.slowest_batch
    per_question = prediction.seconds / len(prediction.answers)
    verdict = "within" if slowest.seconds <= slowest.limit else "OVER"
    print(f"loading: {run.load_seconds:.1f} s; predicting: {prediction.seconds:.1f} s{_precision(run)}")
    print(
        f"{per_question:.2f} s a question on this machine; track {_track()} allows {SECONDS_A_QUESTION:.2f} s on the "
        "evaluator's four GPUs"
    )
    print(
        f"slowest batch: {slowest.seconds:.1f} s for {slowest.questions} questions, {verdict} the limit of "
        f"{slowest.limit:.0f} s"
    )
    print(f"fallbacks: {_fallbacks(run.fallbacks)}")
    if isinstance(catalogue := run.description["catalogue"], Mapping) and catalogue:
        print(f"catalogue: {_catalogue(catalogue, data_sha256)}")
    if run.events:
        print(f"events: {', '.join(f'{event}: {count}' for event, count in run.events.items())}")


def _precision(run: RunRecord) -> str:
    """Return the precision that the engine computes in, which decides over small differences; empty if unknown."""
    weights = run.description["weights"]
    found = weights.get("precision") if isinstance(weights, Mapping) else None
    return f" in {found}" if found else ""


def _track() -> str:
    """Return the number of the track that aicrowd.json names; a question mark if it names none."""
    try:
        return str(track_of(ROOT / "aicrowd.json").number)
    except UserError:
        return "?"


def _fallbacks(reasons: Mapping[str, int] | None) -> str:
    if reasons is None:
        return "not counted by this model"
    listed = ", ".join(f"{reason}: {count}" for reason, count in reasons.items() if count)
    return f"{sum(reasons.values())} ({listed})" if listed else "0"


def _catalogue(catalogue: Mapping[str, Any], data_sha256: object) -> str:
    """Describe the catalogue, and whether it may hold the answers to the questions with this SHA-256."""
    left_out = any(each["sha256"] == data_sha256 for each in catalogue["excluded"])
    rows = "left out" if left_out else "NOT left out: it may hold answers"
    return f"{catalogue['counts']['products']} products, rows of these questions {rows}"


def _shown(score: float | None) -> str:
    return NOT_SCORED if score is None else f"{score:.4f}"
