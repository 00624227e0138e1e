"""Scheduling: chooses the work for each prompt within the remaining seconds, and watches the engine."""
