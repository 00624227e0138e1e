"""Rows of public instruction data: reading, cleaning, sampling."""
