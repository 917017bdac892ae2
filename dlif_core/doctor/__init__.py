"""Whether dlif can work here: probes of the installation, the machine, the storage, the cluster, and what to mend."""
