"""Verifies one delivery with other people's libraries: JSON on standard input, "ok" or an exception out."""

import json
import sys

import standardwebhooks
import svix

delivery = json.load(sys.stdin)
secret, headers, body = delivery["secret"], delivery["headers"], delivery["body"].encode()
standardwebhooks.Webhook(secret).verify(body, headers)
svix.Webhook(secret).verify(body, headers)
print("ok")
