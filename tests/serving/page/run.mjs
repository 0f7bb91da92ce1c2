// Trains, serves, drives the page through all checks and says how many passed. The argument names a directory for
// screenshots; DLRM_BIN is the command, CHROMIUM the browser, ONLY a part of the names of checks to run.
import { mkdirSync } from "node:fs";
import { resolve } from "node:path";
import { launch, Visit } from "./browser.mjs";
import { docs } from "./checks/docs.mjs";
import { keys } from "./checks/keys.mjs";
import { live } from "./checks/live.mjs";
import { models } from "./checks/models.mjs";
import { recommend } from "./checks/recommend.mjs";
import { score } from "./checks/score.mjs";
import { whole } from "./checks/whole.mjs";
import { House } from "./house.mjs";

const CHECKS = { ...models, ...score, ...recommend, ...live, ...keys, ...docs, ...whole };

const screenshots = process.argv[2] && resolve(process.argv[2]);
if (screenshots) mkdirSync(screenshots, { recursive: true });
const house = new House();
let browser;
let failed = 0;
const wanted = Object.entries(CHECKS).filter(([name]) => name.includes(process.env.ONLY ?? ""));
try {
  house.train();
  const url = await house.serve("runs/clicks", "runs/ratings", "--items", "items.csv");
  browser = await launch();
  for (const [name, check] of wanted) {
    const visit = new Visit(browser, screenshots);
    try {
      try {
        await check({ visit, url, house });
      } finally {
        await visit.close();
      }
      console.log(`ok      ${name}`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED  ${name}\n${error.stack}`);
    }
  }
} finally {
  await browser?.close();
  await house.close();
}
console.log(`${wanted.length - failed} passed, ${failed} failed`);
process.exitCode = failed > 0 || wanted.length === 0 ? 1 : 0;
