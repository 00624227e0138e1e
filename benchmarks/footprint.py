"""Peak memory of an evaluation and seconds until the first answer, each in a process of its own."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.common import (
    ROOT,
    Json,
    Results,
    add_questions,
    add_threads,
    conditions,
    make_parser,
    print_table,
    source_digest,
    weights_of,
)
from evaluation.questions import QuestionRow, read_questions
from evaluation.run_record import describe_data
from models.settings import load_settings
from utilities.errors import UserError, exit_code
from utilities.processes import ProcessTree

EXAMPLES = """\
  python -m benchmarks.footprint                    memory over all of data/development.json: takes minutes
  python -m benchmarks.footprint --limit 16
  python -m benchmarks.footprint --data FILE --threads 2

Memory is that of `python local_evaluation.py`, the evaluator's own embedding model included.
"""
GIB = 1024**3
MEMORY_LIMIT = 3 * GIB
SECONDS_LIMIT = 10.0
_STARTS = 2
_SECONDS_BETWEEN_LOOKS = 0.2
_FIRST_ANSWER = """\
import json, sys
from models.user_config import UserModel
question, is_choice = json.load(sys.stdin)
print(len(UserModel().batch_predict({"prompt": [question]}, is_choice)), flush=True)
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure by the options of the command line; print a table and return 0."""
    options = _options(argv)
    questions = read_questions(options.data)[: options.limit]
    weights = weights_of(load_settings().engine)
    environment = _environment(options.threads)
    threads = options.threads or os.cpu_count() or 1
    results = Results(options.results, conditions(threads, None), fresh=options.fresh)
    data = describe_data(options.data, len(questions))
    inputs = {"weights": weights, "sources": source_digest(), "data": data}
    memory = results.part(
        {**inputs, "part": "memory"}, lambda: evaluate_in_child(options.data, len(questions), environment)
    )
    starts = results.part({**inputs, "part": "start"}, lambda: start_in_children(questions[0], environment))
    results.finish({**memory, **starts, **inputs})
    print_footprint(memory["peak_bytes"], starts["seconds"])
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser("footprint", __doc__, EXAMPLES)
    add_questions(parser)
    add_threads(parser)
    return parser.parse_args(argv)


def _environment(threads: int | None) -> dict[str, str]:
    return {**os.environ, **({"OMP_NUM_THREADS": str(threads)} if threads else {})}


def evaluate_in_child(data: Path, limit: int, environment: Mapping[str, str]) -> Json:
    """Run the local evaluation and return its seconds from start to end and the peak bytes of all its processes.

    A page that several processes map is counted once. The peak is that of five looks a second.

    Raises:
        UserError: the evaluation failed; what it said stands above.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "local_evaluation.py", "--data", str(data.resolve())]
        started = time.perf_counter()
        child = subprocess.Popen(
            [*command, "--limit", str(limit), "--output", folder],
            cwd=ROOT,
            env=dict(environment),
            stdout=subprocess.DEVNULL,
        )
        tree = ProcessTree(child)
        while child.poll() is None:
            tree.sample()
            time.sleep(_SECONDS_BETWEEN_LOOKS)
    if child.returncode != 0:
        raise UserError(f"local_evaluation.py ended with code {child.returncode}: mend what it says above")
    return {"peak_bytes": tree.peak_bytes, "evaluation_seconds": time.perf_counter() - started}


def start_in_children(question: QuestionRow, environment: Mapping[str, str]) -> Json:
    """Return the seconds from the start of a process to its first answer, for two starts one after the other."""
    return {"seconds": [_seconds_to_answer(question, environment) for _ in range(_STARTS)]}


def _seconds_to_answer(question: QuestionRow, environment: Mapping[str, str]) -> float:
    started = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", _FIRST_ANSWER],
        cwd=ROOT,
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdin
        assert child.stdout
        child.stdin.write(json.dumps([question.input_field, question.is_multiple_choice]))
        child.stdin.close()
        answered = child.stdout.readline()
        seconds = time.perf_counter() - started
    if not answered:
        raise UserError("the UserModel gave no answer: mend what it says above")
    return seconds


def print_footprint(peak_bytes: int, seconds: Sequence[float]) -> None:
    """Print both figures against their limits; the second start counts, when the files are in the system's cache."""
    rows = [
        _row("peak memory, GiB", peak_bytes / GIB, MEMORY_LIMIT / GIB),
        _row("second start to first answer, s", seconds[-1], SECONDS_LIMIT),
    ]
    print_table(("figure", "measured", "limit", "verdict"), rows)
    print(f"first start: {seconds[0]:.1f} s")


def _row(figure: str, measured: float, limit: float) -> tuple[str, ...]:
    return figure, f"{measured:.2f}", f"{limit:.0f}", "within" if measured <= limit else "OVER"


if __name__ == "__main__":
    sys.exit(exit_code(main))
