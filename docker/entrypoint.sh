#!/bin/sh
# Runs dlif with the arguments given, or prefect or dask where the first argument says so.
# Secrets come from files: the variable NAME is read from the file that NAME_FILE names.
set -eu
for name in PREFECT_API_AUTH_STRING PREFECT_SERVER_API_AUTH_STRING PREFECT_SERVER_DATABASE_PASSWORD; do
    file=$(printenv "${name}_FILE") || continue
    if [ ! -s "$file" ] || ! value=$(cat "$file"); then
        echo "${name}_FILE: $file is empty or can't be read by user $(id -u)." >&2
        exit 2
    fi
    export "$name=$value"
    unset "${name}_FILE"
done
case "${1-}" in
    prefect | dask) exec "$@" ;;
    *) exec dlif "$@" ;;
esac
