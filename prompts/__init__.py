"""Prompts: detection of task types, reading of questions, prompt builders and answer spaces."""
