"""The one name that the evaluator imports."""

from models.shopbench_model import ShopBenchModel as UserModel

__all__ = ["UserModel"]
