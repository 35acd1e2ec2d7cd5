#!/usr/bin/env bash
# Make variations of a photo and save them, with curl alone.
#
#     bash examples/generate.sh photo.png "Tropical beach" images
#
# BACKDROP_URL names another service than this machine's, and BACKDROP_KEY its key.
set -euo pipefail

photo=$1 prompt=$2 folder=${3:-backdrop-images}
service=${BACKDROP_URL:-http://127.0.0.1:8000}
key=()
[ -z "${BACKDROP_KEY:-}" ] || key=(-H "X-API-Key: $BACKDROP_KEY")

# On a failure curl still prints the body, whose "error" says what is wrong. 429 and 503 are tried
# again after the seconds of their Retry-After; a key makes sure that nothing is made twice.
if ! answer=$(curl -sS --fail-with-body --retry 3 "${key[@]}" "$service/api/generate" \
    -H "Idempotency-Key: $$-$RANDOM-$(date +%s)" \
    -F image=@"$photo" \
    -F prompt="$prompt" \
    -F model=stable-diffusion \
    -F num_images=2); then
    echo "$answer" >&2
    exit 1
fi

mkdir -p "$folder"
cd "$folder"
# The addresses are the only strings of an answer that begin so.
for url in $(grep -o '"https\?://[^"]*"' <<<"$answer" | tr -d '"'); do
    curl -sS --fail "${key[@]}" -O "$url"
    echo "$folder/${url##*/}"
done
