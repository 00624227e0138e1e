"""Checks for everything that makes the evaluator reject or stop a submission; `registry.py` lists them."""
