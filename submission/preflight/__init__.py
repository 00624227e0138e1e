"""What would make the evaluator reject or kill a submission: a function a check, listed in `table.py`."""
