"""A bot as somebody would write it with pywa, knowing nothing of any gateway: it prints each text it is sent."""

import sys

import fastapi
import uvicorn
from pywa import WhatsApp

port, app_secret = int(sys.argv[1]), sys.argv[2]
app = fastapi.FastAPI()
bot = WhatsApp(
    phone_id="200000000000001",
    token="not-used",
    server=app,
    webhook_endpoint="/hook",
    verify_token="bot-verify",
    app_secret=app_secret,
    validate_updates=True,
)


@bot.on_message()
def on_message(_, message):
    print("got", message.text, flush=True)


uvicorn.run(app, host="127.0.0.1", port=port, log_level="error")
