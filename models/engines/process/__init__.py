"""The process that an engine runs in, and its supervision."""
