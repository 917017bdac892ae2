"""Blood: recordings, their merge, plasma ratio, parent fraction, delay."""

from dlif_core.blood.recording import BloodRecording

__all__ = ["BloodRecording"]
