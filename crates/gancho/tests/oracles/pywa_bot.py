"""A bot as somebody would write it with pywa, knowing nothing of any gateway but another base URL for the Graph API: it reads and
answers each text it is sent, and prints what it is told."""

import sys

import fastapi
import httpx
import uvicorn
from pywa import WhatsApp

port, app_secret, graph, token = int(sys.argv[1]), *sys.argv[2:5]
app, session = fastapi.FastAPI(), httpx.Client(timeout=30)
bot = WhatsApp(
    phone_id="200000000000001",
    token=token,
    session=session,
    server=app,
    webhook_endpoint="/hook",
    verify_token="bot-verify",
    app_secret=app_secret,
    validate_updates=True,
)
session.base_url = graph


@bot.on_message()
def on_message(_, message):
    print("got", message.text, flush=True)
    message.mark_as_read()
    sent = message.reply_text("¡hola!", quote=True)
    print("sent", getattr(sent, "id", sent), flush=True)


@bot.on_message_status()
def on_message_status(_, status):
    print(status.status.name.lower(), status.id, flush=True)


uvicorn.run(app, host="127.0.0.1", port=port, log_level="error")
