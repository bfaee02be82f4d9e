"""Commands show nothing that is not ours."""

import os
import subprocess
import sys

import pytest

from kerasseg_command.quiet import quiet_imports
from tests.cli.test_bad_inputs import clean_environment


def test_what_an_import_writes_is_hidden_and_later_lines_are_not(monkeypatch, capfd):
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    with quiet_imports():
        os.write(2, b"noise")
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "3"
    os.write(2, b"ours")
    assert capfd.readouterr().err == "ours"


def test_a_users_own_setting_shows_everything(monkeypatch, capfd):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    with quiet_imports():
        os.write(2, b"noise")
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0"
    assert capfd.readouterr().err == "noise"


def test_an_error_passes_and_standard_error_is_back(monkeypatch, capfd):
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    with pytest.raises(ImportError, match="gone"), quiet_imports():
        raise ImportError("gone")
    os.write(2, b"ours")
    assert capfd.readouterr().err == "ours"


def test_evaluate_writes_the_table_and_nothing_else(pictures, model_file):
    words = [sys.executable, "-m", "kerasseg_command", "evaluate", str(model_file), str(pictures)]
    result = subprocess.run(words, env=clean_environment(), capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    assert "mean" in result.stdout
