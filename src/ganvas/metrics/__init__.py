"""How far samples are from the data: pure functions of features, points, labels and pictures.

Sums are taken in float64, so that a figure does not depend on the order of the samples or on the device. A figure is a
number, or an error that says what is wrong with the samples: a RequestError for another shape, type or number of them,
a WorkError where a value is NaN, infinite or beyond 1e15. It is never NaN.
"""

from .estimates import Estimate, Interval, bootstrap, share_interval
from .images import ms_ssim, ms_ssim_diversity, path_length, psnr
from .inputs import measurable
from .kernel import kernel_distance, mmd
from .labelled import LabelReport, inception_score, labelled_modes
from .moments import Moments, frechet, frechet_distance
from .neighbours import DensityCoverage, PrecisionRecall, density_coverage, nearest, precision_recall
from .points import CurveReport, ModeReport, curve_report, mode_report

__all__ = ["CurveReport", "DensityCoverage", "Estimate", "Interval", "LabelReport", "ModeReport", "Moments"]
__all__ += ["PrecisionRecall", "bootstrap", "curve_report", "density_coverage", "frechet", "frechet_distance"]
__all__ += ["inception_score", "kernel_distance", "labelled_modes", "measurable", "mmd", "mode_report", "ms_ssim"]
__all__ += ["ms_ssim_diversity", "nearest", "path_length", "precision_recall", "psnr", "share_interval"]
