#!/bin/sh
# Signs a device in and asks whose the token is, with openssl and curl 7.76 or newer. Whatever is secret reaches them
# through standard input: arguments can be read by everyone on the machine, and both `openssl dgst -hmac KEY` and
# `openssl mac -macopt key:KEY` take the key as one. So HMAC is put together here from SHA-256, as RFC 2104 defines it.
#
# Exit codes: 0 done; 1 refused; 75 the server could not answer, which says nothing about the device.
set -eu
: "${TOKEN_SERVER:?}" "${DEVICE_KEY:?}" "${CUSTOMER_KEY:?}"

# bytes HEX [MASK]: the bytes written in hex, each XORed with MASK; printf is part of the shell, so nobody sees its arguments
bytes() {
  hex=$1
  while [ -n "$hex" ]; do
    rest=${hex#??}
    printf "\\$(printf %03o "$((0x${hex%"$rest"} ^ ${2:-0}))")"
    hex=$rest
  done
}

# standard input in hex
hex() {
  od -An -v -tx1 | tr -d ' \n'
}

sha256() {
  openssl dgst -sha256 -binary
}

# sign MESSAGE: HMAC-SHA256 with CUSTOMER_KEY as hex; a key is filled up to 64 bytes, a longer one is hashed first
sign() {
  key=$(printf %s "$CUSTOMER_KEY" | hex)
  if [ "${#key}" -gt 128 ]; then key=$(printf %s "$CUSTOMER_KEY" | sha256 | hex); fi
  while [ "${#key}" -lt 128 ]; do key=${key}00; done
  inner=$({ bytes "$key" 0x36; printf %s "$1"; } | sha256 | hex)
  { bytes "$key" 0x5c; bytes "$inner"; } | sha256 | hex
}

# standard input as the inside of a quoted text, in JSON and in a curl configuration
quote() {
  sed 's/[\\"]/\\&/g'
}

# option NAME VALUE: a line of a curl configuration
option() {
  printf '%s = "%s"\n' "$1" "$(printf %s "$2" | quote)"
}

# ask PATH: sends a request with the options on standard input, prints the answer
ask() {
  answer=$(curl --silent --show-error --max-time 30 --write-out '\n%{http_code}' --config - "$TOKEN_SERVER$1") || exit 75
  status=$(printf %s "$answer" | tail -n 1)
  printf '%s\n' "$answer" | sed '$d'
  case $status in
    2??) ;;
    429 | 5??) exit 75 ;;
    *) exit 1 ;;
  esac
}

# Each second is accepted once, and the clock may be five minutes wrong.
sign_in() {
  timestamp=$(date +%s)
  signature=$(sign "$timestamp$DEVICE_KEY")
  device_key=$(printf %s "$DEVICE_KEY" | quote)
  {
    option header 'Content-Type: application/json'
    option data-raw "{\"device_key\":\"$device_key\",\"timestamp\":$timestamp,\"device_signature\":\"$signature\"}"
  } | ask /auth/login
}

answer=$(sign_in) || { status=$?; echo "No token: $answer" >&2; exit "$status"; }
token=$(printf %s "$answer" | sed -n 's/.*"token":"\([A-Za-z0-9._-]*\)".*/\1/p')

option header "x-access-token: $token" | ask /userinfo
