"""Measurements that the documentation quotes, each a command that anyone can repeat."""
