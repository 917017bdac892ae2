"""All probes of the library, in the order in which they are made: what others build on comes first."""

from __future__ import annotations

from dlif_core.doctor.cluster import look_at_slurm, look_at_workers
from dlif_core.doctor.installation import look_at_packages, look_at_python
from dlif_core.doctor.machine import look_at_gpu, look_at_machine
from dlif_core.doctor.probe import Probe
from dlif_core.doctor.results import look_at_model, look_at_products
from dlif_core.doctor.storage import look_at_data, look_at_storage
from dlif_core.errors import ExitCode

#: Probes of the installation and of the machine, then those of a study and of a cluster.
PROBES = (
    Probe("python", look_at_python),
    Probe("packages", look_at_packages),
    Probe("machine", look_at_machine),
    Probe("GPU", look_at_gpu),
    Probe("model", look_at_model),
    Probe("data", look_at_data, ExitCode.INPUT),
    Probe("storage", look_at_storage, ExitCode.STORE),
    Probe("slurm", look_at_slurm),
    Probe("workers", look_at_workers),
)
#: The longest comes last.
LAST_PROBES = (Probe("results", look_at_products, ExitCode.STORE),)
