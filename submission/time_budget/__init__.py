"""Predicted seconds of a model on a device against the limit of a track."""
