"""The package's engines and llama.cpp on the same questions and weights: agreement, scores, tokens a second.

Each engine runs in its own process, with the UserModel's prompts: once as the settings say, and once for each other way
of answering questions with numbered options. `agree` counts answers equal to those of the first engine, letter by
letter.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import cast

from benchmarks.common import (
    PACKAGE,
    Json,
    make_parser,
    model_folder,
    names_of,
    open_results,
    read_asked,
    set_threads,
    shown,
    source_digest,
    unhurried,
    weights_of,
)
from evaluation.loop import predict
from evaluation.questions import DEVELOPMENT, QuestionRow
from evaluation.scores import score_answers
from models.engines.interface import Engine
from models.engines.model_registry import Scoring
from models.engines.settings import SCORINGS, EngineSettings
from models.settings import Settings, load_settings
from models.shopbench_model import ShopBenchModel
from utilities.errors import UserError, exit_code
from utilities.files import ROOT, write_json
from utilities.printed_tables import print_table
from utilities.task_type import TaskType

EXAMPLES = """\
  python -m benchmarks.engines_side_by_side --vllm-python .venv-vllm/bin/python
  python -m benchmarks.engines_side_by_side --data FILE --ways settings,label,decode
  python -m benchmarks.engines_side_by_side --vllm-python P --llama-cpp P2 --gguf smollm2.gguf

An interrupted comparison resumes with the first run that was not finished. P and P2 are interpreters that have the
packages of requirements.txt, and vLLM or llama-cpp-python.
"""
NAMES = ("transformers", "vllm", "llama.cpp")
OWN = "settings"
"""The way of answering that the settings name; all other ways are for questions with numbered options."""
_WAYS = (OWN, *SCORINGS)
_SOURCES = (*PACKAGE, "benchmarks/engines_side_by_side.py", "benchmarks/llama_cpp_engine.py")
_WITH_OPTIONS = (TaskType.MULTIPLE_CHOICE, TaskType.RETRIEVAL, TaskType.RANKING)
_CPU_MEMORY = 0.25  # vLLM reserves its cache at once, and this machine has other users


def main(argv: Sequence[str] | None = None) -> int:
    """Compare engines by the options of the command line, or run one as a worker; print tables and return 0."""
    options = _options(argv)
    if options.worker:
        write_json(options.results, _run_engine(options))
        return 0
    questions, data = read_asked(options)
    results = open_results(options)
    asked = {"sha256": data["sha256"], "questions": data["questions"]}
    interpreters = _interpreters(options)
    table = []
    for way in options.ways:
        runs = {}
        for name, interpreter in interpreters.items():
            inputs = {"data": asked, **_inputs(name, way, options.gguf)}
            runs[name] = results.part(inputs, partial(_in_process, interpreter, name, way, options))
        table += compared(way, runs, asked_in(way, questions))
    results.finish({"runs": table, "data": data, "weights": weights_of(settings_for(OWN).engine)})
    _print(table)
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser("engines_side_by_side", __doc__, EXAMPLES, data=DEVELOPMENT, threads=True)
    add = parser.add_argument
    add("--ways", type=names_of(_WAYS, "way"), metavar="A,B", default=_WAYS, help=f"default: {','.join(_WAYS)}")
    add("--vllm-python", type=Path, metavar="FILE", help="an interpreter with vLLM")
    add("--llama-cpp", type=Path, metavar="FILE", help="an interpreter with llama-cpp-python")
    add("--gguf", type=Path, metavar="FILE", help="the same weights for llama.cpp")
    add("--worker", choices=NAMES, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def asked_in(way: str, questions: Sequence[QuestionRow]) -> list[QuestionRow]:
    """Return the questions that can be answered in this way."""
    return [each for each in questions if way == OWN or each.task_type in _WITH_OPTIONS]


def settings_for(way: str) -> Settings:
    """Return the settings in use with this way: float32, without clock and, as llama.cpp has none, without adapter."""
    settings = unhurried(load_settings())
    settings = replace(settings, engine=replace(settings.engine, adapter="", dtype="float32"))
    if way == OWN:
        return settings
    scoring = cast(Scoring, way)
    return replace(settings, engine=replace(settings.engine, choice=scoring, selection=scoring))


def _interpreters(options: argparse.Namespace) -> dict[str, Path]:
    paths = (Path(sys.executable), options.vllm_python, options.llama_cpp)
    chosen = {name: path for name, path in zip(NAMES, paths, strict=True) if path is not None}
    missing = [path for path in chosen.values() if not path.is_file()]
    if missing:
        raise UserError(f"{missing[0]} is no interpreter: give the path of a python")
    if options.llama_cpp and not (options.gguf and options.gguf.is_file()):
        raise UserError("llama.cpp reads the model from a GGUF file: name it by --gguf FILE")
    return chosen


def _inputs(name: str, way: str, gguf: Path | None) -> Json:
    settings = settings_for(way)
    return {
        "engine": name,
        "way": way,
        "weights": weights_of(settings.engine),
        "gguf": gguf.name if gguf and name == "llama.cpp" else None,
        "sources": source_digest(_SOURCES),
        "settings": asdict(settings),
    }


def _in_process(interpreter: Path, name: str, way: str, options: argparse.Namespace) -> Json:
    """Run one engine in an interpreter and return its results.

    Raises:
        UserError: it failed.
    """
    print(f"{name}, {way}", file=sys.stderr)
    threads = str(set_threads(options.threads))
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "run.json"
        given = {"--data": options.data.resolve(), "--limit": options.limit, "--gguf": options.gguf}
        command = [str(interpreter), "-m", "benchmarks.engines_side_by_side", "--worker", name, "--ways", way]
        command += ["--threads", threads, "--results", str(written)]
        command += [word for option, value in given.items() if value is not None for word in (option, str(value))]
        bound = {"OMP_NUM_THREADS": threads, "VLLM_CPU_OMP_THREADS_BIND": "nobind", "TORCH_COMPILE_DISABLE": "1"}
        if subprocess.run(command, cwd=ROOT, env={**os.environ, **bound}, check=False).returncode != 0:
            raise UserError(f"{interpreter} could not run {name}: its output above says why")
        run: Json = json.loads(written.read_text(encoding="utf-8"))
    return run


def _run_engine(options: argparse.Namespace) -> Json:
    """Start the worker's engine, ask it the questions, and return answers, seconds, usage and description."""
    from models.engines.process.worker import warm_up

    set_threads(options.threads)
    [way] = options.ways
    settings = settings_for(way)
    chosen = asked_in(way, read_asked(options)[0])
    engine = _engine(options.worker, settings.engine, options)
    warm_up(engine)
    before = asdict(engine.usage())
    model = ShopBenchModel(settings, engine)
    prediction = predict(model, chosen)
    return {
        "answers": list(prediction.answers),
        "seconds": prediction.seconds,
        "usage": {field: value - before[field] for field, value in asdict(engine.usage()).items()},
        "fallbacks": dict(model.fallbacks),
        "described": dict(engine.describe()),
    }


def _engine(name: str, settings: EngineSettings, options: argparse.Namespace) -> Engine:
    # Each interpreter has only the packages of its own engine.
    if name == "transformers":
        from models.engines.transformers_engine.engine import TransformersEngine

        return TransformersEngine(model_folder(settings), replace(settings, name="transformers"))
    if name == "llama.cpp":
        from benchmarks.llama_cpp_engine import LlamaCppEngine

        return LlamaCppEngine(model_folder(settings), settings, options.gguf, options.threads)
    import torch

    from models.engines.vllm_engine.engine import VllmEngine

    vllm = settings.vllm
    if not torch.cuda.is_available():
        vllm = replace(vllm, memory_fraction=_CPU_MEMORY, enforce_eager=True)
    return VllmEngine(model_folder(settings), replace(settings, name="vllm", vllm=vllm))


def compared(way: str, runs: Mapping[str, Json], questions: Sequence[QuestionRow]) -> list[Json]:
    """Return a line for each engine: scores, speed, and the number of answers equal to the first engine's."""
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


def _print(table: Sequence[Json]) -> None:
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
