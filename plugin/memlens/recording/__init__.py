"""How memory is measured, with memray. Knows nothing of pytest.

Importing this package imports memray, so only import it once something is to be measured.
"""

from memlens.recording.dedicated import CaptureError, DedicatedCapture
from memlens.recording.measurement import Measurement

__all__ = ["CaptureError", "DedicatedCapture", "Measurement"]
