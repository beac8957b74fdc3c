"""How memory is measured, with memray. Knows nothing of pytest.

Importing this package imports memray, so only import it once something is to be measured.
"""

from memlens.recording.capture import Capture, Followers
from memlens.recording.measurement import CaptureError, Measurement

__all__ = ["Capture", "CaptureError", "Followers", "Measurement"]
