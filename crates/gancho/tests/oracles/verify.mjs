// Verifies one delivery with other people's libraries: JSON on standard input, "ok" or an exception out.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.argv[2] + "/");
const delivery = JSON.parse(readFileSync(0, "utf8"));
for (const name of ["standardwebhooks", "svix"]) {
  const { Webhook } = require(name);
  new Webhook(delivery.secret).verify(delivery.body, delivery.headers);
}
console.log("ok");
