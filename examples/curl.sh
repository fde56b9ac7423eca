#!/bin/sh
# Signs in, uses the token, asks about it and ends it, with curl 7.76 or newer and nothing else. Whatever is secret
# reaches curl through its standard input: arguments can be read by everyone on the machine.
#
# Exit codes: 0 done; 1 refused; 75 the server could not answer, which says nothing about the credentials.
set -eu
: "${TOKEN_SERVER:?}" "${CLIENT_ID:?}" "${CLIENT_SECRET:?}" "${USER_NAME:?}" "${USER_PASSWORD:?}"

# option NAME VALUE: a line of a curl configuration
option() {
  printf '%s = "%s"\n' "$1" "$(printf %s "$2" | sed 's/[\\"]/\\&/g')"
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

sign_in() {
  {
    option user "$CLIENT_ID:$CLIENT_SECRET"
    option data grant_type=password
    option data-urlencode "username=$USER_NAME"
    option data-urlencode "password=$USER_PASSWORD"
  } | ask /Token
}

as_client() {
  { option user "$CLIENT_ID:$CLIENT_SECRET"; option data-urlencode "token=$token"; } | ask "$1"
}

answer=$(sign_in) || { status=$?; echo "No token: $answer" >&2; exit "$status"; }
token=$(printf %s "$answer" | sed -n 's/.*"access_token":"\([A-Za-z0-9_-]*\)".*/\1/p')

echo 'The token says to any API who sent it:'
option header "Authorization: Bearer $token" | ask /userinfo

echo 'A backend may ask with credentials of its own instead:'
as_client /introspect

echo 'Signing out ends the token:'
as_client /revoke >/dev/null
as_client /introspect
