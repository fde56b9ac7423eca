"""Calls an API with a token, for Python 3.9 or newer and requests.

Exit codes: 0 done; 1 refused, somebody has to look; 75 not now (EX_TEMPFAIL), another try may succeed.
"""

import os
import sys
import time
from urllib.parse import quote_plus

import requests


class PasswordGrant(requests.auth.AuthBase):
    """Signs in once and keeps the token. When it is refused after its expiry, signs in again and repeats the request.

    Before its expiry somebody else has ended it, perhaps another program with the same user: two of them that sign in
    again and again would only end each other's tokens, so then the refusal is the caller's. For one thread.
    """

    def __init__(self, url, client_id, client_secret, username, password):
        self.url = url.rstrip("/") + "/Token"
        self.client = (quote_plus(client_id), quote_plus(client_secret))
        self.form = {"grant_type": "password", "username": username, "password": password}
        self.header, self.expires = None, 0

    def __call__(self, request):
        if self.header is None:
            self.sign_in()
        request.headers["Authorization"] = self.header
        request.register_hook("response", self.renew)
        return request

    def sign_in(self):
        began = time.time()
        answer = requests.post(self.url, auth=self.client, data=self.form, timeout=10, allow_redirects=False)
        answer.raise_for_status()
        token = answer.json()
        self.header, self.expires = f"Bearer {token['access_token']}", began + token["expires_in"]

    def renew(self, answer, **options):
        sent = answer.request.headers.get("Authorization")  # gone after a redirect to another host
        is_refused = answer.status_code == 401 and 'error="invalid_token"' in answer.headers.get("WWW-Authenticate", "")
        can_repeat = isinstance(answer.request.body, (str, bytes, type(None)))
        if sent != self.header or not is_refused or time.time() < self.expires or not can_repeat:
            return answer
        answer.content, answer.close()  # so that the connection can be used again
        self.sign_in()
        again = answer.request.copy()
        again.headers["Authorization"] = self.header
        repeated = answer.connection.send(again, **options)
        repeated.history.append(answer)
        return repeated


def main():
    names = ("TOKEN_SERVER", "CLIENT_ID", "CLIENT_SECRET", "USER_NAME", "USER_PASSWORD")
    with requests.Session() as session:
        session.auth = PasswordGrant(*(os.environ[name] for name in names))
        answer = session.get(os.environ["API_URL"], timeout=30)
        answer.raise_for_status()
        print(answer.text)


if __name__ == "__main__":
    try:
        main()
    except requests.HTTPError as error:
        print(f"{error.response.url} answered {error.response.status_code}: {error.response.text}", file=sys.stderr)
        sys.exit(75 if error.response.status_code >= 500 or error.response.status_code == 429 else 1)
    except requests.RequestException as error:
        print(error, file=sys.stderr)
        sys.exit(75)
