"""The platforms' own libraries: sign a request as theirs do, or say whether one would be accepted.

Reads one JSON object a line: {"do": "sign" | "verify", "platform", "secret", "url", "time", "headers", "body"}; answers
each with a line: the headers as JSON, or `ok` or `refused`.
"""

import json
import sys


class Form(dict):
    """A form as web frameworks give it, which may hold a name twice."""

    def getlist(self, name):
        return self[name]


def form(body):
    from urllib.parse import parse_qs

    return Form(parse_qs(body, keep_blank_values=True))


def sign(ask):
    body, secret = ask["body"], ask["secret"]
    if ask["platform"] == "twilio":
        from twilio.request_validator import RequestValidator

        return {"x-twilio-signature": RequestValidator(secret).compute_signature(ask["url"], form(body))}
    if ask["platform"] == "slack":
        from slack_sdk.signature import SignatureVerifier

        signature = SignatureVerifier(secret).generate_signature(timestamp=ask["time"], body=body)
        return {"x-slack-request-timestamp": ask["time"], "x-slack-signature": signature}
    if ask["platform"] == "standard_webhooks":
        from datetime import datetime, timezone

        from standardwebhooks.webhooks import Webhook

        at = datetime.fromtimestamp(int(ask["time"]), tz=timezone.utc)
        signature = Webhook(secret).sign("msg_1", at, body)
        return {"webhook-id": "msg_1", "webhook-timestamp": ask["time"], "webhook-signature": signature}
    import stripe

    signature = stripe.WebhookSignature._compute_signature(f"{ask['time']}.{body}", secret)
    return {"stripe-signature": f"t={ask['time']},v1={signature}"}


def verify(ask):
    body, secret, headers = ask["body"], ask["secret"], ask["headers"]
    if ask["platform"] == "slack":
        from slack_sdk.signature import Clock, SignatureVerifier

        class Then(Clock):
            def now(self):
                return float(ask["time"])

        return SignatureVerifier(secret, Then()).is_valid_request(body, headers)
    if ask["platform"] == "line":
        from linebot.v3.webhook import SignatureValidator

        return SignatureValidator(secret).validate(body, headers["x-line-signature"])
    if ask["platform"] == "viber":
        from viberbot import Api
        from viberbot.api.bot_configuration import BotConfiguration

        api = Api(BotConfiguration(name="oracle", avatar="", auth_token=secret))
        return api.verify_signature(body.encode(), headers["x-viber-content-signature"])
    if ask["platform"] == "discord":
        from discord_interactions import verify_key

        time = headers["x-signature-timestamp"]
        return verify_key(body.encode(), headers["x-signature-ed25519"], time, secret)
    import stripe

    try:
        return stripe.WebhookSignature.verify_header(body, headers["stripe-signature"], secret, None)
    except stripe.SignatureVerificationError:
        return False


for line in sys.stdin:
    asked = json.loads(line)
    if asked["do"] == "sign":
        print(json.dumps(sign(asked)), flush=True)
    else:
        print("ok" if verify(asked) else "refused", flush=True)
