// Shows what is new as it comes. Without it the form and the page work all the same.
const log = document.getElementById("log");
const state = document.getElementById("state");
const form = document.getElementById("say");
const text = document.getElementById("text");

const tell = (name) => {
  state.className = name;
  state.textContent = state.dataset[name];
};
const isAtEnd = () => log.scrollHeight - log.scrollTop - log.clientHeight < 80;
const toEnd = () => { log.scrollTop = log.scrollHeight; };

const news = new EventSource("/live");
news.addEventListener("open", () => tell("live"));
news.addEventListener("error", () => tell("lost"));
news.addEventListener("log", (event) => {
  const follow = isAtEnd();
  // Escaped by the server, which made it.
  log.innerHTML = event.data;
  if (follow) toEnd();
});
toEnd();

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!text.value.trim()) return;
  const body = new URLSearchParams(new FormData(form));
  text.value = "";
  await fetch(form.action, { method: "POST", body, redirect: "manual" });
  toEnd();
});

// Enter sends, Shift and Enter begin a new line.
text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  }
});
