"""Runs the commands of the tool's guide and keeps what they print: `python docs/tool/make.py`.

The folder of images is made of drawn street scenes. One label map is first resized smoothly, as
image viewers do it, for `kerasseg check` to find. The outputs lie in `docs/tool/printed`, one file
for each command, and the site shows them. Takes a few minutes.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
PRINTED = Path(__file__).parent / "printed"
COMMANDS = {  # name of the output: command
    "check_wrong": "check my_images",
    "check": "check my_images",
    "train": "train my_images --width 0.25 --image-size 96 128 --epochs 15 --output runs/a",
    "evaluate": "evaluate runs/a/best.keras my_images",
    "predict": "predict runs/a/best.keras photos/street.png --output maps --overlays",
    "export": "export runs/a/best.keras --format litert",
}


def make_folder(folder, count=100):
    """`images/`, `masks/` and `classes.txt`, of which one mask is resized smoothly; and a photo."""
    sys.path.insert(0, str(ROOT))
    from kerasseg.datasets.street_drawing import CLASS_NAMES, draw_scene

    for name in ("images", "masks"):
        (folder / "my_images" / name).mkdir(parents=True)
    for number in range(count):
        scene = draw_scene(200_000 + number, height=96, width=128)
        for name, key in (("images", "image"), ("masks", "label")):
            path = folder / "my_images" / name / f"{number:03}.png"
            Image.fromarray(scene[key]).save(path)
    (folder / "my_images" / "classes.txt").write_text("\n".join(CLASS_NAMES) + "\n", "utf-8")
    (folder / "photos").mkdir()
    Image.fromarray(draw_scene(300_000)["image"]).save(folder / "photos" / "street.png")


def resize_smoothly(path):
    """Shrinks a label map and enlarges it again, bilinearly: the mistake."""
    mask = Image.open(path)
    small = mask.resize((64, 48), Image.Resampling.BILINEAR)
    small.resize(mask.size, Image.Resampling.BILINEAR).save(path)


def run(words, folder):
    """What a command prints, as in a terminal of 88 columns."""
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    ours = {"PYTHONPATH": paths, "COLUMNS": "88", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-m", "kerasseg_command", *words.split()]
    result = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **ours},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    lines = (re.sub(r".*\r(?!\n)", "", line) for line in result.stdout.split("\n"))
    noise = re.compile(
        r"port\.cc|cudart_stub|absl::|cpu_feature_guard|^To enable|^WARNING: All log"
    )
    text = "\n".join(line.rstrip() for line in lines if not noise.search(line))
    text = re.sub(r" - \d+s - \d+m?s/step", "", text)  # times say more of the machine than of us
    text = re.sub(r"(Epoch 3/.*\n)(?s:.*)(?=Epoch 15/)", "…\n", text)
    return text.replace(str(folder), "").strip() + "\n", result.returncode


def main():
    PRINTED.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        make_folder(folder)
        mask = folder / "my_images" / "masks" / "007.png"
        whole = mask.read_bytes()
        resize_smoothly(mask)
        for name, words in COMMANDS.items():
            if name == "check":
                mask.write_bytes(whole)
            text, code = run(words, folder)
            print(f"{name}: exit code {code}\n{text}")
            (PRINTED / f"{name}.txt").write_text(f"$ kerasseg {words}\n{text}", "utf-8")
        overlay = next((folder / "maps" / "overlays").glob("*.png"))
        pair = [np.asarray(Image.open(p)) for p in (folder / "photos" / "street.png", overlay)]
        Image.fromarray(np.hstack(pair)).save(PRINTED / "overlay.png", optimize=True)


if __name__ == "__main__":
    main()
