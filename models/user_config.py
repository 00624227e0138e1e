"""Defines `UserModel`, the class that the evaluator imports."""

from models.shopbench_model import ShopBenchModel as UserModel

__all__ = ["UserModel"]
