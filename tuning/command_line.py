"""The argument parser of the tuning commands."""

import argparse


def command_parser(name: str, description: str | None, examples: str) -> argparse.ArgumentParser:
    """Return a parser for `python -m tuning.NAME` that shows the description and the examples as they are written."""
    return argparse.ArgumentParser(
        prog=f"python -m tuning.{name}",
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
