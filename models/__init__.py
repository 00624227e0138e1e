"""Who answers: the model that the evaluator imports, its settings and its engines."""
