"""Makes the models that are submitted: selects rows, trains, merges and quantises; no model imports this."""
