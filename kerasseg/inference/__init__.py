"""From a trained model to its answer: whole images, post-processing, export."""

from kerasseg.inference.prediction import predict_image

__all__ = ["predict_image"]
