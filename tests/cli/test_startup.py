"""What a command does not need is not imported: each is tried in a process of its own."""

import subprocess
import sys

import pytest

from kerasseg_command import startup
from kerasseg_command.main import COMMANDS, parse
from tests.cli.test_bad_inputs import clean_environment
from tests.datasets.folders import ids, make_folder, picture, save

LIBRARIES = ("tensorflow", "keras", "jax", "torch", "tensorflow_datasets", "matplotlib", "sklearn")
SCRIPT = f"""
import sys, kerasseg_command
try:
    code = kerasseg_command.main()
except SystemExit as leaving:
    code = leaving.code
loaded = {{name.partition(".")[0] for name in sys.modules}}
print(code, sorted(loaded.intersection({LIBRARIES})), "kerasseg" in loaded, file=sys.stderr)
"""
NAMES = [command.__name__.rpartition(".")[2] for command in COMMANDS]


def imported_by(*words, **variables):
    """`(exit code, libraries, whether kerasseg)` in words, of a command in a fresh process."""
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, *map(str, words)],
        env={**clean_environment(), **variables},
        capture_output=True,
        text=True,
    )
    return result.stderr


@pytest.mark.parametrize("words", [["--help"], *([name, "--help"] for name in NAMES), ["chek"]])
def test_help_and_wrong_arguments_need_neither_kerasseg_nor_what_it_needs(words):
    code = 2 if words == ["chek"] else 0
    assert imported_by(*words).endswith(f"{code} [] False\n")


def test_check_reads_png_files_without_keras_or_a_backend(tmp_path):
    folder = make_folder(tmp_path / "set", [ids(i, classes=3) for i in range(10)])
    (folder / "classes.txt").write_text("sky 128 128 128\nroad 128 64 128\ncar 64 0 128\n")
    assert imported_by("check", folder) == "0 [] True\n"


def test_a_program_that_calls_check_can_load_a_model_afterwards(tmp_path):
    pytest.importorskip("torch")
    folder = make_folder(tmp_path / "set", [ids(i, classes=3) for i in range(10)])
    script = (
        "import sys, kerasseg_command\n"
        f"assert kerasseg_command.main(['check', {str(folder)!r}]) == 0\n"
        "assert 'tensorflow' not in sys.modules\n"
        "import keras; assert keras.saving.get_registered_object('kerasseg>MaxUnpooling2D')\n"
    )
    environment = {**clean_environment(), "KERAS_BACKEND": "torch"}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True)


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_predict_needs_the_backend_of_its_model_alone(backend, model_file, tmp_path):
    pytest.importorskip(backend)
    save(picture(0, size=(45, 60)), tmp_path / "x.png")
    words = ("predict", model_file, tmp_path / "x.png", "--output", tmp_path / "maps")
    told = imported_by(*words, KERAS_BACKEND=backend).splitlines()[-1]
    assert (tmp_path / "maps" / "x.png").is_file(), told
    assert told.startswith("0 [")
    assert f"'{backend}'" in told
    assert "tensorflow" not in told


def test_the_list_of_chapters_needs_no_keras():
    assert imported_by("chapters") == "0 [] True\n"


def test_all_other_commands_register_what_a_model_file_can_hold():
    asked = {
        "chapters": ["run", "ch11"],
        "check": ["d"],
        "convert": ["s", "--to", "d"],
        "train": ["d", "--output", "a"],
        "evaluate": ["m", "d"],
        "predict": ["m", "x.png", "--output", "a"],
        "export": ["m", "--format", "onnx"],
    }
    needing = {name for name in NAMES if startup.needs_keras(name, parse([name, *asked[name]]))}
    assert needing == set(NAMES) - {"check", "convert"}
    assert startup.with_keras or "kerasseg" in sys.modules


def test_parts_of_the_package_are_there_when_keras_was_left_out_at_first():
    script = (
        "from kerasseg_command import startup; startup.with_keras = False\n"
        "import sys, kerasseg; assert 'keras' not in sys.modules\n"
        "assert kerasseg.models.unet and kerasseg.losses.CrossEntropy and kerasseg.predict_image\n"
        "from kerasseg import initializers, metrics\n"
        "from kerasseg.layers import MaxUnpooling2D\n"
        "import keras; assert keras.saving.get_registered_object('kerasseg>MaxUnpooling2D')\n"
    )
    subprocess.run([sys.executable, "-c", script], env=clean_environment(), check=True)
