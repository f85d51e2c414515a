import os
import sys

import pytest

from birdedge.compress.quiet import quiet


def test_output_is_held_back_where_all_goes_well(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet():
        sys.stdout.write("from Python\n")
        os.system("echo from elsewhere")
    assert capfd.readouterr() == ("", "")


def test_output_is_shown_where_something_fails(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="broken"), quiet():
        os.system("echo why")
        raise ValueError("broken")
    assert "why" in capfd.readouterr().err


def test_ctrl_c_shows_nothing_of_it(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), quiet():
        os.system("echo as far as this")
        raise KeyboardInterrupt
    assert capfd.readouterr() == ("", "")
