"""Settings of the package: frozen, checked, read from one YAML file."""

import dataclasses
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

import yaml

from prompts.settings import PromptSettings
from utilities.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_FILE = ROOT / "models" / "settings.yaml"
FILE_VARIABLE = "SHOPALIGN_SETTINGS"
WEIGHTS_VARIABLE = "SHOPALIGN_WEIGHTS"

DTYPES = ("float32", "float16", "bfloat16")
DEVICES = ("auto", "cpu", "cuda")
SCORINGS = ("label", "text", "pmi", "decode")


@dataclass(frozen=True)
class EngineSettings:
    """How the model is run.

    `weights` is a folder in Hugging Face layout, relative to the repository. `choice` and `selection` say how options
    are answered: `label` by the probability of their numbers, `text` by the mean log-probability of their texts, `pmi`
    by what the question adds to that, `decode` by writing the numbers under the constraint. `token_budget` is the most
    tokens in a padded batch, `max_prompt_tokens` the most of one prompt.
    """

    name: str = "transformers"
    weights: str = "models/weights/smollm2-135m-instruct"
    dtype: str = "float32"
    device: str = "auto"
    choice: str = "pmi"
    selection: str = "pmi"
    token_budget: int = 1024
    max_prompt_tokens: int = 2048

    def __post_init__(self) -> None:
        _one_of("engine.dtype", self.dtype, DTYPES)
        _one_of("engine.device", self.device, DEVICES)
        _one_of("engine.choice", self.choice, SCORINGS)
        _one_of("engine.selection", self.selection, SCORINGS)
        for name in ("token_budget", "max_prompt_tokens"):
            if getattr(self, name) < 64:
                raise UserError(f"setting engine.{name} is {getattr(self, name)}; it must be at least 64 tokens")


@dataclass(frozen=True)
class Settings:
    """All settings; `batch_size` is what `get_batch_size` tells the evaluator, 1 to 16."""

    batch_size: int = 16
    engine: EngineSettings = field(default_factory=EngineSettings)
    prompts: PromptSettings = field(default_factory=PromptSettings)

    def __post_init__(self) -> None:
        if not 1 <= self.batch_size <= 16:
            raise UserError(f"setting batch_size is {self.batch_size}; the evaluator accepts 1 to 16")


def load_settings(path: Path | None = None) -> Settings:
    """Read a settings file: `path`, else the file that SHOPALIGN_SETTINGS names, else the default one.

    SHOPALIGN_WEIGHTS replaces `engine.weights`.

    Raises:
        UserError: the file is missing, is not YAML, or holds an unknown key or a value of the wrong type.
    """
    named = os.environ.get(FILE_VARIABLE)
    path = path or (Path(named) if named else DEFAULT_FILE)
    settings: Settings = _build(Settings, _read(path), f"{path}: ")
    weights = os.environ.get(WEIGHTS_VARIABLE)
    if weights:
        settings = dataclasses.replace(settings, engine=dataclasses.replace(settings.engine, weights=weights))
    return settings


def weights_folder(settings: EngineSettings) -> Path:
    """Return the folder of the weights; a relative one lies in the repository."""
    return ROOT / Path(settings.weights).expanduser()


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: the settings cannot be read ({error}); name a file by {FILE_VARIABLE}") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not YAML: {' '.join(str(error).split())}; mend the file") from error
    if not isinstance(content, dict | None):
        raise UserError(f"{path}: settings are pairs of names and values, not a {type(content).__name__}")
    return content or {}


def _build(kind: type[Any], values: dict[str, Any], where: str) -> Any:
    """Make a settings dataclass from plain values; every key must be a field and every value of its type."""
    hints = get_type_hints(kind)
    unknown = sorted(str(key) for key in values if key not in hints)
    if unknown:
        raise UserError(f"{where}unknown setting {', '.join(unknown)}; known ones: {', '.join(hints)}")
    arguments = {key: _value(hints[key], value, f"{where}{key}") for key, value in values.items()}
    return kind(**arguments)


def _value(kind: type[Any], value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise UserError(f"{where} holds settings of its own, not {value!r}")
        return _build(kind, value, f"{where}.")
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise UserError(f"{where} is {value!r}; it must be a {kind.__name__}")
    return value


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UserError(f"setting {name} is {value!r}; choose one of: {', '.join(choices)}")
