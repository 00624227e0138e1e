"""A recipe of tuning/recipes/hybridize_*.yaml: a method, its own keys, and the rank of a mixed adapter."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tuning.merging.method import Method
from tuning.merging.registry import METHODS
from utilities.errors import UserError
from utilities.typed_yaml import build, checked, read_mapping


@dataclass(frozen=True)
class Recipe:
    """How to mix; `rank` is what a mixed adapter is cut back to, 0 the sum of its parents' ranks."""

    name: str
    method: Method
    rank: int

    def record(self) -> dict[str, Any]:
        """Return the recipe as it would be written."""
        settings: dict[str, Any] = asdict(self.method)  # type: ignore[call-overload]
        return {"method": self.name, **settings, "rank": self.rank}


@checked
class _Common:
    method: str
    rank: int = 0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"method is {self.method!r}; choose one of: {', '.join(METHODS)}")
        if self.rank < 0:
            raise ValueError(f"rank is {self.rank}; it must be 0 or more")


def read_recipe(path: Path, rank: int | None = None) -> Recipe:
    """Read a recipe; `rank` takes the place of its own.

    Raises:
        UserError: the file cannot be read, or holds an unknown key or a value that does not fit.
    """
    values = read_mapping(path, "the recipe", "name a file of tuning/recipes")
    common: dict[str, Any] = {name: values.pop(name) for name in ("method", "rank") if name in values}
    if rank is not None:
        common["rank"] = rank
    chosen = build(_Common, common, f"{path}: ", "key")
    return Recipe(chosen.method, build(METHODS[chosen.method], values, f"{path}: ", "key"), chosen.rank)


def check_models(recipe: Recipe, path: Path, models: Sequence[Path], base: Path | None) -> None:
    """See that the recipe, read from `path`, mixes so many models, and the base with them where it has to.

    Raises:
        UserError: it does not.
    """
    if recipe.method.needs_base and models[0] != base:
        raise UserError(
            f"{path}: {recipe.name} goes from the base to one tuned model: name the base by --base and one by --parents"
        )
    try:
        recipe.method.check(len(models))
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
