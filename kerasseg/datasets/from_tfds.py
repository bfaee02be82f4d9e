"""Sets that TensorFlow Datasets prepares."""

import tensorflow_datasets as tfds


def prepared(name, data_dir, download):
    """The builder of a set that lies ready in `data_dir`, downloaded first where that is allowed.

    Raises:
        FileNotFoundError: the set is not there, and `download=False` or the download failed.
    """
    builder = tfds.builder(name, data_dir=data_dir)
    if builder.is_prepared():
        return builder
    if not download:
        raise FileNotFoundError(
            f"{name} is not prepared in {builder.data_dir}. Pass download=True to fetch it, or "
            "`data_dir`, a TensorFlow Datasets folder that holds it."
        )
    try:
        builder.download_and_prepare()
    except Exception as error:
        raise FileNotFoundError(
            f"{name} is not prepared in {builder.data_dir} and could not be downloaded: {error}"
        ) from error
    return builder


def records(builder, split):
    """One split as a `tf.data.Dataset` of dicts, always in the same order."""
    return builder.as_dataset(split=split, shuffle_files=False)
