"""Run a chain of commands, from public rows to a model that `UserModel` loads: select, tune, mix, quantise, score.

A recipe lists the steps. The output of a step is a folder or file of its name in the output folder; `{name}` is its
path in later steps, and also the path of an input that --given names. A finished step is skipped unless its output is
gone. After a kill or Ctrl-C the same command resumes the chain, and each tool resumes its own work. A finished step
whose options or files have changed is refused.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tuning.chain_record import ChainRecord, Made, contents
from utilities.errors import UserError, exit_code
from utilities.files import ROOT
from utilities.options import command_parser
from utilities.typed_yaml import build, checked, read_mapping

EXAMPLES = """\
examples:
  python -m tuning.chain --recipe tuning/recipes/chain_smollm2.yaml --output outputs/chain \\
      --given source=ec_guide_train.jsonl --given source=ranking_train.jsonl --given against=official.json
  python -m tuning.chain --recipe tuning/recipes/chain_llama3_70b.yaml --output outputs/large \\
      --given base=models/weights/llama3-70b --given source=rows.jsonl --given against=official.json
  make tune-demo      the whole chain on a tiny model, in minutes
"""
_WRITE_WHOLE = ("tuning.finetune", "tuning.hybridize", "tuning.apply_adapter", "tuning.quantize")
"""Commands whose output exists only when it is finished, and which refuse to replace one."""
_MODULE = re.compile(r"(tuning|experiments|evaluation|submission|retrieval|models)(\.\w+)+|local_evaluation")
_PLACE = re.compile(r"\{(\w+)\}")
Places = Mapping[str, Sequence[str]]
"""The paths of each name."""


@checked
class Step:
    """One command: a module of this package, its options and its environment variables.

    The names of options have no leading dashes; a list gives several values, `true` none. `accelerate` is a config of
    accelerate for a command that runs as several processes.
    """

    name: str
    run: str
    options: dict[str, Any]
    environment: dict[str, Any] = field(default_factory=dict)
    accelerate: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w+", self.name):
            raise ValueError(f"name is {self.name!r}; take letters, digits and _")
        if not _is_command(self.run):
            raise ValueError(f"run is {self.run!r}; name a command of this package, such as tuning.finetune")


@checked
class Chain:
    """The steps, in order; `given` describes each input that --given must name."""

    steps: tuple[Step, ...]
    given: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.steps:
            raise ValueError("steps is empty; name at least one")
        known = set(self.given)
        for step in self.steps:
            text = str([step.options, step.environment])
            unknown = [name for name in _PLACE.findall(text) if name not in known | {step.name}]
            if unknown or step.name in known:
                problem = f"uses {{{unknown[0]}}} before it is made" if unknown else "has the name of another step"
                raise ValueError(f"step {step.name} {problem}")
            known.add(step.name)


def _is_command(module: str) -> bool:
    try:
        return bool(_MODULE.fullmatch(module)) and find_spec(module) is not None
    except ModuleNotFoundError:  # a parent package
        return False


def main(argv: Sequence[str] | None = None) -> int:
    """Run the recipe's steps; return 0 when all are finished."""
    options = _options(argv)
    chain = read_chain(options.recipe)
    output = options.output.absolute()
    places = {**_given(chain, options), **{step.name: [str(output / step.name)] for step in chain.steps}}
    record = ChainRecord(output)
    for number, step in enumerate(chain.steps, start=1):
        command = _command(step, places)
        environment = {str(name): " ".join(_filled(value, places)) for name, value in step.environment.items()}
        print(f"[{number} of {len(chain.steps)}] {step.name}: {' '.join(command[1:])}", flush=True)
        place = output / step.name if f"{{{step.name}}}" in str([step.options, step.environment]) else None
        inputs = contents((*command[1:], *environment.values()), place)
        made = Made(step.name, tuple(command[1:]), environment, inputs)
        if record.is_finished(made, place, whole=step.run in _WRITE_WHOLE):
            print("  finished before", flush=True)
            continue
        record.begin(made)
        seconds = _run(step, command, environment)
        record.finish(replace(made, seconds=round(seconds, 1)))
    print(f"{output}: finished")
    return 0


def read_chain(path: Path) -> Chain:
    """Read a recipe, or raise a `UserError` if the file cannot be read or a step is not valid."""
    return build(Chain, read_mapping(path, "the recipe", "name a chain of tuning/recipes"), f"{path}: ", "key")


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command_parser("python -m tuning.chain", __doc__, EXAMPLES)
    add = parser.add_argument
    add("--recipe", type=Path, required=True, metavar="FILE", help="a YAML file with steps")
    add("--output", type=Path, required=True, metavar="DIR", help="the folder of all outputs")
    add("--given", type=_named, action="append", default=[], metavar="NAME=PATH", help="repeatable, also for one name")
    return parser.parse_args(argv)


def _named(text: str) -> tuple[str, str]:
    name, _, path = text.partition("=")
    if not name or not path:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=PATH")
    return name, str(Path(path).absolute())


def _given(chain: Chain, options: argparse.Namespace) -> dict[str, list[str]]:
    """Return the paths of each name that the recipe asks for."""
    paths: dict[str, list[str]] = {}
    for name, path in options.given:
        if name not in chain.given:
            raise UserError(f"--given {name}: {options.recipe} asks for {', '.join(chain.given) or 'nothing'}")
        if not Path(path).exists():
            raise UserError(f"--given {name}={path} does not exist: name {chain.given[name]}")
        paths.setdefault(name, []).append(path)
    for name, meaning in chain.given.items():
        if name not in paths:
            raise UserError(f"{options.recipe} needs --given {name}=PATH: {meaning}")
    return paths


def _command(step: Step, places: Places) -> list[str]:
    launcher = ["-m", "accelerate.commands.launch", "--config_file", step.accelerate] if step.accelerate else []
    command = [sys.executable, *launcher, "-m", step.run]
    for name, value in step.options.items():
        values = value if isinstance(value, list) else [] if value is True else [value]
        command += [f"--{name}", *(filled for each in values for filled in _filled(each, places))]
    return command


def _filled(value: object, places: Places) -> list[str]:
    """Return a value with the first path of each name in it; a value that is one name becomes all of its paths."""
    text = str(value)
    alone = _PLACE.fullmatch(text)
    return list(places[alone[1]]) if alone else [_PLACE.sub(lambda match: places[match[1]][0], text)]


def _run(step: Step, command: Sequence[str], environment: Mapping[str, str]) -> float:
    """Run a step, which prints its own messages, and return its seconds."""
    started = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, check=False)
    if done.returncode:
        raise UserError(f"step {step.name} failed ({done.returncode}): correct it, and the same command resumes there")
    return time.monotonic() - started


if __name__ == "__main__":
    sys.exit(exit_code(main))
