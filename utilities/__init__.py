"""The evaluator's rules, retrieval, weights and the helpers that command lines share."""
