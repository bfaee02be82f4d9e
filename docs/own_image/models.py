"""The folder of the page "Your own image": its script, its models as ONNX files, the runtime.

python docs/own_image/models.py FOLDER
"""

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).parent
RESULTS = HERE.parents[1] / "chapters" / "results"
RUNTIME = HERE.parent / "_build/npm/node_modules/onnxruntime-web/dist"  # docs/build.py fetches it
RUNTIME_FILES = ("ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
SUBJECTS = {  # {folder of results: title and sentence}; a model that is not there is left out
    "street_scenes": (
        "Street scenes",
        "A U-Net of half a million weights that has only seen drawn streets.",
    ),
    "nuclei": ("Cell nuclei", "A U-Net that finds the nuclei of cells under a microscope."),
    "photograph_denoising": (
        "Noisy photographs",
        "A residual network for grey images with Gaussian noise of a standard deviation of 25, "
        "which this page adds. It has seen no other noise.",
    ),
}


def card_of(folder):
    """{entry: text} of the list in `card.md`."""
    lines = (folder / "card.md").read_text("utf-8").splitlines()
    return dict(line[2:].split(": ", 1) for line in lines if line.startswith("- "))


def description(name, model, file):
    """What the page must know of a model, for `models.js`."""
    from kerasseg.anatomy import classes_of, output_of
    from kerasseg.inference.prediction import fixed_shape

    known, meaning = classes_of(model), output_of(model)
    title, sentence = SUBJECTS[name]
    classes = []
    if known:
        colours = known.colours or [(0, 0, 0), (255, 255, 255)]
        classes = [
            {"name": words, "colour": [int(value) for value in colour]}
            for words, colour in zip(known.class_names, colours)
        ]
    size = known.image_size if known else None
    return {
        "id": name,
        "title": title,
        "sentence": sentence,
        "file": file.name,
        "bytes": file.stat().st_size,
        "channels": fixed_shape(model)[2],
        "kind": meaning.labels if known else "image",
        "activation": meaning.activation,
        "imageSize": list(size) if size else None,
        "classes": classes,
        "card": card_of(RESULTS / name),
        "examples": [],
    }


def examples():
    """{model: (title, uint8 image)}: images that may be given away."""
    from skimage import data

    from kerasseg.datasets.street_drawing import draw_scene
    from kerasseg.inference.resizing import resize_image

    return {
        "street_scenes": ("a drawn street", draw_scene(seed=100_000)["image"]),
        "nuclei": ("nuclei under a microscope", np.asarray(Image.open(HERE / "nuclei.png"))),
        "photograph_denoising": (
            "a photograph",
            resize_image(data.camera()[..., None], (256, 256)),
        ),
    }


def write(folder, runtime=RUNTIME):
    """Fills the folder of the page; returns what the page knows of the models.

    Args:
        folder: Where to; ONNX files that are there already, and newer than their models, stay.
        runtime: The folder `dist` of the npm package onnxruntime-web.
    """
    import keras

    import kerasseg  # noqa: F401  registers what the files hold
    from kerasseg.inference.export import export_model

    (folder / "ort").mkdir(parents=True, exist_ok=True)
    for name in RUNTIME_FILES:
        shutil.copy(runtime / name, folder / "ort" / name)
    for name in ("own_image.js", "own_image.css"):
        shutil.copy(HERE / name, folder / name)
    described, images = [], examples()
    for name in SUBJECTS:
        saved, file = RESULTS / name / "model.keras", folder / f"{name}.onnx"
        if not saved.exists():
            continue
        model = keras.saving.load_model(saved)
        if not file.exists() or file.stat().st_mtime < saved.stat().st_mtime:
            file.unlink(missing_ok=True)
            export_model(model, file, "onnx")
        title, image = images[name]
        Image.fromarray(image.squeeze()).save(folder / f"{name}.png", optimize=True)
        entry = description(name, model, file)
        described.append({**entry, "examples": [{"file": f"{name}.png", "title": title}]})
    words = json.dumps(described, indent=1, ensure_ascii=False)
    (folder / "models.js").write_text(f"window.ownImageModels = {words};\n", "utf-8")
    return described


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runtime", type=Path, default=RUNTIME)
    options = parser.parse_args()
    for model in write(options.folder, options.runtime):
        print(f"{model['title']}: {model['bytes'] / 1e6:.1f} MB")
