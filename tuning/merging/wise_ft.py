"""WiSE-FT: between a base and what was tuned from it (Wortsman et al. 2022, arXiv 2109.01903)."""

from tuning.merging.method import Method, Place, Shares, require_share, require_two
from utilities.typed_yaml import checked


@checked
class WiseFt(Method):
    """base + share * (tuned - base)."""

    share: float

    needs_base = True

    def __post_init__(self) -> None:
        require_share("share", self.share)

    def check(self, count: int) -> None:
        """See that there are a base and one tuned model."""
        require_two("wise_ft", count)

    def shares(self, place: Place, count: int) -> Shares:  # noqa: ARG002 - the same everywhere
        """Return the base's share and the tuned model's."""
        return 1 - self.share, self.share
