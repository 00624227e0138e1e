"""Averages of weights: of any number of models, and between a base and a model tuned from it."""

from tuning.merging.method import Method, Place, Shares, UnitShare
from utilities.typed_yaml import checked


@checked
class Linear(Method):
    """The average of models ("model soups", Wortsman et al. 2022); `weights` are proportions, by default equal ones."""

    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.weights and not (min(self.weights) >= 0 and 0 < sum(self.weights) < float("inf")):
            raise ValueError(f"weights are {list(self.weights)}; they must be 0 or more, and one of them above 0")

    def check(self, count: int) -> None:
        """Check that there are two models or more, and a weight for each."""
        if count < 2:
            raise ValueError("averages two models or more: name them by --parents")
        if self.weights and len(self.weights) != count:
            raise ValueError(f"has {len(self.weights)} weights and {count} models are given: give one for each")

    def shares(self, place: Place, count: int) -> Shares:  # noqa: ARG002 - the same at every place
        """Return the proportions, scaled to the sum 1."""
        weights = self.weights or (1.0,) * count
        return tuple(weight / sum(weights) for weight in weights)


@checked
class WiseFt(Method):
    """WiSE-FT: base + share * (tuned - base) (Wortsman et al. 2022, arXiv 2109.01903)."""

    share: UnitShare

    needs_base = True

    def shares(self, place: Place, count: int) -> Shares:  # noqa: ARG002 - the same at every place
        """Return the base's share and the tuned model's."""
        return 1 - self.share, self.share
