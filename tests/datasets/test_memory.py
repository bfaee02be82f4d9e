"""What is free, by each of the limits that there may be."""

import subprocess
import sys

import pytest

from kerasseg.datasets import memory
from tests.conftest import environment


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with 8 GB free, of which a container may take 2 and has taken 1.5, 1 for files."""
    (tmp_path / "meminfo").write_text("MemTotal:  16000000 kB\nMemAvailable:  8000000 kB\n")
    (tmp_path / "memory.max").write_text("2000000000\n")
    (tmp_path / "memory.current").write_text("1500000000\n")
    (tmp_path / "memory.stat").write_text("anon 500000000\ninactive_file 1000000000\n")
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "GROUP", tmp_path)
    return tmp_path


def test_the_least_of_all_limits_counts(machine):
    assert memory.available_memory() == 1_500_000_000
    (machine / "memory.max").write_text("max\n")
    assert memory.available_memory() == 8_000_000 * 1024


def test_where_nothing_tells_nothing_is_known(machine, monkeypatch):
    monkeypatch.setattr(memory, "MEMINFO", machine / "gone")
    monkeypatch.setattr(memory, "GROUP", machine / "gone")
    monkeypatch.setattr(memory, "STATUS", machine / "gone")
    assert memory.available_memory() is None
    memory.check_memory(10**18, "It", "")


def test_what_does_not_fit_is_said_in_advance(machine):
    memory.check_memory(10**9, "An image", "Cut it.")
    words = r"An image needs 2 GB of memory, and 1\.5 GB are free\. Cut it\."
    with pytest.raises(ValueError, match=words):
        memory.check_memory(2 * 10**9, "An image", "Cut it.")


def test_a_batch_that_does_not_fit_is_said_in_advance(machine):
    memory.check_batch_memory(8, (1000, 1000))
    words = r"A batch of 8 images of 4000x5000 pixels needs 1\.9 GB .* Take a smaller --image-size"
    with pytest.raises(ValueError, match=words):
        memory.check_batch_memory(8, (4000, 5000))
    with pytest.raises(ValueError, match="needs 120,000,000,"):
        memory.check_batch_memory(10**400, (1, 1))


def test_a_limit_of_the_shell_counts():
    script = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))\n"
        "import importlib.util as u\n"
        f"spec = u.spec_from_file_location('memory', {memory.__file__!r})\n"
        "module = u.module_from_spec(spec); spec.loader.exec_module(module)\n"
        "assert 2**30 < module.available_memory() < 2**31\n"
    )
    subprocess.run([sys.executable, "-c", script], env=environment("tensorflow"), check=True)
