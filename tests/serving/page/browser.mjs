// A browser, and pages that remember what went wrong in them.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const PATIENCE = 30_000; // Machines may have other work.

export const WIDE = { width: 1280, height: 900 };
export const NARROW = { width: 360, height: 740 };

export async function launch() {
  const executablePath = process.env.CHROMIUM ?? PLACES.find(existsSync);
  if (executablePath === undefined) {
    throw new Error("CHROMIUM: expected the path of Chromium, found none (apt-get install chromium)");
  }
  // The user of a container is often root, for whom Chromium has no sandbox.
  return chromium.launch({ executablePath, args: ["--no-sandbox"] });
}

/** What a check works with: pages of one server, closed and judged at its end. */
export class Visit {
  constructor(browser, screenshots) {
    Object.assign(this, { browser, screenshots, contexts: [], wrong: [], expected: [] });
  }

  /** Opens a path of a server. */
  async open(url, path = "/", { viewport = WIDE, colorScheme = "light", permissions = [] } = {}) {
    const context = await this.browser.newContext({ viewport, colorScheme, permissions, reducedMotion: "reduce" });
    this.contexts.push(context);
    context.setDefaultTimeout(PATIENCE);
    context.on("page", (page) => this.watch(page));
    const page = await context.newPage();
    await page.goto(url + path);
    return page;
  }

  watch(page) {
    page.on("pageerror", (error) => this.wrong.push(`error: ${error.message}`));
    page.on("console", (message) => {
      if (message.type() !== "error" && !/Content.Security.Policy/i.test(message.text())) return;
      this.wrong.push(`console: ${message.text()} (${message.location().url})`);
    });
  }

  /** Lets browsers complain of answers with this status. */
  expect(status) {
    this.expected.push(`status of ${status} `);
  }

  async screenshot(page, name) {
    if (this.screenshots === undefined) return;
    await page.screenshot({ path: join(this.screenshots, `${name}.png`), fullPage: true });
  }

  async close() {
    await Promise.all(this.contexts.map((context) => context.close()));
    const unexpected = this.wrong.filter((text) => !this.expected.some((expected) => text.includes(expected)));
    assert.deepEqual(unexpected, [], "what the browser complains of");
  }
}

/** Fails with what axe-core finds. */
export async function accessible(page) {
  // Evaluated by the debugger: the policy of the page lets no script in.
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a",
    "wcag21aa", "wcag22aa", "best-practice"] }));
  const found = violations.map(({ id, help, nodes }) => `${id}: ${help}\n  ${nodes.map(({ html, failureSummary }) =>
    `${html}\n    ${failureSummary.replaceAll("\n", " ")}`).join("\n  ")}`);
  assert.deepEqual(found, [], "violations found by axe-core");
}

/** Fails if something is wider than the window. */
export async function fits(page) {
  const [whole, window] = await page.evaluate(() => [document.scrollingElement.scrollWidth, innerWidth]);
  assert.ok(whole <= window, `the page is ${whole} px wide in a window of ${window} px`);
}
