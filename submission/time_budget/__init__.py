"""The predicted seconds of a model on a device against the limit of each track."""
