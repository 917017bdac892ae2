#!/bin/sh
# Installs the programs of others with which tests compare, on Debian and Ubuntu, as root. Without them those tests are
# skipped.
set -eu
missing=""
for package in dcm2niix dicom3tools r-base-core; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q "ok installed" || missing="$missing $package"
done
if [ -n "$missing" ]; then
    apt-get update -q
    # shellcheck disable=SC2086  # a list of packages
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
fi
if ! command -v bids-validator >/dev/null; then
    timeout 300 npm install --global --silent --no-audit --no-fund --ignore-scripts bids-validator@1.15.0 ||
        echo "The BIDS validator can't be installed; its test is skipped." >&2
fi
