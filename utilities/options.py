"""Command-line parsers, and types of options that several commands share."""

import argparse


def positive(text: str) -> int:
    """Parse a whole number from 1, for argparse.

    Raises:
        argparse.ArgumentTypeError: the text is no such number.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def whole(text: str) -> int:
    """Parse a whole number from 0, for argparse.

    Raises:
        argparse.ArgumentTypeError: the text is no such number.
    """
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0")
    return int(text)


def command_parser(program: str, description: str | None, examples: str) -> argparse.ArgumentParser:
    """Return a parser for `program`, as typed behind `python`, whose help shows description and examples unchanged."""
    return argparse.ArgumentParser(
        prog=program,
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
