#!/bin/sh
# Makes the secrets of compose.yaml, once, in docker/secrets or the folder given. Only its owner gets into the folder;
# the files can be read by the users of the containers, which have other numbers.
set -eu
folder=${1:-$(dirname "$0")/secrets}
mkdir -m 700 "$folder"

random() {
    od -An -N24 -tx1 /dev/urandom | tr -d ' \n'
}

random > "$folder/postgres_password"
printf 'dlif:%s' "$(random)" > "$folder/prefect_auth"
key=$(random)
secret=$(random)
cat > "$folder/s3_credentials" <<END
[default]
aws_access_key_id = $key
aws_secret_access_key = $secret
END
cat > "$folder/s3_identities" <<END
{"identities": [{"name": "dlif", "credentials": [{"accessKey": "$key", "secretKey": "$secret"}], "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}
END
chmod 444 "$folder"/*
echo "Made in $folder: $(ls "$folder" | tr '\n' ' ')"
