"""The model that the evaluator imports: its settings, scheduling and engines."""
