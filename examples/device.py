"""Signs a device in and asks whose the token is, for Python 3.9 or newer and nothing else.

Exit codes: 0 done; 1 refused, somebody has to look; 75 not now (EX_TEMPFAIL), another try may succeed.
"""

import hashlib
import hmac
import json
import os
import sys
import time
import urllib.error
import urllib.request


def sign_in(server, device_key, customer_key):
    """A token for ten minutes. Each second is accepted once, and the clock may be five minutes wrong."""
    timestamp = int(time.time())
    message = f"{timestamp}{device_key}".encode()
    signature = hmac.new(customer_key.encode(), message, hashlib.sha256).hexdigest()
    body = {"device_key": device_key, "timestamp": timestamp, "device_signature": signature}
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{server}/auth/login", json.dumps(body).encode(), headers)
    return ask(request)["token"]


def who_am_i(server, token):
    return ask(urllib.request.Request(f"{server}/userinfo", headers={"x-access-token": token}))


def ask(request):
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def main():
    server = os.environ["TOKEN_SERVER"].rstrip("/")
    token = sign_in(server, os.environ["DEVICE_KEY"], os.environ["CUSTOMER_KEY"])
    print(json.dumps(who_am_i(server, token)))


if __name__ == "__main__":
    try:
        main()
    except urllib.error.HTTPError as error:
        print(f"{error.url} answered {error.code}: {error.read().decode(errors='replace')}", file=sys.stderr)
        sys.exit(75 if error.code >= 500 or error.code == 429 else 1)
    except OSError as error:
        print(error, file=sys.stderr)
        sys.exit(75)
