"""Random and hostile prompts through the model: nothing may raise, and every answer must be one that counts."""

import argparse
import logging
import random
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from tqdm import tqdm

from benchmarks.common import (
    DEVELOPMENT,
    PACKAGE,
    Json,
    Results,
    add_threads,
    conditions,
    make_parser,
    print_table,
    set_threads,
    source_digest,
    unhurried,
)
from benchmarks.hostile_text import KINDS, hostile_prompt
from evaluation.loop import Model
from evaluation.parsers import NO_CHOICE, parse
from evaluation.questions import read_questions
from models.settings import load_settings
from models.shopbench_model import ShopBenchModel
from prompts.detection import detect_task_type
from prompts.reading import Question
from utilities.errors import exit_code
from utilities.options import positive
from utilities.task_type import TaskType

EXAMPLES = """\
  python -m benchmarks.hostile_prompts                                      10,000 prompts without a model
  python -m benchmarks.hostile_prompts --engine transformers --count 200    200 prompts through the model in use
  python -m benchmarks.hostile_prompts --seed 7
"""
# A finished part is saved at once: small where a prompt takes long.
_PART = {"scripted": 500, "transformers": 20}
_KEPT_TROUBLES = 50
_SHOWN_CHARACTERS = 100


@dataclass
class Tally:
    """What happened to the prompts; `troubles` describes the first exceptions and invalid answers."""

    prompts: int = 0
    exceptions: int = 0
    invalid: int = 0
    slowest_seconds: float = 0.0
    slowest_kind: str = ""
    seconds: float = 0.0
    kinds: Counter[str] = field(default_factory=Counter)
    troubles: list[Json] = field(default_factory=list)

    def add_time(self, kind: str, seconds: float) -> None:
        """Count one prompt and its seconds."""
        self.prompts += 1
        self.kinds[kind] += 1
        self.seconds += seconds
        if seconds > self.slowest_seconds:
            self.slowest_seconds, self.slowest_kind = seconds, kind

    def add_trouble(self, what: str, kind: str, prompt: str) -> None:
        """Keep what went wrong, up to a limit."""
        if len(self.troubles) < _KEPT_TROUBLES:
            shown = ascii(prompt[:_SHOWN_CHARACTERS])
            self.troubles.append({"kind": kind, "what": what, "prompt": shown})

    def to_json(self) -> Json:
        """Return the counts as they stand in the results."""
        return {
            "prompts": self.prompts,
            "exceptions": self.exceptions,
            "invalid_answers": self.invalid,
            "seconds": self.seconds,
            "slowest_prompt_seconds": self.slowest_seconds,
            "slowest_prompt_kind": self.slowest_kind,
            "kinds": dict(self.kinds),
            "troubles": self.troubles,
        }


def main(argv: Sequence[str] | None = None) -> int:
    """Ask by the options of the command line; print a table and return 0, or 1 when something raised or was invalid."""
    options = _options(argv)
    # Ten thousand warnings say nothing that the counts do not.
    logging.getLogger("shopalign").setLevel(logging.CRITICAL)
    settings = unhurried(load_settings())
    settings = replace(settings, engine=replace(settings.engine, name=options.engine))
    threads = 1 if options.engine == "scripted" else set_threads(options.threads)
    model = ShopBenchModel(settings)
    results = Results(options.results, conditions(threads, options.seed), fresh=options.fresh)
    told = model.describe()
    described = {
        "settings": told["settings"],
        "weights": told["weights"],
        "sources": source_digest((*PACKAGE, "benchmarks/hostile_*.py")),
    }
    parts = ask_in_parts(model, options.count, options.seed, results, described)
    report = {**merged(parts), "weights": described["weights"], "sources": described["sources"]}
    results.finish(report)
    _print(report)
    return 1 if report["exceptions"] or report["invalid_answers"] else 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser("hostile_prompts", __doc__, EXAMPLES)
    add_threads(parser)
    parser.add_argument("--count", type=positive, metavar="N", default=10_000, help="prompts (default: %(default)s)")
    parser.add_argument("--seed", type=int, metavar="S", default=0, help="of the prompts (default: %(default)s)")
    parser.add_argument(
        "--engine",
        choices=("scripted", "transformers"),
        default="scripted",
        help="scripted answers by what is known without a model (default: %(default)s)",
    )
    return parser.parse_args(argv)


def ask_in_parts(
    model: ShopBenchModel, count: int, seed: int, results: Results, described: Mapping[str, object]
) -> list[Json]:
    """Ask `count` prompts in parts, so that an interrupted run goes on where it stopped."""
    questions = [question.input_field for question in read_questions(DEVELOPMENT)]
    part, parts = _PART[model.settings.engine.name], []
    with tqdm(total=count, desc="hostile prompts", unit="prompt") as progress:
        for start in range(0, count, part):
            size = min(part, count - start)
            inputs = {"first": start, "prompts": size, **described}
            parts.append(results.part(inputs, partial(_ask_part, model, start, size, seed, questions)))
            progress.update(size)
    return parts


def _ask_part(model: ShopBenchModel, start: int, size: int, seed: int, questions: Sequence[str]) -> Json:
    before = Counter(model.fallbacks)
    tally = ask_hostile(model, size, random.Random(f"{seed} {start}"), questions)
    return {**tally.to_json(), "fallbacks": dict(Counter(model.fallbacks) - before)}


def ask_hostile(model: Model, count: int, generator: random.Random, questions: Sequence[str]) -> Tally:
    """Ask `count` prompts, each alone so that each is timed; the kinds take turns, the rest is drawn."""
    tally = Tally()
    for number in range(count):
        kind = list(KINDS)[number % len(KINDS)]
        prompt = hostile_prompt(kind, generator, questions)
        _ask(model, kind, prompt, generator.random() < 0.5, tally)
    return tally


def merged(parts: Sequence[Json]) -> Json:
    """Return the sums of the parts, the slowest prompt of all and the first troubles."""
    slowest = max(parts, key=lambda part: float(part["slowest_prompt_seconds"]))
    return {
        **{name: sum(part[name] for part in parts) for name in ("prompts", "exceptions", "invalid_answers", "seconds")},
        "fallbacks": dict(sum((Counter(part["fallbacks"]) for part in parts), Counter())),
        "slowest_prompt_seconds": slowest["slowest_prompt_seconds"],
        "slowest_prompt_kind": slowest["slowest_prompt_kind"],
        "kinds": dict(sum((Counter(part["kinds"]) for part in parts), Counter())),
        "troubles": [trouble for part in parts for trouble in part["troubles"]][:_KEPT_TROUBLES],
    }


def _ask(model: Model, kind: str, prompt: str, is_multiple_choice: bool, tally: Tally) -> None:
    started = time.perf_counter()
    answers: object = None
    try:
        answers = model.batch_predict({"prompt": [prompt]}, is_multiple_choice)
    except Exception as error:  # noqa: BLE001 - exceptions are what is counted
        tally.exceptions += 1
        tally.add_trouble(f"{type(error).__name__}: {error}", kind, prompt)
        return
    finally:
        tally.add_time(kind, time.perf_counter() - started)
    reason = flaw_of(answers, prompt, is_multiple_choice)
    if reason:
        tally.invalid += 1
        tally.add_trouble(f"{reason}: {ascii(answers)[:_SHOWN_CHARACTERS]}", kind, prompt)


def flaw_of(answers: object, prompt: str, is_multiple_choice: bool) -> str | None:
    """Say why the evaluator could not use the answers to this one prompt; None when it could."""
    if not isinstance(answers, list) or len(answers) != 1 or not isinstance(answers[0], str):
        return "not a list of one string"
    task_type = detect_task_type(Question(prompt), is_multiple_choice)
    read = parse(task_type, answers[0])
    if read == NO_CHOICE if task_type is TaskType.MULTIPLE_CHOICE else not read:
        return f"the evaluator reads no {task_type} answer in it"
    if task_type is TaskType.RETRIEVAL and isinstance(read, list) and len(set(read)) != len(read):
        return "a repeated number"
    return None


def _print(report: Json) -> None:
    fallbacks = report["fallbacks"]
    rows = [
        ("prompts", str(report["prompts"])),
        ("exceptions", str(report["exceptions"])),
        ("invalid answers", str(report["invalid_answers"])),
        ("fallbacks", str(sum(fallbacks.values()))),
        *((f"  {reason}", str(count)) for reason, count in fallbacks.items()),
        ("seconds", f"{report['seconds']:.1f}"),
        (f"slowest prompt, seconds ({report['slowest_prompt_kind']})", f"{report['slowest_prompt_seconds']:.3f}"),
    ]
    print_table(("hostile prompts", "count"), rows)
    for trouble in report["troubles"]:
        print(f"{trouble['kind']}: {trouble['what']}: {trouble['prompt']}")


if __name__ == "__main__":
    sys.exit(exit_code(main))
