"""Preflight checks, time budget and submitting."""
