"""Checks for what makes the evaluator reject or stop a submission; `registry.py` lists them."""
