"""Peak memory of an evaluation, and seconds from process start to the first answer."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmarks.common import (
    Json,
    Results,
    conditions,
    make_parser,
    read_asked,
    source_digest,
    weights_of,
)
from evaluation.questions import DEVELOPMENT, QuestionRow
from models.settings import load_settings
from utilities.errors import UserError, exit_code
from utilities.files import ROOT
from utilities.printed_tables import print_table
from utilities.processes import ProcessTree

EXAMPLES = """\
  python -m benchmarks.footprint                    memory over all of data/development.json: takes minutes
  python -m benchmarks.footprint --limit 16
  python -m benchmarks.footprint --data FILE --threads 2

Memory is that of `python local_evaluation.py`, with the embedding model that the evaluator scores with.
"""
GIB = 1024**3
MEMORY_LIMIT = 3 * GIB
SECONDS_LIMIT = 10.0
_STARTS = 2
_SAMPLING_SECONDS = 0.2
_FIRST_ANSWER = """\
import json, sys
from models.user_config import UserModel
question, is_choice = json.load(sys.stdin)
print(len(UserModel().batch_predict({"prompt": [question]}, is_choice)), flush=True)
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure by the options of the command line; print a table and return 0."""
    options = make_parser("footprint", __doc__, EXAMPLES, data=DEVELOPMENT, threads=True).parse_args(argv)
    questions, data = read_asked(options)
    weights = weights_of(load_settings().engine)
    threads = options.threads or os.cpu_count() or 1
    environment = {**os.environ, **({"OMP_NUM_THREADS": str(threads)} if options.threads else {})}
    results = Results(options.results, conditions(threads, None), fresh=options.fresh)
    inputs = {"weights": weights, "sources": source_digest(), "data": data}
    evaluate = partial(evaluate_in_child, options.data, len(questions), environment)
    memory = results.part({**inputs, "part": "memory"}, evaluate)
    starts = results.part({**inputs, "part": "start"}, lambda: start_in_children(questions[0], environment))
    results.finish({**memory, **starts, **inputs})
    print_footprint(memory["peak_bytes"], starts["seconds"])
    return 0


def evaluate_in_child(data: Path, limit: int, environment: Mapping[str, str]) -> Json:
    """Run the local evaluation; return its seconds and the peak bytes of all its processes.

    Memory is sampled five times a second; a page that several processes share counts once.

    Raises:
        UserError: the evaluation failed; its output is above.
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
            time.sleep(_SAMPLING_SECONDS)
    if child.returncode != 0:
        raise UserError(f"local_evaluation.py ended with code {child.returncode}: see its output above")
    return {"peak_bytes": tree.peak_bytes, "evaluation_seconds": time.perf_counter() - started}


def start_in_children(question: QuestionRow, environment: Mapping[str, str]) -> Json:
    """Return the seconds from process start to first answer, of two starts in a row."""
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
        raise UserError("the UserModel gave no answer: correct the error in its output above")
    return seconds


def print_footprint(peak_bytes: int, seconds: Sequence[float]) -> None:
    """Print both figures with their limits. The second start counts, as files are then in the system's cache."""
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
