"""Laboratories that a model is made with: those of its training, of its calibration and of its scope.

Networks learn from scans of which each is of another laboratory, a third of them with a tracer that exists nowhere, so
that they read blood and not a tracer. Errors grow where a laboratory is unlike all of these. The band is therefore
calibrated on laboratories whose properties are drawn from wider ranges: calibrated on those of the training it would be
too narrow for others.
"""

from __future__ import annotations

from dlif_core.phantom.sites import Sites

#: Share by which the ranges of a laboratory's properties are wider for calibration, on either side.
MARGIN = 0.25

#: Laboratories of the scans that networks learn from.
LABORATORIES = Sites("laboratories", stream=201, other_tracers=0.35)

#: Laboratories on which the band is calibrated.
CALIBRATION = Sites("calibration-laboratories", stream=202, margin=MARGIN, other_tracers=0.25)

#: The same for humans after FDG; few of the laboratories of the training use a tracer that exists nowhere.
HUMAN_LABORATORIES = Sites("human-laboratories", stream=301, other_tracers=0.2, species="human")
HUMAN_CALIBRATION = Sites("human-calibration-laboratories", stream=302, margin=MARGIN, species="human")
HUMAN_SOUND = Sites("human-sound-laboratories", stream=304, margin=MARGIN, species="human")

#: Laboratories of sound FDG scans, to which the scope is fitted.
SOUND = Sites("sound-laboratories", stream=204, margin=MARGIN)
