#!/bin/sh
# Install what the benchmarks need on Debian: the peers, and a compiler. Run as root
# (or with sudo); see README.rst.
#
# Debian starts the proxies when it installs them. A policy-rc.d forbids that while apt runs
# and is removed again, unless the machine already has a policy of its own.
set -eu
cd "$(dirname "$0")"

policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
fi

packages="openssh-server openssh-client squid tinyproxy nginx haproxy caddy gcc libc6-dev libssl-dev make"
command -v npm > /dev/null || packages="$packages nodejs npm"
apt-get update -q
# shellcheck disable=SC2086  # a list of words
DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $packages

make
npm install --no-audit --no-fund --no-package-lock
python3 -m venv build/proxy-py
build/proxy-py/bin/pip install -q 'proxy.py == 2.4.10'
