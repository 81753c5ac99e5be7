// Keeps the page as the gateway has it. Without it the form and the page work all the same.
"use strict";

const SHOWN_MAX = 500;
const NEAR_PX = 80;
const LARGEST_PX = 160;

const byId = (id) => document.getElementById(id);
const { page, live, lost } = document.body.dataset;
const [log, scroll, newer, link, bot] = ["log", "scroll", "newer", "link", "bot"].map(byId);
const [form, text, notice] = ["say", "text", "notice"].map(byId);
const clock = new Intl.DateTimeFormat(document.documentElement.lang, { timeStyle: "medium" });

/** Shows times as the reader's own clock has them. */
function localise(within) {
  for (const time of within.querySelectorAll("time")) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.getTime())) {
      time.textContent = clock.format(at);
      time.title = at.toLocaleString();
    }
  }
}

/** The conversation is upside down: its end is at zero, and what is before it below that. */
const isAtEnd = () => -scroll.scrollTop < NEAR_PX;

function toEnd() {
  scroll.scrollTop = 0;
  newer.hidden = true;
}

/** The server has escaped everything, and the page's policy runs nothing that is inside. */
function made(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  localise(template.content);
  return template.content;
}

/** Adds a message, or shows how far one has come. Only what changes is touched, so that nothing is read out twice. */
function show({ id, html }) {
  const wasAtEnd = isAtEnd();
  const news = made(html).firstElementChild;
  const held = byId(id);
  if (!held) {
    news.classList.add("fresh");
    log.append(news);
    while (log.children.length > SHOWN_MAX) log.firstElementChild.remove();
    if (!wasAtEnd) newer.hidden = false;
  } else if (held.dataset.mark !== news.dataset.mark) {
    held.dataset.mark = news.dataset.mark;
    held.querySelector(".states").replaceWith(news.querySelector(".states"));
  }
  if (wasAtEnd) toEnd();
}

function listen() {
  const stream = new EventSource("/stream");
  const of = (event, act) => stream.addEventListener(event, ({ data }) => act(JSON.parse(data)));
  of("hello", (hello) => {
    // Another simulation has begun at the same address: this page is of one that has ended.
    if (hello.page !== page) location.reload();
    tell(true);
  });
  of("entry", show);
  of("bot", ({ html }) => bot.replaceChildren(made(html)));
  stream.addEventListener("error", () => {
    tell(false);
    // A browser gives up on a stream that was refused, and tries again by itself otherwise.
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
  });
  window.addEventListener("pagehide", () => stream.close(), { once: true });
}

function tell(isLive) {
  link.hidden = false;
  link.textContent = isLive ? live : lost;
  link.classList.toggle("lost", !isLive);
}

function grow() {
  text.style.height = "auto";
  text.style.height = `${Math.min(text.scrollHeight + 2, LARGEST_PX)}px`;
}

function complain(words) {
  notice.textContent = words;
  notice.hidden = !words;
}

async function say(event) {
  event.preventDefault();
  if (!text.value.trim() || form.ariaBusy === "true") return;
  form.ariaBusy = "true";
  try {
    const body = new URLSearchParams(new FormData(form));
    const answer = await fetch(form.action, { method: "POST", body, headers: { Accept: "text/plain" } });
    complain(answer.ok ? "" : await answer.text());
    if (answer.ok) {
      text.value = "";
      grow();
      toEnd();
    }
  } catch {
    complain(lost);
  } finally {
    form.ariaBusy = "false";
    text.focus();
  }
}

form.addEventListener("submit", say);
text.addEventListener("input", grow);
text.addEventListener("keydown", (event) => {
  // What an input method is still composing is not the end of a message.
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  }
});
newer.addEventListener("click", () => {
  toEnd();
  text.focus();
});
scroll.addEventListener("scroll", () => {
  if (isAtEnd()) newer.hidden = true;
});
byId("how").open = matchMedia("(min-width: 60rem)").matches;
localise(document);
toEnd();
listen();
