"""Engines: a request goes in, a member of its answer space comes out."""
