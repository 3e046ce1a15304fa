#!/bin/sh
# Makes a headless Chromium and its driver available to the browser tests. Never fails, except where CI=true.
set -u

found() {
    command -v chromedriver >/dev/null 2>&1 &&
        { command -v chromium >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1; }
}

found && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium chromium-driver >/dev/null
fi

found && exit 0

echo "No Chromium with chromedriver found, the browser tests will be skipped; on Debian: apt-get install chromium chromium-driver" >&2
[ "${CI:-}" = true ] && exit 1
exit 0
