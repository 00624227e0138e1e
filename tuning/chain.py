"""A chain of commands, from public rows to a model that `UserModel` loads: select, tune, hybridise, quantise, score.

A recipe lists the steps. What a step makes is a folder or file of its name in the output folder; `{name}` stands for it
in later steps, and for what the recipe asks to be given by --given. A finished step is not done again, unless what it
made is gone, and each tool goes on where it was interrupted, so the same command goes on after a kill or Ctrl-C. A
finished step whose options or files have changed is refused.
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
"""Commands whose output is there only when it is finished, and which refuse one that is there."""
_MODULE = re.compile(r"(tuning|utilities)(\.\w+)+|local_evaluation")
_PLACE = re.compile(r"\{(\w+)\}")
Places = Mapping[str, Sequence[str]]
"""A name to the paths that it stands for."""


@checked
class Step:
    """One command: a module of this package, its options, and what is set in its environment.

    Options are names to values without the leading dashes; a list gives several values, and `true` none. `accelerate`
    is a config of accelerate, where the command runs as several processes.
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
    """The steps, in order; `given` says what has to be given by its name, and what that is."""

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
                problem = f"uses {{{unknown[0]}}} before it is made" if unknown else "has the name of another"
                raise ValueError(f"step {step.name} {problem}")
            known.add(step.name)


def _is_command(module: str) -> bool:
    try:
        return bool(_MODULE.fullmatch(module)) and find_spec(module) is not None
    except ModuleNotFoundError:  # a package that it would lie in
        return False


def main(argv: Sequence[str] | None = None) -> int:
    """Run the recipe's steps; 0 when all are finished, 2 when one failed, 130 when stopped."""
    options = _options(argv)
    chain = read_chain(options.recipe)
    output = options.output.absolute()
    places = {**_given(chain, options), **{step.name: [str(output / step.name)] for step in chain.steps}}
    record = ChainRecord(output)
    for number, step in enumerate(chain.steps, start=1):
        command, environment = _command(step, places), _environment(step, places)
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
    """Read a recipe.

    Raises:
        UserError: the file cannot be read, or a step does not fit.
    """
    return build(Chain, read_mapping(path, "the recipe", "name a chain of tuning/recipes"), f"{path}: ", "key")


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tuning.chain",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--recipe", type=Path, required=True, metavar="FILE", help="a YAML file with steps")
    add("--output", type=Path, required=True, metavar="DIR", help="where everything goes")
    add("--given", type=_named, action="append", default=[], metavar="NAME=PATH", help="repeatable, also for one name")
    return parser.parse_args(argv)


def _named(text: str) -> tuple[str, str]:
    name, _, path = text.partition("=")
    if not name or not path:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=PATH")
    return name, str(Path(path).absolute())


def _given(chain: Chain, options: argparse.Namespace) -> dict[str, list[str]]:
    """Return the paths of each name.

    Raises:
        UserError: one is missing, does not exist, or is not asked for.
    """
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
    """Return a value with paths for names; a name that stands alone becomes all of its paths."""
    text = str(value)
    alone = _PLACE.fullmatch(text)
    return list(places[alone[1]]) if alone else [_PLACE.sub(lambda match: places[match[1]][0], text)]


def _environment(step: Step, places: Places) -> dict[str, str]:
    return {str(name): " ".join(_filled(value, places)) for name, value in step.environment.items()}


def _run(step: Step, command: Sequence[str], environment: Mapping[str, str]) -> float:
    """Run a step and return its seconds.

    Raises:
        UserError: it failed; what is wrong is on the screen.
    """
    started = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, check=False)
    if done.returncode:
        raise UserError(f"step {step.name} failed ({done.returncode}): mend it, and the same command goes on there")
    return time.monotonic() - started


if __name__ == "__main__":
    sys.exit(exit_code(main))
