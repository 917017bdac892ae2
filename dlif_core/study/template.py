"""The study file that ``dlif init`` writes."""

from __future__ import annotations

import math

_TEMPLATE = """\
# A dlif study. `dlif plan` shows what a run would do, `dlif run` does it; only what has changed is done again.
{name}

# PET-BIDS folder or URL, and where everything that is made goes. Relative paths are relative to this file.
# Links that lead out of the folder are refused, but for folders that are named: {{uri: bids, links: [/disk2/pet]}}.
# Frames are registered before all else with {{uri: bids, motion_correction: {{}}}}; label images of scans of any format
# are named here, too (docs/regions.md).
{data}
{output}

# Where the work is done: local, name or file of a profile (docs/clusters.md), or the address of a Dask scheduler.
# cluster: local

# Scans to include, by pattern of their names (sub-01_ses-baseline).
scans: ["*"]

# Doubts about the data that are accepted, by names of checks. `dlif check` shows what is doubtful, and what to do.
accept: []

regions:
  # Region-curve tables below derivatives/; used for scans that have no label image.
  curves: "*_tacs.tsv"
  # Further regions made of others, averaged by volume, for example:
  # groups:
  #   neocortex: ["ctx-*"]
  groups: {{}}
  # Partial-volume correction of the regions of a label image; width of the point-spread function [mm]:
  # partial_volume: {{fwhm: 1.5}}

# Methods that give the arterial input function, best first, each with its options.
# A scan that can't give the first falls back to the next, and its report says so.
# Blood samples come first where there are any. The learned one serves mice, and humans with {{model: human}}; with
# another tracer than FDG it needs parent fractions in the blood table, or takes plasma as whole blood. Its explanation
# takes some 10 s a scan, and learned: {{explain: false}} leaves it out.
# Others: gaussian-process, factor-analysis, simultaneous, hybrid, and from-file for curves of bloodstream or PMOD.
input_functions:
  arterial: {{}}
  learned: {{}}
  image-derived: {{}}
  population: {{}}

kinetics:
  - model: 2tcm-irreversible   # `dlif models` lists all; `dlif models NAME` says what one estimates and takes
    # name: ki                 # name of the result; the model's if left out
    # input_function: arterial # one method only, no fall-back
    # blood_volume: 0.05       # fixes vB; fitted if left out
    delay: none                # none | image | region
    weights: duration-decay    # uniform | duration | decay | duration-decay, or one number for every frame
    # weight_limits: [0.01, 100] # floor and cap, as multiples of the median
    # pilot_region: liver      # its curve settles what is to be found; the mean of all regions if left out
    # rates: find              # range of the nonlinear parameter [1/min]: two numbers, or found on that region
    # intervals: true          # profile-likelihood intervals of the regions
    maps: true                 # parametric maps of scans with an image
    # denoise: 1.5             # maps of the image denoised by HYPR-LR; width of its Gaussian [mm]
  # - model: patlak
  #   t_star: 15               # start of the linear part [min], or find
  # - model: srtm
  #   reference: cerebellum    # reference region
  # - model: suv
  #   window: [30, 45]         # first and last minute

# The best model of every region and voxel among analyses above, by aic, aicc or bic, for example:
# select: {{of: [1tcm, 2tcm-irreversible], criterion: aicc}}

# Comparisons of two sessions of the same subjects in the cohort report, for example:
# compare:
#   - {{kind: ratio, sessions: [blocked, baseline]}}
#   - {{kind: test-retest, sessions: [test, retest]}}
compare: []

# Formats in which the results of every scan are kept beside them: bids, tables, dicom, pmod (docs/export.md).
# `dlif export` writes them for all scans in one folder at any time.
export: []
"""


def study_template(name: str, data: str, output: str) -> str:
    """Text of a study file with every setting explained.

    Parameters
    ----------
    name
        Name of the study.
    data, output
        Folders or URLs.
    """
    return _TEMPLATE.format(name=_line("name", name), data=_line("data", data), output=_line("output", output))


def _line(key: str, text: str) -> str:
    """A key and its text in YAML, quoted where YAML would read something else: ``[data]`` is a list without quotes."""
    import yaml

    return yaml.safe_dump({key: text}, allow_unicode=True, width=math.inf).rstrip("\n")
