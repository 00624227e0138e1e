"""The methods that a recipe of tuning/recipes/hybridize_*.yaml can name, and the reading of such a recipe."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tuning.merging.method import Method
from tuning.merging.methods import GradientSlerp, Linear, Slerp, WiseFt
from utilities.errors import UserError
from utilities.typed_yaml import Whole, build, checked, read_mapping

METHODS: Mapping[str, type[Method]] = {
    "gradient_slerp": GradientSlerp,
    "slerp": Slerp,
    "linear": Linear,
    "wise_ft": WiseFt,
}


class Recipe(NamedTuple):
    """A merge method and the rank of a merged adapter; rank 0 keeps the sum of the parents' ranks."""

    name: str
    method: Method
    rank: int


@checked
class _Common:
    method: str
    rank: Whole = 0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"method is {self.method!r}; choose one of: {', '.join(METHODS)}")


def read_recipe(path: Path, rank: int | None = None) -> Recipe:
    """Read a recipe, whose rank `rank` replaces, or raise a `UserError` if a key or a value is not valid."""
    values = read_mapping(path, "the recipe", "name a file of tuning/recipes")
    common: dict[str, Any] = {name: values.pop(name) for name in ("method", "rank") if name in values}
    if rank is not None:
        common["rank"] = rank
    chosen = build(_Common, common, f"{path}: ", "key")
    return Recipe(chosen.method, build(METHODS[chosen.method], values, f"{path}: ", "key"), chosen.rank)


def check_models(recipe: Recipe, path: Path, models: Sequence[Path], base: Path | None) -> None:
    """Raise a `UserError` unless the recipe of `path` can mix these models; some recipes need the base among them."""
    if recipe.method.needs_base and models[0] != base:
        raise UserError(
            f"{path}: {recipe.name} goes from the base to one tuned model: name the base by --base and one by --parents"
        )
    try:
        recipe.method.check(len(models))
    except ValueError as error:
        raise UserError(f"{path}: {recipe.name} {error}") from None
