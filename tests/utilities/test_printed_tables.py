import pytest

from utilities.printed_tables import print_table


def test_a_table_aligns_numbers_right(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("recipe", "seconds"), [("kit", "205.0"), ("shopalign", "9.5")])
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == ["recipe     seconds", "kit          205.0", "shopalign      9.5", ""]
