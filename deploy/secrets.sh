#!/bin/sh
# Makes the passwords and tokens that docker-compose.yml wants: .env and deploy/secrets/ in the folder that is given, else of the
# clone. What is there already stays as it is.
set -eu
umask 077
cd "${1:-$(dirname "$0")/..}"

# With a letter first: nats-server takes what begins like a number for one.
if [ ! -e .env ]; then
  for role in RUNTIME DOCTOR OPERATOR PUBLISHER READER; do
    echo "TIDEMARK_${role}_PASSWORD=p$(openssl rand -hex 24)"
  done > .env.half
  for service in POSTGRES VALKEY GRAFANA; do
    echo "${service}_PASSWORD=p$(openssl rand -hex 24)"
  done >> .env.half
  mv .env.half .env
fi

mkdir -p deploy/secrets
cd deploy/secrets
if [ ! -e api-tokens ]; then
  for holder in prometheus:viewer admin:admin; do
    token=$(openssl rand -hex 32)
    printf %s "$token" > "${holder%:*}-token"
    echo "$holder:$(printf %s "$token" | openssl dgst -sha256 -r | cut -d' ' -f1)"
  done > api-tokens.half
  # In containers other users read these two; here the folder keeps others out.
  chmod 644 api-tokens.half prometheus-token
  mv api-tokens.half api-tokens
fi
