"""Engines: they answer each prompt with a member of its answer space."""
