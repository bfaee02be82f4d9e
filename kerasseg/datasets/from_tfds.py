"""Sets that TensorFlow Datasets prepares."""

import tensorflow_datasets as tfds


def prepared(name, data_dir, download):
    """The builder of a set that lies ready in `data_dir`, downloaded first where that is allowed.

    Raises:
        FileNotFoundError: the set is not there, and `download=False` or preparing it failed.
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
            f"{name} could not be prepared in {builder.data_dir}: {error}"
        ) from error
    return builder


def records(builder, split):
    """One split as a `tf.data.Dataset` of dicts, always in the same order."""
    return builder.as_dataset(split=split, shuffle_files=False)


def encoded_records(builder, split, names):
    """Like `records`, with these pictures alone, still encoded: small enough to be shuffled."""
    decoders = tfds.decode.PartialDecoding(
        dict.fromkeys(names, True), decoders=dict.fromkeys(names, tfds.decode.SkipDecoding())
    )
    return builder.as_dataset(split=split, shuffle_files=False, decoders=decoders)


def decode(record, builder, names):
    """The pictures of an encoded record, in this order."""
    return [builder.info.features[name].decode_example(record[name]) for name in names]
