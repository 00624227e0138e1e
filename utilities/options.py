"""Command-line parsers, and types of options that several commands share."""

import argparse
from collections.abc import Callable


def command_parser(program: str, description: str | None, examples: str) -> argparse.ArgumentParser:
    """Return a parser for `python PROGRAM`; its help prints description and examples with their line breaks."""
    return argparse.ArgumentParser(
        prog=program,
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def _whole_from(least: int) -> Callable[[str], int]:
    """Return the type of an option that takes whole numbers from `least`."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least}")
        return int(text)

    return read


def text(value: str) -> str:
    """Return the value of an option that must not be empty, as a shell leaves it for a variable that is not set."""
    if not value.strip():
        raise argparse.ArgumentTypeError("the value is empty: write one")
    return value


whole = _whole_from(0)
positive = _whole_from(1)
"""The types of options that take whole numbers from 0, and from 1."""
