"""Folders and batches for the doctor's tests, and how a finding is looked up in a report."""

import numpy as np
from PIL import Image

SIZE = 24, 32
KOREAN = "거리 풍경 01"


def regions(rng, classes=3, size=SIZE):
    """A mask of flat regions: rectangles on a ground, every class in it."""
    mask = np.zeros(size, "uint8")
    for i in range(1, classes):
        top, left = rng.integers(1, size[0] // 2), rng.integers(1, size[1] // 2)
        mask[top : top + size[0] // 3, left : left + size[1] // 3] = i
    mask[0, :classes] = range(classes)
    return mask


def photograph(rng, size=SIZE):
    return rng.integers(0, 256, (*size, 3), "uint8")


def make_folder(path, rng, pairs=4, splits=("",), classes=3):
    """images/ and masks/, or train/images/ and so on, with pictures 0.png, 1.png, ..."""
    for split in splits:
        for i in range(pairs):
            save(path / split / "images" / f"{i}.png", photograph(rng))
            save(path / split / "masks" / f"{i}.png", regions(rng, classes))
    return path


def save(path, array, **arguments):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **arguments)


def found(report, title):
    findings = [finding for finding in report.findings if finding.title == title]
    assert findings, f"{title} not in:\n{report}"
    assert all(finding.remedy for finding in findings)
    return findings


def only(report, title, severity, path=None):
    """The one finding of a set in which nothing else is wrong."""
    (finding,) = found(report, title)
    assert report.findings == [finding], report
    assert finding.severity == severity
    assert finding.path == path
    assert report.exit_code == {"warning": 1, "error": 2}[severity]
    return finding.message


def batch(rng, count=2, classes=3):
    images = rng.uniform(size=(count, *SIZE, 3)).astype("float32")
    return images, np.stack([regions(rng, classes) for _ in range(count)])


def interpolated(mask, scale=4):
    height, width = mask.shape
    small = Image.fromarray(mask).resize((width // scale, height // scale), Image.NEAREST)
    return np.asarray(small.resize((width, height), Image.BILINEAR))


def damage(path, how):
    content = path.read_bytes()
    path.unlink()
    if how == "no permission":
        path.write_bytes(content)
        path.chmod(0)
    elif how == "dangling link":
        path.symlink_to(path.parent / "gone.png")
    else:
        path.write_bytes(
            {"truncated": content[:-60], "text": b"no picture", "empty": b"", "zero": b"\0" * 99}[
                how
            ]
        )
