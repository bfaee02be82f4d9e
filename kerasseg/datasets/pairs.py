"""Which image belongs to which mask, from the names of the files alone."""

import itertools
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from kerasseg.datasets import faults
from kerasseg.datasets.files import by_stem
from kerasseg.datasets.masks import Masks
from kerasseg.datasets.splits import drawn

VALIDATION = 0.2  # of the training pairs, where there is no validation split


@dataclass(frozen=True)
class Folder:
    """What lies in a folder of images and masks, before a pixel is decoded.

    Attributes:
        path: The folder.
        splits: {"train", "validation", "test", where there are such: [(image path, mask path)]};
            {"all": ...} for a folder without splits. If the folder is multi-label, a mask path is
            a tuple of paths, one per label.
        findings: Every `Finding` about files that have no partner or are not read.
        class_names: In the order of the ids, with a void name where void has its place; `None`
            if not told. The names of the labels if the folder is multi-label.
        colours: (red, green, blue) of each name; `None` if not told.
        masks: The `Masks` where the layout alone tells them.
        layout: How the files lie, in words.
        multi_label: Whether each label has a mask of its own, `masks/LABEL/`.
    """

    path: Path
    splits: dict[str, list]
    findings: tuple = ()
    class_names: tuple | None = None
    colours: tuple | None = None
    masks: Masks | None = None
    layout: str = ""
    multi_label: bool = False

    @property
    def palette_colours(self):
        """By which palette masks are read; `None` where a mask is a yes or no for one label."""
        return None if self.multi_label else self.colours


def paths_of(mask):
    """The paths of a pair's mask as a tuple: one, or one per label."""
    return mask if isinstance(mask, tuple) else (mask,)


def pair_by_stem(path, folders, layout):
    """The `Folder` at `path`: files of one name but for the suffix are an image and its mask.

    If no name has a partner and the names of all masks (or images) end in the same letters, such as
    `_mask`, or begin with the same, names are compared without them. If masks lie one folder deeper
    than their images, `masks/LABEL/x.png` for `images/x.png`, the folder is a label, and an image
    has a mask for each.

    Args:
        folders: {split: (image folder, mask folder)}. Folders inside them count as part of the
            name: `a/x.jpg` belongs to `a/x.png`.

    Raises:
        FileNotFoundError: a folder without images.
        ValueError: two images of one folder and one stem.
    """
    others, images, masks = [], {}, {}
    for split, (image_folder, mask_folder) in folders.items():
        images[split], masks[split] = by_stem(image_folder, others), by_stem(mask_folder, others)
    findings = [faults.NO_PICTURE.found(p, "is not an image, and is not read") for p in others]
    labels = labels_in(images, masks)
    if not labels:
        images, masks, words = without_shared_ends(images, masks)
        layout += words
    splits = {}
    for split in folders:
        if labels:
            pairs, more = label_pairs(images[split], masks[split], labels, folders[split][1])
        else:
            pairs, more = plain_pairs(images[split], masks[split])
        splits[split] = pairs
        findings += more
    if splits and not any(splits.values()) and not labels:
        findings = [f for f in findings if f.severity == "warning"]
        first, mask = (min(min(split.values()) for split in x.values()) for x in (images, masks))
        words = f"no image has a mask of its own name: the first are {first} and {mask}"
        remedy = "Give each mask the name of its image, and nothing more."
        findings.append(faults.NO_MASK.found(None, words, remedy))
    layout = layout.replace("masks/", "masks/LABEL/") if labels else layout
    names = {"class_names": labels, "multi_label": True} if labels else {}
    return Folder(Path(path), splits, tuple(findings), layout=layout, **names)


def plain_pairs(images, masks):
    """[(image, mask)] of two {stem: path}, and the findings about the others."""
    pairs = [(images[stem], masks[stem]) for stem in images if stem in masks]
    no_mask = [p for stem, p in images.items() if stem not in masks]
    no_image = [p for stem, p in masks.items() if stem not in images]
    return pairs, [
        *(faults.NO_MASK.found(p, "has no mask of the same stem") for p in no_mask),
        *(faults.NO_IMAGE.found(p, "has no image of the same stem") for p in no_image),
    ]


def label_pairs(images, masks, labels, mask_folder):
    """[(image, (a mask for each label))], and the findings about images that lack one."""
    pairs, findings = [], []
    for stem, image in images.items():
        missing = [label for label in labels if f"{label}/{stem}" not in masks]
        if missing:
            place = Path(mask_folder, missing[0], f"{stem}.png")
            words = f"has no mask for the label {missing[0]}: expected {place}"
            remedy = "Add it, all 0 where the label does not occur, or remove the image."
            findings.append(faults.NO_MASK.found(image, words, remedy))
        else:
            pairs.append((image, tuple(masks[f"{label}/{stem}"] for label in labels)))
    no_image = [p for stem, p in masks.items() if stem.partition("/")[2] not in images]
    findings += [faults.NO_IMAGE.found(p, "has no image of the same stem") for p in no_image]
    return pairs, findings


def labels_in(images, masks):
    """The sorted names of the folders that hold the masks of one label each; `()` if none do."""
    stems = {stem for split in images.values() for stem in split}
    names = [stem.partition("/") for split in masks.values() for stem in split]
    if stems & {"".join(name) for name in names} or not all(inner for _, _, inner in names):
        return ()
    known = [label for label, _, inner in names if inner in stems]
    return tuple(sorted(set(known))) if 2 * len(known) > len(names) else ()


def without_shared_ends(images, masks):
    """Images and masks, {split: {stem: path}}, by stems without what all names share at their ends.

    They come back as they are where some stems are equal. Of the beginnings and endings that all
    names have, those that leave most partners are cut, and of several such, the shortest.
    """
    pictures, labels = ({s for split in x.values() for s in split} for x in (images, masks))
    if pictures & labels:
        return images, masks, ""
    tries = []
    for cut in (behind, before):
        for i in shared_ends(pictures, cut):
            for j in shared_ends(labels, cut):
                matches = len({cut(s, i) for s in pictures} & {cut(s, j) for s in labels})
                tries.append((matches, -i - j, i, j, cut))
    matches, _, i, j, cut = max(tries, key=lambda each: each[:2])
    if 2 * matches <= len(labels):
        return images, masks, ""
    images, masks = (
        {split: {cut(stem, n): p for stem, p in stems.items()} for split, stems in x.items()}
        for x, n in ((images, i), (masks, j))
    )
    example = next(iter(labels))
    name = example.rpartition("/")[2]
    end = f"`{name[:j] if cut is before else example[len(example) - j :]}`" if j else "nothing more"
    words = "begin with" if cut is before else "end in"
    return images, masks, f"; the names of all masks {words} {end}"


def behind(stem, count):
    """A stem without its last letters."""
    return stem[: len(stem) - count]


def before(stem, count):
    """A stem without the first letters of its name, in the same folder."""
    folder, slash, name = stem.rpartition("/")
    return folder + slash + name[count:]


def shared_ends(stems, cut):
    """The lengths of the ends that all stems share and that are words, not numbers; and 0.

    Whole numbers stay together: the image of `mask_10` is no image of `mask_1`.
    """
    names = [stem.rpartition("/")[2] for stem in stems]
    way = 1 if cut is before else -1
    letters = zip(*(name[::way] for name in names))
    same = itertools.takewhile(lambda those: len(set(those)) == 1, letters)
    shared = [those[0] for those in same]
    return [0, *(i + 1 for i, letter in enumerate(shared) if not letter.isdigit())]


def pair_by_list(list_file):
    """[(image path, label path)] of a text file with one "image label" pair a line.

    The published CamVid lists hold absolute paths of the machine they were made on
    (`/SegNet/CamVid/train/x.png /SegNet/CamVid/trainannot/x.png`): the last two parts of each
    path count, from the folder of the list.
    """
    list_file = Path(list_file)
    pairs = []
    for number, line in enumerate(list_file.read_text("utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        words = line.split()
        if len(words) != 2:
            raise ValueError(
                f'{list_file}, line {number}: expected "image label", two paths without spaces. '
                f"Received: {line!r}"
            )
        pair = tuple(list_file.parent.joinpath(*Path(word).parts[-2:]) for word in words)
        for path in pair:
            if not path.is_file():
                raise FileNotFoundError(f"{list_file}, line {number} names {path}: no such file.")
        pairs.append(pair)
    if not pairs:
        raise FileNotFoundError(f"No images in {list_file}: the list is empty.")
    return pairs


def check_named_once(path, splits):
    """Raises `ValueError` for a file that lists name twice."""
    used = Counter(path for pairs in splits.values() for pair in pairs for path in pair)
    twice = [path for path in used if used[path] > 1]
    if twice:
        raise ValueError(
            f"{path}: the lists name {twice[0]} twice. Expected each file once, in one split."
        )


def with_validation(splits):
    """{split: pairs}; without a validation split, one is drawn from two training pairs or more."""
    drawn_from = "all" if "all" in splits else "train"
    pairs = splits[drawn_from]
    if "validation" in splits or len(pairs) < 2:
        return splits
    chosen = drawn(len(pairs), VALIDATION)
    train, validation = (
        [pair for pair, taken in zip(pairs, chosen) if taken == wanted] for wanted in (False, True)
    )
    others = {split: pairs for split, pairs in splits.items() if split != drawn_from}
    return {"train": train, "validation": validation, **others}
