"""The ways of mixing that a recipe's `method` can name: one file and one line each."""

from collections.abc import Mapping
from types import MappingProxyType

from tuning.merging.gradient_slerp import GradientSlerp
from tuning.merging.linear import Linear
from tuning.merging.method import Method
from tuning.merging.slerp import Slerp
from tuning.merging.wise_ft import WiseFt

METHODS: Mapping[str, type[Method]] = MappingProxyType(
    {
        "gradient_slerp": GradientSlerp,
        "slerp": Slerp,
        "linear": Linear,
        "wise_ft": WiseFt,
    }
)
