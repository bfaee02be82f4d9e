"""From a trained model to its predictions: whole images, CRF, instances, export."""

from kerasseg.inference.crf import dense_crf
from kerasseg.inference.export import export_model
from kerasseg.inference.instances import watershed_instances
from kerasseg.inference.prediction import predict_image

__all__ = ["dense_crf", "export_model", "predict_image", "watershed_instances"]


def __dir__():
    return __all__
