"""The engine that runs models through transformers."""
