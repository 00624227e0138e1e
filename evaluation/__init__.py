"""The evaluator: its questions, parsers, metrics, loop, scores and report."""
