"""The average of models' weights ("model soups", Wortsman et al. 2022), or of several adapters."""

from tuning.merging.method import Method, Place, Shares
from utilities.typed_yaml import checked


@checked
class Linear(Method):
    """`weights` are proportions, one for each model in order; without any, all count alike."""

    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.weights and not (min(self.weights) >= 0 and 0 < sum(self.weights) < float("inf")):
            raise ValueError(f"weights are {list(self.weights)}; they must be 0 or more, and one of them above 0")

    def check(self, count: int) -> None:
        """See that there are two or more, and a weight for each."""
        if count < 2:
            raise ValueError("linear averages two models or more: name them by --parents")
        if self.weights and len(self.weights) != count:
            raise ValueError(f"weights has {len(self.weights)} values and {count} models are given: give one for each")

    def shares(self, place: Place, count: int) -> Shares:  # noqa: ARG002 - the same everywhere
        """Return the proportions, their sum made 1."""
        weights = self.weights or (1.0,) * count
        return tuple(weight / sum(weights) for weight in weights)
