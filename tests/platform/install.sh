#!/bin/sh
# Installs the services that tests/platform starts, on Debian and Ubuntu, as root. Elsewhere they are installed by hand.
set -eu
packages="slurmctld slurmd slurm-client munge postgresql buildah podman debootstrap runc catatonit"
missing=""
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q "ok installed" || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "Install these packages first:$missing" >&2
    exit 1
fi
apt-get update -q
# shellcheck disable=SC2086  # a list of packages
DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
