"""Blood: recordings, their merge, plasma ratio, parent fraction, delay."""

from dlif_core.blood_samples.recording import BloodRecording

__all__ = ["BloodRecording"]
