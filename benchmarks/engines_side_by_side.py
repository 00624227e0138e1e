"""The package's engines, and llama.cpp where it can be had, on the same questions and weights: whether they agree.

Each engine answers in a process of its own, by the UserModel's own prompts: once as the settings say, and once more
for each other way of answering the questions that have numbered options. `agree` counts the answers that are the same,
letter by letter, as those of the first engine listed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from benchmarks.common import (
    PACKAGE,
    ROOT,
    Json,
    Results,
    add_questions,
    add_threads,
    conditions,
    make_parser,
    print_table,
    set_threads,
    shown,
    source_digest,
    weights_of,
)
from benchmarks.engine_run import NAMES, OWN, asked, run_engine, settings_for
from evaluation.questions import QuestionRow, read_questions
from evaluation.run_record import describe_data
from evaluation.scores import score_answers
from models.engines.settings import SCORINGS
from utilities.errors import UserError, exit_code
from utilities.files import write_json
from utilities.task_type import TaskType

EXAMPLES = """\
  python -m benchmarks.engines_side_by_side --vllm-python .venv-vllm/bin/python
  python -m benchmarks.engines_side_by_side --data FILE --ways settings,label,decode
  python -m benchmarks.engines_side_by_side --vllm-python P --llama-cpp P2 --gguf smollm2.gguf

An interrupted comparison goes on with the first run that was not finished. P and P2 are interpreters that have what
requirements.txt names beside vLLM or llama-cpp-python.
"""
_WAYS = (OWN, *SCORINGS)
_SOURCES = (*PACKAGE, "benchmarks/engine_run.py", "benchmarks/llama_cpp_engine.py")


def main(argv: Sequence[str] | None = None) -> int:
    """Compare engines by the options of the command line, or be the process of one; print tables and return 0."""
    options = _options(argv)
    if options.worker:
        way, threads = options.ways[0], options.threads
        run = run_engine(options.worker, way, options.data, options.limit, threads, options.gguf)
        write_json(options.results, run)
        return 0
    questions = read_questions(options.data)[: options.limit]
    threads = set_threads(options.threads)
    results = Results(options.results, conditions(threads, None), fresh=options.fresh)
    data = describe_data(options.data, len(questions))
    interpreters = _interpreters(options)
    table = []
    for way in options.ways:
        runs = {}
        for name, interpreter in interpreters.items():
            inputs = _inputs(name, way, options.gguf, {"sha256": data["sha256"], "questions": data["questions"]})
            runs[name] = results.part(inputs, partial(_in_process, interpreter, name, way, threads, options))
        table += compared(way, runs, [questions[index] for index in asked(questions, way)])
    results.finish({"runs": table, "data": data, "weights": weights_of(settings_for(OWN).engine)})
    print_runs(table)
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser("engines_side_by_side", __doc__, EXAMPLES)
    add_questions(parser)
    add_threads(parser)
    parser.add_argument(
        "--ways", type=way_names, metavar="A,B", default=_WAYS, help=f"which ones (default: {','.join(_WAYS)})"
    )
    parser.add_argument("--vllm-python", type=Path, metavar="FILE", help="an interpreter with vLLM")
    parser.add_argument("--llama-cpp", type=Path, metavar="FILE", help="an interpreter with llama-cpp-python")
    parser.add_argument("--gguf", type=Path, metavar="FILE", help="the same weights for llama.cpp")
    parser.add_argument("--worker", choices=NAMES, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def way_names(text: str) -> tuple[str, ...]:
    """Read `--ways`: names with commas between them."""
    given = tuple(name.strip() for name in text.split(","))
    unknown = [name for name in given if name not in _WAYS]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown way {unknown[0]!r}; choose from {','.join(_WAYS)}")
    return given


def _interpreters(options: argparse.Namespace) -> dict[str, Path]:
    found = {"transformers": Path(sys.executable), "vllm": options.vllm_python, "llama.cpp": options.llama_cpp}
    chosen = {name: path for name, path in found.items() if path is not None}
    missing = [path for path in chosen.values() if not path.is_file()]
    if missing:
        raise UserError(f"{missing[0]} is no interpreter: give the path of a python")
    return chosen


def _inputs(name: str, way: str, gguf: Path | None, data: Json) -> Json:
    settings = settings_for(way)
    return {
        "engine": name,
        "way": way,
        "data": data,
        "weights": weights_of(settings.engine),
        "gguf": gguf.name if gguf and name == "llama.cpp" else None,
        "sources": source_digest(_SOURCES),
        "settings": asdict(settings),
    }


def _in_process(interpreter: Path, name: str, way: str, threads: int, options: argparse.Namespace) -> Json:
    """Have an interpreter run one engine, and return what it wrote.

    Raises:
        UserError: it failed.
    """
    print(f"{name}, {way}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "run.json"
        given = {"--data": options.data.resolve(), "--limit": options.limit, "--gguf": options.gguf}
        command = [str(interpreter), "-m", "benchmarks.engines_side_by_side", "--worker", name, "--ways", way]
        command += ["--threads", str(threads), "--results", str(written)]
        command += [word for option, value in given.items() if value is not None for word in (option, str(value))]
        if subprocess.run(command, cwd=ROOT, env=_environment(threads), check=False).returncode != 0:
            raise UserError(f"{interpreter} could not run {name}: what it wrote before says why")
        run: Json = json.loads(written.read_text(encoding="utf-8"))
    return run


def _environment(threads: int) -> dict[str, str]:
    bound = {"OMP_NUM_THREADS": str(threads), "VLLM_CPU_OMP_THREADS_BIND": "nobind", "TORCH_COMPILE_DISABLE": "1"}
    return {**os.environ, **bound}


def compared(way: str, runs: Mapping[str, Json], questions: Sequence[QuestionRow]) -> list[Json]:
    """Return a line for each engine: scores, speed, and how many answers are those of the first one."""
    first = next(iter(runs.values()))["answers"]
    return [_line(name, way, run, first, questions) for name, run in runs.items()]


def _line(name: str, way: str, run: Json, first: Sequence[str], questions: Sequence[QuestionRow]) -> Json:
    agreeing: dict[str, list[int]] = {}
    differing = []
    for index, (question, ours, theirs) in enumerate(zip(questions, run["answers"], first, strict=True)):
        counts = agreeing.setdefault(question.task_type.value, [0, 0])
        counts[0] += ours == theirs
        counts[1] += 1
        if ours != theirs:
            differing.append({"question": index, "answer": ours, "first": theirs})
    usage = run["usage"]
    return {
        "engine": name,
        "way": way,
        "questions": len(questions),
        "agree": len(questions) - len(differing),
        "agree_by_task_type": agreeing,
        "differing": differing,
        "scores": score_answers(questions, run["answers"]).to_json(),
        "seconds": run["seconds"],
        "read_per_second": _rate(usage["prefill_tokens"], usage["prefill_seconds"]),
        "written_per_second": _rate(usage["decode_tokens"], usage["decode_seconds"]),
        "fallbacks": run["fallbacks"],
        "described": run["described"],
    }


def _rate(tokens: int, seconds: float) -> float | None:
    return tokens / seconds if tokens and seconds else None


def print_runs(table: Sequence[Json]) -> None:
    """Print a line for each engine and way."""
    types = [kind.value for kind in TaskType if any(kind.value in line["agree_by_task_type"] for line in table)]
    columns = ("way", "engine", "agree", *types, "overall", "seconds", "read/s", "written/s")
    print_table(columns, [_cells(line, types) for line in table])


def _cells(line: Json, types: Sequence[str]) -> list[str]:
    by_type = line["agree_by_task_type"]
    return [
        line["way"],
        line["engine"],
        f"{line['agree']}/{line['questions']}",
        *("/".join(map(str, by_type[kind])) if kind in by_type else "-" for kind in types),
        shown(line["scores"]["overall"]),
        shown(line["seconds"], 1),
        shown(line["read_per_second"], 0),
        shown(line["written_per_second"], 0),
    ]


if __name__ == "__main__":
    sys.exit(exit_code(main))
